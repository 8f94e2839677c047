"""The options of the service."""

from __future__ import annotations

from dataclasses import dataclass

from dojang.recipe import option

ENGINES = ("auto", "eager", "folded", "bf16", "onnx", "openvino")


@dataclass(frozen=True)
class ServeOptions:
    """Where the service listens, and how much it takes on at once. Names that other rooms have mean the same here.

    Example:
        >>> ServeOptions(port=9000).host
        '127.0.0.1'
    """

    host: str = option("127.0.0.1", "the address that is listened on; any other than this machine's own needs a token")
    port: int = option(8000, "the port; 0 takes a free one", low=0, high=65535)
    engine: str = option("auto", "what runs the network; auto measures which is the fastest", choices=ENGINES)
    max_batch: int | None = option(None, "pictures the network is given at once [measured]", low=1, high=1024)
    queue: int = option(256, "pictures that may wait; more are refused", low=1, high=100_000)
    deadline: float = option(10.0, "a request that is not answered by then is given up", unit="duration")
    max_body: int = option(32, "megabytes of one request's body", low=1, high=1024)
    max_pictures: int = option(32, "pictures in one request", low=1, high=1024)
    threads: int | None = option(None, "CPU threads of the arithmetic", low=1, high=1024)
    device: str = option("auto", "auto, cpu, cuda or cuda:N")
    unknown_below: float | None = option(
        None, "an answer is unknown where its label is less probable", low=0, high=1, metavar="P"
    )
    none_of_these: bool = option(
        True, "an answer is unknown where its picture is far from all classes, if the weights can tell"
    )
