"""Every committed notebook in a real JupyterLab: all cells run, every slider is followed by something on the page."""

from pathlib import Path

import pytest

from tests.browser.lab import LabPage
from tests.browser.notebook_check import problems, sliders
from tests.test_notebooks import NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_its_sliders_move(path: Path, fresh_lab: LabPage) -> None:
    fresh_lab.open(fresh_lab.server.add(path)).run_all()
    fresh_lab.screenshot(f"notebook-{path.stem}")
    assert sliders(fresh_lab), "a notebook without a slider has nothing that answers a hand"
    assert problems(fresh_lab) == []


GOOD = """import ipywidgets
from IPython.display import display
slider, label = ipywidgets.IntSlider(description="size"), ipywidgets.Label("0")
def follow(change): label.value = str(10 // (change.new + 1))
slider.observe(follow, "value")
display(slider, label)"""
BROKEN = {
    "the callback raises": ("(change.new + 1)", "(change.new - change.new)"),
    "the callback does nothing": ("label.value = ", "unused = "),
    "nobody observes": ('slider.observe(follow, "value")', "pass"),
    "the cell raises": ("import ipywidgets", "import ipywidgets; missing"),
}
JAVASCRIPT = """import anywidget, traitlets
class Counter(anywidget.AnyWidget):
    size = traitlets.Int(0).tag(sync=True)
    _esm = '''export default { render({ model, el }) {
      el.innerHTML = `<input type="range" data-lm-suppress-shortcuts max="5" value="0"><p>0</p>`;
      el.querySelector("input").oninput = event => { el.querySelector("p").textContent = event.target.value; };
    } }'''
Counter()"""
BROKEN_JAVASCRIPT = {
    "a syntax error": ("el.innerHTML = ", "el.innerHTML = = "),
    "an error while drawing": ("el.innerHTML = ", "missing; el.innerHTML = "),
    "an error while dragging": ("event.target.value;", "missing;"),
    "a slider that draws nothing": ("event.target.value;", "0;"),
}
CASES = [(GOOD, BROKEN[name], name) for name in BROKEN]
CASES += [(JAVASCRIPT, BROKEN_JAVASCRIPT[name], name) for name in BROKEN_JAVASCRIPT]


def problems_of(lab: LabPage, source: str) -> list[str]:
    """What the check above says about a cell."""
    lab.clear()
    lab.forget_errors()
    lab.run_cell(source)
    found = problems(lab)
    lab.forget_errors()
    return found


@pytest.mark.parametrize("source", [GOOD, JAVASCRIPT], ids=["ipywidgets", "anywidget"])
def test_control_a_good_cell_has_no_problems(lab: LabPage, source: str) -> None:
    assert problems_of(lab, source) == []


@pytest.mark.parametrize(("source", "change", "name"), CASES, ids=[name for *_, name in CASES])
def test_a_broken_cell_is_noticed(lab: LabPage, source: str, change: tuple[str, str], name: str) -> None:
    assert source != source.replace(*change)
    assert problems_of(lab, source.replace(*change)), name
