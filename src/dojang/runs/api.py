"""The public objects: a model, and the run that training it leaves."""

from __future__ import annotations

import copy
import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from dojang.data.sources import FolderSource
from dojang.errors import ConfigError
from dojang.evaluate import several
from dojang.evaluate.files import metrics_in
from dojang.models import build, others
from dojang.models.presets import PRESETS
from dojang.predict.answer import Answer
from dojang.predict.arrays import pictures_of
from dojang.predict.predictor import Predictor
from dojang.runs import folder as names
from dojang.runs import lr_find, shown
from dojang.runs import recipe as recipes
from dojang.runs import train as training
from dojang.runs import validate as validation
from dojang.runs.exported import Exported
from dojang.runs.lr_find import Found
from dojang.runs.scored import Scores
from dojang.train import range_test
from dojang.train.log import Reporter


class Answers(list[Answer]):
    """Answers in the order of the pictures; ``notes`` says what was converted on the way."""

    notes: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        return shown.answers(self)


class Model:
    """A network to train, or a trained one to ask.

    Args:
        source: A preset's name ("mnist-cnn"), ``FILE.py:CLASS``, a weights file, a run folder, or any nn.Module.
        model: The nn.Module itself, where ``source`` is a weights file of a model of one's own.

    Raises:
        ConfigError: C203 for a name that is neither a preset nor a file.

    Example:
        >>> import dojang
        >>> model = dojang.Model("mnist-cnn")
        >>> model
        Model('mnist-cnn')
    """

    def __init__(self, source: str | os.PathLike[str] | nn.Module = "auto", *, model: nn.Module | None = None) -> None:
        self._module = source if isinstance(source, nn.Module) else model
        self._name = type(source).__name__ if isinstance(source, nn.Module) else os.fspath(source)
        self._predictor: Predictor | None = None
        # of the weights that it answers with
        self._place = Path(self._name)
        if isinstance(source, nn.Module):
            return
        if Path(self._name).exists() and self._name not in PRESETS:
            self._predictor = validation.load(self._name, model=model)
        elif ".py:" not in self._name and self._name != "auto" and not others.is_other(self._name):
            PRESETS[self._name]

    def train(self, data: Any, *, reporter: Reporter | None = None, **options: Any) -> Run:
        """Train on pictures, and leave a run folder.

        Args:
            data: A path, a data set's name, or anything that :func:`dojang.from_pairs` takes: pairs, arrays, a dict
                of splits, a data set of torchvision or Hugging Face.
            options: Those of ``dojang train --help``, with underscores (``batch_size=256``).

        Returns:
            The run; this model now answers with its weights. Of several (``folds=5``, ``seeds=5``) its
            :attr:`Run.runs` have weights, and this model stays as it was.

        Raises:
            DojangError: With the code of whatever stands in the way.
        """
        layer = self._layer(options, "train")
        folder = training.begin(data, [layer], model=self._module, reporter=reporter)
        run = Run(folder, model=self._module)
        if not run.runs:
            self._predictor, self._place = run.predictor(), folder
        return run

    def lr_find(
        self,
        data: Any,
        *,
        min_lr: float = range_test.LOW,
        max_lr: float = range_test.HIGH,
        steps: int = range_test.STEPS,
        reporter: Reporter | None = None,
        **options: Any,
    ) -> Found:
        """Which learning rate to begin with: a copy of this model trains for some steps while the rate rises.

        The model stays as it is, and nothing is written; only training pictures are seen.

        Args:
            data: As of :meth:`train`.
            min_lr, max_lr: Between which the rate rises, in equal ratios.
            steps: At most.
            options: Those of :meth:`train`; what belongs to the rate and the length of a run changes nothing.

        Returns:
            Suggestions, each by its rule, and the curve: ``found.lr``, ``found.suggestions``, ``found.csv()``,
            ``found.picture()``; a notebook shows the picture.

        Raises:
            DojangError: With the code of whatever stands in the way.

        Example:
            >>> import dojang
            >>> found = dojang.Model("mlp").lr_find("digits", steps=60, threads=1)
            >>> 0.0001 < found.lr < 0.1
            True

        Source: Smith, arXiv:1506.01186; see :mod:`dojang.train.range_test`.
        """
        layer = self._layer(options, "lr_find")
        return lr_find.find(
            data, [layer], model=self._module, min_lr=min_lr, max_lr=max_lr, steps=steps, reporter=reporter
        )

    def _layer(self, given: dict[str, Any], method: str) -> dict[str, Any]:
        """Options as a layer that says which network. Raises C242 for one of one's own that is trained already."""
        layer = recipes.read_layer(given, f"{method}()")
        if self._predictor is not None:
            if build.architecture(self._predictor.model) is None:
                raise ConfigError(
                    "C242",
                    f"{self._name!r} is trained already, and its network is one of your own.",
                    fix=f"dojang.Model(module).{method}(...), with its weights loaded.",
                )
            # what it learned is where the new run begins
            return {"pretrained": str(self._place)} | layer
        return {"model": self._name} | layer if self._module is None else layer

    def predict(
        self,
        pictures: Any,
        *,
        layout: str | None = None,
        color: str = "rgb",
        batch_size: int = 64,
        unknown_below: float | None = None,
        none_of_these: bool = False,
    ) -> Answers:
        """Answers for files, folders, arrays or a mix of them.

        Args:
            pictures: A path or a list of paths; an array (h, w), (h, w, c), (c, h, w) or a batch of them, NumPy or
                torch, levels 0..255 or shares 0..1; a PIL image; the bytes of a picture file.
            layout: "hwc" or "chw" for arrays; None finds out.
            color: "rgb" or "bgr" for arrays.
            unknown_below: An answer is unknown where its label is less probable.
            none_of_these: An answer is unknown where the picture lies farther from all classes than 95 % of the
                validation pictures did.

        Raises:
            ConfigError: C243 when the model is not trained, C241 for a file that does not exist,
                C249 for ``none_of_these`` of weights that cannot tell.
            DataError: For a picture that cannot be read, naming it.
        """
        predict = self._trained().predict
        sources, notes = _sources(pictures, layout, color)
        answers = Answers(
            predict(sources, batch_size=batch_size, unknown_below=unknown_below, none_of_these=none_of_these)
        )
        answers.notes = notes
        return answers

    def explain(
        self,
        pictures: Any,
        *,
        methods: Sequence[str] = (),
        layer: str | None = None,
        label: str | None = None,
        xrays: Sequence[str] = (),
        maps: Sequence[str] = (),
        deconvolve: Sequence[str] = (),
        nearest: int = 0,
        data: Any = None,
        layout: str | None = None,
        color: str = "rgb",
    ) -> Any:
        """Why it answers as it does: heat maps and more, a notebook shows them; ``dojang explain --help`` tells of all.

        Args:
            pictures: As :meth:`predict` takes them.
            methods: Heat maps by name ("gradcam", "layercam", "occlusion", "integrated", "everywhere"); none takes two
                that suit the network.
            layer: Where they are taken; None finds it.
            label: The class that is asked about; None takes each picture's answer.
            xrays: Units to look through, as "LAYER:CHANNEL,ROW,COLUMN".
            maps: Layers whose feature maps are wanted.
            deconvolve: Layers, or units, led back to the pixels.
            nearest: So many training pictures that are most like each picture; of a run, or a model that was one.
            data: Where these are now, or the pairs that it was trained on.

        Returns:
            A list of :class:`dojang.explain.explain.Explanation`, one a picture.

        Raises:
            ConfigError: C243 when the model is not trained, C290 to C292 for what its network cannot be asked, C203 and
                C291 for layers and units that it does not have.
            DataError: For a picture that cannot be read, naming it.
        """
        predictor = self._trained()
        sources, notes = _sources(pictures, layout, color)
        # a room above this one, which it is asked for when it is wanted
        explaining = importlib.import_module("dojang.explain.explain")
        asked = explaining.Asked(tuple(methods), layer, label, tuple(xrays), tuple(maps), tuple(deconvolve), nearest)
        found = explaining.explain(predictor, sources, asked, run=self._place, data=data)
        found.notes = notes
        return found

    def _trained(self) -> Predictor:
        if self._predictor is None:
            raise ConfigError("C243", f"{self!r} is not trained.", fix='run = model.train(data="photos/") first.')
        return self._predictor

    def export(self, format: str = "onnx", **options: Any) -> Exported:
        """As :meth:`Run.export`; of a weights file, ``data`` says on which pictures its answers are checked.

        Raises:
            ConfigError: C243 when the model is not trained.
        """
        self._trained()
        return _export(self._place, format, self._module, options)

    def __repr__(self) -> str:
        return f"Model({self._name!r})"


class Run:
    """A run folder: its scores, and what can be done with it.

    Args:
        path: The folder, or anything in it.
        model: The nn.Module, for a run on a module given in Python.
    """

    def __init__(self, path: str | os.PathLike[str], *, model: nn.Module | None = None) -> None:
        self.path = names.find(os.fspath(path))
        self._module = model

    @property
    def metrics(self) -> dict[str, Any]:
        """What metrics.json holds."""
        return validation.metrics_of(self.path)

    @property
    def scores(self) -> Scores:
        """The same, shown as a table with intervals."""
        return Scores(metrics_in(self.path))

    def confusion(self, split: str | None = None) -> shown.Confusion | None:
        """The confusion matrix of a split, test where there is one; None for a run that is not scored.

        Raises:
            DataError: D121 for a split that the run has no answers to.
        """
        return shown.confusion(self.path, split)

    def wrong(self, split: str | None = None, *, most: int = 24, data: Any = None) -> shown.Wrong | None:
        """The wrong answers, the surest first; a notebook shows their pictures.

        Args:
            data: Where the pictures are, if they are elsewhere now, or were given in Python.

        Raises:
            ConfigError: C202 for ``most`` below 0.
            DataError: D121 for a split that the run has no answers to.
        """
        return shown.wrong(self.path, split, most, data)

    @property
    def runs(self) -> list[Run]:
        """The runs of a cross-validation, or of several seeds, one by one; none of a run by itself."""
        made = several.parts(metrics_in(self.path))
        return [Run(self.path / name, model=self._module) for name in made]

    def val(self, data: Any = None, *, split: str | None = None, device: str = "auto") -> dict[str, Any]:
        """Score the weights, on the run's own validation part or on other data; gives the scores by split."""
        folder, metrics = validation.validate(self.path, data, split=split, model=self._module, device=device)
        return metrics if folder == self.path else metrics | {"folder": str(folder)}

    def resume(self, *, data: Any = None, inexact: bool = False, **changes: Any) -> Run:
        """Go on where the run was stopped, or, with ``epochs=N``, beyond its end."""
        layer = recipes.read_layer(changes, "resume()")
        training.resume(self.path, layer, data=data, model=self._module, inexact=inexact)
        return self

    def predictor(self, device: str = "auto") -> Predictor:
        """The trained network with its labels and preprocessing."""
        return validation.load(self.path, model=copy.deepcopy(self._module), device=device)

    def predict(self, pictures: Any, **options: Any) -> Answers:
        """As :meth:`Model.predict`."""
        return self._model().predict(pictures, **options)

    def explain(self, pictures: Any, **options: Any) -> Any:
        """As :meth:`Model.explain`."""
        return self._model().explain(pictures, **options)

    def _model(self) -> Model:
        model = Model.__new__(Model)
        model._module, model._name, model._predictor = self._module, str(self.path), self.predictor()
        model._place = self.path
        return model

    def export(self, format: str = "onnx", **options: Any) -> Exported:
        """Write the network as one graph that needs no dojang: pixels of any size in, probabilities out.

        Args:
            format: "onnx", "torch-export" or "openvino".
            options: ``out`` (a file), ``int8``, ``data`` (where the run's pictures are now), ``exist_ok``.

        Returns:
            Where it is, and what was found out about it (``.path``, ``.record``).

        Raises:
            DojangError: With the code of whatever stands in the way; E701 where the graph answers otherwise, and then
                nothing is written.
        """
        return _export(self.path, format, self._module, options)

    def _repr_html_(self) -> str:
        return shown.run(self.path, metrics_in(self.path))

    def __repr__(self) -> str:
        found = self.scores
        told = [
            f"{split} top-1 {found[split]['top1']['value']:.4f}"
            for split in ("val", "test", "out_of_fold")
            if split in found and found[split]["top1"]["value"] is not None
        ]
        over = several.repeated(found.metrics)
        mean = over[1].get("scores", {}).get("top1", {}).get("mean") if over else None
        if over and mean is not None:
            told.append(f"mean top-1 of {len(over[1]['runs'])} {over[0]} {mean:.4f}")
        by = f"; {found.weights}" if told and found.weights else ""
        return f"Run({str(self.path)!r}{': ' if told else ''}{', '.join(told)}{by})"


def _sources(
    pictures: Any, layout: str | None, color: str
) -> tuple[list[tuple[str, bytes | np.ndarray]], tuple[str, ...]]:
    """Names and pixels or bytes of all that may be asked about, and what was converted."""
    several = pictures if isinstance(pictures, (list, tuple)) else [pictures]
    sources: list[tuple[str, bytes | np.ndarray]] = []
    notes: list[str] = []
    read = FolderSource(Path(), "").read
    for item in several:
        if isinstance(item, (str, os.PathLike)):
            for path in validation.pictures_in([os.fspath(item)]):
                sources.append((str(path), read(str(path))))
            continue
        found, said = pictures_of(item, layout=layout, color=color)
        sources += [(f"array {len(sources) + i}", picture) for i, picture in enumerate(found)]
        notes += [sentence for sentence in said if sentence not in notes]
    return sources, tuple(notes)


def _export(place: Path, format: str, module: nn.Module | None, options: dict[str, Any]) -> Exported:
    # a room above this one, which nothing here needs but this: imported, like all of dojang, when it is asked for
    export = importlib.import_module("dojang.export.export").export
    made: Exported = export(place, format, model=copy.deepcopy(module), **options)
    return made
