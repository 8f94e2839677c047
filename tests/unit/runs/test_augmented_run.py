"""Augmentation in a run: training pictures alone, the same after a resume, recorded, said."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from dojang.data.loader import Pictures
from dojang.errors import ConfigError
from dojang.runs import recipe, train, validate
from dojang.runs.recipe import Circumstances, resolve
from dojang.tasks.classify.task import Batch, Classify
from dojang.train.log import Silent

SMALL = Circumstances(32, 32, 50_000, "cpu")
TINY: dict[str, Any] = {"model": "cnn", "conv_dims": "4", "epochs": 2, "batch_size": 20, "val": 12, "threads": 1}
# all at once, so that whatever reached validation would be seen
WILD = {
    "augment": "strong",
    "degrees": 40,
    "noise": 0.3,
    "brightness": 0.9,
    "contrast": 0.5,
    "mixup": 0.4,
    "cutout": 3,
    "flip": "both",
    "crop_padding": 3,
}


def begin(data: Path, project: Path, **options: Any) -> Path:
    return train.begin(str(data), [recipe.read_layer(TINY | {"project": str(project)} | options, "test")])


def test_validation_and_test_never_see_it(stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every batch that is made of pictures, from the first to the last of a run, is looked at."""
    seen: list[tuple[np.ndarray, bool]] = []
    collate = Classify.collate
    plain: dict[int, np.ndarray] = {}

    def watched(self: Classify, pictures: Pictures, size: tuple[int, int] | None = None) -> Batch:
        batch = collate(self, pictures, size)
        seen.append((pictures.rows, pictures.changes is not None))
        if pictures.changes is None:
            # just what is stored, normalised: the pictures of this set are not cut
            assert torch.equal(batch.images, self.preprocess.normalise(torch.from_numpy(pictures.pixels)))
            assert batch.own is None
            for row, pixels in zip(pictures.rows.tolist(), pictures.pixels, strict=True):
                assert np.array_equal(plain.setdefault(row, pixels), pixels)
        else:
            assert not torch.equal(batch.images, self.preprocess.normalise(torch.from_numpy(pictures.pixels)))
        return batch

    monkeypatch.setattr(Classify, "collate", watched)
    folder = begin(stripes, tmp_path, **WILD)
    with open(folder / "splits.csv", newline="") as file:
        splits = np.array([row["split"] for row in csv.DictReader(file)])
    changed = np.concatenate([rows for rows, was in seen if was])
    assert set(splits[changed]) == {"train"}
    # each of them twice, once an epoch
    assert np.array_equal(np.bincount(changed, minlength=len(splits)), 2 * (splits == "train"))
    assert {"train", "val"} <= set(splits[np.concatenate([rows for rows, was in seen if not was])])


def test_scores_during_training_are_those_of_the_pictures_as_they_are(stripes: Path, tmp_path: Path) -> None:
    folder = begin(stripes, tmp_path, **WILD, precision="fp32")
    with open(folder / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    best = json.loads((folder / "metrics.json").read_text())["training"]["step"]
    during = next(row for row in rows if int(row["step"]) == best)
    # scored again from the weights' file, by a road that knows no augmentation
    metrics = validate.validate(folder, split="val")[1]["val"]
    assert float(during["val/loss"]) == pytest.approx(metrics["log_loss"]["value"], rel=1e-4)
    assert float(during["val/top1"]) == pytest.approx(metrics["top1"]["value"], abs=1e-6)


def test_what_a_policy_stood_for_is_written_down_and_said(stripes: Path, tmp_path: Path) -> None:
    said: list[str] = []

    class Told(Silent):
        def note(self, text: str) -> None:
            said.append(text)

    layer = recipe.read_layer(TINY | {"project": str(tmp_path), "augment": "notes", "degrees": 5}, "test")
    folder = train.begin(str(stripes), [layer], reporter=Told())
    values = yaml.safe_load((folder / "args.yaml").read_text())
    assert (values["augment"], values["degrees"], values["translate"], values["crop_padding"]) == ("notes", 5, 0.1, 1)
    # digits and the like are not mirrored
    assert values["flip"] == "none"
    (line,) = [text for text in said if text.startswith("augment:")]
    assert line.startswith("augment: notes: degrees 5, translate 0.1, brightness 0.2")
    # the file is a recipe, which makes the same run whatever the policy means one day
    read = recipe.read_file(folder / "args.yaml")
    assert resolve([read], SMALL).augment == recipe.load(folder / "args.yaml")[0].augment


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        # the model family's own, where nobody says anything
        ([{"model": "sprint"}], {"crop_padding": 2, "crop_fill": "reflect", "flip": None, "brightness": 0.0}),
        # a policy wins over the family
        ([{"model": "sprint", "augment": "none"}], {"crop_padding": 0, "flip": "none", "train_crop": "center"}),
        ([{"model": "sprint", "augment": "light"}], {"crop_padding": 4, "flip": None, "brightness": 0.1}),
        # what is typed beside it wins over the policy, in either place
        ([{"augment": "light", "brightness": 0.3}], {"brightness": 0.3, "contrast": 0.1}),
        ([{"brightness": 0.3, "flip": "both"}, {"augment": "light"}], {"brightness": 0.1, "flip": None}),
        ([{"augment": "strong"}, {"erase": 0.0}], {"erase": 0.0, "random_ops": "trivialaugment"}),
        ([{"augment": "auto"}], {"brightness": 0.1, "degrees": 0.0}),
    ],
)
def test_policies_are_a_layer(layers: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    found = vars(resolve(layers, SMALL).augment)
    assert {name: found[name] for name in expected} == expected


def test_a_policy_that_is_none_says_which_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        recipe.read_layer({"augment": "nots"}, "the command line")
    assert "augment cannot be 'nots'" in str(caught.value) and "notes" in str(caught.value)


@pytest.mark.parametrize("loss", ["cross-entropy", "bce", "focal"])
def test_the_loss_of_mixed_pictures_is_that_of_both_labels(loss: str) -> None:
    """By loops over the pictures: the share of each label times the loss that it would have alone."""
    from dojang.data.preprocess import Preprocess
    from dojang.tasks.classify import losses
    from dojang.tasks.classify.options import ClassifyOptions

    n, classes = 6, 4
    draw = np.random.default_rng(2)
    logits = torch.from_numpy(draw.standard_normal((n, classes)))
    targets, own = torch.from_numpy(draw.integers(0, classes, n)), torch.from_numpy(draw.random(n))
    weights = draw.random(classes).astype(np.float32)
    options = ClassifyOptions(loss=loss, label_smoothing=0.1)
    task = Classify(targets.numpy(), classes, Preprocess("L", 2, 2), options, torch.device("cpu"), weights)
    model = torch.nn.Flatten().train()
    made, _ = task.loss(model, Batch(logits[:, :, None, None], targets, own))
    expected = 0.0
    for i in range(n):
        for label, share in ((targets[i], own[i]), (targets[(i + 1) % n], 1 - own[i])):
            alone = losses.LOSSES[loss](logits[i : i + 1], label[None], 0.1)
            expected += float(share * alone * weights[label]) / n
    assert float(made) == pytest.approx(expected, rel=1e-5)
