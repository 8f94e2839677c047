"""The loop: forward, loss, zero_grad, backward, step. Read it from top to bottom.

At the top of every turn stands everything that happens between steps (validate, save, stop), so a run that is resumed
at any step enters exactly where it was left, and does first what was still due there.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dojang import seeds
from dojang.data.loader import Loader, Pictures
from dojang.train import progressive
from dojang.train.budget import Budget
from dojang.train.guard import Stop, Stopped, check_finite, gradient_norm
from dojang.train.log import Log, Reporter
from dojang.train.micro import norms_over
from dojang.train.optimizers import penalised
from dojang.train.options import TrainOptions
from dojang.train.precision import autocast
from dojang.train.schedules import rate
from dojang.train.state import Best, Counters, State
from dojang.train.task import Task
from dojang.train.validate import score


class Saver(Protocol):
    """Who writes states and weights down."""

    def save(self, state: State) -> None:
        """The state, and the last weights."""

    def best(self, state: State) -> None:
        """The weights to keep as the best."""


@dataclass(frozen=True)
class Loaders:
    """The pictures of a run: to learn from, to validate on, and a fixed sample of the training ones to score."""

    train: Loader
    val: Loader | None = None
    sample: Loader | None = None


def fit(
    task: Task,
    state: State,
    loaders: Loaders,
    options: TrainOptions,
    budget: Budget,
    device: torch.device,
    log: Log,
    saver: Saver,
    reporter: Reporter,
    stop: Stop,
) -> None:
    """Train until the budget is spent, patience ends, or somebody asks to stop.

    Args:
        task: Gives batches, loss and scores.
        state: Where training stands; changed as it goes.
        loaders: The pictures.
        options: With lr, momentum and weight decay filled in.
        budget: The end, and the progress that the schedule follows.
        log: Rows of steps.csv and results.csv.
        saver: Called at step 0, at every epoch's end, every ``save_every`` steps, at a better score and at the end.
        reporter: Told of progress.
        stop: Read after every step and every validation batch.

    Raises:
        TrainError: T301 when loss or gradient is not finite; the weights are those before the step.
        Stopped: When asked to; the state is saved.
    """
    model, optimizer, counters = state.model, state.optimizer, state.counters
    weights = penalised(model)
    per_epoch = loaders.train.steps
    began = time.perf_counter() - counters.elapsed
    reporter.begin(budget.steps, budget.seconds, counters.step)

    streaming = contextlib.closing(_stream(loaders.train, counters.step))
    with streaming as stream, _own_randomness(device), _thawed_after(model):
        model.train()
        while True:
            step = counters.step
            epoch, place = divmod(step, per_epoch)
            spent = budget.spent(step, counters.elapsed)
            due = spent or (step % options.validate_every == 0 if options.validate_every else place == 0)
            improved = False
            # nothing is known of a network before its first step; but whatever training ends with is scored
            if (step or spent) and due and counters.validated != step:
                row = _validate(task, state, loaders, device, options.precision, stop)
                if row is not None:
                    counters.validated = step
                    counters.elapsed = time.perf_counter() - began
                    lr = optimizer.param_groups[0]["lr"] / optimizer.param_groups[0]["share"]
                    seen = epoch if place == 0 else epoch + 1
                    row = {"step": step, "epoch": seen, "time": counters.elapsed, "lr": lr} | row
                    log.validated(row)
                    reporter.validated(row)
                    improved = _note_best(counters, row, options.monitor, task.monitors[options.monitor], seen)
                    if options.patience and counters.best and seen - counters.best.epoch >= options.patience:
                        counters.ended = "patience"
                    # validation takes time, so a budget in time may be spent only now
                    spent = budget.spent(step, counters.elapsed)
            finished = counters.validated == step
            if spent and finished and not counters.ended:
                counters.ended = "time" if budget.seconds is not None else "epochs"

            save = place == 0 or (options.save_every and step % options.save_every == 0)
            if save or improved or counters.ended or stop.signal:
                log.flush()
                saver.save(state)
            # after the state: killed between the two, a resume sees that best is older than its state says
            if improved:
                saver.best(state)
            if counters.ended:
                reporter.end()
                return
            if stop.signal:
                reporter.end()
                raise Stopped(stop.signal)

            pictures = next(stream)
            progress = budget.progress(step, counters.elapsed)
            lr = _set_rates(optimizer, options, progress)
            # dropout's bits depend on the step alone, so a resumed run draws the same ones
            torch.manual_seed(seeds.torch_seed(options.seed, "dropout", step, 0))
            optimizer.zero_grad(set_to_none=True)
            losses: list[Tensor] = []
            parts = pictures.parts(options.micro_batch)
            size = progressive.size(pictures.size, progress, options.progressive)
            with norms_over(model, len(parts)), autocast(options.precision, device):
                for part in parts:
                    loss, _ = task.loss(model, task.collate(part, size))
                    total = loss + options.l1 * sum(w.abs().sum() for w in weights) if options.l1 else loss
                    total = total * (len(part) / len(pictures)) if len(parts) > 1 else total
                    total.backward()  # type: ignore[no-untyped-call]
                    losses.append(total.detach().float())
            norm = gradient_norm(model)
            # all at once: an accelerator is waited for once a step
            *shares, size_of_gradient = torch.stack([*losses, norm.float()]).tolist()
            value = sum(shares)
            check_finite(
                value,
                size_of_gradient,
                step=step + 1,
                epoch=epoch,
                last=counters.last_loss,
                lr=lr,
                precision=options.precision,
            )
            if options.clip is not None:
                torch.nn.utils.clip_grads_with_norm_(model.parameters(), options.clip, norm)
            optimizer.step()
            counters.step += 1
            if state.average:
                state.average.update(model, counters.step)
            counters.last_loss = value
            counters.elapsed = time.perf_counter() - began
            log.step(counters.step, epoch, progress, lr, value)
            reporter.step(counters.step, epoch, budget.progress(counters.step, counters.elapsed), value, len(pictures))


def _stream(loader: Loader, step: int) -> Generator[Pictures, None, None]:
    """Batches without end, from the one that step ``step`` (counted from 0) takes."""
    epoch, first = divmod(step, loader.steps)
    while True:
        yield from loader.batches(epoch, first)
        epoch, first = epoch + 1, 0


def _set_rates(optimizer: Optimizer, options: TrainOptions, progress: float) -> float:
    """Give every group its rate; what has come to the end of its part is frozen. Gives the rate of the run."""
    lr = options.lr or 0.0
    for group in optimizer.param_groups:
        part = progress / group["until"]
        group["lr"] = lr * group["share"] * rate(options.schedule, part, options.warmup, options.final_lr)
        if part >= 1 and group["until"] < 1:
            for parameter in group["params"]:
                parameter.requires_grad_(False)
    return lr * rate(options.schedule, progress, options.warmup, options.final_lr)


@contextlib.contextmanager
def _thawed_after(model: nn.Module) -> Iterator[None]:
    """Parameters that were frozen on the way learn again in a next training."""
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


@contextlib.contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Leave the caller's random numbers as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else [], enabled=True):
        yield


def _validate(
    task: Task, state: State, loaders: Loaders, device: torch.device, precision: str, stop: Stop
) -> dict[str, float] | None:
    """The scores of a row of results.csv, or None when somebody asked to stop meanwhile."""
    row: dict[str, float] = {}
    for name, loader in (("train", loaders.sample), ("val", loaders.val)):
        if loader is None:
            continue
        scores = score(task, state.scored, loader, device, precision, stop)
        if scores is None:
            return None
        row |= {f"{name}/{key}": value for key, value in scores.items()}
    return row


def _note_best(counters: Counters, row: dict[str, float], monitor: str, higher: bool, epoch: int) -> bool:
    """Whether this validation is the best so far, by the monitor and, where that is equal, by the loss."""
    if f"val/{monitor}" not in row:
        return False
    value, loss = row[f"val/{monitor}"], row["val/loss"]
    best = counters.best
    sign = 1 if higher else -1
    if best and (sign * value, -loss) <= (sign * best.value, -best.loss):
        return False
    counters.best = Best(value, loss, int(row["step"]), epoch)
    return True
