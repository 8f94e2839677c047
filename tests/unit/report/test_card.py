"""The model card: what the hub reads of it is valid, what people read is inert."""

from __future__ import annotations

import json

import pytest
import yaml

from dojang.errors import ConfigError
from dojang.report import story
from dojang.report.card import card


def parts(text: str) -> tuple[dict, str]:
    _, head, body = text.split("---\n", 2)
    return yaml.safe_load(head), body


def test_the_header_has_what_the_hub_knows(make_run) -> None:
    folder = make_run()
    head, body = parts(card(story.read(folder), "apache-2.0"))
    test = json.loads((folder / "metrics.json").read_text())["test"]
    assert head["license"] == "apache-2.0" and head["pipeline_tag"] == "image-classification"
    assert head["metrics"] == ["accuracy", "f1", "roc_auc", "average_precision"]
    (model,) = head["model-index"]
    (result,) = model["results"]
    assert result["task"]["type"] == "image-classification"
    assert result["dataset"] == {"name": "photos", "type": "photos", "split": "test"}
    assert {one["type"]: one["value"] for one in result["metrics"]} == {
        "accuracy": round(test["top1"]["value"], 6),
        "f1": round(test["macro_f1"]["value"], 6),
        "roc_auc": round(test["roc_auc"]["value"], 6),
        "average_precision": round(test["average_precision"]["value"], 6),
    }
    for heading in ("Intended use", "Data", "Training", "Evaluation", "Limits", "How to use"):
        assert f"\n## {heading}\n" in body
    assert f"{test['top1']['low']:.4f} to {test['top1']['high']:.4f}" in body
    assert "| none: fewer than 20 pictures a class |" in body


def test_the_hubs_own_library_reads_it(make_run) -> None:
    hub = pytest.importorskip("huggingface_hub")
    found = hub.ModelCard(card(story.read(make_run()))).data
    assert found.library_name == "dojang" and found.license == "unknown" and found.model_name == "train"
    assert [one.metric_type for one in found.eval_results] == ["accuracy", "f1", "roc_auc", "average_precision"]
    # what the library writes is what it has read
    again = hub.ModelCard(f"---\n{found.to_yaml()}\n---\n").data
    assert again.to_dict() == found.to_dict()


def test_names_do_not_break_out(make_run) -> None:
    names = ("a|b", "<script>alert(1)</script>", "`x`\n# heading", "---\nlicense: mit")
    head, body = parts(card(story.read(make_run(names, each=6, right=0.3, name="x: y #z"))))
    assert head["license"] == "unknown" and head["model-index"][0]["name"] == "x: y #z"
    assert "\n# heading" not in body and "\nlicense: mit" not in body
    prose = body.replace("`<script>alert(1)</script>`", "")
    assert "<script>" not in prose


def test_a_card_is_of_weights(make_run) -> None:
    folder = make_run()
    (folder / "weights" / "best.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"C216.*has no weights yet"):
        card(story.read(folder))
    make_run(name="train/fold-1")
    with pytest.raises(ConfigError, match=r"C216.*is a cross-validation"):
        card(story.read(folder))


def test_a_run_without_scores_has_no_index(make_run) -> None:
    folder = make_run()
    (folder / "metrics.json").unlink()
    head, body = parts(card(story.read(folder)))
    assert "model-index" not in head and "no scores yet" in body
