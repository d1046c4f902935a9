"""An hour of training with its live view in JupyterLab: ``python -m tests.benchmarks.hour [MINUTES]``.

The memory of the kernel and of the page is read sixty times while a cell awaits the run; what has grown since the first
tenth is printed, beside what the history itself holds: 56 bytes a step, and 4 for each layer's gradient norm.
"""

from __future__ import annotations

import sys
import time

import psutil

from tests.benchmarks.live import STATE, heap, opened, view_in, wait
from tests.benchmarks.rows import Row, machine, show
from tests.browser.lab import LabPage

READINGS = 60
HELD = "print(run.history.steps.columns[0].itemsize * 7 + 4 * len(run.history.gradient_norms), len(run.history.steps))"


def kernel_of(lab: LabPage) -> psutil.Process:
    """The notebook's kernel: it cannot be asked while the cell awaits."""
    return psutil.Process(int(lab.ask("import os; print(os.getpid())")))


def measure(minutes: float) -> list[Row]:
    """Rows for the growth of kernel and page, and for the stop at the end."""
    with opened() as lab:
        kernel = kernel_of(lab)
        root = view_in(lab.run_cell("run = start(10**6)\nrun.show()"))
        wait(root, STATE, "running")
        lab.start_cell("await run")
        readings = []
        for n in range(1, READINGS + 1):
            lab.page.wait_for_timeout(60_000 * minutes / READINGS)
            readings.append((kernel.memory_info().rss / 1e6, heap(lab)))
            if n % 10 == 0:
                rss, page = readings[-1]
                print(f"  after {minutes * n / READINGS:.0f} min: kernel {rss:.0f} MB, page {page:.1f} MB", flush=True)
        began = time.perf_counter()
        root.locator("[data-action=stop]").click()
        wait(root, STATE, "stopped")
        stopped = 1000 * (time.perf_counter() - began)
        lab.wait_idle()
        each, steps = map(int, lab.ask(HELD).split())
    (kernel_then, page_then), (kernel_now, page_now) = readings[READINGS // 10 - 1], readings[-1]
    held, grown = each * steps * 0.9 / 1e6, kernel_now - kernel_then
    return [
        Row(f"{minutes:g} minutes, steps", steps, ""),
        Row("kernel's memory, grown since the first tenth", grown, "MB", note=f"its history by {held:.1f} MB"),
        Row("  without its history", grown - held, "MB", 20),
        Row("page's memory, grown since the first tenth", page_now - page_then, "MB", 20),
        Row("stop at the end, to the view's answer", stopped, "ms", 1000),
    ]


if __name__ == "__main__":
    print(machine())
    show("An hour of training", measure(float(sys.argv[1]) if len(sys.argv) > 1 else 60))
