"""The plain loops of the notes: torchvision Dataset, ToTensor, Normalize, DataLoader, fp32, Adam.

    python benchmarks/peers/plain.py --data PREPARED --dataset mnist [--seed 0] [--workers 1]

The networks are dojang's presets (mnist-cnn, fashion-cnn, cifar-vgg), so that only the loop differs from
``dojang train --model NAME``; the loop is what a tutorial writes.  All training pictures are used, the test pictures
are looked at once, after the last epoch.
"""

from __future__ import annotations

from entrant import CLASSES, DATASETS, Clock, arguments, flops, report  # first: its clock

# isort: split
import loaders
import torch
import torch.nn.functional as F

from dojang.models.build import build

MODELS = {"mnist": "mnist-cnn", "fashion-mnist": "fashion-cnn", "cifar10": "cifar-vgg"}
EPOCHS = {"mnist": 10, "fashion-mnist": 15, "cifar10": 15}
BATCH_SIZES = {"mnist": 256, "fashion-mnist": 128, "cifar10": 128}
LR = 1e-3


def main() -> None:
    options = arguments(__doc__, EPOCHS, BATCH_SIZES)
    facts = DATASETS[options.dataset]
    torch.manual_seed(options.seed)
    model = build(
        MODELS[options.dataset],
        in_channels=facts.channels,
        classes=CLASSES,
        image_size=(facts.size, facts.size),
        seed=options.seed,
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    # only the notes' CIFAR-10 loop augments
    train = loaders.pictures(options.data, options.dataset, train=True, augment=options.dataset == "cifar10")
    batches = loaders.loader(train, options.batch_size, shuffle=True, workers=options.workers)
    with Clock(options.limit_batches, options.limit_seconds) as clock:
        loaders.fit(model, batches, F.cross_entropy, optimizer, clock, options.epochs)
    top1, seconds = loaders.on_test(model, options)
    report(
        "plain",
        torch.__version__,
        options,
        clock,
        model=MODELS[options.dataset],
        forward_flops=flops(model, torch.zeros(1, facts.channels, facts.size, facts.size)),
        top1=top1,
        test_seconds=seconds,
        settings=f"fp32, Adam {LR:g} constant, DataLoader with {options.workers} workers",
    )


if __name__ == "__main__":
    main()
