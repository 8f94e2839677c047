"""Score a run's weights again: on its own pictures, or on others."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from dojang import files, folders
from dojang.data import division, leaks
from dojang.data.layout import is_picture
from dojang.data.manifest import Manifest, pasted, read_splits
from dojang.data.options import DataOptions
from dojang.data.prepare import Prepared, bad_pictures, prepare
from dojang.errors import ConfigError, DataError, listing
from dojang.evaluate import answered
from dojang.evaluate import files as evaluation_files
from dojang.evaluate.chosen import chosen as chosen_by
from dojang.evaluate.evaluate import evaluate, otherwise_written
from dojang.models import build
from dojang.predict.predictor import Predictor
from dojang.runs import folder as names
from dojang.runs import recipe as recipes
from dojang.runs import session
from dojang.runs.opened import open_data, own_data
from dojang.train.log import Reporter, Silent
from dojang.train.precision import device_named, threads_given


def load(run: str | Path, *, model: nn.Module | str | None = None, device: str = "auto") -> Predictor:
    """The predictor of a run folder or a weights file.

    Args:
        model: For weights of a model of one's own: an object, or ``FILE.py:CLASS``.  A run folder of such a model
            remembers its file.

    Raises:
        ConfigError: C215 and C216 for a place without weights; C240 where the model is needed.
    """
    path = names.weights_of(run)
    if model is None and not Path(run).is_file():
        named = recipes.load(names.find(run) / names.ARGS)[0].model.model
        model = named if ".py:" in named else None
    if isinstance(model, str):
        from dojang.models import weights

        card = weights.card_of(path)
        p = card.preprocess
        model = build.build(
            model,
            in_channels=1 if p["mode"] == "L" else 3,
            classes=len(card.labels),
            image_size=(p["height"], p["width"]),
            seed=0,
        )
    return Predictor.load(path, model=model, device=device_named(device))


@dataclass(frozen=True)
class Scored:
    """What was scored.

    Args:
        folder: With the files.
        metrics: What its metrics.json holds, also of splits that were scored before.
        splits: Those that were scored now.
    """

    folder: Path
    metrics: dict[str, Any]
    splits: tuple[str, ...]


def validate(
    run: str | Path,
    data: Any = None,
    *,
    split: str | None = None,
    model: nn.Module | str | None = None,
    device: str = "auto",
    options: DataOptions | None = None,
    project: str = "runs/classify",
    reporter: Reporter | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Score a network: the folder and the scores of :func:`score`, which says more."""
    found = score(
        run, data, split=split, model=model, device=device, options=options, project=project, reporter=reporter
    )
    return found.folder, found.metrics


def score(
    run: str | Path,
    data: Any = None,
    *,
    split: str | None = None,
    model: nn.Module | str | None = None,
    device: str = "auto",
    options: DataOptions | None = None,
    project: str = "runs/classify",
    moved: str | None = None,
    reporter: Reporter | None = None,
) -> Scored:
    """Score a network on splits.

    On the run's own data the scores are merged into its folder; on other data they make a folder ``val`` of their own.

    Args:
        run: A run folder or a weights file (then ``data`` is needed).
        data: Other pictures; None takes those of the run.
        split: "val", "test" or "train"; None takes every split of the run's own data that was scored before (where none
            was: val, else test), and of other data test where there is one, else val, else everything.
        moved: Where the run's own pictures are now; None where args.yaml says.

    Raises:
        DataError: D107 for a class that the network does not know, D121 for a split without pictures, D100 where the
            run's own data is not.
        ConfigError: C218 when the run's own data has changed; those of :func:`dojang.evaluate.files.write`.
    """
    reporter = reporter or Silent()
    predictor = load(run, model=model, device=device)
    if data is None:
        return _own(run, split, moved, predictor, reporter)
    prepared = _other(data, predictor, options or DataOptions(), threads_given(None), reporter)
    if prepared.bad and (options or DataOptions()).bad == "stop":
        raise bad_pictures(prepared.bad, len(prepared.bad) + len(prepared.manifest), "")
    manifest = prepared.manifest
    chosen = split or next(name for name in ("test", "val", "train") if len(manifest.rows(name)))
    found = evaluate(predictor, prepared.store, manifest, chosen, learned=_learned(run))
    folder = folders.numbered(names.outside(project, data), "val")
    if prepared.bad:
        session.write_bad(folder, prepared.bad)
    place = os.fspath(data) if isinstance(data, (str, os.PathLike)) else None
    facts = {"format": 1, "weights": str(names.weights_of(run)), "data": place, "split": chosen}
    files.write_json(folder / names.VAL, facts)
    # the digests by which another network's answers to the same pictures are compared with these
    files.write_text(folder / names.SPLITS, manifest.keep(manifest.rows(chosen)).to_csv())
    told = evaluation_files.write(folder, [found], chosen=chosen_by(names.weights_of(run)))
    return Scored(folder, told, (chosen,))


def _own(run: str | Path, split: str | None, moved: str | None, predictor: Predictor, reporter: Reporter) -> Scored:
    """The run's own pictures, scored into its folder."""
    folder = names.find(run)
    recipe, facts = recipes.load(folder / names.ARGS)
    manifest = _found(str(run), facts["data"], moved, recipe.data.data_root)
    if recipe.data.splits is not None:
        answered.text(folder / names.SPLITS)
        manifest = division.again(manifest, folder / names.SPLITS)
    prepared = prepare(
        manifest,
        recipe.data,
        seed=recipe.train.seed,
        default_size=predictor.preprocess.height,
        threads=threads_given(None),
        preprocess=predictor.preprocess,
        assign=recipe.data.splits is None,
        tick=reporter.preparing,
    )
    if prepared.manifest.fingerprint() != facts["data_sha256"]:
        raise ConfigError(
            "C218",
            "the data has changed since the run was trained.",
            fix=f"dojang val {pasted(str(run))} {pasted(moved or facts['data'])}, to score it as other data.",
        )
    with files.locked(folder / names.LOCK, f"{str(folder)!r}"):
        known = evaluation_files.scored(folder)
        there = [name for name in ("val", "test", "train") if len(prepared.manifest.rows(name))]
        splits = [split] if split else [name for name in known if name in there] or there[:1]
        learned, tta = leaks.learned(prepared.manifest), recipe.task.tta
        found = [
            evaluate(predictor, prepared.store, prepared.manifest, one, tta=tta, learned=learned) for one in splits
        ]
        if not (folder / names.SPLITS).exists():
            files.write_text(folder / names.SPLITS, prepared.manifest.to_csv())
        told = evaluation_files.write(folder, found, chosen=chosen_by(names.weights_of(run)))
        return Scored(folder, told, tuple(splits))


def _found(run: str, place: str | None, moved: str | None, data_root: str | None) -> Manifest:
    """The run's own pictures. Raises DataError D100 where they are not, with the flag that says where they are now."""
    try:
        return own_data(place, moved, data_root, fix="run.val(data=pairs)")
    except DataError as error:
        if error.code != "D100":
            raise
        raise DataError(
            "D100",
            error.what,
            context="There the run's own pictures are looked for.",
            fix=f"dojang val {pasted(run)} --data PLACE, where they are now.",
        ) from None


def _learned(run: str | Path) -> frozenset[str]:
    """The digests of the pictures that a run was trained on; none for weights that stand alone."""
    try:
        path = names.find(run) / names.SPLITS
    except ConfigError:
        return frozenset()
    rows = read_splits(files.read_text(path), str(path)) if path.exists() else []
    return frozenset(row.sha256 for row in rows if row.split == "train" and row.sha256)


def _other(data: Any, predictor: Predictor, options: DataOptions, threads: int, reporter: Reporter) -> Prepared:
    """Other pictures, none of them set apart: pictures without a split are all there to be scored."""
    manifest: Manifest = open_data(data, options.data_root, options.download)
    for sentence in manifest.notes:
        reporter.note(sentence)
    renamed = otherwise_written(manifest.classes, predictor.labels)
    if renamed:
        pairs = [f"{name!r} as {label!r}" for name, label in renamed.items()]
        reporter.note(f"classes taken for the network's: {listing(pairs, most=3)}")
    whole = not any(manifest.splits)
    if whole:
        manifest = manifest.replace(splits=("test",) * len(manifest))
    return prepare(
        manifest,
        options,
        seed=0,
        default_size=predictor.preprocess.height,
        threads=threads,
        preprocess=predictor.preprocess,
        tick=reporter.preparing,
        assign=False,
    )


def metrics_of(folder: Path) -> dict[str, Any]:
    """What a folder's metrics.json holds, or an empty dict. Raises C223 for one that is broken."""
    return evaluation_files.metrics_in(folder)


def pictures_in(places: list[str]) -> list[Path]:
    """The files that are meant by files and folders, folders' pictures sorted by name.

    Raises:
        ConfigError: C241 for a place that does not exist, or a folder without pictures.
    """
    found: list[Path] = []
    for place in places:
        path = Path(place)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if is_picture(p.name) and p.is_file())
            if not inside:
                raise ConfigError("C241", f"the folder {place!r} holds no pictures.", fix="name picture files.")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise ConfigError("C241", f"there is no file {place!r}.", fix="name pictures, or folders of pictures.")
    return found
