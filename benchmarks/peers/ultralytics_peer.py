"""Ultralytics: yolo11n-cls from scratch on a folder tree, its own trainer with its defaults.

    python benchmarks/peers/ultralytics_peer.py --data PREPARED --dataset cifar10

Everything but the size (32 pixels) and the number of epochs is its default: batches of 16, optimizer chosen by itself,
RandAugment, erasing, its choice of threads.  It must validate after the last epoch and picks its best file by that, so
it is given 200 training pictures for it, and what is scored is last.pt, on the test pictures, once.  It is kept
offline, and its settings are written to a temporary folder.
"""

from __future__ import annotations

from entrant import DATASETS, Clock, arguments, flops, report  # first: its clock

# isort: split
import os
import tempfile
import time
from pathlib import Path
from typing import Any

# read when it is imported
_HOME = tempfile.TemporaryDirectory(prefix="ultralytics-")
os.environ |= {"YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": _HOME.name, "YOLO_VERBOSE": "false"}

import torch  # noqa: E402
import ultralytics  # noqa: E402

MODEL = "yolo11n-cls"
EPOCHS = dict.fromkeys(DATASETS, 100)
BATCH_SIZES = dict.fromkeys(DATASETS, 16)
SIZE = 32  # the network's stride is 32


def main() -> None:
    options = arguments(__doc__, EPOCHS, BATCH_SIZES)
    ultralytics.settings.update({"sync": False})
    model = ultralytics.YOLO(f"{MODEL}.yaml")
    clock = Clock(options.limit_batches, options.limit_seconds)
    count = DATASETS[options.dataset].count
    seen = 0

    def counted(trainer: Any) -> None:
        nonlocal seen
        images = min(options.batch_size, count - seen)
        seen = (seen + images) % count
        clock.step(images)

    model.add_callback("on_train_batch_end", counted)
    folder = options.data / "folders" / options.dataset
    # its first three epochs step the optimizer up to four times as often, which would not be the rate of the others
    more = {} if options.whole else {"warmup_epochs": 0}
    with tempfile.TemporaryDirectory(prefix="ultralytics-run-") as project:
        with clock:
            model.train(
                data=str(folder),
                imgsz=SIZE,
                epochs=options.epochs,
                batch=options.batch_size,
                seed=options.seed,
                device="cpu",
                val=False,
                plots=False,
                pretrained=False,
                project=project,
                name="train",
                verbose=False,
                **more,
            )
        top1 = seconds = None
        if options.whole:
            began = time.perf_counter()
            trained = ultralytics.YOLO(Path(project) / "train" / "weights" / "last.pt")
            found = trained.val(data=str(folder), split="test", imgsz=SIZE, device="cpu", plots=False, project=project)
            top1, seconds = float(found.top1), time.perf_counter() - began
    report(
        "ultralytics",
        ultralytics.__version__,
        options,
        clock,
        model=MODEL,
        forward_flops=flops(ultralytics.YOLO(f"{MODEL}.yaml").model, torch.zeros(1, 3, SIZE, SIZE)),
        top1=top1,
        test_seconds=seconds,
        settings="fp32, its trainer's defaults, 32 pixels, pictures from folders",
    )


if __name__ == "__main__":
    main()
