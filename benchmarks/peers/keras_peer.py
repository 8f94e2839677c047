"""Keras 3 on the torch backend: the small networks of its own examples, ``fit`` on arrays.

    python benchmarks/peers/keras_peer.py --data PREPARED --dataset mnist

MNIST and Fashion-MNIST: the convnet of "Simple MNIST convnet" (keras.io), Adam, batches of 128, 15 epochs.
CIFAR-10: the network of Keras' cifar10_cnn example, RMSprop at 1e-4, batches of 32, shifted and mirrored pictures, 50
epochs.  All training pictures are used and nothing is validated on the way, in its favour.
"""

from __future__ import annotations

from entrant import CLASSES, DATASETS, Clock, arguments, flops, report  # first: its clock

# isort: split
import os

os.environ["KERAS_BACKEND"] = "torch"  # read when keras is imported

import time
from typing import Any

import keras
import numpy as np
import torch
from keras import layers
from torchvision import datasets

EPOCHS = {"mnist": 15, "fashion-mnist": 15, "cifar10": 50}
BATCH_SIZES = {"mnist": 128, "fashion-mnist": 128, "cifar10": 32}


class Count(keras.callbacks.Callback):
    """Tells the clock of each training step; the last of an epoch may be smaller."""

    def __init__(self, clock: Clock, batch_size: int, count: int) -> None:
        super().__init__()
        self.clock, self.batch_size, self.count = clock, batch_size, count

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.clock.step(min(self.batch_size, self.count - batch * self.batch_size))


def arrays(options: Any, *, train: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, h, w, c) as float32 from 0 to 1, and labels (n,)."""
    data = getattr(datasets, DATASETS[options.dataset].name)(options.data / "torchvision", train=train)
    pixels = np.asarray(data.data, dtype=np.float32) / 255
    return pixels.reshape(*pixels.shape[:3], -1), np.asarray(data.targets)


def digits_network(shape: tuple[int, ...]) -> Any:
    """Two valid 3x3 convolutions (32, 64), each with max-pooling; dropout; softmax."""
    widths = [[layers.Conv2D(width, 3, activation="relu"), layers.MaxPooling2D(2)] for width in (32, 64)]
    head = [layers.Flatten(), layers.Dropout(0.5), layers.Dense(CLASSES, activation="softmax")]
    return keras.Sequential([layers.Input(shape), *widths[0], *widths[1], *head])


def cifar_network(shape: tuple[int, ...]) -> Any:
    """Two pairs of 3x3 convolutions (32, 64), the second of each pair valid; dropout; one hidden layer of 512."""
    parts: list[Any] = [
        layers.Input(shape),
        layers.RandomFlip("horizontal"),
        layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
    ]
    for width in (32, 64):
        parts += [
            layers.Conv2D(width, 3, padding="same", activation="relu"),
            layers.Conv2D(width, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
        ]
    head = [layers.Flatten(), layers.Dense(512, activation="relu"), layers.Dropout(0.5)]
    return keras.Sequential([*parts, *head, layers.Dense(CLASSES, activation="softmax")])


def main() -> None:
    options = arguments(__doc__, EPOCHS, BATCH_SIZES)
    facts = DATASETS[options.dataset]
    keras.utils.set_random_seed(options.seed)
    pixels, targets = arrays(options, train=True)
    if options.dataset == "cifar10":
        model, name, optimizer = cifar_network(pixels.shape[1:]), "cifar10_cnn", keras.optimizers.RMSprop(1e-4)
    else:
        model, name, optimizer = digits_network(pixels.shape[1:]), "simple convnet", keras.optimizers.Adam()
    model.compile(loss="sparse_categorical_crossentropy", optimizer=optimizer, metrics=["accuracy"])
    clock = Clock(options.limit_batches, options.limit_seconds)
    with clock:
        count = Count(clock, options.batch_size, facts.count)
        model.fit(pixels, targets, batch_size=options.batch_size, epochs=options.epochs, verbose=0, callbacks=[count])
    top1 = seconds = None
    if options.whole:
        test_pixels, test_targets = arrays(options, train=False)
        began = time.perf_counter()
        top1 = float(model.evaluate(test_pixels, test_targets, batch_size=1000, verbose=0)[1])
        seconds = time.perf_counter() - began
    report(
        "keras",
        keras.__version__,
        options,
        clock,
        model=name,
        forward_flops=flops(model, torch.zeros(1, facts.size, facts.size, facts.channels)),
        top1=top1,
        test_seconds=seconds,
        settings=f"fp32, {type(optimizer).__name__}, fit on arrays in memory, torch backend",
    )


if __name__ == "__main__":
    main()
