"""What a committed notebook has to look like, whatever it teaches. nbval (see notebooks/conftest.py) runs them."""

import json
import re
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9][0-9]-*.ipynb"))
LARGEST = 250_000  # bytes
LONGEST_CELL = 12  # lines
SKIP_TAGS = {"nbval-ignore-output", "nbval-skip", "raises-exception", "nbval-raises-exception"}
SKIP_COMMENTS = ("NBVAL_IGNORE_OUTPUT", "NBVAL_SKIP", "PYTEST_VALIDATE_IGNORE_OUTPUT")
ONE_IN = 7  # code cells that may carry such a tag
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|work|tmp|usr|opt|Users|private|var|mnt|srv)/\w|\b[A-Z]:\\Users")


def code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def wrong_counts(notebook: dict) -> list[str]:
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    return [] if counts == list(range(1, len(counts) + 1)) else [f"execution counts are {counts}, not 1, 2, 3, ..."]


def saved_widget_state(notebook: dict) -> list[str]:
    found = ["widget state in the metadata"] if "widgets" in notebook["metadata"] else []
    for number, cell in enumerate(code_cells(notebook)):
        for output in cell["outputs"]:
            if WIDGET_VIEW in output.get("data", {}):
                found += [f"code cell {number} stores a widget view that nobody can open"]
    return found


def errors_and_stderr(notebook: dict) -> list[str]:
    found = []
    for number, cell in enumerate(code_cells(notebook)):
        for output in cell["outputs"]:
            expected = "raises-exception" in cell["metadata"].get("tags", [])
            if output["output_type"] == "error" and not expected:
                found.append(f"code cell {number} stores the error {output['ename']}: {output['evalue']}")
            if output.get("name") == "stderr":
                found.append(f"code cell {number} stores stderr: {''.join(output['text'])[:80]}")
    return found


def long_cells(notebook: dict) -> list[str]:
    sizes = [len(source(cell).splitlines()) for cell in code_cells(notebook)]
    return [f"code cell {i} has {n} lines (at most {LONGEST_CELL})" for i, n in enumerate(sizes) if n > LONGEST_CELL]


def too_many_unchecked(notebook: dict) -> list[str]:
    cells = code_cells(notebook)
    unchecked = [
        number
        for number, cell in enumerate(cells)
        if SKIP_TAGS & set(cell["metadata"].get("tags", [])) or any(word in source(cell) for word in SKIP_COMMENTS)
    ]
    allowed = len(cells) // ONE_IN
    return [f"code cells {unchecked} are not compared (at most {allowed})"] if len(unchecked) > allowed else []


def texts(part: object) -> list[str]:
    """Every string in a part of a notebook, pictures left out."""
    if isinstance(part, dict):
        return [text for key, value in part.items() if key != "image/png" for text in texts(value)]
    if isinstance(part, list):
        return [text for value in part for text in texts(value)]
    return [part] if isinstance(part, str) else []


def machine_paths(notebook: dict) -> list[str]:
    return [f"a path of one machine: {text[:80]}" for text in texts(notebook) if MACHINE_PATH.search(text)]


def wrong_kernel(notebook: dict) -> list[str]:
    name = notebook["metadata"].get("kernelspec", {}).get("name")
    language = notebook["metadata"].get("language_info", {}).get("name", "python")
    return [] if (name, language) == ("python3", "python") else [f"kernelspec {name!r}, language {language!r}"]


def empty_cells(notebook: dict) -> list[str]:
    return [f"cell {i} is empty" for i, cell in enumerate(notebook["cells"]) if not source(cell).strip()]


def missing_ids(notebook: dict) -> list[str]:
    ids = [cell.get("id") for cell in notebook["cells"]]
    return [] if None not in ids and len(set(ids)) == len(ids) else ["cells without an id of their own"]


CHECKS = (
    wrong_counts,
    saved_widget_state,
    errors_and_stderr,
    long_cells,
    too_many_unchecked,
    machine_paths,
    wrong_kernel,
    empty_cells,
    missing_ids,
)


def problems(notebook: dict) -> list[str]:
    """Everything that is wrong with the notebook, in words."""
    return [problem for check in CHECKS for problem in check(notebook)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebook_is_clean(path: Path) -> None:
    assert problems(json.loads(path.read_text(encoding="utf-8"))) == []
    assert path.stat().st_size < LARGEST


def test_the_first_five_notebooks_are_there() -> None:
    names = [path.name[:2] for path in NOTEBOOKS]
    assert names[:5] == ["00", "01", "02", "03", "04"]


def clean() -> dict:
    cells = [
        {"cell_type": "code", "id": f"c{i}", "execution_count": i + 1, "metadata": {}, "outputs": [], "source": ["1"]}
        for i in range(8)
    ]
    return {"cells": cells, "metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4, "nbformat_minor": 5}


def stream(name: str, text: str) -> dict:
    return {"output_type": "stream", "name": name, "text": [text]}


def spoil(check: str) -> dict:
    """A notebook with the one fault that this check is for."""
    notebook = clean()
    cell = notebook["cells"][3]
    if check == "wrong_counts":
        cell["execution_count"] = None
    elif check == "saved_widget_state":
        cell["outputs"] = [{"output_type": "display_data", "metadata": {}, "data": {WIDGET_VIEW: {"model_id": "a"}}}]
    elif check == "errors_and_stderr":
        cell["outputs"] = [stream("stderr", "careful")]
    elif check == "long_cells":
        cell["source"] = ["1\n"] * 13
    elif check == "too_many_unchecked":
        cell["metadata"]["tags"] = ["nbval-ignore-output"]
        notebook["cells"][4]["source"] = ["# NBVAL_SKIP"]
    elif check == "machine_paths":
        cell["outputs"] = [stream("stdout", "/home/ann/cnn.py")]
    elif check == "wrong_kernel":
        notebook["metadata"]["kernelspec"]["name"] = "my-env"
    elif check == "empty_cells":
        cell["source"] = []
    elif check == "missing_ids":
        del cell["id"]
    return notebook


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_each_rule_notices_its_fault(check) -> None:
    assert problems(clean()) == []
    assert check(spoil(check.__name__))


@pytest.mark.parametrize("text", ["C:\\Users\\ann", "'/root/x'", "File /tmp/ipykernel_1/3.py"])
def test_machine_paths_are_found(text: str) -> None:
    notebook = clean()
    notebook["cells"][0]["outputs"] = [stream("stdout", text)]
    assert machine_paths(notebook)
