"""The draw pad under a hand, in a real JupyterLab."""

import json
import re
from collections.abc import Sequence

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from cnnviz.widgets.draw_pad.picture import percent
from tests.browser.lab import LabPage, notebook_of

SEVEN = ((0.2, 0.15), (0.8, 0.15), (0.4, 0.9))
ONE = ((0.5, 0.1), (0.5, 0.9))
WHERE = "all => all.map(node => [node.offsetTop, node.offsetLeft, node.offsetHeight])"
SLOW = """import torch, time
class Slow(torch.nn.Flatten):
    def forward(self, x):
        time.sleep(0.4)
        return super().forward(x)[:, :10]
pad = DrawPad(Slow())
pad"""


def shown(lab: LabPage, arguments: str = "") -> Locator:
    return pad_in(lab.run_cell(f"from cnnviz import DrawPad\npad = DrawPad({arguments})\npad"))


def pad_in(cell: Locator) -> Locator:
    root = cell.locator(".cnnviz-dp").first
    root.locator(".dp-bar").first.wait_for()
    return root


def draw(root: Locator, stroke: Sequence[tuple[float, float]], steps: int = 5) -> None:
    paper, mouse = root.locator(".dp-paper"), root.page.mouse
    paper.scroll_into_view_if_needed()
    box = paper.bounding_box()
    (first, *rest) = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
    mouse.move(*first)
    mouse.down()
    for point in rest:
        mouse.move(*point, steps=steps)
    mouse.up()


def says(root: Locator, name: str) -> None:
    expect(root.locator(".dp-said strong")).to_have_text(name)


def blank(root: Locator) -> None:
    expect(root.locator(".dp-said")).to_have_text("")


def maps(root: Locator) -> list[str]:
    return root.locator(".dp-layer canvas").evaluate_all("all => all.map(canvas => canvas.toDataURL())")


def test_a_drawing_is_answered_while_it_is_drawn(lab: LabPage) -> None:
    root = shown(lab)
    before, places = maps(root), root.locator(".dp-bar, .dp-layer canvas").evaluate_all(WHERE)
    assert len(before) == 8  # the input and seven layers
    draw(root, SEVEN)
    says(root, "7")
    assert root.locator(".dp-bar, .dp-layer canvas").evaluate_all(WHERE) == places  # nothing jumps
    lab.wait_python("pad.answer == '7' and len(pad.strokes) == 1 and len(pad.strokes[0]) > 8")
    assert all(now != then for now, then in zip(maps(root), before, strict=True))
    bars = root.locator(".dp-bar output").all_text_contents()
    shares = json.loads(lab.ask("print(pad.probabilities.tolist())"))
    assert bars == [percent(share) for share in shares]
    expect(root.locator("[role=status]")).to_have_text(re.compile(r"^The network says 7, >?\d+ %, then \d, \d+ %\.$"))


def test_each_layer_shows_its_own_maps_orange_above_zero_and_blue_below(lab: LabPage) -> None:
    root = shown(lab, "example=9, layout={'width': '1000px'}")
    expected = json.loads(lab.ask("print([maps[0].tolist() for maps in pad.maps.values()])"))
    canvases = root.locator(".dp-layer canvas")
    assert canvases.count() == 1 + len(expected)
    for at, values in enumerate(expected, 1):
        numbers = np.array(values).ravel()
        across = 40 if len(values) == 1 else len(values[0])  # numbers stand in rows of forty
        places = [(i % across, i // across) for i in range(len(numbers))]
        colours = canvases.nth(at).evaluate(
            """(canvas, places) => {
              const pen = canvas.getContext("2d");
              return places.map(([x, y]) => [...pen.getImageData(x, y, 1, 1).data]);
            }""",
            places,
        )
        warmth = np.array([red - blue for red, _, blue, _ in colours])
        assert np.corrcoef(warmth, numbers)[0, 1] > 0.95, at


def test_undo_and_clear_and_examples(lab: LabPage) -> None:
    root = shown(lab, "example=3")
    says(root, "3")
    root.locator("[data-example='8']").click()
    says(root, "8")
    draw(root, ONE)  # the scan makes room
    says(root, "1")
    draw(root, ((0.2, 0.1), (0.8, 0.1)))
    lab.wait_python("len(pad.strokes) == 2")
    root.locator("[data-action=undo]").click()
    lab.wait_python("len(pad.strokes) == 1")
    says(root, "1")
    root.locator("[data-action=clear]").click()
    blank(root)
    root.locator(".dp-paper").press("Control+z")
    says(root, "1")
    root.locator(".dp-paper").press("Control+z")
    says(root, "8")
    root.locator(".dp-paper").press("Control+z")
    says(root, "3")
    expect(root.locator("[data-action=undo]")).to_be_disabled()


def test_everything_works_with_keys_and_none_reaches_the_notebook(lab: LabPage) -> None:
    root = shown(lab)
    paper = root.locator(".dp-paper")
    paper.focus()
    cell = lab.active_cell()
    paper.press("5")
    says(root, "5")
    paper.press("Delete")
    blank(root)
    for key in ["ArrowUp"] * 8 + ["Shift+ArrowDown"] * 16:
        paper.press(key)
    lab.wait_python("pad.strokes == (tuple((0.5, round(0.1 + 0.05 * i, 2)) for i in range(17)),)")
    says(root, "1")
    paper.press("Backspace")
    blank(root)
    paper.press("Tab")
    reached = []
    for _ in range(12):
        reached.append(
            root.page.evaluate("document.activeElement.dataset.example ?? document.activeElement.dataset.action")
        )
        root.page.keyboard.press("Tab")
    assert reached[:11] == ["undo", *"0123456789"]  # clean paper has nothing to clear
    assert lab.active_cell() == cell


def test_touch_draws_and_does_not_scroll(lab: LabPage) -> None:
    root = shown(lab)
    paper = root.locator(".dp-paper")
    assert paper.evaluate("paper => getComputedStyle(paper).touchAction") == "none"
    paper.evaluate(
        """(paper, points) => {
          const box = paper.getBoundingClientRect();
          paper.setPointerCapture = () => {};
          points.forEach(([type, x, y]) => paper.dispatchEvent(new PointerEvent(`pointer${type}`, {
            pointerType: "touch", isPrimary: true, bubbles: true, cancelable: true,
            clientX: box.x + x * box.width, clientY: box.y + y * box.height })));
        }""",
        [["down", 0.2, 0.15], ["move", 0.8, 0.15], ["move", 0.6, 0.5], ["move", 0.4, 0.9], ["up", 0.4, 0.9]],
    )
    says(root, "7")


def test_two_views_show_one_drawing_and_undo_it_together(lab: LabPage) -> None:
    first = shown(lab, "layout={'width': '420px'}")
    cell = lab.run_cell("pad")
    second = pad_in(cell)
    draw(second, SEVEN)
    says(second, "7")
    says(first, "7")
    assert first.locator(".dp-paper").evaluate("c => c.toDataURL()") == second.locator(".dp-paper").evaluate(
        "c => { c.blur(); return c.toDataURL(); }"
    )
    first.locator("[data-action=undo]").click()
    blank(second)


def test_python_draws_and_another_model_answers(lab: LabPage) -> None:
    root = shown(lab)
    lab.ask(f"pad.draw([{SEVEN}])")
    says(root, "7")
    lab.ask("pad.example = 6")  # over the strokes
    says(root, "6")
    draw(root, ONE)
    lab.wait_python("len(pad.strokes) == 1 and pad.answer == '1'")
    lab.ask("import torch\npad.model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1024, 3))")
    expect(root.locator(".dp-bar")).to_have_count(3)
    expect(root.locator(".dp-layer")).to_have_count(3)
    lab.ask("pad.model = torch.nn.Linear(5, 2)")
    expect(root.locator(".sk-message.sk-error")).to_have_text(re.compile("Linear cannot take a picture of 1×32×32"))
    lab.ask("pad.model = None")
    expect(root.locator(".sk-message")).to_have_text("")
    expect(root.locator(".dp-bar")).to_have_count(10)


def test_a_network_in_training_is_asked_again_by_itself(lab: LabPage) -> None:
    lab.ask("import torch\nfrom cnnviz import models\nnet = models.create('lenet5')")
    root = shown(lab, "net, example=5")
    expect(root.locator(".dp-status")).to_have_text(re.compile("in training mode"))
    before = maps(root)
    lab.ask("from cnnviz.models import bundled\nnet.load_state_dict(bundled.load('lenet5-digits').state_dict())")
    says(root, "5")  # within a beat of the kernel, though nobody drew
    assert maps(root) != before


def test_a_busy_kernel_is_waited_for_and_the_last_drawing_is_answered(lab: LabPage) -> None:
    root = shown(lab, "example=2")
    lab.start_cell("import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: time.sleep(0.05)")
    draw(root, ONE)
    draw(root, ((0.2, 0.1), (0.8, 0.1)))
    expect(root.locator(".dp-status")).to_have_text("waiting: Python is busy")
    assert root.locator(".dp-said strong").text_content() == "2"  # the old answer, greyed
    assert "dp-waiting" in root.get_attribute("class")
    lab.interrupt()
    lab.wait_python("len(pad.strokes) == 2")
    expect(root.locator(".dp-status")).to_have_text("")
    says(root, lab.ask("print(pad.answer)"))


def test_a_slow_network_never_shows_an_old_answer_last(lab: LabPage) -> None:
    lab.ask("from cnnviz import DrawPad")
    root = pad_in(lab.run_cell(SLOW))
    root.evaluate(
        """root => {
          root.seen = [];
          root.addEventListener("cnnviz-painted", event => root.seen.push([event.detail.asked, event.detail.answered]));
        }"""
    )
    for _ in range(3):
        draw(root, SEVEN, steps=8)
        root.locator(".dp-paper").press("Delete")
    draw(root, ONE)
    lab.wait_python("len(pad.strokes) == 1")
    root.page.wait_for_function("root => root.seen.at(-1)[0] === root.seen.at(-1)[1]", arg=root.element_handle())
    answered = [answer for _, answer in root.evaluate("root => root.seen")]
    assert answered == sorted(answered)
    assert len(set(answered)) < answered[-1]  # some questions were never asked: the newest counts


def test_an_older_answer_that_comes_late_is_not_shown(lab: LabPage) -> None:
    root = shown(lab)
    draw(root, SEVEN)
    says(root, "7")
    lab.ask("late = {**pad._answer, 'asked': 0, 'probabilities': [('x', 1.0)]}\npad._answer = late")
    lab.ask("pad.send({'kind': 'alive'})")  # something that comes after it
    root.page.wait_for_timeout(300)
    says(root, "7")


def test_a_dead_kernel_greys_the_answers(fresh_lab: LabPage) -> None:
    lab = fresh_lab.open(fresh_lab.server.add(notebook_of(""), "dead.ipynb"))
    root = shown(lab, "example=4")
    lab.wait_python("pad.comm is not None")
    root.page.wait_for_timeout(2500)  # the first beat
    lab.restart_kernel()
    expect(root.locator(".sk-message")).to_have_text(re.compile("kernel behind this has stopped"), timeout=15_000)
    assert "sk-stale" in root.get_attribute("class")
    draw(root, ONE)  # still possible, and silent
    assert lab.errors == []


@pytest.mark.parametrize("theme", ["Light", "Dark"])
@pytest.mark.parametrize("width", [360, 600, 1200])
def test_it_fits_in_both_themes(lab: LabPage, theme: str, width: int) -> None:
    lab.page.set_viewport_size({"width": 1600, "height": 900})
    lab.theme(theme)
    root = shown(lab, f"example=6, shift=0, layout={{'width': '{width}px'}}")
    says(root, "6")
    assert root.evaluate("root => root.scrollWidth <= root.clientWidth")
    wide = root.locator(".dp-layer canvas").evaluate_all("all => all.map(c => c.getBoundingClientRect().right)")
    assert max(wide) <= root.bounding_box()["x"] + root.bounding_box()["width"]
    slider = root.locator("[data-name=shift]")
    slider.fill("4")
    lab.wait_python("pad.shift == 4")
    expect(root.locator("output[data-for=shift]")).to_have_text("4")
    lab.screenshot(f"draw_pad_{theme}_{width}")
    lab.theme("Light")
    lab.page.set_viewport_size({"width": 1280, "height": 900})


# What JupyterLab does while it changes the theme: everything is hidden in a frame in which views draw, and shown again
# before the browser looks whether their sizes have changed.
HIDDEN_FOR_A_MOMENT = """async root => {
  root.parentElement.style.display = "none";
  document.body.classList.toggle("another-theme");
  await null;
  await new Promise(requestAnimationFrame);
  root.parentElement.style.display = "";
}"""


def test_the_maps_keep_their_proportions_when_the_theme_changes(lab: LabPage) -> None:
    root = shown(lab, "example=3")
    says(root, "3")
    root.evaluate(HIDDEN_FOR_A_MOMENT)
    lab.page.wait_for_timeout(600)  # longer than a view waits until it asks again whether it is seen
    stretched = "all => all.map(canvas => canvas.clientWidth * canvas.height / canvas.clientHeight / canvas.width)"
    ratios = root.locator(".dp-layer canvas").evaluate_all(stretched)
    assert ratios == pytest.approx([1] * len(ratios), abs=0.15)
