"""None of these: distances by definition, shrinkage by scikit-learn, 95 % of known pictures known, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf, ledoit_wolf_shrinkage
from torch import nn

from dojang.data.preprocess import Preprocess
from dojang.errors import ConfigError, SecurityError
from dojang.models import build, weights
from dojang.models.features import features
from dojang.models.presets import PRESETS
from dojang.predict import familiar
from dojang.predict.familiar import UNFAMILIAR, Familiar, fit, shrinkage
from dojang.predict.predictor import Predictor


def seen(n: int, d: int = 12, classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of classes, around means that are the same for every seed, in some directions wider than in others."""
    means = torch.randn(classes, d, generator=torch.Generator().manual_seed(99)) * 3
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % classes
    return means[labels] + torch.randn(n, d, generator=draw) * torch.linspace(2, 0.2, d), labels


def fitted(n: int = 300, d: int = 12, held_out: int = 100) -> Familiar:
    found = fit(*seen(n, d), seen(held_out, d, seed=1)[0])
    assert isinstance(found, Familiar)
    return found


@pytest.mark.parametrize(("n", "d"), [(60, 10), (10, 60), (40, 40)])
def test_shrinkage_is_scikit_learns(n: int, d: int) -> None:
    rows = torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) @ torch.diag(
        torch.linspace(3, 0.1, d, dtype=torch.float64)
    )
    assert shrinkage(rows) == pytest.approx(ledoit_wolf_shrinkage(rows.numpy(), assume_centered=True), abs=1e-12)


def test_distances_by_their_definition() -> None:
    learned, labels = seen(300)
    rows = (learned / learned.norm(dim=1, keepdim=True)).double().numpy()
    means = [rows[labels.numpy() == label].mean(axis=0) for label in range(3)]
    covariance = ledoit_wolf(
        np.array([row - means[k] for row, k in zip(rows, labels, strict=True)]), assume_centered=True
    )[0]
    inverse = np.linalg.inv(covariance)
    asked = seen(20, seed=2)[0]
    expected = []
    for row in (asked / asked.norm(dim=1, keepdim=True)).double().numpy():
        expected.append(min(float((row - mean) @ inverse @ (row - mean)) for mean in means))
    assert fitted().distances(asked).numpy() == pytest.approx(np.array(expected), rel=1e-4)


@pytest.mark.parametrize("n", [60, 400])
def test_beyond_64_directions_one_variance_serves(n: int) -> None:
    found = fitted(n, 90)
    k = found.axes.shape[1]
    assert k == min(64, n - 3)
    axes, spread = found.axes.double(), found.spread.double()
    assert (axes.T @ axes - torch.eye(k)).abs().max() < 1e-6
    covariance = axes @ torch.diag(spread[:-1]) @ axes.T + spread[-1] * (torch.eye(90) - axes @ axes.T)
    asked = seen(20, 90, seed=2)[0]
    gaps = torch.nn.functional.normalize(asked.double(), dim=1)[:, None] - found.means.double()
    whole = torch.einsum("bcd,de,bce->bc", gaps, torch.linalg.inv(covariance), gaps).min(dim=1).values
    assert found.distances(asked).numpy() == pytest.approx(whole.numpy(), rel=1e-4)
    # of all directions together the variance is that of the features
    rows = torch.nn.functional.normalize(seen(n, 90)[0].double(), dim=1)
    rows = rows - found.means.double()[seen(n, 90)[1]]
    assert float(covariance.trace()) == pytest.approx(float(rows.square().sum() / n), rel=1e-4)


def test_familiarity_counts_pictures_that_are_as_far_out() -> None:
    found = fitted()
    asked = seen(30, seed=3)[0] * torch.linspace(-1, 1, 30)[:, None]
    known = found.known.tolist()
    expected = [(1 + sum(one >= far for one in known)) / (len(known) + 1) for far in found.distances(asked).tolist()]
    assert found.familiarity(asked).tolist() == pytest.approx(expected)


def test_95_of_100_known_pictures_are_known() -> None:
    shares = []
    for seed in range(40):
        found = fit(*seen(200, seed=seed), seen(59, seed=1000 + seed)[0])
        assert isinstance(found, Familiar)
        shares.append(float((found.familiarity(seen(200, seed=2000 + seed)[0]) > UNFAMILIAR).double().mean()))
    # of 60 exchangeable pictures one is among the three farthest in one of twenty: exactly .95, and 40 draws of it
    assert np.mean(shares) == pytest.approx(0.95, abs=0.015)


def test_what_points_elsewhere_is_unknown() -> None:
    found = fitted()
    assert bool((found.familiarity(-seen(50, seed=4)[0]) <= UNFAMILIAR).all())
    # and how long it is does not matter
    asked = seen(5, seed=4)[0]
    assert torch.allclose(found.distances(asked), found.distances(7 * asked), rtol=1e-5)


def test_of_many_validation_pictures_some_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    all_of_them = fitted(held_out=500)
    monkeypatch.setattr(familiar, "_KEPT", 50)
    some = fitted(held_out=500)
    assert len(all_of_them.known) == 500 and len(some.known) == 50
    asked = seen(200, seed=5)[0]
    assert (all_of_them.familiarity(asked) - some.familiarity(asked)).abs().max() < 0.05


def test_when_it_cannot_be_said() -> None:
    learned, labels = seen(100)
    assert fit(learned, labels, learned[:18]) == "18 validation pictures, fewer than 19"
    wide = torch.ones(3, 4096)
    said = fit(wide, torch.arange(3), torch.ones(19, 4096))
    assert said == "3 classes of 4,096 features would take 1.1 MiB, more than 1"
    assert fit(torch.ones(9, 4), torch.arange(9) % 3, torch.ones(19, 4)) == (
        "features that are the same for all pictures of a class"
    )


def test_many_classes_and_pictures_are_taken_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = fitted()
    pictures = torch.randn(37, made.means.shape[1], generator=torch.Generator().manual_seed(3))
    whole = made.distances(pictures)
    monkeypatch.setattr(familiar, "_AT_ONCE", 3 * made.means.shape[0] * made.axes.shape[1])
    seen = []
    real = Familiar._distances
    monkeypatch.setattr(Familiar, "_distances", lambda self, rows: seen.append(len(rows)) or real(self, rows))
    torch.testing.assert_close(made.distances(pictures), whole, rtol=1e-12, atol=0)
    assert seen == [3] * 12 + [1] and len(made.distances(pictures[:0])) == 0


def test_features_that_are_no_numbers_are_a_reason() -> None:
    seen = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    broken = seen.clone()
    broken[3, 2] = torch.nan
    for learned, held_out in ((broken, seen), (seen, broken)):
        assert familiar.fit(learned, torch.arange(40) % 2, held_out) == "features that are not finite"


def test_weights_of_another_network_and_none_at_all_are_refused(tmp_path: Path) -> None:
    picture = [("x", np.zeros((4, 4, 1), np.uint8))]
    made = fitted()
    path = saved(tmp_path / "a.safetensors", made.tensors())
    # a network of one's own with the same tensors: what is in front of its last layer is not known
    own = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    predictor = Predictor.load(path)
    predictor.model = own
    with pytest.raises(ConfigError, match=r"C249.*given in Python") as caught:
        list(predictor.predict(picture, none_of_these=True))
    assert str(caught.value).endswith("which goes by the probability alone.")
    wider = {**made.tensors(), "means": torch.zeros(3, 14), "axes": torch.zeros(14, made.axes.shape[1])}
    with pytest.raises(SecurityError, match=r"X506.*of another network"):
        list(Predictor.load(saved(tmp_path / "b.safetensors", wider)).predict(picture, none_of_these=True))
    predictor = Predictor.load(path)
    with torch.no_grad():
        next(predictor.model.parameters()).fill_(torch.nan)
    for none_of_these in (False, True):
        with pytest.raises(SecurityError, match=r"X506.*scores are not finite"):
            list(predictor.predict(picture, none_of_these=none_of_these))


@pytest.mark.parametrize(
    "name", ["mnist-cnn", "mlp", "cnn", "lenet-bn-fcn", "resnet20", "squeezenet1_1", "densenet121", "sprint"]
)
def test_features_and_scores_are_those_of_the_network(name: str) -> None:
    side = 28 if name == "lenet-bn-fcn" else 32
    model = build.build(name, in_channels=3, classes=4, image_size=(side, side), seed=0, options={}).eval()
    assert name in PRESETS
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    last = [layer for layer in model.modules() if isinstance(layer, (nn.Linear, nn.Conv2d))][-1]
    given: list[torch.Tensor] = []
    with torch.inference_mode():
        last.register_forward_pre_hook(lambda layer, inputs: given.append(inputs[0].clone()))
        scores = model(images)
        found = features(model, images)
    assert found is not None and torch.equal(found[1], scores)
    expected = given[0].flatten(2).mean(dim=2) if given[0].ndim > 2 else given[0]
    assert torch.equal(found[0], expected) and found[0].shape[0] == 2


def saved(path: Path, beside: dict[str, torch.Tensor], **extra: object) -> Path:
    model = build.build("mlp", in_channels=1, classes=3, image_size=(4, 4), seed=0, options={"hidden_dims": (12,)})
    preprocess = Preprocess(height=4, width=4, mode="L", mean=(0.5,), std=(0.5,))
    card = weights.Card(
        architecture=build.architecture(model), labels=("a", "b", "c"), preprocess=preprocess.as_dict(), extra=extra
    )
    path.write_bytes(weights.dump(model.state_dict(), card, beside))
    return path


def test_it_goes_with_the_weights(tmp_path: Path) -> None:
    made = fitted()
    predictor = Predictor.load(saved(tmp_path / "a.safetensors", made.tensors()))
    assert isinstance(predictor.familiar, Familiar)
    for name, tensor in made.tensors().items():
        assert torch.equal(predictor.familiar.tensors()[name], tensor)
    # and is no part of the network
    assert not any(name in weights.load(tmp_path / "a.safetensors")[0] for name in ("means", "beside/means"))
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4, 1) * 16
    (answer,) = predictor.predict([("x", picture)], none_of_these=True)
    seen_there, _ = predictor.look(picture[None])
    assert seen_there is not None
    share = float(predictor.familiar.familiarity(seen_there)[0])
    assert answer.familiarity == share and answer.unknown == (share <= UNFAMILIAR)
    (plainly,) = predictor.predict([("x", picture)])
    assert plainly.familiarity is None and not plainly.unknown and plainly.probabilities == answer.probabilities


def test_unknown_below(tmp_path: Path) -> None:
    predictor = Predictor.load(saved(tmp_path / "a.safetensors", {}))
    pictures = [("x", np.full((4, 4, 1), level, np.uint8)) for level in (0, 90, 255)]
    sure = [answer.probability for answer in predictor.predict(pictures)]
    limit = sorted(sure)[1]
    answers = list(predictor.predict(pictures, unknown_below=limit))
    assert [answer.unknown for answer in answers] == [one < limit for one in sure]
    unknown = next(answer for answer in answers if answer.unknown)
    assert str(unknown) == f"x: unknown, most like {unknown.label} ({unknown.probability:.3f})"
    with pytest.raises(ConfigError, match=r"C202\]: --unknown-below is 1.5; expected a probability"):
        predictor.predict(pictures, unknown_below=1.5)


def test_weights_that_cannot_tell_say_why(tmp_path: Path) -> None:
    older = "they were written by an older dojang, or by training with --no-familiar"
    part, again = "; or train with a validation part.", "; or train again without --no-familiar."
    for extra, why, more in (
        ({}, older, again),
        ({"familiar": ""}, older, again),
        ({"familiar": "18 validation pictures, fewer than 19"}, "18 validation pictures, fewer than 19", part),
        ({"familiar": "\x1b[2J\n  Fix: rm -rf /" + "x" * 900}, ("\\x1b[2J\\n  Fix: rm -rf /" + "x" * 900)[:200], "."),
    ):
        predictor = Predictor.load(saved(tmp_path / "a.safetensors", {}, **extra))
        with pytest.raises(ConfigError) as caught:
            predictor.predict([], none_of_these=True)
        assert str(caught.value) == (
            f"ConfigError[C249]: these weights cannot tell what is none of their classes: {why}.\n"
            "  For that they hold what their training pictures look like to the network.\n"
            "  Fix: --unknown-below 0.5, which goes by the probability alone" + more
        )


@pytest.mark.parametrize(
    "change",
    [
        lambda made: {**made, "known": made["known"] * np.nan},
        lambda made: {**made, "means": made["means"][:, :-1]},
        lambda made: {**made, "spread": -made["spread"]},
        lambda made: {**made, "axes": made["axes"].double()},
        lambda made: {**made, "more": made["known"]},
        lambda made: {"means": made["means"]},
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    path = saved(tmp_path / "a.safetensors", change(fitted().tensors()))
    with pytest.raises(SecurityError, match=r"X506\]: .*what it says of known pictures does not fit together"):
        Predictor.load(path)


def test_at_the_border_the_farthest_of_twenty_is_none_of_these() -> None:
    """1 / (19 + 1) is 0.05 and not a little more, as it was in single precision."""
    found = fitted(held_out=19)
    far = torch.from_numpy(-10 * seen(5, seed=4)[0].numpy()).requires_grad_()
    assert (found.familiarity(far) == UNFAMILIAR).all() and found.familiarity(far).dtype == torch.float64
