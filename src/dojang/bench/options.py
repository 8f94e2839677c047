"""The options of the bench."""

from __future__ import annotations

from dataclasses import dataclass

from dojang.recipe import option


@dataclass(frozen=True)
class BenchOptions:
    """What is measured, and for how long. Names that other rooms have mean the same here.

    Example:
        >>> BenchOptions(imgsz=28, channels=1).batch_size
        500
    """

    imgsz: int = option(32, "height and width the network sees", aliases=("img_size", "image_size"), low=1, high=4096)
    channels: int = option(3, "of the pictures: 1 is gray, 3 is colour", low=1, high=4096)
    classes: int = option(10, "how many answers the network has", low=2, high=1_000_000)
    batch_size: int = option(500, "pictures a step", aliases=("batch", "bs"), low=1)
    device: str = option("auto", "auto, cpu, cuda or cuda:N")
    threads: int | None = option(None, "CPU threads of the arithmetic", low=1, high=1024)
    seconds: float = option(0.5, "time for each measurement, about 30 of them", above=0, high=3600)
