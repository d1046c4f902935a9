"""Known-bad notebooks, each of which some check has to turn red, beside the good one that stays green.

The nbval command is the one that CI gives, with its conftest. What only a browser can see (a broken callback, broken
JavaScript) is mutated in browser/test_broken.py.
"""

import copy
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).parents[1]
CELLS = {
    "number": "sum(range(10))",
    "printed": "print('the output has', 3 * 3, 'cells')",
    "drawn": """from IPython.display import SVG
SVG('<svg xmlns="http://www.w3.org/2000/svg"><circle cx="9" cy="9" r="5"/></svg>')""",
    "plotly": """import plotly.graph_objects as go
from IPython.display import display
bundle = {"application/vnd.plotly.v1+json": go.Figure(go.Scatter(y=[1, 4, 9])).to_plotly_json()}
display(bundle, raw=True)""",
    "picture": """import matplotlib.pyplot as plt
_ = plt.imshow([[0, 1, 0], [1, 1, 1], [0, 1, 0]])""",
    "trained": """import random
_ = plt.imshow([[random.randrange(2, 4) for _ in range(12)] for _ in range(12)], vmin=0, vmax=5)""",
    "raises": "raise ValueError('stride 0: use 1 or more')",
    "address": "object()",
    "last": "1 + 1",
}
POSITION = {name: number for number, name in enumerate(CELLS)}


def made_notebook() -> nbformat.NotebookNode:
    """A good notebook that has one cell of every kind that the rules look at, executed here."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS.values()])
    notebook.cells[POSITION["raises"]].metadata["tags"] = ["raises-exception"]
    notebook.cells[POSITION["trained"]].metadata["tags"] = ["trained-picture"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbclient.NotebookClient(notebook, timeout=60).execute()


def output(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    return notebook.cells[POSITION[name]].outputs[0]


def wrong_number(notebook: nbformat.NotebookNode) -> None:
    output(notebook, "number").data["text/plain"] = "46"


def wrong_text(notebook: nbformat.NotebookNode) -> None:
    output(notebook, "printed").text = "the output has 8 cells\n"


def altered_svg(notebook: nbformat.NotebookNode) -> None:
    data = output(notebook, "drawn").data
    data["image/svg+xml"] = data["image/svg+xml"].replace('r="5"', 'r="6"')


def wrong_plotly_data(notebook: nbformat.NotebookNode) -> None:
    output(notebook, "plotly").data["application/vnd.plotly.v1+json"]["data"][0]["y"][2] = 8


def wrong_picture_data(notebook: nbformat.NotebookNode) -> None:
    cell = notebook.cells[POSITION["picture"]]
    cell.source = cell.source.replace("[1, 1, 1]", "[1, 0, 1]")


def blank_trained_picture(notebook: nbformat.NotebookNode) -> None:
    cell = notebook.cells[POSITION["trained"]]
    cell.source = "_ = plt.imshow([[0]], vmin=0, vmax=5)"


def lost_picture(notebook: nbformat.NotebookNode) -> None:
    cell = notebook.cells[POSITION["picture"]]
    cell.source += "\nplt.close()"


def stripped(notebook: nbformat.NotebookNode) -> None:
    for cell in notebook.cells:
        cell.outputs, cell.execution_count = [], None
    notebook.cells[POSITION["number"]].source = "sum(range(11))"


def one_cell_never_run(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[POSITION["last"]].outputs = []
    notebook.cells[POSITION["last"]].execution_count = None


def dead_kernel(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[POSITION["printed"]].source = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"


def missing_raise(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[POSITION["raises"]].source = "pass"
    notebook.cells[POSITION["raises"]].outputs = []


def a_warning(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[POSITION["number"]].source = "import warnings\nwarnings.warn('old')\nsum(range(10))"


def an_exception(notebook: nbformat.NotebookNode) -> None:
    notebook.cells[POSITION["last"]].source = "1 + missing"


# mutation -> the cell that has to fail, or None for all of them
MUTATIONS: dict[Callable, str | None] = {
    wrong_number: "number",
    wrong_text: "printed",
    altered_svg: "drawn",
    wrong_plotly_data: "plotly",
    wrong_picture_data: "picture",
    blank_trained_picture: "trained",
    lost_picture: "picture",
    stripped: None,
    one_cell_never_run: "last",
    dead_kernel: "printed",
    missing_raise: "raises",
    a_warning: "number",
    an_exception: "last",
}


# The same on a notebook that is taught with, found by its first widget and its first printed text.
REAL = ROOT / "notebooks" / "02-padding-and-stride.ipynb"


def first_output(notebook: nbformat.NotebookNode, kind: str) -> tuple[int, nbformat.NotebookNode]:
    """Number of the first code cell with an output of this kind (a mime type or a stream's name), and the output."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells):
        for one in cell.outputs:
            if kind in one.get("data", {}) or one.get("name") == kind:
                return number, one
    raise LookupError(f"{REAL.name} has no output of the kind {kind}")


def real_wrong_digit(notebook: nbformat.NotebookNode) -> int:
    number, printed = first_output(notebook, "stdout")
    printed.text = re.sub(r"\d", lambda digit: str((int(digit.group()) + 1) % 10), printed.text, count=1)
    return number


def real_altered_svg(notebook: nbformat.NotebookNode) -> int:
    number, drawn = first_output(notebook, "image/svg+xml")
    drawn.data["image/svg+xml"] = drawn.data["image/svg+xml"].replace(">3<", ">4<", 1)
    return number


def real_wrong_geometry(notebook: nbformat.NotebookNode) -> int:
    number, drawn = first_output(notebook, "image/svg+xml")
    drawn.data["text/plain"] = re.sub(r"output (\S+)", "output 1x9x9", drawn.data["text/plain"])
    return number


REAL_MUTATIONS = (real_wrong_digit, real_altered_svg, real_wrong_geometry)


def run_nbval(folder: Path, seconds: float = 240) -> dict[str, dict[int, str]]:
    """Result of each code cell, by notebook: passed, failed or skipped, from the command that CI runs."""
    shutil.copy(ROOT / "notebooks" / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\n")  # none of this project's own options
    config = ROOT / "tests" / "nbval_sanitize.cfg"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env", "-q"]
    command += ["--nbval-sanitize-with", str(config), "--junitxml", "report.xml", "."]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("COV_", "PYTEST_"))}
    subprocess.run(command, cwd=folder, env=env, timeout=seconds, check=False, stdout=subprocess.DEVNULL)
    results: dict[str, dict[int, str]] = {}
    for case in ElementTree.parse(folder / "report.xml").iter("testcase"):
        kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        name = re.search(r"([\w-]+)\.ipynb", case.get("classname")).group(1)
        cell = int(re.search(r"\d+", case.get("name")).group())
        results.setdefault(name, {})[cell] = kinds[0] if kinds else "passed"
    return results


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, str]]:
    """Every mutated notebook and the good one, run by one nbval."""
    folder = tmp_path_factory.mktemp("mutated")
    good = made_notebook()
    nbformat.write(good, folder / "good.ipynb")
    for mutate in MUTATIONS:
        bad = copy.deepcopy(good)
        mutate(bad)
        nbformat.write(bad, folder / f"{mutate.__name__}.ipynb")
    whole = nbformat.read(REAL, as_version=4)
    nbformat.write(whole, folder / "real.ipynb")
    for mutate in REAL_MUTATIONS:
        bad = copy.deepcopy(whole)
        mutate(bad)
        assert bad != whole
        nbformat.write(bad, folder / f"{mutate.__name__}.ipynb")
    return run_nbval(folder)


def test_the_good_notebook_stays_green(results: dict) -> None:
    assert set(results["good"].values()) == {"passed"}
    assert len(results["good"]) == len(CELLS)


def test_the_real_notebook_stays_green(results: dict) -> None:
    assert set(results["real"].values()) == {"passed"}


@pytest.mark.parametrize("mutate", REAL_MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_the_mutated_cell_of_a_real_notebook_turns_red(mutate: Callable, results: dict) -> None:
    number = mutate(nbformat.read(REAL, as_version=4))
    assert [cell for cell, result in results[mutate.__name__].items() if result != "passed"] == [number]


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_the_mutated_cell_turns_red(mutate: Callable, results: dict) -> None:
    cells = results[mutate.__name__]
    name = MUTATIONS[mutate]
    red = {number for number, result in cells.items() if result in ("failure", "error")}
    if name is None:
        assert red == set(cells)
    elif mutate is dead_kernel:
        assert red == set(range(POSITION[name], len(CELLS)))  # nothing after it is hidden as an expected failure
    else:
        assert red == {POSITION[name]}
