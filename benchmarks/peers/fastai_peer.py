"""fastai: xresnet18 from scratch, pictures from folders, aug_transforms, one cycle.

    python benchmarks/peers/fastai_peer.py --data PREPARED --dataset cifar10

The settings of its own course for training from scratch: ImageDataLoaders.from_folder with batches of 64, Normalize,
aug_transforms (digits are not mirrored), cross entropy, Adam, fit_one_cycle at 3e-3.  All training pictures are used;
its validation after each epoch is left out, in its favour.
"""

from __future__ import annotations

from entrant import CLASSES, DATASETS, Clock, EnoughError, arguments, flops, report  # first: its clock

# isort: split
import time
import warnings
from typing import Any

import torch

warnings.filterwarnings("ignore")  # of other people's code, and not about what is measured

import fastai  # noqa: E402
from fastai.callback.core import Callback  # noqa: E402
from fastai.callback.schedule import Learner  # noqa: E402  (adds fit_one_cycle)
from fastai.data.transforms import Normalize  # noqa: E402
from fastai.learner import CancelFitException, CancelValidException  # noqa: E402
from fastai.losses import CrossEntropyLossFlat  # noqa: E402
from fastai.torch_core import set_seed  # noqa: E402
from fastai.vision.augment import aug_transforms  # noqa: E402
from fastai.vision.core import PILImage, PILImageBW  # noqa: E402
from fastai.vision.data import DataBlock, ImageDataLoaders  # noqa: E402
from fastai.vision.models.xresnet import xresnet18  # noqa: E402

EPOCHS = {"mnist": 10, "fashion-mnist": 15, "cifar10": 20}
BATCH_SIZES = dict.fromkeys(EPOCHS, 64)
LR = 3e-3


class Count(Callback):
    """Tells the clock of each training step."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def after_batch(self) -> None:
        if self.training:
            try:
                self.clock.step(len(self.x))
            except EnoughError as enough:
                raise CancelFitException from enough  # the way out that its loop knows


class NoValidation(Callback):
    """Leaves out the look at the second part after each epoch."""

    def before_validate(self) -> None:
        raise CancelValidException


def data_loaders(options: Any) -> Any:
    """Both parts, from folders; the second one is the test part."""
    from fastai.data.transforms import GrandparentSplitter, get_image_files, parent_label
    from fastai.vision.data import CategoryBlock, ImageBlock

    facts = DATASETS[options.dataset]
    # fastai's from_folder takes colour pictures only; this is what it builds, with grey ones where they are grey
    block = DataBlock(
        blocks=(ImageBlock(PILImageBW if facts.channels == 1 else PILImage), CategoryBlock),
        get_items=get_image_files,
        splitter=GrandparentSplitter(train_name="train", valid_name="test"),
        get_y=parent_label,
        batch_tfms=[
            *aug_transforms(do_flip=options.dataset != "mnist"),
            Normalize.from_stats(facts.mean, facts.std, cuda=False),
        ],
    )
    folder = options.data / "folders" / options.dataset
    return ImageDataLoaders.from_dblock(
        block, folder, path=folder, bs=options.batch_size, num_workers=options.workers, device=torch.device("cpu")
    )


def main() -> None:
    options = arguments(__doc__, EPOCHS, BATCH_SIZES)
    facts = DATASETS[options.dataset]
    set_seed(options.seed)
    loaders = data_loaders(options)
    learner = Learner(loaders, xresnet18(c_in=facts.channels, n_out=CLASSES), loss_func=CrossEntropyLossFlat())
    clock = Clock(options.limit_batches, options.limit_seconds)
    with learner.no_bar(), learner.no_logging(), clock:
        learner.fit_one_cycle(options.epochs, LR, cbs=[Count(clock), NoValidation()])
    top1 = seconds = None
    if options.whole:
        began = time.perf_counter()
        with learner.no_bar(), learner.no_logging():
            scores, targets = learner.get_preds(ds_idx=1)
        top1, seconds = float((scores.argmax(dim=1) == targets).float().mean()), time.perf_counter() - began
    report(
        "fastai",
        fastai.__version__,
        options,
        clock,
        model="xresnet18",
        forward_flops=flops(learner.model, torch.zeros(1, facts.channels, facts.size, facts.size)),
        top1=top1,
        test_seconds=seconds,
        settings=f"fp32, Adam, fit_one_cycle at {LR:g}, aug_transforms, pictures from folders",
    )


if __name__ == "__main__":
    main()
