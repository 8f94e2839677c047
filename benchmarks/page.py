"""The page of `dojang serve` in headless Chromium: how long until it is painted, and until a picture has its answer.

    python benchmarks/page.py [--rounds 15]

mnist-cnn (28 x 28) and resnet18 (224 x 224, JPEG of 640 x 480), each trained for an epoch on made-up pictures: what
they answer is of no matter here.  Each round opens the page anew in a fresh context (nothing cached) and gives it a
picture; `answer` is from the choice of the file until the answer is on the page, heat map aside.  The first round, with
everything cold, is told apart.  Kept in benchmarks/results/page.json.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import sync_playwright

import dojang

RESULTS = Path(__file__).parent / "results" / "page.json"
SIZES = {"mnist-cnn": ("L", (28, 28), "png"), "resnet18": ("RGB", (640, 480), "jpeg")}
TARGETS = {"first_paint_ms": 1000, "mnist-cnn": 300, "resnet18": 1000}


def picture(model: str, seed: int, shade: int) -> bytes:
    """Something that is not flat, lighter or darker."""
    mode, size, kind = SIZES[model]
    coarse = np.random.default_rng(seed).integers(0, 128, (6, 8), dtype=np.uint8) + shade
    file = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).convert(mode).save(file, kind, quality=88)
    return file.getvalue()


def trained(model: str, place: Path) -> Path:
    """A run of one epoch."""
    for label, shade in (("dark", 0), ("light", 127)):
        folder = place / model / label
        folder.mkdir(parents=True)
        for number in range(24):
            (folder / f"{number}.{SIZES[model][2]}").write_bytes(picture(model, number, shade))
    words = ["train", str(place / model), "--model", model, "--epochs", "1", "--batch-size", "8", "--name", model]
    words += ["--imgsz", "224"] if model == "resnet18" else []
    words += ["--project", str(place / "runs")]
    subprocess.run([sys.executable, "-m", "dojang", *words], check=True, capture_output=True)
    return place / "runs" / model


def measured(browser: Any, address: str, data: bytes, kind: str) -> dict[str, float]:
    """One round."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    painted = page.evaluate(
        "performance.getEntriesByType('paint').find((one) => one.name === 'first-contentful-paint').startTime"
    )
    page.set_input_files("#file", {"name": f"a.{kind}", "mimeType": f"image/{kind}", "buffer": data})
    page.wait_for_selector(".said .label")
    told = re.search(r"(\d+) ms from click to answer", page.inner_text("#answer"))
    assert told is not None
    context.close()
    return {"first_paint_ms": float(painted), "answer_ms": float(told[1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    kept: dict[str, Any] = {
        "with": {"dojang": dojang.__version__, "python": platform.python_version(), "torch": torch.__version__},
        "machine": {"cpu": platform.machine(), "cores": os.cpu_count(), "system": platform.system()},
        "targets": TARGETS,
    }
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        kept["with"]["chromium"] = browser.version
        for model, (_, _, kind) in SIZES.items():
            run = trained(model, Path(folder))
            command = [sys.executable, "-m", "dojang", "serve", str(run), "--port", "0"]
            service = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert service.stdout is not None
            address = next(found[0] for line in service.stdout if (found := re.search(r"http://\S+", line)))
            rounds = [measured(browser, address, picture(model, 99 + i, 64), kind) for i in range(options.rounds + 1)]
            service.send_signal(signal.SIGTERM)
            service.wait()
            first, rest = rounds[0], rounds[1:]
            kept[model] = {"n": len(rest), "first_round": first}
            for name in first:
                values = sorted(one[name] for one in rest)
                kept[model][name] = {
                    "median": statistics.median(values),
                    "least": values[0],
                    "most": values[-1],
                }
            print(model, json.dumps(kept[model]), flush=True)
        browser.close()
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
