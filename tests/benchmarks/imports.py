"""What `import cnnviz` costs in a new process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from tests.benchmarks.rows import Row

MEASURE = """import json, sys, time
before, start = set(sys.modules), time.perf_counter()
import cnnviz
{more}
print(json.dumps([time.perf_counter() - start, sorted(set(sys.modules) - before)]))"""
HEAVY = ("torch", "plotly", "matplotlib", "numpy", "ipywidgets", "anywidget", "PIL", "sklearn")


def times_of(more: str, repeats: int) -> tuple[list[float], list[str]]:
    """Milliseconds of several imports followed by `more`, each in a new process, and the modules loaded."""
    code = MEASURE.format(more=more)
    runs = [json.loads(subprocess.check_output([sys.executable, "-c", code])) for _ in range(repeats)]
    return [1000 * seconds for seconds, _ in runs], runs[-1][1]


def measure(quick: bool = False) -> list[Row]:
    """Import time, and how many modules come along."""
    repeats = 3 if quick else 7
    runs, loaded = times_of("", repeats)
    widget, _ = times_of("cnnviz.SlidingKernel", repeats)
    heavy = [name for name in HEAVY if name in loaded]
    return [
        Row("import cnnviz, median", statistics.median(runs), "ms", 200),
        Row("  slowest", max(runs)),
        Row("  with SlidingKernel looked up, median", statistics.median(widget)),
        Row("  modules that it loads", len(loaded), "", note=f"of the heavy ones: {', '.join(heavy) or 'none'}"),
        Row("  torch, plotly, matplotlib among them", sum(name in heavy for name in HEAVY[:3]), "", 0),
    ]
