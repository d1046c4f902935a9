"""Measure everything in one run and print it: ``python -m tests.benchmarks [--check] [--quick] [--only PART ...]``.

Times depend on the machine, so no test asserts them; ``--check`` compares them with what the project promises and ends
with 1 when a promise is missed.
"""

from __future__ import annotations

import argparse
from importlib import import_module

from tests.benchmarks.rows import Row, machine, show

PARTS = {  # the module in this folder whose `measure(quick)` gives the rows, and the title above them
    "imports": "Import",
    "exports": "Exports",
    "tables": "Bills of networks",
    "training": "Training",
    "effects": "What the notebooks promise, over several seeds",
    "races": "Separable against standard: predicted and measured",
    "inside": "Looking inside: do the marked pixels matter?",
    "notebook_runs": "Notebooks, each in a fresh kernel",
    "in_lab": "SlidingKernel in JupyterLab, and the same picture drawn by Python",
    "live": "The live view of training in JupyterLab",
    "draw": "The draw pad in JupyterLab",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--check", action="store_true", help="end with 1 when a bar is missed")
    parser.add_argument("--quick", action="store_true", help="few samples: does it run at all?")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="leave the other parts out")
    options = parser.parse_args()
    print(machine())
    rows: list[Row] = []
    for part in options.only:
        rows += show(PARTS[part], import_module(f"tests.benchmarks.{part}").measure(options.quick))
    missed = [row.name for row in rows if not row.passed]
    print(f"\n{sum(row.bar is not None for row in rows)} bars, {len(missed)} missed")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
