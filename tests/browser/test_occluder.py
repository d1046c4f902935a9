"""Occluder in a browser: the hand, the keys, what Python says of the same place, and a saved page."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from cnnviz import Occluder, load
from cnnviz.models import bundled
from tests.browser.kernel_view import WidgetView
from tests.browser.lab import LabPage

SHOW = """from cnnviz import Occluder, load
from cnnviz.models import bundled
w = Occluder(bundled.load("lenet5-digits"), load("digits").test_x[[76, 145]], sizes=[6, 9], size=6)
w"""
SLOW = """import time
from torch import nn
class Slow(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
    def forward(self, x):
        time.sleep(0.5)
        return self.net(x)
w = Occluder(Slow(bundled.load("lenet5-digits")), load("digits").test_x[[76, 145]], sizes=[6, 9], size=6)
w"""
MAP = "root => root.querySelector('.oc-map').toDataURL()"


def drag(page: Page, root: Locator, *places: tuple[int, int]) -> None:
    """Take the square at the first place, lead it over the others and let it go."""
    root.locator(".oc-covered").scroll_into_view_if_needed()
    for number, place in enumerate(places):
        at = root.evaluate("(root, place) => root.locate(...place)", list(place))
        page.mouse.move(at["x"], at["y"], steps=8 if number else 1)
        if number == 0:
            page.mouse.down()
    page.mouse.up()


def agrees(root: Locator, probabilities: list[float]) -> None:
    """The bars say what Python says, in whole percents."""
    for name, share in enumerate(probabilities):
        text = ">99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"
        expect(root.locator(f"output[data-for='{name}']")).to_have_text(text)


def says(lab: LabPage) -> list[float]:
    return eval(lab.ask("print(w.probabilities.tolist())"))


def test_the_bars_follow_the_hand_and_python_hears_where_it_is(lab: LabPage) -> None:
    root = lab.run_cell(SHOW).locator(".cnnviz-oc")
    expect(root.locator(".oc-said strong")).to_have_text("9")
    expect(root.locator(".oc-progress")).to_be_hidden()  # all places are there
    blank = root.evaluate(MAP)
    drag(lab.page, root, (0, 0), (9, 10), (9, 16))
    lab.wait_python("w.position == (9, 16)")
    expect(root.locator(".oc-said strong")).to_have_text("5")  # without its upper right stroke
    expect(root.locator(".oc-lowest")).to_contain_text("0 % left of 9")
    agrees(root, says(lab))
    assert root.evaluate(MAP) != blank  # the trail

    before = lab.active_cell()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        lab.page.keyboard.press(key)
    lab.wait_python("w.position == (11, 17)")
    agrees(root, says(lab))
    assert lab.active_cell() == before

    root.locator(".oc-thumb").nth(1).click()
    WidgetView(root).move("size", 1)
    lab.wait_python("(w.picture, w.size, w.place) == (1, 9, (11, 17))")
    agrees(root, says(lab))
    expect(root.locator(".oc-lowest")).to_have_text("")  # nothing visited yet, with this square
    root.locator("[data-action=reveal]").click()
    lab.wait_python("w.revealed")
    expect(root.locator(".oc-lowest")).to_contain_text("lowest of all")
    row, column = re.findall(r"\d+", root.locator(".oc-lowest").text_content())[-2:]
    lab.wait_python(f"w.heat[{row}, {column}] - w.heat.min() < 2e-5")  # the page knows 16 bits of each

    lab.ask("w.position = (20, 2)")
    expect(root.locator(".sk-description")).to_contain_text("row 20, column 2")
    agrees(root, says(lab))
    root.locator("[data-action=undo]").click()
    lab.wait_python("not w.revealed")
    root.locator("[data-action=reset]").click()
    lab.wait_python("(w.picture, w.size, w.position) == (0, 6, (0, 0))")


def place_of(root: Locator, part: str) -> dict[str, float]:
    return root.locator(part).evaluate("part => part.getBoundingClientRect().toJSON()")


@pytest.mark.parametrize("width", [1280, 800])
def test_the_words_stand_beside_the_map_or_under_it_and_nothing_moves_when_all_is_computed(
    lab: LabPage, width: int
) -> None:
    root = lab.run_cell(SHOW.rpartition("w =")[0] + SLOW.replace("0.5", "0.2")).locator(".cnnviz-oc")
    lab.page.set_viewport_size({"width": width, "height": 900})
    lab.command("application:toggle-left-area")
    try:
        expect(root.locator(".oc-progress")).to_be_visible()
        lab.page.wait_for_timeout(300)
        before = [place_of(root, part) for part in (".oc-covered", ".oc-map", ".oc-bar >> nth=0")]
        covered, drawn, words = (place_of(root, part) for part in (".oc-covered", ".oc-map", ".oc-map-text"))
        if width == 800:  # the map has no room beside the bars
            assert (words["left"] > drawn["right"], words["top"]) == (True, drawn["top"])
        else:
            assert (words["left"], drawn["top"]) == (drawn["left"], covered["top"])
        expect(root.locator(".oc-progress")).to_be_hidden(timeout=120_000)
        assert [place_of(root, part) for part in (".oc-covered", ".oc-map", ".oc-bar >> nth=0")] == before
    finally:
        lab.command("application:toggle-left-area")
        lab.page.set_viewport_size({"width": 1280, "height": 900})


def test_it_shows_at_once_follows_the_hand_on_few_places_and_the_kernel_stays_free(lab: LabPage) -> None:
    root = lab.run_cell(SHOW.rpartition("w =")[0] + SLOW).locator(".cnnviz-oc")
    expect(root.locator(".oc-said strong")).to_have_text("9")
    progress = root.locator(".oc-progress")
    expect(progress).to_contain_text("computing the other places")
    lab.wait_python("w._fixed['pictures'][0]['extents'][0] == [7, 7]")  # few places, while the others are computed
    drag(lab.page, root, (0, 0), (8, 16))
    lab.wait_python("w.position == (8, 16)")
    expect(progress).to_be_visible()
    expect(root.locator(".oc-lowest")).to_contain_text("at row 8, column 16")
    expect(progress).to_be_hidden(timeout=120_000)
    expect(root.locator(".oc-lowest")).to_contain_text("at row 8, column 16")  # the trail has come along
    lab.page.keyboard.press("ArrowDown")  # now each row is a place
    lab.wait_python("w.position == (9, 16)")
    agrees(root, says(lab))


@pytest.mark.parametrize("width", [400, 1000])
def test_a_saved_page_answers_by_itself(page: Page, tmp_path: Path, width: int) -> None:
    nine = Occluder(bundled.load("lenet5-digits"), load("digits").test_x[76], sizes=[6])
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(nine.save(tmp_path / "nine.html").as_uri())
    root = page.locator(".cnnviz-oc")
    expect(root.locator(".oc-said strong")).to_have_text("9")  # painted
    drag(page, root, (0, 0), (40, 40), (12, 12))  # over the edge and back
    nine.position = (12, 12)
    expect(root.locator(".sk-description")).to_contain_text("row 12, column 12")
    agrees(root, nine.probabilities.tolist())
    expect(root.locator(".oc-size")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert errors == []
