"""The pictures of docs/page.md, taken by headless Chromium from a service that this starts.

    dojang train mnist --model mnist-cnn --epochs 5
    python docs/page/draw.py runs/classify/train

The digit that it is shown was drawn here, stroke by stroke.  Needs `pip install -e '.[dev]'` and Chromium.
"""

from __future__ import annotations

import io
import math
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFilter
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
# two bows: where their middles lie, their half axes, and from which angle to which they go
BOWS = [(54, 42, 16, 14, 200, 430), (54, 70, 20, 17, -80, 150)]


def digit() -> bytes:
    """A three, light on dark."""
    image = Image.new("L", (112, 112))
    draw = ImageDraw.Draw(image)
    for x, y, width, height, begin, end in BOWS:
        for step in range(101):
            angle = math.radians(begin + (end - begin) * step / 100)
            at = x + width * math.cos(angle), y + height * math.sin(angle)
            draw.circle(at, 5.5, fill=255)
    file = io.BytesIO()
    image.filter(ImageFilter.GaussianBlur(1.5)).save(file, "PNG")
    return file.getvalue()


def taken(page: Any, name: str) -> None:
    """A screenshot in few colours."""
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    image.quantize(160, method=Image.Quantize.FASTOCTREE).save(HERE / f"{name}.png", optimize=True)


def give(page: Any) -> None:
    page.evaluate("document.getElementById('samples').style.display = 'none'")
    page.set_input_files("#file", {"name": "three.png", "mimeType": "image/png", "buffer": digit()})
    page.wait_for_selector("#heat-words:not(:empty)", state="attached")
    page.wait_for_selector("#busy", state="hidden")
    # away from buttons, which look otherwise below the mouse
    page.mouse.move(2, 2)
    page.wait_for_timeout(300)


def pictures(browser: Any, address: str) -> None:
    page = browser.new_context(viewport={"width": 1180, "height": 760}, locale="en-US").new_page()
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    give(page)
    taken(page, "answer")
    page.click("#tab-layers")
    page.wait_for_timeout(1500)
    taken(page, "layers")
    page.click("#tab-xray")
    page.wait_for_selector(".written .good")
    taken(page, "xray")
    page.click("#tab-convolution")
    for _ in range(4):
        page.click("button:has-text('Step')")
    taken(page, "convolution")
    phone = browser.new_context(
        viewport={"width": 390, "height": 760}, locale="ko-KR", color_scheme="dark", has_touch=True
    ).new_page()
    phone.goto(address)
    phone.wait_for_selector("body[data-ready]")
    give(phone)
    taken(phone, "phone")


if __name__ == "__main__":
    command = [sys.executable, "-m", "dojang", "serve", sys.argv[1], "--port", "0"]
    service = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    assert service.stdout is not None
    address = next(found[0] for line in service.stdout if (found := re.search(r"http://\S+", line)))
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        pictures(chromium, address)
        chromium.close()
    service.send_signal(signal.SIGTERM)
    service.wait()
