"""MacOdometer in a browser: its clock, its sliders and keys, its saved page."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from cnnviz.widgets.odometer import MacOdometer
from tests.browser.kernel_view import WidgetView
from tests.browser.lab import LabPage

# What was shown when, after every frame that painted another count: [ms, multiply-adds].
WATCH = """root => {
  root.seen = [];
  const count = root.querySelector("output[data-for=progress]");
  root.addEventListener("cnnviz-painted", () => {
    const now = Number(count.textContent.replaceAll(",", ""));
    if (root.seen.at(-1)?.[1] !== now) root.seen.push([performance.now(), now]);
  });
}"""

PICTURE = "root => root.querySelector('canvas').toDataURL()"


def shown(lab: LabPage, arguments: str = "") -> Locator:
    cell = lab.run_cell(f"from cnnviz.widgets.odometer import MacOdometer\nw = MacOdometer({arguments})\nw")
    root = cell.locator(".cnnviz-od")
    root.wait_for()
    expect(root.locator(".od-facts")).to_contain_text("depthwise + pointwise: 1/")
    return root


def agrees(lab: LabPage, root: Locator) -> None:
    """Python and the page count the same, and the page says so in each lane."""
    done, costs = (eval(lab.ask(f"print({ask})")) for ask in ("w.done", "{n: c.macs for n, c in w.costs.items()}"))
    for name, macs in costs.items():
        expect(root.locator(f".od-row[data-lane='{name}'] output")).to_have_text(f"{done[name]:,}")
        expect(root.locator(f".od-lane[data-lane='{name}'] .od-sum")).to_have_text(re.compile(rf"\b{macs:,} MACs$"))
    line = lab.ask("print(repr(w).splitlines()[-1])")
    expect(root.locator(".od-facts")).to_have_text(line)


def test_it_plays_to_the_end_and_python_hears_of_it(lab: LabPage) -> None:
    root = shown(lab, "seconds=1")
    play = root.locator("[data-action=play]")
    expect(root.locator(".od-over")).to_have_count(0)
    play.click()
    expect(root.locator(".od-over")).to_have_count(8, timeout=20_000)  # a bar and a column each
    expect(play).to_have_text("Play")
    lab.wait_python("w.progress == 1 and not w.playing")
    agrees(lab, root)
    play.click()  # from the start once more, and Python stops it on the way
    lab.wait_python("0 < w.progress < 1")
    lab.ask("w.set(playing=False, progress=0.2)")
    expect(root.locator(".od-over")).to_have_count(2)
    agrees(lab, root)
    root.locator("[data-action=rewind]").click()
    lab.wait_python("w.progress == 0")


def test_two_views_tick_once(lab: LabPage) -> None:
    root = shown(lab, "seconds=3")
    other = lab.run_cell("w").locator(".cnnviz-od")
    other.wait_for()
    other.evaluate(WATCH)
    other.locator("[data-action=play]").click()
    expect(other.locator(".od-over")).to_have_count(8, timeout=30_000)
    seen = other.evaluate("root => root.seen")
    for (start, before), (end, after) in pairwise(seen[:: max(1, len(seen) // 4)]):
        assert (after - before) / (end - start) < 1.3 * 73_728 / 3000  # it may fall behind, but never hurry
    expect(root.locator(".od-row output").first).to_have_text("73,728")


def test_sliders_count_as_python_does_and_lead_only_to_what_can_be(lab: LabPage) -> None:
    root = shown(lab, "progress=0.3")
    view = WidgetView(root)
    agrees(lab, root)
    root.locator("input[data-name=groups]").press("ArrowRight")
    lab.wait_python("w.groups == 8")
    agrees(lab, root)
    for name, key, value in (
        ("in_channels", "ArrowRight", 16),
        ("filters", "ArrowRight", 24),
        ("kernel_size", "End", 11),
        ("map_size", "Home", 1),
        ("groups", "Home", 1),
        ("in_channels", "Home", 1),
    ):
        root.locator(f"input[data-name={name}]").press(key)
        lab.wait_python(f"w.{name} == {value}")
        agrees(lab, root)
    expect(root.locator("input[data-name=groups]")).to_be_disabled()
    view.drag("progress", 1000)
    lab.wait_python("w.progress == 1")
    agrees(lab, root)
    for _ in range(7):
        root.locator("[data-action=undo]").click()
    lab.wait_python("(w.in_channels, w.filters, w.kernel_size, w.map_size, w.groups) == (8, 16, 3, 8, 4)")
    expect(root.locator("[data-action=undo]")).to_be_disabled()
    root.locator("[data-action=reset]").click()
    lab.wait_python("w.progress == 0.3")
    speed = root.locator("output[data-for=seconds]")
    expect(speed).to_have_text("6,144 MACs/s")
    root.locator("input[data-name=seconds]").press("ArrowRight")
    expect(speed).to_have_text("8,192 MACs/s")
    lab.wait_python("w.speed == 8192")


def test_keys_play_and_step_and_lab_does_not_hear_them(lab: LabPage) -> None:
    root = shown(lab)
    cell = lab.active_cell()
    root.focus()
    for key, progress in (("ArrowRight", 0.01), ("End", 1), ("ArrowLeft", 0.99), ("Home", 0)):
        root.page.keyboard.press(key)
        lab.wait_python(f"w.progress == {progress}")
    root.page.keyboard.press("Space")
    lab.wait_python("w.playing and w.progress > 0")
    root.page.keyboard.press("Space")
    lab.wait_python("not w.playing")
    assert lab.active_cell() == cell


def test_what_cannot_be_is_said_and_the_last_picture_stays(lab: LabPage) -> None:
    root = shown(lab, "progress=0.3")
    message, sums = root.locator(".sk-message"), root.locator(".od-sum")
    before = sums.all_text_contents()
    lab.ask("try: w.set(groups=3, filters=32)\nexcept ValueError as error: print(error)\nelse: raise SystemExit")
    assert sums.all_text_contents() == before
    lab.ask("s = ipywidgets.IntSlider(4, 1, 9)\nlink = ipywidgets.jslink((w, 'groups'), (s, 'value'))")
    handle = lab.run_cell("s").locator(".noUi-handle")
    handle.focus()
    handle.press("End")
    expect(message).to_have_text("groups 9 does not divide 8 in_channels and 16 filters: use 1, 2, 4 or 8")
    assert sums.all_text_contents() == before
    lab.wait_python("w.groups == 4")  # Python refused it too
    handle.press("Home")
    lab.wait_python("w.groups == 1")
    expect(message).to_be_hidden()
    agrees(lab, root)


@pytest.mark.parametrize("theme", ["Light", "Dark"])
@pytest.mark.parametrize("width", [600, 1200])
def test_it_fits_its_room_in_both_themes(lab: LabPage, theme: str, width: int) -> None:
    lab.theme(theme)
    root = shown(lab, f"512, 512, 3, 14, 8, progress=0.05, layout={{'width': '{width}px'}}")
    assert root.evaluate("root => root.scrollWidth <= root.clientWidth")
    narrow = (
        "root => [...root.querySelectorAll('output, button, .od-sum')].filter(e => e.scrollWidth > e.clientWidth + 1)"
    )
    assert root.evaluate(f"root => ({narrow})(root).map(e => e.textContent)") == []
    lab.screenshot(f"odometer_{theme}_{width}")
    before = root.evaluate(PICTURE)
    lab.theme("Light" if theme == "Dark" else "Dark")
    root.page.wait_for_function(f"([root, old]) => ({PICTURE})(root) !== old", arg=[root.element_handle(), before])
    lab.theme("Light")


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_its_page_plays_without_a_kernel_and_in_few_steps_for_who_asks_for_less_motion(
    page: Page, tmp_path: Path, motion: str
) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.context.set_offline(True)
    page.emulate_media(reduced_motion=motion)
    page.goto(MacOdometer(seconds=2).save(tmp_path / "x.html").as_uri())
    root = page.locator(".cnnviz-od")
    root.evaluate(WATCH)
    root.locator("[data-action=play]").click()
    expect(root.locator(".od-over")).to_have_count(8, timeout=30_000)
    steps = len(root.evaluate("root => root.seen"))
    assert steps <= 6 if motion == "reduce" else steps >= 20
    root.locator("input[data-name=groups]").press("Home")
    expect(root.locator(".od-lane[data-lane=grouped] .od-sum")).to_have_text("73,728 MACs")
    assert errors == []
