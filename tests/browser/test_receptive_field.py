"""ReceptiveField in a browser: its geometry held to Python's, and a hand on its units and sliders."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

import cnnviz.widgets
from cnnviz.widgets.receptive_field.stack import boxes, maps, read_stack, ways, words
from tests.browser.lab import LabPage
from tests.test_receptive_field_widget import cases

WIDGETS = Path(cnnviz.widgets.__file__).parent
ORIGIN = "http://modules.test"  # never looked up: every request is answered from disk
FIELDS = """async text => {
  const { reachBack, slidingWords, walkStack } = await import("/receptive_field/fields.js");
  return JSON.stringify(JSON.parse(text).map(([stack, size, unit]) => {
    const walk = walkStack(stack, size);
    const found = reachBack(walk, unit).map(({ box, rows, cols }) => [box, [...rows], [...cols]]);
    return { maps: walk.maps, found, words: stack.map(slidingWords) };
  }));
}"""


def walked(page: Page, some: list, mistake: tuple[str, str] = ("", "")) -> list[dict]:
    """Ask the view's module about many stacks; ``mistake`` is put into its text on purpose."""

    def answer(route):
        name = route.request.url.removeprefix(f"{ORIGIN}/")
        text = (WIDGETS / name).read_text(encoding="utf-8") if name else "<!doctype html><title>modules</title>"
        if mistake[0] and name.endswith("fields.js"):
            assert mistake[0] in text
            text = text.replace(*mistake)
        route.fulfill(body=text, content_type="text/javascript; charset=utf-8" if name else "text/html")

    page.route(f"{ORIGIN}/**", answer)
    page.goto(ORIGIN)
    return json.loads(page.evaluate(FIELDS, json.dumps(some)))


def plain(some: list) -> list:
    return [([dict(layer) for layer in read_stack(layers)], size, unit) for layers, size, unit in some]


def disagreements(some: list, answers: list[dict]) -> int:
    """How many stacks the browser walks otherwise than Python."""
    wrong = 0
    for (layers, size, unit), answer in zip(some, answers, strict=True):
        stack = read_stack(layers)
        sizes = maps(stack, size)
        reached = zip(boxes(stack, unit), ways(stack, sizes, unit), strict=True)
        expected = [[list(box), rows.tolist(), cols.tolist()] for box, (rows, cols) in reached]
        texts = [words(layer).replace("x", "×").replace("ma×", "max") for layer in stack]
        told = {"maps": [list(one) for one in sizes], "found": expected, "words": texts}
        wrong += told != answer
    return wrong


def test_the_browser_walks_back_as_python_does(page: Page) -> None:
    some = cases(300)
    assert disagreements(some, walked(page, plain(some))) == 0


@pytest.mark.parametrize(
    "mistake", [("first * stride - before,", "first * stride,"), ("at / kernel", "at / (kernel + 1)")]
)
def test_a_mistake_in_the_browser_is_noticed(page: Page, mistake: tuple[str, str]) -> None:
    some = cases(60)
    assert disagreements(some, walked(page, plain(some), mistake)) > 5


def shown(lab: LabPage, arguments: str = "") -> Locator:
    cell = lab.run_cell(
        f"from cnnviz.widgets.receptive_field import ReceptiveField\nw = ReceptiveField({arguments})\nw"
    )
    root = cell.locator(".cnnviz-rf")
    root.wait_for()
    expect(root.locator(".rf-facts").first).to_contain_text("sees")
    return root


def point(root: Locator, *place: int) -> tuple[float, float]:
    root.locator("canvas").nth(place[0]).scroll_into_view_if_needed()
    at = root.evaluate("(root, place) => root.locate(...place)", list(place))
    return at["x"], at["y"]


def test_a_unit_is_pointed_at_clicked_and_moved_by_keys(lab: LabPage) -> None:
    root = shown(lab)
    status, description = root.locator(".rf-status"), root.locator(".sk-description")
    expect(description).to_contain_text("unit (4, 4) sees rows 4 to 8, columns 4 to 8")
    root.page.mouse.move(*point(root, 0, 2, 0, 9))
    expect(status).to_have_text("unit (0, 9) sees rows 0 to 4, columns 9 to 13")
    assert lab.ask("print(w.position)") == "None"
    root.page.mouse.click(*point(root, 1, 1, 0, 9))
    lab.wait_python("w.units == ((0, 9), (0, 9))")
    root.page.mouse.move(1, 1)
    root.focus()
    cell = lab.active_cell()
    for key in ("ArrowDown", "ArrowLeft", "ArrowRight", "ArrowRight", "ArrowRight"):
        root.page.keyboard.press(key)
    lab.wait_python("w.position == (1, 9)")
    assert lab.active_cell() == cell
    lab.ask("w.position = (9, 0)")
    expect(description).to_contain_text("unit (9, 0) sees rows 9 to 13, columns 0 to 4")


def test_sliders_change_the_layer_that_is_open_and_what_cannot_be_is_refused(lab: LabPage) -> None:
    root = shown(lab)
    facts, message = root.locator(".rf-facts").first, root.locator(".sk-message")
    heading = root.locator(".rf-editor strong")
    root.locator("[data-layer='1']").click()
    expect(heading).to_have_text("stack 1, layer 2: conv 3×3")
    root.locator("input[data-name=dilation]").press("ArrowRight")
    expect(facts).to_have_text("sees 7×7 pixels; the next unit looks 1 pixel further on")
    lab.wait_python("w.fields[0].size == (7, 7)")
    root.locator("[data-layer='0']").first.click()
    expect(heading).to_have_text("stack 1, layer 1: conv 3×3")  # and the sliders have that layer's bounds
    root.locator("input[data-name=kernel_size]").press("End")
    expect(message).to_contain_text("layer 1: kernel_size 3 with dilation 2 spans 5 rows, but the padded input has 4")
    expect(root.locator("input[data-name=kernel_size]")).to_have_value("3")
    root.locator("[data-action=add]").click()
    expect(message).to_be_hidden()
    expect(facts).to_contain_text("sees 9×9 pixels")
    for _ in range(2):
        root.locator("[data-action=undo]").click()
    expect(facts).to_contain_text("sees 5×5 pixels")
    root.locator("select[data-name=preset]").select_option("VGG-16")
    expect(facts).to_contain_text("sees 196×196 pixels; the next unit looks 16 pixels further on")
    lab.wait_python("len(w.stacks) == 1 and w.input_size == (224, 224)")
    lab.ask("import traitlets\ntry: w.stacks = []\nexcept traitlets.TraitError: pass")
    expect(root.locator("[data-layer]")).to_have_count(17)


def test_the_field_grows_back_and_gradients_are_measured(lab: LabPage) -> None:
    root = shown(lab, "'five 3x3 against one 11x11'")
    value = root.locator("output[data-for=back]")
    root.locator("[data-action=play]").click()
    expect(value).to_have_text(re.compile(r"\d of 5"))
    expect(value).to_have_text("all", timeout=15_000)
    expect(root.locator("[data-action=play]")).to_have_text("Grow")
    for number in (1, 2):
        root.locator("[data-action=measure]").click()
        expect(root.locator("[data-action=measure]")).to_have_text("Measure", timeout=60_000)
        lab.wait_python(f"w._pressed == {20 * number} and [e.side for e in w.effective] == [(9, 9), (11, 11)]")
    share = "95 % of the squared gradient of unit (4, 4) lies in the middle 9×9."
    expect(root.locator(".sk-description")).to_contain_text(share)
    root.locator("input[data-name=padding]").press("ArrowRight")
    expect(root.locator(".sk-description")).not_to_contain_text("in the middle 9×9")
    lab.wait_python("w.effective == (None, w.effective[1])")


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_it_fits_600_pixels_in_both_themes(lab: LabPage, theme: str) -> None:
    lab.theme(theme)
    root = shown(lab, "'five 3x3 against one 11x11', layout={'width': '600px'}")
    assert root.evaluate("root => root.scrollWidth <= root.clientWidth")
    lab.screenshot(f"receptive_field_{theme}")
    lab.theme("Light")
