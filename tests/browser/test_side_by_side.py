"""Widgets that stand in one notebook leave each other's look alone: every one of them brings the shared style again."""

import json

from tests.browser.lab import LabPage, notebook_of

SHOWN = {
    "cnnviz-lp": "run = fit(models.create('lenet5'), load('digits'), epochs=1, lr=0.1)\nrun.result()\nrun.show()",
    "cnnviz-pb": "PictureBox()",
    "cnnviz-rf": "ReceptiveField('lenet5')",
    "cnnviz-dp": "DrawPad()",
    "cnnviz-nb": "NetworkBuilder('lenet5')",
    "cnnviz-od": "MacOdometer()",
    "cnnviz-oc": "Occluder(bundled.load('lenet5-digits'), load('digits').test_x[76], sizes=[6])",
    "cnnviz-ex": "Explorer(bundled.load('lenet5-digits'), load('digits').test_x[76])",
    "cnnviz-mk": "SlidingKernel()",
}
IMPORTS = """from cnnviz import (
    DrawPad, MacOdometer, NetworkBuilder, Occluder, PictureBox, ReceptiveField, SlidingKernel, fit, load, models
)
from cnnviz.models import bundled
from cnnviz.widgets.explorer import Explorer"""

# What each part of a widget looks like: its class, its place in the widget, its colours.
PARTS = """kind => {
  const root = document.querySelector(`.${kind}`), at = root.getBoundingClientRect();
  const seen = Array.from(root.querySelectorAll("*")).filter((part) => part.getClientRects().length);
  return seen.map((part) => {
    const box = part.getBoundingClientRect(), { color, backgroundColor } = getComputedStyle(part);
    const place = [box.x - at.x, box.y - at.y, box.width, box.height].map(Math.round);
    return [`${part.tagName}.${part.className} ${part.textContent.slice(0, 20)}`, ...place, color, backgroundColor];
  });
}"""


def test_a_widget_looks_the_same_after_others_were_shown(fresh_lab: LabPage) -> None:
    lab = fresh_lab.open(fresh_lab.server.add(notebook_of(""), "side-by-side.ipynb"), workspace="side-by-side")
    lab.run_cell(IMPORTS)
    alone = {}
    for kind, source in SHOWN.items():
        lab.run_cell(source).locator(f".{kind}").wait_for()
        lab.wait_idle()
        lab.page.wait_for_timeout(1000)  # pictures of the kernel, and the frames that draw them
        alone[kind] = lab.page.evaluate(PARTS, kind)
    together = {kind: lab.page.evaluate(PARTS, kind) for kind in SHOWN}
    for kind in SHOWN:
        changed = [pair for pair in zip(alone[kind], together[kind], strict=True) if pair[0] != pair[1]]
        assert changed == [], json.dumps(changed[:3])
