"""One run at work: data, network, state and folder put together; begun, resumed, and finished."""

from __future__ import annotations

import copy
import json
import math
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import dojang
from dojang import files, seeds
from dojang.data import leaks
from dojang.data.augment import Augment
from dojang.data.loader import Loader
from dojang.data.prepare import Prepared
from dojang.errors import ConfigError, DojangError, TrainError, many
from dojang.evaluate import curves
from dojang.evaluate import files as evaluation_files
from dojang.evaluate.chosen import chosen
from dojang.evaluate.evaluate import evaluate
from dojang.models import build, summary, weights
from dojang.models.layers import Network
from dojang.predict.predictor import Predictor
from dojang.runs import folder as names
from dojang.runs import network, priming
from dojang.runs import recipe as recipes
from dojang.runs.recipe import Recipe
from dojang.runs.settle import settle
from dojang.tasks.classify import losses
from dojang.tasks.classify.task import Classify
from dojang.train import allocator, autoencoder, checks, loop, optimizers, progressive, transfer
from dojang.train.budget import Budget
from dojang.train.ema import Average
from dojang.train.guard import Stop
from dojang.train.log import Log, Reporter, read_table
from dojang.train.precision import Agreement, compare, has_bf16
from dojang.train.state import Keeper, State


@dataclass
class Session:
    """A run folder and everything that fills it.

    Args:
        folder: The run folder.
        recipe: Fully resolved: nothing in it is None that training needs.
        prepared: The pictures.
        device: Where the network runs.
        own: The network, where it was given as an object in Python.
        reporter: Told of progress.
        stop: Asked between steps.
        segments: Where the recipe was changed by a resume: step, what was given, and from which seconds on.
    """

    folder: Path
    recipe: Recipe
    prepared: Prepared
    device: torch.device
    own: nn.Module | None
    reporter: Reporter
    stop: Stop
    segments: list[dict[str, Any]]

    def __post_init__(self) -> None:
        options, manifest, preprocess = self.recipe.train, self.prepared.manifest, self.prepared.preprocess
        targets, classes = manifest.targets, len(manifest.classes)
        learned = np.bincount(targets[manifest.rows("train")], minlength=classes)
        weights = losses.balanced(learned) if self.recipe.task.class_weights == "balanced" else None
        self.task = Classify(targets, classes, preprocess, self.recipe.task, self.device, weights)
        model = self.own if self.own is not None else self._network()
        # the same layout wherever a network comes from, or one trained first and loaded later would differ in bits
        layout = torch.channels_last if options.channels_last else torch.contiguous_format
        model.to(self.device, memory_format=layout)  # type: ignore[call-overload]
        shape = 2, preprocess.channels, preprocess.height, preprocess.width
        if not isinstance(model, Network):
            # dojang's own have said so when they were built
            summary.check_takes(model, torch.zeros(shape, device=self.device))
        if self.recipe.model.init == "autoencoder":
            autoencoder.layers(model)
        progressive.check(model, torch.zeros(shape, device=self.device), options.progressive)
        self.agreement: Agreement | None = None
        if options.precision == "auto":
            self.recipe = self.recipe.replace(precision=self._precision(model))
            options = self.recipe.train
        average = Average(model, options.ema) if options.ema else None
        self.state = State(model, optimizers.make(model, options), average)
        self.keeper = Keeper(self.folder / names.STATE)
        self.loaders = self._loaders()

    def resume(self) -> None:
        """Put the newest whole state in place; no file is changed."""
        for sentence in self.keeper.load(self.state):
            self.reporter.note(sentence + " The state before it is used.")

    def put_right(self) -> None:
        """Write the weights of the state, once it is sure that the run goes on: a kill may have come before them."""
        counters = self.state.counters
        self._write_weights(names.LAST, self.state)
        if counters.best and counters.best.step == counters.step:
            self.best(self.state)

    def train(self) -> None:
        """Look at the network, then train it to the end of its budget.

        Raises:
            TrainError: T301 with the last good state; T302, T303 and T304 from the checks.
            Stopped: When asked to stop; the state is saved.
        """
        options, counters = self.recipe.train, self.state.counters
        self.reporter.note(self._plan())
        if words := Augment.by(self.recipe.augment).words():
            policy = self.recipe.augment.augment
            self.reporter.note(f"augment: {f'{policy}: ' if policy else ''}{words}")
        self.reporter.note(self._machine())
        if counters.step == 0 and counters.phase == 0:
            self.prime()
        began: dict[str, Any] = self.segments[-1] if self.segments else {"step": 0, "seconds": 0.0}
        budget = Budget(
            steps=None if options.time is not None else options.epochs * self.loaders.train.steps,
            seconds=options.time,
            from_step=began["step"],
            from_seconds=began["seconds"],
        )
        log = Log(self.folder, counters.step)
        try:
            loop.fit(
                self.task, self.state, self.loaders, options, budget, self.device, log, self, self.reporter, self.stop
            )
        except DojangError as error:
            self.reporter.end()
            if error.code == "T301":
                log.flush()
                good = self.keeper.files()[0].name.removesuffix(".safetensors")
                lr = (options.lr or 0) / 10
                raise TrainError(
                    error.code,
                    error.what,
                    context=f"{error.context} Last good: {self.folder / names.STATE / good}.",
                    fix=f"dojang train --resume {shlex.quote(str(self.folder))} --lr {lr:g}"
                    + (", or --precision fp32." if options.precision != "fp32" else ", or --clip 1."),
                ) from None
            raise
        allocator.release()

    def prime(self) -> None:
        """What comes before the first step: a look at the network, and what it learns without all of it learning."""
        options = self.recipe.train
        self._check()
        self._fit_stem()
        if options.head_epochs or self.recipe.model.init == "autoencoder":
            # whoever is stopped before the first step begins all this again, with the same weights
            self.save(self.state)
            self._pretrain()
            if options.head_epochs:
                self._fit_head()
            self.state.counters.phase = 1

    def settle(self, *, quiet: bool = False) -> None:
        """Fit the temperature, and look at known pictures, of the best weights and of the last; into their files.

        Args:
            quiet: Say nothing of it: of several runs each has its own.
        """
        began, best = time.perf_counter(), self.state.counters.best
        has_val = len(self.prepared.manifest.rows("val")) > 0
        last = self.folder / names.LAST
        path = self.folder / names.BEST if has_val else last
        same = not has_val or (best is not None and best.step == self.state.counters.step)
        for paths in [dict.fromkeys((path, last))] if same else [(last,), (path,)]:
            predictor = Predictor.load(next(iter(paths)), model=self._twin(), device=self.device)
            self.calibrated = settle(tuple(paths), predictor, self.prepared, self.recipe)
        if not quiet:
            self.reporter.note(str(self.calibrated))
        self.settling = time.perf_counter() - began

    def finish(self) -> dict[str, Any]:
        """Score what is shipped: the best weights, read back from their file, on validation and, once, on test.

        Returns:
            What metrics.json holds.
        """
        counters = self.state.counters
        has_val = len(self.prepared.manifest.rows("val")) > 0
        path = self.folder / (names.BEST if has_val else names.LAST)
        predictor = Predictor.load(path, model=self._twin(), device=self.device)
        splits = [name for name in ("val", "test") if len(self.prepared.manifest.rows(name))]
        tta, manifest = self.recipe.task.tta, self.prepared.manifest
        learned = leaks.learned(manifest)
        found = [evaluate(predictor, self.prepared.store, manifest, one, tta=tta, learned=learned) for one in splits]
        picture = curves.curves(read_table(self.folder / "results.csv"), read_table(self.folder / "steps.csv"))
        files.write_bytes(self.folder / names.CURVES, picture)
        training = {
            "weights": path.name,
            "step": counters.best.step if has_val and counters.best else counters.step,
            "steps": counters.step,
            "seconds": round(counters.elapsed, 3),
            "evaluation_seconds": round(self.settling + sum(e.seconds for e in found), 3),
            "ended": counters.ended,
        }
        extra = {"calibration": self.calibrated.as_dict(), "training": training}
        if found:
            return evaluation_files.write(self.folder, found, chosen=chosen(path), extra=extra)
        metrics = {"format": 1, **extra}
        files.write_json(self.folder / names.METRICS, metrics)
        return metrics

    def save(self, state: State) -> None:
        """The state, and the last weights."""
        self.keeper.save(state)
        self._write_weights(names.LAST, state)

    def best(self, state: State) -> None:
        """The best weights."""
        self._write_weights(names.BEST, state)

    def _write_weights(self, name: str, state: State) -> None:
        best = state.counters.best
        card = weights.Card(
            version=dojang.__version__,
            task=self.task.name,
            architecture=build.architecture(state.model),
            labels=self.prepared.manifest.classes,
            preprocess=self.prepared.preprocess.as_dict(),
            metrics={f"val/{self.recipe.train.monitor}": best.value} if best and name == names.BEST else {},
            extra={"step": state.counters.step},
        )
        files.write_bytes(self.folder / name, weights.dump(state.scored.state_dict(), card))

    def _twin(self) -> nn.Module | None:
        """A network to read weights into, where their file does not hold the architecture."""
        if self.own is not None:
            return copy.deepcopy(self.own)
        return self._network() if build.architecture(self.state.model) is None else None

    def _network(self) -> nn.Module:
        return network.begun(self.recipe, self.prepared, self.folder / names.LAST, self.reporter)

    def _precision(self, model: nn.Module) -> str:
        """bf16 where the device has units for it and every layer of this network agrees with fp32 there."""
        if not has_bf16(self.device):
            return "fp32"
        t = self.recipe.train
        images = priming.sample(self.task, self.recipe, self.prepared, t.micro_batch or t.batch_size)
        sizes = progressive.sizes((images.shape[2], images.shape[3]), t.progressive)
        found = []
        for size in sizes:
            found.append(compare(model, progressive.shown(images, size)))
            # more than training takes: a layer's numbers in both precisions, and the inputs of all others
            allocator.release()
        # NaN is worse than any number
        a = self.agreement = max(found, key=lambda one: math.inf if math.isnan(one.error) else one.error)
        if a.close:
            return "bf16"
        self.reporter.note(f"precision: fp32, since bf16 is off by {100 * a.error:.3g} % in the {a.what} of {a.layer}")
        return "fp32"

    def _fit_stem(self) -> None:
        """What pictures alone tell a first layer; that is part of training, also of its time."""
        began = time.perf_counter()
        if priming.fit_stem(self.state.model, self.task, self.recipe, self.prepared):
            self._moved(began)

    def _pretrain(self) -> None:
        """Layers as autoencoders, where the recipe says so; that is part of training."""
        began, options = time.perf_counter(), self.recipe.train
        # of a budget in time half is for all layers
        seconds = None if options.time is None else options.time / 2 - self.state.counters.elapsed
        found = priming.pretrain(self.state.model, self.task, self.recipe, self.prepared, self.stop, seconds)
        if found is not None:
            self._moved(began)
            self.reporter.note(f"{found}, {time.perf_counter() - began:.1f} s")

    def _moved(self, began: float) -> None:
        """Weights are other ones than those that the run began with."""
        if self.state.average:
            self.state.average = Average(self.state.model, self.recipe.train.ema)
        self.state.counters.elapsed += time.perf_counter() - began

    def _fit_head(self) -> None:
        """Let the last layers learn first, on what the others make of each picture; that is part of training."""
        model, options = self.state.model, self.recipe.train
        if not isinstance(model, Network):
            raise ConfigError(
                "C204",
                "--head-epochs is for dojang's own networks, which say what their head is.",
                fix="leave out --head-epochs.",
            )
        began = time.perf_counter()
        rows = self.prepared.manifest.rows("train")
        # in no order: where not all features fit, those that do are of all classes
        rows = rows[seeds.permutation(seeds.key(options.seed, "head"), len(rows))]
        loader = Loader(self.prepared.store, rows, self.prepared.preprocess, batch_size=options.micro_batch or 64)
        # of a budget in time half is for all layers
        seconds = None if options.time is None else options.time / 2 - self.state.counters.elapsed
        found = transfer.fit_head(self.task, model, loader, options, self.device, self.stop, seconds)
        self._moved(began)
        spent = time.perf_counter() - began
        self.reporter.note(
            f"head: {many(found.epochs, 'epoch')} on features of {many(found.pictures, 'picture')}"
            f"{f' of {len(rows):,}' if found.pictures < len(rows) else ''} "
            f"({found.bytes / 2**20:,.0f} MiB), train loss {found.loss:.4f}, {spent:.1f} s"
        )

    def _loaders(self) -> loop.Loaders:
        data, options, manifest = self.recipe.data, self.recipe.train, self.prepared.manifest
        store, preprocess, threads = self.prepared.store, self.prepared.preprocess, data.workers or 0
        train, val = manifest.rows("train"), manifest.rows("val")
        norms = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.state.model.modules())
        loader = Loader(
            store,
            train,
            preprocess,
            batch_size=options.batch_size,
            seed=options.seed,
            augment=Augment.by(self.recipe.augment),
            threads=threads,
            drop_single=norms,
            balance=manifest.targets[train] if data.sampler == "balanced" else None,
        )
        # a map still has a variance over its pixels in a batch of one, a vector has none
        vectors = any(isinstance(m, nn.BatchNorm1d) for m in self.state.model.modules())
        if loader.steps == 0 or (vectors and options.batch_size == 1):
            raise TrainError(
                "T305",
                f"no batch is left to train on: {len(train):,} training pictures in batches of {options.batch_size}, "
                "and batch normalisation needs at least two pictures a batch.",
                fix="--batch-size 2 or more, and two training pictures or more; or --no-batch-norm.",
            )
        if norms and len(train) % options.batch_size == 1:
            self.reporter.note(
                "the last picture of each epoch is left out: batch normalisation cannot use a batch of 1"
            )

        def fixed(rows: np.ndarray) -> Loader | None:
            if len(rows) == 0:
                return None
            return Loader(store, rows, preprocess, batch_size=max(options.batch_size, 250), threads=threads)

        order = seeds.permutation(seeds.key(options.seed, "train-sample"), len(train))
        return loop.Loaders(loader, fixed(val), fixed(np.sort(train[order[: options.train_sample]])))

    def _plan(self) -> str:
        """What is about to be done, in one line."""
        t, p = self.recipe.train, self.prepared.preprocess
        name = type(self.own).__name__ if self.own is not None else Path(self.recipe.model.model).name
        parameters = sum(value.numel() for value in self.state.model.parameters())
        flip = "" if self.recipe.augment.flip == "none" else f", flip {self.recipe.augment.flip}"
        sizes = progressive.sizes((p.height, p.width), t.progressive)
        grow = f", shown at {' '.join(str(side) for side, _ in sizes)}" if len(sizes) > 1 else ""
        even = ", classes sampled alike" if self.recipe.data.sampler == "balanced" else ""
        if self.task.weights is not None:
            low, high = float(self.task.weights.min()), float(self.task.weights.max())
            even += f", classes weighted {low:.2g} to {high:.2g}"
        moved = ", pixels in one fixed order" if p.permute_pixels else ""
        length = f"{t.time:g} s" if t.time is not None else f"{t.epochs} epochs of {self.loaders.train.steps} steps"
        first = f"; {autoencoder.words(self.state.model)}" if self.recipe.model.init == "autoencoder" else ""
        return (
            f"plan: {name}, {parameters:,} parameters, {p.height}x{p.width}x{p.channels}{moved}; {t.optimizer}, "
            f"lr {t.lr:g}, {t.schedule}; {length}, batch {t.batch_size}{flip}{grow}{even}{first}"
        )

    def _machine(self) -> str:
        """What was chosen for this machine, in one line."""
        t = self.recipe.train
        words = [f"{t.precision} on {self.device}"]
        if self.agreement and t.precision == "bf16":
            words[0] += f" (every layer within {100 * self.agreement.error:.1g} % of fp32)"
        words += [f"{t.threads} thread" + ("s" if t.threads != 1 else "")] if self.device.type == "cpu" else []
        words += ["channels last"] if t.channels_last else []
        words += ["C kernels"] if t.native else []
        words += [f"parts of {t.micro_batch}"] if t.micro_batch and t.micro_batch < t.batch_size else []
        return "machine: " + ", ".join(words)

    def _check(self) -> None:
        classes = len(self.prepared.manifest.classes)
        sample = (
            self.loaders.val
            or self.loaders.sample
            or Loader(self.prepared.store, self.loaders.train.rows, self.prepared.preprocess, batch_size=250)
        )
        self.reporter.note(str(checks.look(self.task, self.state.model, sample, classes)))
        if self.recipe.train.check:
            learned = checks.overfit(self.task, self.state.model, self.loaders.sample or sample)
            if learned < 1:
                raise TrainError(
                    "T304",
                    f"the network cannot learn eight pictures by heart: top-1 {learned:.2f} on them after 200 steps.",
                    fix="look at the labels, the loss and the layers; --init he, or another --model.",
                )
            self.reporter.note("check: the network learns eight pictures by heart")


def write_bad(folder: Path, bad: Mapping[str, DojangError]) -> None:
    """bad.csv: every picture that could not be read, and why."""
    rows = [("path", "code", "reason"), *((path, error.code, error.what) for path, error in bad.items())]
    files.write_text(folder / names.BAD, evaluation_files.table(rows))


def write_card(folder: Path, recipe: Recipe, facts: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
    """args.yaml and env.json."""
    files.write_text(folder / names.ARGS, recipes.dump(recipe, facts))
    files.write_json(folder / names.ENVIRONMENT, dict(environment))


def read_environment(folder: Path) -> dict[str, Any]:
    """What env.json holds."""
    found: dict[str, Any] = json.loads(files.read_text(folder / names.ENVIRONMENT))
    return found
