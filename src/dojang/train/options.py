"""The options of the training room, and each optimizer's own defaults."""

from __future__ import annotations

from dataclasses import dataclass

from dojang.recipe import option

# lr, momentum, weight decay that suit each; changing the optimizer resets all three to its row
OPTIMIZER_DEFAULTS: dict[str, tuple[float, float, float]] = {
    "sgd": (0.1, 0.9, 5e-4),
    "adam": (1e-3, 0.9, 0.0),
    "adamw": (1e-3, 0.9, 0.01),
    "nadam": (1e-3, 0.9, 0.0),
    "radam": (1e-3, 0.9, 0.0),
    "rmsprop": (1e-3, 0.0, 0.0),
    "adagrad": (1e-2, 0.0, 0.0),
    "muon": (0.02, 0.95, 0.0),
}
SCHEDULES = ("constant", "linear", "cosine", "onecycle", "step")


@dataclass(frozen=True)
class TrainOptions:
    """How a network is trained. None means: decided from the rest, and recorded."""

    epochs: int = option(15, "passes over the training pictures", low=1)
    time: float | None = option(None, "time budget instead of epochs, with its unit", unit="duration", metavar="90s|5m")
    batch_size: int = option(128, "pictures a step, over all devices", aliases=("batch", "bs"), low=1)
    optimizer: str = option("adam", "how weights are changed", aliases=("opt",), choices=tuple(OPTIMIZER_DEFAULTS))
    lr: float | None = option(None, "highest learning rate", aliases=("lr0", "learning_rate"), above=0)
    momentum: float | None = option(None, "momentum, or Adam's first beta", low=0, high=0.9999)
    nesterov: bool = option(True, "Nesterov's momentum (sgd)")
    weight_decay: float | None = option(None, "L2 penalty on weights, not on biases and norms", aliases=("wd",), low=0)
    l1: float = option(0.0, "L1 penalty on weights", low=0)
    clip: float | None = option(None, "largest norm of the gradient", aliases=("clip_grad",), above=0)
    schedule: str = option("cosine", "learning rate over progress", aliases=("sched",), choices=SCHEDULES)
    warmup: float = option(0.0, "share of progress in which the rate rises", low=0, high=0.9)
    final_lr: float = option(0.0, "last learning rate, as a share of the highest", aliases=("lrf",), low=0, high=1)
    ema: float = option(0.0, "decay a step of averaged weights; 0 is off", aliases=("model_ema",), low=0, high=0.99999)
    precision: str = option(
        "auto",
        "arithmetic of the network; auto: bf16 where the machine has units for it",
        choices=("auto", "fp32", "bf16"),
    )
    micro_batch: int | None = option(
        None, "pictures worked on at a time within a step; batch normalisation sees so many", low=1
    )
    progressive: float = option(
        0.0, "share of training, from its start, in which pictures are shown at 3/4 of their sides", low=0, high=1
    )
    head_epochs: int = option(
        0, "before all layers learn, epochs of the last ones alone, on features that are computed once", low=0
    )
    early_lr: float = option(
        1.0, "learning rate of the first layer as a share of the last's; equal ratios between them", above=0, high=1
    )
    native: bool | None = option(None, "use dojang's C kernels; by default where they can be built")
    channels_last: bool = option(True, "keep channels last in memory")
    fused: bool = option(True, "update all weights in one kernel where the optimizer can")
    monitor: str = option(
        "top1", "score that chooses best and stops early", choices=("top1", "loss", "balanced_accuracy", "macro_f1")
    )
    patience: int = option(0, "stop after N epochs without a better score; 0 never does", low=0)
    validate_every: int | None = option(None, "validate every N steps instead of every epoch", low=1)
    train_sample: int | None = option(None, "training pictures scored at each validation; 0 for none", low=0)
    save_every: int | None = option(None, "also save the state every N steps", low=1)
    check: bool = option(False, "before training, see whether the network can learn eight pictures by heart")
    seed: int = option(0, "of split, order, augmentation, initialisation, dropout", low=0, high=2**31 - 1)
    device: str = option("auto", "auto, cpu, cuda or cuda:N")
    threads: int | None = option(None, "CPU threads of the arithmetic", low=1, high=1024)
