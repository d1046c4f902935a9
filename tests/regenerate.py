"""Execute the notebooks and write them back: ``python -m tests.regenerate [notebook ...]``, all of them by default.

A notebook is stored as a reader first meets it: run from top to bottom in a fresh kernel, counted 1 to n, with a
picture of each widget but without widget state, so that nbval has outputs to compare and a cold page shows the picture.
A second run changes no byte, unless the outputs changed.
"""

import base64
import io
import os
import sys
import time
from pathlib import Path

import nbclient
import nbformat
import numpy as np
from nbformat import NotebookNode
from PIL import Image

FOLDER = Path(__file__).parents[1] / "notebooks"
CELL_TIMEOUT = 120  # seconds
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KEPT_CELL_METADATA = ("jp-MarkdownHeadingCollapsed", "jupyter", "tags")
METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run every cell in a fresh kernel that draws its widgets as PNG too; an error in a cell is raised."""
    env = {"OMP_NUM_THREADS": "1", **os.environ, "CNNVIZ_NOTEBOOK_PNG": "1"}
    client = nbclient.NotebookClient(
        notebook, timeout=CELL_TIMEOUT, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=env)


def tidy(notebook: NotebookNode) -> None:
    """Drop what would change from run to run or could not be opened later; sort what has no order of its own."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = NotebookNode({key: cell.metadata[key] for key in KEPT_CELL_METADATA if key in cell.metadata})
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            if "data" in output:
                output.data = NotebookNode({key: output.data[key] for key in sorted(output.data) if key != WIDGET_VIEW})
                output.metadata = NotebookNode()
                if "image/png" in output.data:
                    output.data["image/png"] = smaller(output.data["image/png"])
        cell.outputs = joined_streams([output for output in cell.outputs if output.get("name") != "stderr"])


def smaller(png: str) -> str:
    """A chart by matplotlib in 256 colours, half its bytes; as it was where an eye would see the difference."""
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    if picture.mode == "P":
        return png
    pixels = picture.convert("RGB")
    few = pixels.quantize(256, dither=Image.Dither.NONE)
    difference = np.abs(np.asarray(few.convert("RGB"), dtype=int) - np.asarray(pixels, dtype=int))
    if difference.mean() > 0.5:  # of 255: a photograph
        return png
    buffer = io.BytesIO()
    few.save(buffer, "PNG", optimize=True)
    text = base64.b64encode(buffer.getvalue()).decode()
    return text if len(text) < len(png) else png


def joined_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Join the pieces in which one stream arrived, which depend on timing."""
    joined: list[NotebookNode] = []
    for output in outputs:
        if joined and output.output_type == "stream" and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def regenerate(path: Path) -> str:
    """Execute one notebook in place; return what was done in one line."""
    start = time.perf_counter()
    before = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(before, as_version=4)
    for number, cell in enumerate(notebook.cells):
        cell.id = cell.get("id") or f"cell-{number}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    execute(notebook, path.parent)
    tidy(notebook)
    nbformat.validate(notebook)
    after = nbformat.writes(notebook) + "\n"
    if after != before:
        path.write_text(after, encoding="utf-8")
    changed = "changed" if after != before else "unchanged"
    return f"{path.name}: {time.perf_counter() - start:.1f} s, {len(after.encode()) // 1000} kB, {changed}"


def main(arguments: list[str]) -> int:
    """Regenerate the named notebooks, go on after one that fails, and return how many failed."""
    failed = 0
    for path in [Path(name) for name in arguments] or sorted(FOLDER.glob("*.ipynb")):
        try:
            print(regenerate(path), flush=True)
        except (nbclient.exceptions.CellExecutionError, nbclient.exceptions.CellTimeoutError) as error:
            failed += 1
            print(f"{path.name}: left as it was, because a cell failed\n{error}", file=sys.stderr, flush=True)
    return failed


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
