"""Charts by plotly as a reader in the last row sees them, in a wide and in a narrow window."""

from collections.abc import Iterator

import pytest

from tests.browser.lab import LabPage

MANY = """from cnnviz import compare
from cnnviz.widgets import plotly_chart
names = ["alexnet", "squeezenet1_1", "shufflenet_v2_x1_0", "mobilenet_v2", "googlenet", "inception_v3", "vgg11"]
names += ["vgg16_bn", "resnet18", "resnet34", "resnet50", "resnet152", "resnext50_32x4d", "resnext101_32x8d"]
plotly_chart.show(compare([*names, "densenet121", "densenet169"]).figure(), "")"""
SMALL = {
    "race": "from cnnviz.measure import recorded\nchart = recorded()[0].figure()",
    "surfaces": "from cnnviz.measure import surfaces\nchart = surfaces(16, 8).figure()",
    "history": """from cnnviz import History
from cnnviz.history import Record
history = History()
for n in (1, 2):
    history.add_epoch(Record(n, 1, 0.5, 1, 0.5, 0.1, 1))
chart = history.figure()""",
}

# Names whose boxes share more than the empty rim of a line of text.
COVERED = """root => {
  const names = Array.from(root.querySelectorAll(".textpoint"));
  const boxes = names.map(name => [name.textContent, name.getBoundingClientRect()]);
  const shared = (a, b, low, high) => Math.min(a[high], b[high]) - Math.max(a[low], b[low]);
  const both = (a, b) => shared(a, b, "left", "right") > 1 && shared(a, b, "top", "bottom") > 4;
  return boxes.flatMap(([one, a], at) =>
    boxes.slice(at + 1).filter(([, b]) => both(a, b)).map(([two]) => `${one}, ${two}`));
}"""
SIZES = """root => Array.from(root.querySelectorAll(".js-plotly-plot text"))
  .filter(text => text.textContent.trim() && text.getBoundingClientRect().width)
  .map(text => parseFloat(getComputedStyle(text).fontSize))"""


@pytest.fixture
def narrow(lab: LabPage) -> Iterator[LabPage]:
    lab.page.set_viewport_size({"width": 800, "height": 900})
    lab.command("application:toggle-left-area")
    yield lab
    lab.command("application:toggle-left-area")
    lab.page.set_viewport_size({"width": 1280, "height": 900})


def test_no_name_of_a_network_covers_another(narrow: LabPage) -> None:
    cell = narrow.run_cell(MANY)
    cell.locator(".textpoint").nth(15).wait_for()
    narrow.page.wait_for_timeout(500)
    assert cell.evaluate(COVERED) == []
    assert min(cell.evaluate(SIZES)) >= 14
    narrow.page.set_viewport_size({"width": 1400, "height": 900})
    narrow.page.wait_for_timeout(500)
    assert cell.evaluate(COVERED) == []


@pytest.mark.parametrize("name", SMALL)
def test_no_word_is_smaller_than_14_pixels(lab: LabPage, name: str) -> None:
    cell = lab.run_cell(f'{SMALL[name]}\nfrom cnnviz.widgets import plotly_chart\nplotly_chart.show(chart, "")')
    cell.locator(".js-plotly-plot .xtick, .js-plotly-plot .xaxislayer-above").first.wait_for()
    sizes = cell.evaluate(SIZES)
    assert len(sizes) > 8
    assert min(sizes) >= 14
