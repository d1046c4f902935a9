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
print(json.dumps([time.perf_counter() - start, sorted(set(sys.modules) - before)]))"""
HEAVY = ("torch", "plotly", "matplotlib", "numpy", "ipywidgets", "anywidget", "PIL", "sklearn")


def measure(repeats: int = 7) -> list[Row]:
    """Import time, and how many modules come along."""
    runs = [json.loads(subprocess.check_output([sys.executable, "-c", MEASURE])) for _ in range(repeats)]
    loaded = runs[-1][1]
    heavy = [name for name in HEAVY if name in loaded]
    return [
        Row("import cnnviz, median", 1000 * statistics.median(seconds for seconds, _ in runs), "ms", 200),
        Row("  slowest", 1000 * max(seconds for seconds, _ in runs)),
        Row("  modules that it loads", len(loaded), "", note=f"of the heavy ones: {', '.join(heavy) or 'none'}"),
        Row("  torch, plotly, matplotlib among them", sum(name in heavy for name in HEAVY[:3]), "", 0),
    ]
