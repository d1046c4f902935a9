"""From the pen to the network's maps and probabilities on the page, in a real JupyterLab."""

from __future__ import annotations

from collections.abc import Generator

from playwright.sync_api import Locator

from tests.benchmarks.in_lab import PROBE, collect
from tests.benchmarks.rows import Row, spread
from tests.browser.lab import LabPage, lab_alone, notebook_of

PAD = "from cnnviz.widgets.draw_pad import DrawPad\npad = DrawPad({model})\npad"
LEARNING = """from cnnviz.data import load
from cnnviz.models import create
from cnnviz.training import fit
net = create("lenet5")
run = fit(net, load("digits"), epochs=10_000, lr=0.01)"""
BAR = 150  # ms

# A sample starts with the time stamp of a pointer event on the paper and ends with the frame that shows the answer to a
# question asked after it: that question has the event's point in it.
WATCH = """root => {
  let asked = 0, before = Infinity;
  root.querySelector(".dp-paper").addEventListener("pointermove", event => {
    if (!event.buttons || window.probe.start !== null) return;
    before = asked;
    window.probe.begin(event);
  }, true);
  root.addEventListener("cnnviz-painted", ({ detail }) => {
    asked = detail.asked;
    if (detail.answered > before) window.probe.seen(detail);
  });
}"""


def pen(paper: Locator) -> Generator[None, None, None]:
    """Draw stroke after stroke, one point a step; after four strokes the paper is cleared."""
    paper.scroll_into_view_if_needed()
    mouse, box = paper.page.mouse, paper.bounding_box()
    corners = ((0.2, 0.15), (0.8, 0.2), (0.5, 0.6), (0.3, 0.85), (0.7, 0.9))
    while True:
        for stroke in range(4):
            for at, (x, y) in enumerate(corners):
                mouse.move(box["x"] + (x + 0.03 * stroke) * box["width"], box["y"] + y * box["height"])
                if at:
                    yield
                else:
                    mouse.down()
            mouse.up()
        paper.press("Delete")
        paper.page.wait_for_timeout(300)


def measure(quick: bool = False) -> list[Row]:
    """Rows with the bundled network, and with one that trains in the same kernel meanwhile."""
    count = 10 if quick else 80
    with lab_alone() as lab:
        lab.open(lab.server.add(notebook_of("")))
        lab.page.evaluate(PROBE)
        rows = spread("stroke to maps and probabilities", times(lab, PAD.format(model=""), count), BAR)
        lab.run_cell(LEARNING)
        rows += spread("the same, of a LeNet-5 that is training", times(lab, PAD.format(model="net"), count))
        lab.ask("run.stop()")
        return rows


def times(lab: LabPage, source: str, count: int) -> list[float]:
    root = lab.run_cell(source).locator(".cnnviz-dp").first
    root.locator(".dp-layer").first.wait_for()
    root.evaluate(WATCH)
    return collect(lab, pen(root.locator(".dp-paper")), count).total
