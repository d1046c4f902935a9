"""Seconds and peak memory of every notebook, each in a kernel of its own."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

from tests.benchmarks.rows import Row

FOLDER = Path(__file__).parents[2] / "notebooks"
PROMISES = [  # what they have in common, their numbers, seconds together, megabytes in any of their kernels
    ("the basics", "00 01 02 03 04", 60, 500),
    ("those that count only", "09 10 16 18", 90, 700),
    ("those that train", "05 06 08 11 12", 150, 800),
    ("those on cheap convolutions", "13 14", 90, 800),
    ("those that look inside, reuse, and go beyond", "07 15 17", 150, 800),
]


def peak_memory(process: int) -> float:
    """Largest resident memory of a process so far, in MB (Linux; elsewhere what it has now)."""
    try:
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return psutil.Process(process).memory_info().rss / 1e6


def run(path: Path) -> tuple[float, float]:
    """Seconds for all cells, kernel start included, and the kernel's peak memory in MB."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}})
    start = time.perf_counter()
    with client.setup_kernel(stderr=subprocess.DEVNULL):  # the kernel's words about its own transport
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        seconds = time.perf_counter() - start
        memory = peak_memory(client.km.provisioner.pid)
    return seconds, memory


def measure(quick: bool = False) -> list[Row]:
    """Rows for each notebook, and for those about which something was promised together; there is no quick way."""
    runs = {path.stem: run(path) for path in sorted(FOLDER.glob("*.ipynb"))}
    rows = [Row(name, seconds, "s", note=f"{memory:.0f} MB at most") for name, (seconds, memory) in runs.items()]
    for title, numbers, seconds, memory in PROMISES:
        figures = [figure for name, figure in runs.items() if name[:2] in numbers.split()]
        rows.append(Row(f"{title} together", sum(figure[0] for figure in figures), "s", seconds))
        rows.append(Row("largest kernel among them", max(figure[1] for figure in figures), "MB", memory))
    return rows
