"""Begin a run, or resume one: from data and recipe to a finished run folder."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dojang import files, folders
from dojang.data import division, hf
from dojang.data.manifest import Manifest
from dojang.data.prepare import Prepared, bad_pictures, prepare
from dojang.data.preprocess import Preprocess
from dojang.data.split import describe
from dojang.errors import ConfigError, TrainError
from dojang.models import others, own, weights
from dojang.models.presets import PRESETS
from dojang.native import compiler
from dojang.runs import environment, folds, network, reseeded, session, validate
from dojang.runs import folder as names
from dojang.runs import recipe as recipes
from dojang.runs.carry import machine, surroundings, to_the_end
from dojang.runs.opened import open_data, own_data
from dojang.runs.recipe import Recipe
from dojang.runs.session import Session
from dojang.runs.several import Part
from dojang.runs.signals import asking
from dojang.train import allocator
from dojang.train.log import Reporter, Silent
from dojang.train.precision import device_named, threads_given

#: what args.yaml says after the class of a model that was given as an object
GIVEN = " (an object given in Python)"
#: what a resume may change; all else would make another run of it
CHANGEABLE = ("epochs", "time", "lr", "clip", "patience", "precision", "save_every", "validate_every", "workers")


def begin(
    data: Any,
    layers: Sequence[Mapping[str, Any]] = (),
    *,
    model: nn.Module | None = None,
    reporter: Reporter | None = None,
) -> Path:
    """Train a network and leave a run folder.

    Args:
        data: A path, a data set's name, or (picture, label) pairs.
        layers: Of checked options, lowest first.
        model: A network of one's own; trained in place.
        reporter: Told of progress.

    Returns:
        The run folder.

    Raises:
        DojangError: With the code of whatever stands in the way.
        TrainError: T320 when stopped by a signal; the run can be resumed.
    """
    reporter = reporter or Silent()
    opened = ready(data, layers, model, reporter)
    recipe, prepared, in_folds, device = opened.recipe, opened.prepared, opened.in_folds, opened.device
    parts = in_folds or reseeded.parts(prepared, recipe)
    folder = folders.numbered(Path(recipe.run.project), recipe.run.name, exist_ok=recipe.run.exist_ok)
    with files.locked(folder / names.LOCK, f"{str(folder)!r}"):
        folders.clear_temporaries(folder)
        names.clear(folder)
        # said now, and not after hours of training
        names.must_be_free(folder)
        if prepared.bad:
            session.write_bad(folder, prepared.bad)
            if recipe.data.bad == "stop":
                total = len(prepared.bad) + len(prepared.manifest)
                raise bad_pictures(prepared.bad, total, str(folder / names.BAD))
            reporter.note(f"{len(prepared.bad):,} pictures that cannot be read are left out: {folder / names.BAD}")
        files.write_text(
            folder / names.SPLITS, folds.table(prepared, in_folds) if in_folds else prepared.manifest.to_csv()
        )
        facts = {
            "format": 1,
            "task": "classify",
            "data": _place(data),
            "data_sha256": prepared.manifest.fingerprint(),
            "segments": [],
        }
        with machine(recipe.train), asking() as stop:
            if parts:
                all_of_them = folds.train if in_folds else reseeded.train
                all_of_them(folder, recipe, parts, facts, device, model, reporter, stop)
                return folder
            work = Session(folder, recipe, prepared, device, model, reporter, stop, [])
            around = surroundings(work.recipe, device)
            if work.agreement:
                around["bf16_against_fp32"] = work.agreement.as_dict()
            session.write_card(folder, work.recipe, facts, around)
            to_the_end(work)
    return folder


@dataclass(frozen=True)
class Ready:
    """A run that could begin: its pictures are read, nothing in its recipe is open, and nothing is written yet.

    Args:
        recipe: Fully resolved.
        prepared: The pictures.
        in_folds: Of a cross-validation, the pictures of each run.
        device: Where the network is to run.
    """

    recipe: Recipe
    prepared: Prepared
    in_folds: list[Part]
    device: torch.device


def ready(data: Any, layers: Sequence[Mapping[str, Any]], model: nn.Module | None, reporter: Reporter) -> Ready:
    """Read the pictures, and decide what a recipe leaves open. Arguments and errors as of :func:`begin`."""
    # a network of one's own has no family, so it trains by the plain recipe
    layers = [{"model": "cnn"}, *layers] if model is not None else layers
    recipe = recipes.resolve(layers)
    if model is not None and recipe.model.pretrained is not None:
        raise ConfigError(
            "C204",
            "--pretrained is for networks that dojang builds; this one was given in Python.",
            fix="load its weights in Python: module.load_state_dict(...).",
        )
    # a validation part that data brings takes part in the folds
    without = recipe.data.val == "none" or (recipe.run.folds is not None and recipe.data.val is None)
    if recipe.train.patience and without:
        raise ConfigError(
            "C204",
            "--patience stops by the score of a validation part, and there is none.",
            fix="--val 0.1, or leave --patience out.",
        )
    trained = _trained(recipe, reporter)
    if trained and recipe.model.model == "auto":
        # weights say whose they are
        layers = [*layers, {"model": (trained.architecture or {}).get("name", "auto")}]
        recipe = recipes.resolve(layers)
    if recipe.run.folds is not None and recipe.run.seeds is not None:
        raise ConfigError(
            "C222",
            f"--folds {recipe.run.folds} and --seeds {recipe.run.seeds} are both given.",
            context="Folds change what a network learns from, seeds do not; together they would not tell which it was.",
            fix="--folds, and the same again with --seed 1, which also divides otherwise.",
        )
    device = device_named(recipe.train.device)
    names.outside(recipe.run.project, data)
    place = Path(recipe.run.project) / folders.check_name(recipe.run.name)
    if recipe.run.exist_ok:
        # a folder that is there may be the data itself, or a link to it; a fresh one is neither
        names.outside(place, data)
    fixed = {"threads": threads_given(recipe.train.threads), "device": str(device)}
    recipe = _named(recipe, model).replace(**fixed)
    manifest = open_data(data, recipe.data.data_root, recipe.data.download)
    if recipe.data.splits is not None:
        manifest = _divided(manifest, recipe)
        fixed["splits"] = str(Path(recipe.data.splits).absolute())
    if recipe.run.folds is not None:
        manifest, recipe, fixed = folds.pooled(manifest), recipe.replace(**folds.FIXED), {**fixed, **folds.FIXED}
    prepared = _prepare(manifest, recipe, device, reporter, trained)
    in_folds = folds.parts(prepared, recipe)
    # a recipe suits what one network learns from
    first = in_folds[0].prepared if in_folds else prepared
    recipe = _named(recipes.resolve(layers, _circumstances(first, device)), model).replace(**fixed)
    recipe = _settle(recipe, first)
    return Ready(recipe, prepared, in_folds, device)


def resume(
    run: str | Path,
    changes: Mapping[str, Any] | None = None,
    *,
    data: Any = None,
    model: nn.Module | None = None,
    inexact: bool = False,
    reporter: Reporter | None = None,
) -> Path:
    """Go on with a run where its last state stands.

    Without changes the weights end bit-equal to those of a run that was never stopped.

    Args:
        run: The run folder.
        changes: Options of :data:`CHANGEABLE`; they begin a new segment, which args.yaml records.
        data: For a run on pairs: the same pairs again.  A path where the data has moved to.
        model: For a run on a module given in Python: a module of the same shape.
        inexact: Go on although torch, machine or threads differ.

    Raises:
        ConfigError: C217 for another environment, C218 for other data, C219 for a change that cannot be made, C240
            where the model was given in Python and is not given again.
        TrainError: T313 when no whole state is left, T321 when the run is finished and nothing was changed.
    """
    reporter = reporter or Silent()
    folder = names.find(run)
    recipe, facts = recipes.load(folder / names.ARGS)
    if model is None and recipe.model.model.endswith(GIVEN):
        kind = recipe.model.model.removesuffix(GIVEN)
        raise ConfigError(
            "C240",
            f"{str(folder)!r} trained a {kind} given in Python; its code is not in the folder.",
            fix=f"dojang.Run({str(folder)!r}, model={kind}()).resume()",
        )
    then = session.read_environment(folder)
    device = device_named(recipe.train.device)
    changed = {name: value for name, value in (changes or {}).items() if recipe.values()[name] != value}
    _refuse(changed, "a cross-validation" if recipe.run.folds else "runs of several seeds" if recipe.run.seeds else "")
    if "epochs" in changed and recipe.train.time is not None:
        # the run's budget was a time; now it is a number of epochs
        changed.setdefault("time", None)
    with files.locked(folder / names.LOCK, f"{str(folder)!r}"):
        folders.clear_temporaries(folder)
        now = surroundings(recipe, device)
        if not inexact:
            environment.check_same(then, now)
        root, download = recipe.data.data_root, recipe.data.download
        manifest = own_data(facts["data"], data, root, download, fix="run.resume(data=pairs)")
        if recipe.data.splits is not None:
            # as it was divided then: the user's file may be another by now
            manifest = division.again(manifest, folder / names.SPLITS)
        if recipe.run.folds is not None:
            manifest = folds.pooled(manifest)
        last = folder / names.LAST
        trained = _trained(recipe, reporter, last if last.exists() else None)
        prepared = _prepare(manifest, recipe, device, reporter, trained)
        found = prepared.manifest.fingerprint()
        if found != facts["data_sha256"]:
            raise ConfigError(
                "C218",
                f"the data has changed: its digest was {facts['data_sha256'][:16]}..., now it is {found[:16]}....",
                context=f"{folder / names.SPLITS} lists every picture the run began with.",
                fix="bring the data back, or train a new run.",
            )
        recipe = recipe.replace(**changed)
        with machine(recipe.train), asking() as stop:
            in_folds = folds.parts(prepared, recipe)
            if parts := in_folds or reseeded.parts(prepared, recipe):
                all_of_them = folds.train if in_folds else reseeded.train
                all_of_them(folder, recipe, parts, facts, device, model, reporter, stop)
                return folder
            work = Session(folder, recipe, prepared, device, model, reporter, stop, facts["segments"])
            work.resume()
            _extend(work, changed, inexact)
            work.put_right()
            session.write_card(folder, work.recipe, facts | {"segments": work.segments}, now)
            to_the_end(work)
    return folder


def _extend(work: Session, changed: Mapping[str, Any], inexact: bool) -> None:
    """Record a segment where the recipe was changed; a new budget begins where the old one was left."""
    counters = work.state.counters
    if not changed and not inexact:
        if counters.segment < len(work.segments):
            # killed after a change was recorded and before it was in a state
            counters.segment, counters.ended = len(work.segments), ""
        # metrics of an earlier end, before the run was extended, are not those of this one
        scored = validate.metrics_of(work.folder).get("training", {}).get("steps")
        if counters.ended and scored == counters.step:
            raise TrainError(
                "T321",
                f"{str(work.folder)!r} is finished ({counters.ended}, step {counters.step:,}).",
                fix=f"dojang train --resume {shlex.quote(str(work.folder))} --epochs {2 * work.recipe.train.epochs}",
            )
        return
    new_budget = "epochs" in changed or "time" in changed
    last = changed.get("epochs", 0) * work.loaders.train.steps
    if "epochs" in changed and changed.get("time") is None and counters.step >= last:
        raise ConfigError(
            "C219",
            f"--epochs {changed['epochs']} is already reached: the run stands at step {counters.step:,}, "
            f"epoch {counters.step // work.loaders.train.steps}.",
            fix=f"--epochs {counters.step // work.loaders.train.steps + 5}, the total after the resume.",
        )
    older = work.segments[-1] if work.segments else {"step": 0, "seconds": 0.0}
    begins = {"step": counters.step, "seconds": counters.elapsed} if new_budget else older
    shown = {name: f"{value:g}s" if name == "time" and value else value for name, value in changed.items()}
    work.segments.append(
        {"step": begins["step"], "seconds": begins["seconds"], "resumed_at": counters.step, "changed": shown}
        | ({"inexact": True} if inexact else {})
    )
    counters.segment += 1
    if new_budget or "patience" in changed:
        counters.ended = ""


def _refuse(changed: Mapping[str, Any], several: str) -> None:
    for name in changed:
        if several:
            raise ConfigError(
                "C219",
                f"{name} cannot be changed in {several}: its runs are of one recipe.",
                fix="resume it as it was begun, or train anew.",
            )
        if name not in CHANGEABLE:
            raise ConfigError(
                "C219",
                f"{name} cannot be changed in a run that has begun.",
                context=f"A resume may change: {', '.join(CHANGEABLE)}.",
                fix="train a new run.",
            )


def _named(recipe: Recipe, model: nn.Module | None) -> Recipe:
    """The recipe with its network named for later; a name that is none is an error before any picture is read."""
    name = recipe.model.model
    if model is not None:
        return recipe.replace(model=type(model).__name__ + GIVEN)
    if others.is_other(name):
        return recipe
    if not own.is_own(name):
        return recipe.replace(model=name if name == "auto" else PRESETS[name].name)
    own.load_class(name)
    # the file is found again from wherever the run is resumed
    file, _, kind = name.rpartition(":")
    return recipe.replace(model=f"{Path(file).absolute()}:{kind}")


def _divided(manifest: Manifest, recipe: Recipe) -> Manifest:
    """The manifest as --splits says."""
    assert recipe.data.splits is not None
    for name, value in (("val", recipe.data.val), ("test", recipe.data.test)):
        # of a cross-validation --val is taken from what each network learns from
        if value is not None and not (name == "val" and (value == "none" or recipe.run.folds)):
            raise ConfigError(
                "C204",
                f"--{name} divides pictures, and --splits says how they are divided.",
                fix=f"leave out --{name}, or --splits.",
            )
    return division.given(manifest, recipe.data.splits)


def _place(data: Any) -> str | None:
    """What args.yaml says of the data: an absolute path, a name, or nothing for pairs."""
    if not isinstance(data, (str, os.PathLike)):
        return None
    path, where = Path(data), os.fspath(data)
    if path.exists():
        return str(path.absolute())
    return hf.settled(where) if where.startswith(hf.PREFIX) else where


def _trained(recipe: Recipe, reporter: Reporter, last: Path | None = None) -> weights.Card | None:
    """The card of the weights that a run begins with; of one that has begun, that of its own."""
    if recipe.model.pretrained is None:
        return None
    if last is None:
        if recipe.model.model == "auto" and recipe.model.pretrained == "auto":
            raise ConfigError(
                "C204", "--pretrained needs to know of which network.", fix="--model squeezenet1_1, or so."
            )
        model = _named(recipe, None).model.model
        download = recipe.data.download
        last = network.source(model, recipe.model.pretrained, download=download, tell=reporter.note)
    return weights.card_of(last)


def _prepare(
    manifest: Manifest, recipe: Recipe, device: torch.device, reporter: Reporter, card: weights.Card | None
) -> Prepared:
    trained = Preprocess.from_dict(card.preprocess) if card else None
    size = 224 if device.type == "cuda" else 128
    for sentence in manifest.notes:
        reporter.note(sentence)
    # decoded pictures come and go by the thousand, each in memory that the system would have to clear first
    with allocator.keeping():
        prepared = prepare(
            manifest,
            recipe.data if recipe.run.folds is None else folds.undivided(recipe.data),
            seed=recipe.train.seed,
            # layers that were trained know things of one size
            default_size=trained.height if trained else size,
            threads=recipe.train.threads or 1,
            trained=trained,
            # a file that divides the pictures has the last word
            assign=recipe.data.splits is None,
            tick=reporter.preparing,
        )
    # how it was divided, or, where the data brings its own splits, what they are
    for sentence in prepared.manifest.notes[len(manifest.notes) :] or [f"data: {describe(prepared.manifest)}"]:
        reporter.note(sentence)
    for sentence in prepared.notes:
        reporter.note(sentence)
    return prepared


def _circumstances(prepared: Prepared, device: torch.device) -> recipes.Circumstances:
    p = prepared.preprocess
    return recipes.Circumstances(p.height, p.width, len(prepared.manifest.rows("train")), device.type)


def _settle(recipe: Recipe, prepared: Prepared) -> Recipe:
    """Decide what was left open, so that args.yaml holds it and a resume need not decide again."""
    manifest, p = prepared.manifest, prepared.preprocess
    changes: dict[str, Any] = {}
    if recipe.data.imgsz is None and p.height == p.width:
        changes["imgsz"] = p.height
    if recipe.augment.flip is None:
        changes["flip"] = recipes.flip(recipe, p)
    if recipe.data.workers is None:
        changes["workers"] = 0 if prepared.store.block() is not None else min(recipe.train.threads or 1, 4)
    if recipe.train.train_sample is None:
        changes["train_sample"] = min(max(len(manifest.rows("val")), 1000), len(manifest.rows("train")))
    if recipe.train.native is None:
        changes["native"] = recipe.train.device == "cpu" and compiler.library("blocks") is not None
    if recipe.task.tta == "auto":
        flip = changes.get("flip", recipe.augment.flip)
        changes["tta"] = "mirror+shift" if flip in ("horizontal", "alternating", "both") else "shift"
    return recipe.replace(**changes)
