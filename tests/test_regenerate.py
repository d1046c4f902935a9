"""Regenerated notebooks are counted, clean and the same after every run; one that fails is left as it was."""

import base64
import io
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

from cnnviz import SlidingKernel, images
from tests.regenerate import WIDGET_VIEW, main, smaller
from tests.test_notebooks import problems

GOOD = [
    "import sys\nprint('one')\nsys.stdout.flush()\nprint('two', file=sys.stderr, flush=True)\nprint('three')",
    "import ipywidgets\nipywidgets.IntSlider()",
]


def written(path: Path, sources: list[str]) -> Path:
    """A notebook that was run out of order, by somebody whose tools leave their marks in it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in sources])
    notebook.metadata = nbformat.from_dict({"kernelspec": {"name": "mine", "display_name": "Mine"}, "widgets": {}})
    notebook.cells[0].execution_count = 7
    notebook.cells[0].metadata = nbformat.from_dict({"tags": ["kept"], "collapsed": True})
    nbformat.write(notebook, path)
    return path


@pytest.fixture(scope="module")
def regenerated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = written(tmp_path_factory.mktemp("good") / "good.ipynb", GOOD)
    assert main([str(path)]) == 0
    return path


def test_it_passes_the_rules_for_committed_notebooks(regenerated: Path) -> None:
    notebook = nbformat.read(regenerated, as_version=4)
    assert [cell.execution_count for cell in notebook.cells] == [1, 2]
    assert problems(notebook) == []


def test_outputs_are_kept_without_what_changes_from_run_to_run(regenerated: Path) -> None:
    first, second = nbformat.read(regenerated, as_version=4).cells
    assert [(output.name, output.text) for output in first.outputs] == [("stdout", "one\nthree\n")]
    assert dict(first.metadata) == {"tags": ["kept"]}
    assert "IntSlider" in second.outputs[0].data["text/plain"]
    assert WIDGET_VIEW not in second.outputs[0].data


def test_a_second_run_changes_no_byte(regenerated: Path) -> None:
    before = regenerated.read_bytes()
    assert main([str(regenerated)]) == 0
    assert regenerated.read_bytes() == before


def png_of(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_charts_are_stored_in_few_colours_and_photographs_as_they_were() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot(np.linspace(0, 1, 50)[:, None] ** [1, 2, 3])
    buffer = io.BytesIO()
    figure.savefig(buffer)
    chart = base64.b64encode(buffer.getvalue()).decode()
    assert len(smaller(chart)) < 0.6 * len(chart)
    assert smaller(smaller(chart)) == smaller(chart)
    old, new = (Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB") for text in (chart, smaller(chart)))
    assert np.abs(np.asarray(old, int) - np.asarray(new, int)).mean() < 0.5
    photo = png_of((255 * images.photo("china")).astype(np.uint8).transpose(1, 2, 0))
    assert smaller(photo) == photo


def test_a_notebook_that_fails_is_left_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = written(tmp_path / "bad.ipynb", ["1 / 0"])
    before = path.read_bytes()
    assert main([str(path)]) == 1
    assert path.read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_the_png_of_a_widget_is_no_wider_than_its_svg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNVIZ_NOTEBOOK_PNG", "1")
    data, _ = SlidingKernel()._repr_mimebundle_()
    width = re.search(r'<svg[^>]*\swidth="([\d.]+)', data["image/svg+xml"])
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.width <= float(width[1]) + 1
