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


def measure() -> list[Row]:
    """Rows for each notebook, and for the first five, for which there is a promise."""
    runs = {path.stem: run(path) for path in sorted(FOLDER.glob("*.ipynb"))}
    rows = [Row(name, seconds, "s", note=f"{memory:.0f} MB at most") for name, (seconds, memory) in runs.items()]
    first = [figures for name, figures in runs.items() if name < "05"]
    rows.append(Row("00 to 04 together", sum(seconds for seconds, _ in first), "s", 60))
    rows.append(Row("largest kernel among them", max(memory for _, memory in first), "MB", 500))
    return rows
