"""What is shown without a widget's style sheet follows the theme too: charts of lines, plotly's, and folding tables."""

import io
import re
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Locator

from cnnviz import cost_table
from tests.browser.lab import LabPage, notebook_of

CHART = """from cnnviz.widgets.chart import COLOURS, GREY, Chart, Curve, Panel
chart = Chart(Panel((0, 1), (0, 1), "across", "up"), Panel((0, 1), (0, 1), "across", "up"))
chart.draw("title", [Curve((0, 1), (0, 1), colour, colour[:3]) for colour in (*COLOURS, GREY)], [])
display(chart)"""
PLOTLY = """import plotly.graph_objects as go
from cnnviz.widgets import plotly_chart
plotly_chart.show(go.Figure(go.Bar(y=[1, 2]), {"template": "plotly_white", "height": 300}), "bars")"""
OF_OTHERS = """display({"application/vnd.plotly.v1+json": {"data": [], "layout": {"height": 200}}}, raw=True)"""

# Every colour of words and curves, and the colour of the page behind them.
COLOURS = """root => {
  let page = root;
  while (getComputedStyle(page).backgroundColor === "rgba(0, 0, 0, 0)") page = page.parentElement;
  const card = getComputedStyle(root.querySelector("svg rect")).fill;
  const drawn = Array.from(root.querySelectorAll("text"), (text) => getComputedStyle(text).fill);
  for (const path of root.querySelectorAll("path[stroke-width='2']")) drawn.push(getComputedStyle(path).stroke);
  const title = getComputedStyle(root.querySelector("div")).color;
  return { page: card === "none" ? getComputedStyle(page).backgroundColor : card, card, drawn: [title, ...drawn] };
}"""


@pytest.fixture(params=["Light", "Dark"])
def theme(lab: LabPage, request: pytest.FixtureRequest) -> Iterator[str]:
    lab.theme(request.param)
    yield request.param
    lab.theme("Light")


def luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    linear = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (c / 255 for c in colour)
    )
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def rgb(css: str) -> tuple[float, ...]:
    return tuple(map(float, re.findall(r"[\d.]+", css)[:3]))


def pixels(part: Locator) -> list[tuple[int, tuple[int, int, int]]]:
    """The colours of a part of the page, the most frequent first."""
    image = Image.open(io.BytesIO(part.screenshot())).convert("RGB")
    return sorted(image.getcolors(image.width * image.height), reverse=True)


def test_a_chart_of_lines_can_be_read_in_both_themes(lab: LabPage, theme: str) -> None:
    chart = lab.run_cell(CHART).locator(".cnnviz-chart")
    seen = chart.evaluate(COLOURS)
    assert seen["card"] == ("none" if theme == "Dark" else "rgb(255, 255, 255)")
    assert len(set(seen["drawn"])) > 6
    assert {
        colour: ratio for colour in seen["drawn"] if (ratio := contrast(rgb(colour), rgb(seen["page"]))) < 4.5
    } == {}


def test_a_plotly_chart_has_the_pages_colour_and_can_be_read(lab: LabPage, theme: str) -> None:
    cell = lab.run_cell(PLOTLY)
    words = cell.locator(".js-plotly-plot .xtick text").first
    words.wait_for()
    (_, paper), *others = pixels(cell.locator(".js-plotly-plot"))
    assert contrast(paper, (17, 17, 17) if theme == "Dark" else (255, 255, 255)) < 1.05
    assert max(contrast(paper, colour) for _, colour in pixels(words)) >= 4.5
    bar = next(colour for count, colour in others if max(colour) - min(colour) > 60)
    assert max(range(3), key=lambda part: bar[part]) == 2  # plotly's first colour: blue it is and blue it stays


def test_a_plotly_chart_of_somebody_else_is_left_alone(lab: LabPage, theme: str) -> None:
    lab.run_cell(PLOTLY)
    cell = lab.run_cell(OF_OTHERS)
    assert cell.locator(".js-plotly-plot").evaluate("chart => getComputedStyle(chart).filter") == "none"


# Words of ipywidgets' own: a slider's name, its number, a label, a choice.
BESIDE = """from ipywidgets import IntSlider, Label, ToggleButtons
display(IntSlider(description="growth rate"), Label("words"), ToggleButtons(options=["one", "two"]))"""
WORDS = """cell => Array.from(cell.querySelectorAll(".widget-label, .widget-readout, .widget-toggle-button"),
  (part) => [parseFloat(getComputedStyle(part).fontSize), part.scrollWidth <= part.clientWidth + 1])"""


def test_ipywidgets_beside_ours_have_words_as_large_and_whole(fresh_lab: LabPage) -> None:
    fresh_lab.open(fresh_lab.server.add(notebook_of(""), "beside.ipynb"), workspace="beside")
    small = fresh_lab.run_cell(BESIDE)
    small.locator(".widget-label").first.wait_for()
    assert min(size for size, _ in small.evaluate(WORDS)) < 14  # JupyterLab's own: nothing of ours is in this notebook
    beside = fresh_lab.run_cell(CHART + "\n" + BESIDE)
    beside.locator(".widget-toggle-button").first.wait_for()
    assert set(map(tuple, beside.evaluate(WORDS))) == {(14, True)}
    fresh_lab.run_cell("from cnnviz import SlidingKernel\nSlidingKernel()").locator("canvas").first.wait_for()
    fresh_lab.page.wait_for_function("() => document.querySelector('.cnnviz-notebook')")
    again = fresh_lab.run_cell(BESIDE)
    again.locator(".widget-toggle-button").first.wait_for()
    assert set(map(tuple, again.evaluate(WORDS))) == {(14, True)}


# Left edges of the kinds, which stand in one column, and the sign in front of the first line that folds.
FOLDING = """root => {
  const find = (node, word) => {
    const range = document.createRange(), at = node.data.indexOf(word);
    range.setStart(node, at);
    range.setEnd(node, at + word.length);
    return range.getBoundingClientRect().left;
  };
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT), lefts = [];
  while (walker.nextNode())
    for (const word of ["Sequential", "Conv2d", "Linear"])
      if (walker.currentNode.data.includes(word)) lefts.push(Math.round(find(walker.currentNode, word)));
  const sign = getComputedStyle(root.querySelector("summary"));
  return { lefts, sign: sign.display === "list-item" ? sign.listStyleType : "" };
}"""


def assert_it_folds(table: Locator) -> None:
    fold = table.locator("details").first
    fold.evaluate("fold => { fold.open = false; }")
    assert table.evaluate(FOLDING)["sign"] == "disclosure-closed"
    fold.locator("> summary").click()
    opened = table.evaluate(FOLDING)
    assert opened["sign"] == "disclosure-open"
    assert len(opened["lefts"]) > 3
    assert len(set(opened["lefts"])) == 1
    assert "▸" not in table.inner_text()


def test_the_sign_before_a_folded_module_turns_and_the_columns_stay(lab: LabPage) -> None:
    cell = lab.run_cell("from cnnviz import cost_table\ncost_table('lenet5')")
    assert_it_folds(cell.locator(".jp-RenderedHTML"))


def test_so_it_is_in_a_notebook_that_is_not_trusted(fresh_lab: LabPage) -> None:
    notebook = notebook_of("cost_table('lenet5')")
    html = {"text/html": cost_table("lenet5")._repr_html_(), "text/plain": ""}
    notebook["cells"][0]["outputs"] = [{"output_type": "display_data", "data": html, "metadata": {}}]
    fresh_lab.open(fresh_lab.server.add(notebook, "stranger.ipynb"), workspace="stranger")
    assert_it_folds(fresh_lab.page.locator(".jp-RenderedHTML"))
