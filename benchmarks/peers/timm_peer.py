"""A network of timm in a plain loop: AdamW, cosine with warm-up, label smoothing, DataLoader.

    python benchmarks/peers/timm_peer.py --data PREPARED --dataset cifar10 [--model resnet18]

``resnet18-3x3`` is timm's resnet18 with the stem that is usual for pictures of 32 pixels: a 3x3 convolution of stride 1
and no pooling.  ``resnet18`` keeps the stem made for 224 pixels, which is faster and less accurate at this size.
"""

from __future__ import annotations

from entrant import CLASSES, DATASETS, Clock, arguments, flops, report  # first: its clock

# isort: split
import loaders
import timm
import torch
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import nn

EPOCHS = {"mnist": 10, "fashion-mnist": 15, "cifar10": 30}
BATCH_SIZES = dict.fromkeys(EPOCHS, 128)
LR, WEIGHT_DECAY, SMOOTHING = 1e-3, 0.05, 0.1


def network(name: str, channels: int) -> nn.Module:
    """The network, from scratch; nothing is fetched."""
    model: nn.Module = timm.create_model("resnet18", pretrained=False, num_classes=CLASSES, in_chans=channels)
    if name == "resnet18-3x3":
        model.conv1 = nn.Conv2d(channels, 64, kernel_size=3, padding=1, bias=False)
        model.maxpool = nn.Identity()
    return model


def main() -> None:
    options = arguments(__doc__, EPOCHS, BATCH_SIZES, models=("resnet18-3x3", "resnet18"))
    facts = DATASETS[options.dataset]
    torch.manual_seed(options.seed)
    model = network(options.model, facts.channels)
    optimizer = create_optimizer_v2(model, "adamw", lr=LR, weight_decay=WEIGHT_DECAY)
    criterion = LabelSmoothingCrossEntropy(SMOOTHING)
    train = loaders.pictures(options.data, options.dataset, train=True, augment=options.dataset == "cifar10")
    batches = loaders.loader(train, options.batch_size, shuffle=True, workers=options.workers)
    scheduler, epochs = create_scheduler_v2(
        optimizer,
        sched="cosine",
        num_epochs=options.epochs,
        warmup_epochs=1,
        warmup_lr=LR / 100,
        updates_per_epoch=len(batches),
        step_on_epochs=False,
    )
    with Clock(options.limit_batches, options.limit_seconds) as clock:
        loaders.fit(model, batches, criterion, optimizer, clock, epochs, before=scheduler.step_update)
    top1, seconds = loaders.on_test(model, options)
    report(
        "timm",
        timm.__version__,
        options,
        clock,
        model=options.model,
        forward_flops=flops(model, torch.zeros(1, facts.channels, facts.size, facts.size)),
        top1=top1,
        test_seconds=seconds,
        settings=f"fp32, AdamW {LR:g}, weight decay {WEIGHT_DECAY}, cosine, label smoothing {SMOOTHING}",
    )


if __name__ == "__main__":
    main()
