"""Regenerated notebooks are counted, clean and the same after every run; one that fails is left as it was."""

import base64
import io
from pathlib import Path

import nbformat
import pytest
from PIL import Image

from tests.regenerate import WIDGET_VIEW, main, shrink_png
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


def test_a_notebook_that_fails_is_left_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = written(tmp_path / "bad.ipynb", ["1 / 0"])
    before = path.read_bytes()
    assert main([str(path)]) == 1
    assert path.read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize(("drawn", "stored"), [(80, 40), (40, 40), (20, 20)])
def test_a_png_is_stored_no_wider_than_its_svg(drawn: int, stored: int) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (drawn, drawn), "red").save(buffer, "PNG")
    data = {"image/svg+xml": '<svg viewBox="0 0 40 40" width="40" height="40"></svg>'}
    data["image/png"] = base64.b64encode(buffer.getvalue()).decode()
    shrink_png(data)
    picture = Image.open(io.BytesIO(base64.b64decode(data["image/png"])))
    assert picture.size == (stored, stored)
    assert picture.convert("RGB").getpixel((5, 5)) == (255, 0, 0)
