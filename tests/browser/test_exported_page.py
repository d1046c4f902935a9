"""The page that `save("x.html")` writes: opened from a file, without a kernel, with the network cut off."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from cnnviz import History, LivePlot, MacOdometer, NetworkBuilder, SlidingKernel
from cnnviz.history import Record, Step
from tests.browser.kernel_view import KernelView
from tests.browser.lab import ARTIFACTS
from tests.browser.test_look import CONTRAST, DRAWN_TEXTS


class Offline:
    """A page that may read files and nothing else; keeps what it tried, and its errors."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []
        self.errors: list[str] = []
        page.context.set_offline(True)
        page.route("**/*", self._decide)
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _decide(self, route) -> None:
        if route.request.url.startswith("file:"):
            route.continue_()
        else:
            self.asked.append(route.request.url)
            route.abort()

    def open(self, path: Path, fragment: str = "") -> KernelView:
        self.page.goto("about:blank")
        self.page.goto(path.as_uri() + (f"#{fragment}" if fragment else ""))
        return KernelView(self.page.locator(".cnnviz-sk"))


@pytest.fixture
def offline(page: Page):
    offline = Offline(page)
    yield offline
    assert offline.asked == []
    assert offline.errors == []


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    path = tmp_path / "a page.html"
    SlidingKernel(padding=1).save(path)
    return path


def test_its_sliders_are_alive(offline: Offline, exported: Path) -> None:
    view = offline.open(exported)
    assert view.layer() == "conv 1x5x5 -> 1x5x5"
    view.drag("kernel_size", 2)
    assert view.layer() == "conv 1x5x5 -> 1x6x6"
    view.choose("op", "max_pool")
    assert view.layer().startswith("max_pool")
    view.edit("input", 1, 1, "8")
    assert 8 in view.output()
    view.type_in("code", "nn.Conv2d(1, 1, 3)")
    assert view.layer() == "conv 1x5x5 -> 1x3x3"
    view.type_in("code", "nn.Conv2d(1, 1, 30)")
    assert view.is_red()
    view.press("undo")
    view.press("play")
    offline.page.wait_for_timeout(1200)
    assert view.value("position") >= 1
    offline.page.screenshot(path=ARTIFACTS / "exported.png")
    assert view.root.get_attribute("class").find("sk-stale") < 0


def test_its_numbers_are_pythons(offline: Offline, exported: Path) -> None:
    view = offline.open(exported)
    assert view.output().tolist() == SlidingKernel(padding=1).output[0].tolist()


def test_the_fragment_opens_a_state(offline: Offline, exported: Path) -> None:
    state = SlidingKernel(stride=2, kernel_size=1).state
    view = offline.open(exported, state)
    assert view.layer() == "conv 1x5x5 -> 1x3x3"
    assert view.code() == "nn.Conv2d(1, 1, kernel_size=1, stride=2)"


def test_a_broken_fragment_is_a_message(offline: Offline, exported: Path) -> None:
    state = SlidingKernel(stride=2, kernel_size=1).state
    view = offline.open(exported, state[:-4])
    assert view.wait_message("")
    assert view.is_red()
    assert view.layer() == "conv 1x5x5 -> 1x5x5"


def test_a_photograph_travels_in_the_page(offline: Offline, tmp_path: Path) -> None:
    widget = SlidingKernel("china", kernel_name="sobel_x", kernel_size=3)
    widget.save(tmp_path / "photo.html")
    view = offline.open(tmp_path / "photo.html")
    assert view.layer() == f"conv {'x'.join(map(str, widget.input.shape))} -> {'x'.join(map(str, widget.output.shape))}"
    before = view.picture()
    view.drag("angle", 90)
    assert view.picture() != before


def test_markup_in_the_page_stays_text(offline: Offline, tmp_path: Path) -> None:
    widget = SlidingKernel()
    markup = "</script><img src='data:,' onerror='window.broken = 1'>"
    widget.states = {"1": markup}
    widget.save(tmp_path / "x.html")
    view = offline.open(tmp_path / "x.html")
    view.root.focus()
    offline.page.keyboard.press("Digit1")
    assert view.is_red()
    assert offline.page.evaluate("() => window.broken") is None


def test_the_filter_time_machine_is_scrubbed_in_a_saved_page(offline: Offline, tmp_path: Path) -> None:
    history = History()
    for epoch in range(4):
        shot = {"filters": np.full((2, 1, 3, 3), epoch - 1.5), "maps": np.eye(5)[None] * epoch}
        history.snapshots.append((epoch, shot))
        if epoch:
            history.add_epoch(Record(epoch, 2 / epoch, 0.2 * epoch, 2 / epoch, 0.2 * epoch, 0.1, epoch))
    page = offline.page
    page.goto(LivePlot(history).save(tmp_path / "run.html").as_uri())
    seen = {}
    for epoch in (3, 0, 1):  # at epoch 0 the filters are below zero, at the end above
        page.locator("[data-name='back']").fill(str(epoch))
        expect(page.locator(".lp-shots")).to_have_attribute(
            "aria-label", f"filters of the first layer and their maps at epoch {epoch}"
        )
        pixel = "canvas => Array.from(canvas.getContext('2d').getImageData(40, 40, 1, 1).data)"
        seen[epoch] = page.locator(".lp-shots").evaluate(pixel)
    assert seen[3][0] > seen[3][2]  # orange
    assert seen[0][2] > seen[0][0]  # blue
    assert seen[0][2] - seen[0][0] > seen[1][2] - seen[1][0] > 0  # paler: one scale for all epochs
    expect(page.locator("[data-action='replay']")).to_be_visible()
    expect(page.locator("[data-action='pause']")).to_be_hidden()


def run_of_a_page() -> LivePlot:
    history = History()
    history.snapshots.append((0, {"filters": np.ones((6, 1, 5, 5)), "maps": np.ones((6, 28, 28))}))
    for step in range(4):
        history.add_step(Step(step, step // 2, 2 / (step + 1), 0.2 * step, 0.1, step, 64), {"features.0": 0.1 + step})
    for epoch in (1, 2):
        history.add_epoch(Record(epoch, 2 / epoch, 0.2 * epoch, 2 / epoch, 0.2 * epoch, 0.1, epoch))
    return LivePlot(history)


PAGES = {
    "kernel": SlidingKernel, "channels": lambda: SlidingKernel(level=3, in_channels=3, filters=4),
    "photo": lambda: SlidingKernel("china", kernel="sobel_y"), "odometer": MacOdometer,
    "builder": lambda: NetworkBuilder("lenet5"), "run": run_of_a_page,
}  # fmt: skip


@pytest.mark.parametrize("name", PAGES)
def test_it_fits_a_telephone(name: str, offline: Offline, tmp_path: Path) -> None:
    offline.page.set_viewport_size({"width": 390, "height": 844})
    offline.page.goto(PAGES[name]().save(tmp_path / "page.html").as_uri())
    root = offline.page.locator(".cnnviz-sk")
    root.locator("button:visible").first.wait_for()
    offline.page.wait_for_timeout(300)
    assert offline.page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert [one["text"] for one in root.evaluate(DRAWN_TEXTS) if not one["inside"]] == []


def test_a_photograph_is_worth_looking_at_on_a_telephone(offline: Offline, tmp_path: Path) -> None:
    offline.page.set_viewport_size({"width": 390, "height": 844})
    view = offline.open(PAGES["photo"]().save(tmp_path / "page.html"))
    width = view.root.evaluate("root => root.locate('input', 0, 255).x - root.locate('input', 0, 0).x")
    assert width > 140  # of 332, beside an output of the same size
    (left, top), (kernel_left, kernel_top) = view.point("input", 170, 0), view.point("kernel", 0, 0)
    assert kernel_top > top
    assert kernel_left < left + width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_readers_colour_scheme(scheme: str, offline: Offline, exported: Path) -> None:
    offline.page.emulate_media(color_scheme=scheme)
    view = offline.open(exported)
    assert view.root.evaluate(CONTRAST) == []
    box = "root => getComputedStyle(root.querySelector('input[type=checkbox]')).colorScheme"
    assert view.root.evaluate(box) == ("dark" if scheme == "dark" else "normal")
