"""The page in headless Chromium, from a service of its own: every tab, mistakes, slow networks, small screens."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from dojang.predict.predictor import Predictor
from dojang.runs import train
from dojang.runs.recipe import read_layer

playwright = pytest.importorskip("playwright.sync_api")
found = next(
    (place for name in ("chromium", "chromium-browser", "google-chrome") if (place := shutil.which(name))), None
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(found is None, reason="no Chromium on this machine"),
    pytest.mark.sockets,
]
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
TABS = ("answer", "layers", "xray", "convolution", "run")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = {"model": "mnist-cnn", "epochs": 2, "project": str(tmp_path_factory.mktemp("runs")), "threads": 1}
    return train.begin("digits", [read_layer(given, "test")])


@contextlib.contextmanager
def serving(run: Path, **more: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """`dojang serve` on a free port, with more in its environment: its address, and its process."""
    command = [sys.executable, "-m", "dojang", "serve", str(run), "--port", "0", "--engine", "eager"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | more
    )
    assert process.stdout is not None
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if address := re.search(r"http://\S+", line):
                yield address[0], process
                return
        pytest.fail("".join(said))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()


@pytest.fixture(scope="module")
def service(run: Path) -> Iterator[str]:
    with serving(run) as (address, _):
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=_FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(
    chromium: Any, address: str, expected: tuple[str, ...] = (), ready: str = "body[data-ready]", **options: Any
) -> Iterator[Any]:
    """A page; what it says to the console as an error fails the test, but for what is expected."""
    context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-US"} | options)
    page, said = context.new_page(), []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("request", lambda request: said.append(request.url) if not ours(request.url, address) else None)
    page.goto(address)
    page.wait_for_selector(ready)
    yield page
    context.close()
    assert not [one for one in said if not any(word in one for word in expected)]


def ours(url: str, address: str) -> bool:
    return url.startswith((address, "blob:" + address, "data:"))


def png(seed: int = 0, side: int = 8) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def give(page: Any, data: bytes = b"", name: str = "picture.png") -> None:
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": data or png()})


def wait_for_heat(page: Any) -> None:
    page.wait_for_selector("#heat-words:not(:empty)", state="attached")
    page.wait_for_selector("#busy", state="hidden")


def stage(page: Any) -> str:
    return str(page.evaluate("document.getElementById('stage').toDataURL()"))


def test_a_picture_its_answer_and_its_heat(chromium: Any, service: str, run: Path) -> None:
    (own,) = Predictor.load(run / "weights" / "best.safetensors").predict([("picture", png())])
    with opened(chromium, service) as page:
        assert page.is_disabled("#method")
        give(page)
        page.wait_for_selector(".said .label")
        assert page.inner_text(".said p.label").split()[0] == own.label == page.input_value("#class")
        shown = {row.split("\n")[0]: row.split("\n")[-1] for row in page.locator(".bars li").all_inner_texts()}
        assert list(shown) == [label for label, _ in own.top(10)]
        assert shown[own.label] == f"{100 * own.probability:.1f} %"
        wait_for_heat(page)
        warm = stage(page)
        page.locator("#strength").fill("0")
        bare = stage(page)
        page.locator("#strength").fill("100")
        assert len({warm, bare, stage(page)}) == 3
        # another class has another map
        other = own.top(2)[1][0]
        words = page.inner_text("#heat-words")
        page.click(f".bars button[value='{other}']")
        page.wait_for_selector(f"#heat-words:has-text('“{other}”')")
        assert page.input_value("#class") == other and page.inner_text("#heat-words") != words
        page.select_option("#method", "integrated")
        page.wait_for_selector("#busy", state="hidden")
        assert "Taken at" not in page.inner_text("#heat-words")


def test_every_layer_and_any_channel_large(chromium: Any, service: str) -> None:
    with opened(chromium, service) as page:
        give(page)
        page.click("#tab-layers")
        page.wait_for_selector(".flow .tile canvas")
        names = page.locator(".flow h3").all_inner_texts()
        assert names[0] == "conv1" and names[-1] == "fc2"
        first = page.locator(".flow > li").first
        assert first.locator(".tile").count() == 8
        first.locator("button:has-text('All 32')").click()
        assert first.locator(".tile").count() == 32
        first.locator("button:has-text('Filters')").click()
        page.wait_for_selector(".flow > li:first-child button:has-text('Maps')")
        first.locator(".tile").nth(4).click()
        page.wait_for_selector("dialog.large img", timeout=60_000)
        assert page.inner_text("dialog.large h2") == "conv1, channel 4"
        assert page.locator("dialog.large figure").count() == 3
        page.click("dialog.large button:has-text('X-ray')")
        page.wait_for_selector(".written .unit")
        assert page.inner_text(".written .unit").startswith("conv1:4,")


def test_the_sum_behind_any_number(chromium: Any, service: str) -> None:
    with opened(chromium, service) as page:
        give(page)
        wait_for_heat(page)
        before = stage(page)
        page.click("#tab-xray")
        page.wait_for_selector(".written .good")
        assert stage(page) != before
        canvas = page.locator("canvas.map")
        box = canvas.bounding_box()
        page.mouse.move(box["x"] + box["width"] * 2.5 / 8, box["y"] + box["height"] * 3.5 / 8)
        page.wait_for_selector(".written .unit:has-text(',3,2 =')")
        lit = stage(page)
        canvas.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_selector(".written .unit:has-text(',3,3 =')")
        assert stage(page) != lit
        # the products that are shown, and the bias, come to the number
        grids = page.locator(".product .number").all_inner_texts()
        total = page.locator(".total .number").all_inner_texts()
        bias, result = (float(text.split("\n")[0].replace("−", "-")) for text in total[-2:])
        assert len(grids) == 1
        assert float(grids[0].split("\n")[0].replace("−", "-")) + bias == pytest.approx(result, rel=2e-3, abs=2e-3)
        # every layer can be looked through, and says the network's own number
        for layer in page.locator("#xray select option").evaluate_all("all => all.map((one) => one.value)"):
            page.select_option("#xray select", layer)
            page.wait_for_selector(f".written .unit:has-text('{layer}:')")
            assert page.locator(".written .bad").count() == 0, layer
        # on to what reads it
        page.select_option("#xray select", "conv1")
        page.wait_for_selector(".written .unit:has-text('conv1:')")
        page.click(".next button")
        page.wait_for_selector(".written .unit:has-text('relu1:')")
        page.click("#tab-answer")
        assert stage(page) == before


def test_the_playground_computes_as_torch_does(chromium: Any, service: str) -> None:
    random = np.random.default_rng(0)
    with opened(chromium, service) as page:
        for _ in range(60):
            side, kernel = random.integers(1, 9, 2), int(random.integers(1, 5))
            how = {
                "padding": int(random.integers(0, 4)),
                "stride": int(random.integers(1, 4)),
                "dilation": int(random.integers(1, 4)),
                "edges": str(random.choice(["zeros", "reflect", "replicate", "circular"])),
                "mode": str(random.choice(["correlation", "flipped", "transposed"])),
            }
            x, w = random.integers(-5, 6, side).astype(float), random.integers(-3, 4, (kernel, kernel)).astype(float)
            given = [x.tolist(), w.tolist(), how]
            made = page.evaluate(
                "async ([x, w, how]) => (await import('/static/convolve.js')).convolve(x, w, how)", given
            )
            expected = by_torch(x, w, **how)
            if expected is None:
                assert made is None, how
            else:
                np.testing.assert_array_equal(np.array(made), expected, str(how))


def by_torch(
    x: np.ndarray, w: np.ndarray, *, padding: int, stride: int, dilation: int, edges: str, mode: str
) -> np.ndarray | None:
    image, kernel = torch.from_numpy(x)[None, None], torch.from_numpy(w.copy())[None, None]
    reach = dilation * (len(w) - 1) + 1
    if mode == "transposed":
        if min((side - 1) * stride - 2 * padding + reach for side in x.shape) < 1:
            return None
        found = F.conv_transpose2d(image, kernel, stride=stride, padding=padding, dilation=dilation)
    else:
        if min(side + 2 * padding - reach for side in x.shape) < 0:
            return None
        if mode == "flipped":
            kernel = kernel.flip(2, 3)
        style = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[edges]
        # NumPy's goes on beyond what torch allows
        padded = torch.from_numpy(np.pad(x, padding, style))[None, None]  # type: ignore[call-overload]
        found = F.conv2d(padded, kernel, stride=stride, dilation=dilation)
    made: np.ndarray = found[0, 0].numpy()
    return made


def test_the_playground_is_stepped_edited_and_unrolled(chromium: Any, service: str) -> None:
    with opened(chromium, service) as page:
        page.click("#tab-convolution")
        output = page.locator(".boards .spot").nth(2)
        assert output.inner_text().split() == ["Output", "3", "×", "3", "4"]
        page.click("button:has-text('Step')")
        assert "step 2 of 9: row 0, column 1" in page.inner_text("#convolution")
        page.click("button:has-text('Whole')")
        before = output.inner_text()
        page.fill("[data-at='0,0'] >> nth=0", "7")
        page.keyboard.press("Tab")
        assert output.inner_text() != before
        # the number in the middle of the kernel; what it was is an own kernel now
        page.locator(".boards .spot").nth(1).locator("[data-at='1,1']").fill("5")
        page.keyboard.press("Tab")
        assert page.input_value("label:has-text('Kernel') select") == "own"
        columns = page.locator(".columns")
        assert "9 × 9" in columns.inner_text() and columns.locator("tr").count() == 11
        page.select_option("label:has-text('Stride') select", "3")
        assert "Output 1 × 1" in output.inner_text()
        page.select_option("label:has-text('Size') select", "5")
        page.select_option("label:has-text('Dilation') select", "2")
        assert page.locator(".boards .trouble").count() == 1
        page.select_option("label:has-text('Mode') select", "transposed")
        assert page.locator(".boards .trouble").count() == 0
        page.select_option("label:has-text('Input') select", "stamp")
        page.click("button:has-text('Play')")
        page.wait_for_selector("text=/step ([4-9]|1[0-9]) of/")
        page.click("button:has-text('Pause')")


def test_the_report_is_in_a_frame_of_its_own(chromium: Any, service: str) -> None:
    with opened(chromium, service) as page:
        page.click("#tab-run")
        frame = page.frame_locator("iframe.report")
        frame.locator("h1").wait_for(timeout=60_000)
        assert "Report" in frame.locator("h1").inner_text()
        page.click("#lang")
        frame.locator("h1:has-text('보고서')").wait_for(timeout=60_000)


def test_bad_files_are_told_and_what_was_there_stays(chromium: Any, service: str) -> None:
    with opened(chromium, service, expected=("415", "422", "413")) as page:
        give(page)
        page.wait_for_selector(".said .label")
        for data, code in ((b"no picture at all", "D103"), (png()[:60], "D102")):
            give(page, data)
            page.wait_for_selector(f"#trouble:has-text('{code}')")
            assert "What helps: " in page.inner_text("#trouble")
            assert page.is_visible(".said .label") and page.is_hidden("#busy")
        give(page, png(1))
        page.wait_for_selector("#trouble", state="hidden")


def test_pictures_are_dropped_pasted_and_taken_from_the_samples(chromium: Any, service: str) -> None:
    put = """([kind, bytes, target]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "a.png", { type: "image/png" }));
        const given = kind === "paste" ? { clipboardData: data } : { dataTransfer: data };
        const event = kind === "paste" ? new ClipboardEvent(kind, { ...given, bubbles: true })
                                       : new DragEvent(kind, { ...given, bubbles: true, cancelable: true });
        document.querySelector(target).dispatchEvent(event);
    }"""
    with opened(chromium, service) as page:
        page.evaluate(put, ["drop", list(png(2)), "#drop"])
        page.wait_for_selector(".said .label")
        first = stage(page)
        page.evaluate(put, ["paste", list(png(3)), "body"])
        page.wait_for_selector("#busy", state="hidden")
        wait_for_heat(page)
        assert stage(page) != first
        assert page.locator("#samples .tile").count() == 10
        page.click("#samples .tile >> nth=6")
        page.wait_for_selector("text=Its label is “6”:")


def test_a_slow_network(chromium: Any, service: str) -> None:
    with opened(chromium, service) as page:
        waiting: list[Any] = []
        page.route("**/page/pictures", lambda route: waiting.append(route))
        give(page)
        page.wait_for_selector("#busy", state="visible")
        # of two pictures the later one counts, whenever the first comes
        sample = page.locator("#samples .tile").nth(7)
        page.unroute("**/page/pictures")
        sample.click()
        page.wait_for_selector("text=Its label is “7”:")
        wait_for_heat(page)
        with contextlib.suppress(playwright.Error):
            waiting[0].continue_()
        page.wait_for_timeout(200)
        assert "Its label is “7”:" in page.inner_text("#answer")


def test_with_a_token_everything_is_there_once_it_is_given(chromium: Any, run: Path) -> None:
    token = "0123456789abcdef"
    with serving(run, DOJANG_TOKEN=token) as (address, _), opened(chromium, address, ("401",), "#token[open]") as page:
        page.fill("#token input", token)
        page.click("#token button.primary")
        page.wait_for_selector("body[data-ready]")
        give(page)
        page.wait_for_selector(".said .label")
        page.click("#tab-run")
        frame = page.frame_locator("iframe.report")
        frame.locator("h1").wait_for(timeout=60_000)
        # a ticket is good for once: in the other language it takes another
        page.click("#lang")
        frame.locator("h1:has-text('보고서')").wait_for(timeout=60_000)


def test_a_service_that_has_ended_and_one_that_forgot(chromium: Any, run: Path) -> None:
    expected = ("ERR_CONNECTION_REFUSED", "Failed to load", "Failed to fetch", "404")
    with serving(run) as (address, process), opened(chromium, address, expected) as page:
        give(page)
        wait_for_heat(page)
        # the page's picture is pushed out by others
        for seed in range(33):
            page.request.post(f"{address}/page/pictures", data=png(seed), headers={"content-type": "image/png"})
        page.select_option("#method", "layercam")
        page.wait_for_selector("#trouble", state="hidden")
        wait_for_heat(page)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        page.select_option("#method", "gradcam")
        page.wait_for_selector("#offline:has-text('does not answer')")


@pytest.mark.parametrize(("language", "scheme", "width"), [("en-US", "light", 390), ("ko-KR", "dark", 360)])
def test_small_screens(chromium: Any, service: str, language: str, scheme: str, width: int) -> None:
    size = {"width": width, "height": 740}
    with opened(chromium, service, viewport=size, locale=language, color_scheme=scheme, has_touch=True) as page:
        assert page.evaluate("document.documentElement.lang") == language[:2]
        give(page)
        wait_for_heat(page)
        assert page.locator("#said").bounding_box()["y"] < 740
        for tab in TABS:
            page.click(f"#tab-{tab}")
            page.wait_for_selector(f"#{tab} > *")
            page.wait_for_timeout(300)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
        back = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", back))) < 200) is (scheme == "dark")


def test_by_keyboard_and_by_name(chromium: Any, service: str) -> None:
    with opened(chromium, service) as page:
        give(page)
        wait_for_heat(page)
        page.focus("#tab-answer")
        for tab in (*TABS[1:], TABS[0]):
            page.keyboard.press("ArrowRight")
            assert page.get_attribute(f"#tab-{tab}", "aria-selected") == "true"
            assert page.evaluate("document.activeElement.id") == f"tab-{tab}"
            assert page.locator("[role=tabpanel]:visible").count() == 1
            page.wait_for_selector(f"#{tab} > *")
            page.wait_for_timeout(300)
            # whatever can be reached has a name that can be read out
            nameless = page.evaluate(
                """() => [...document.querySelectorAll("button, input, select, canvas[tabindex], [role=img], iframe")]
                    .filter((one) => one.checkVisibility() && !(one.getAttribute("aria-label") || one.title
                        || one.getAttribute("aria-labelledby") || one.textContent.trim() || one.labels?.length
                        && [...one.labels].some((label) => label.textContent.trim())))
                    .map((one) => one.outerHTML.slice(0, 120))"""
            )
            assert nameless == []
        page.keyboard.press("Home")
        assert page.get_attribute("#stage", "aria-label").startswith("Picture: ")
        page.click("#theme")
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
        page.click("#theme")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.reload()
        page.wait_for_selector("body[data-ready]")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
