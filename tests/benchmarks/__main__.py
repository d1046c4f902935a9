"""Measure everything in one run and print it: ``python -m tests.benchmarks [--check] [--quick] [--only PART ...]``.

Times depend on the machine, so no test asserts them; ``--check`` compares them with what the project promises and ends
with 1 when a promise is missed.
"""

from __future__ import annotations

import argparse

from tests.benchmarks.rows import Row, machine, show

PARTS = ("imports", "exports", "tables", "notebooks", "lab")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--check", action="store_true", help="end with 1 when a bar is missed")
    parser.add_argument("--quick", action="store_true", help="few samples: does it run at all?")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="leave the other parts out")
    options = parser.parse_args()
    print(machine())
    rows: list[Row] = []
    if "imports" in options.only:
        from tests.benchmarks import imports

        rows += show("Import", imports.measure())
    if "exports" in options.only:
        from tests.benchmarks import exports

        rows += show("Exports", exports.measure(options.quick))
    if "tables" in options.only:
        from tests.benchmarks import tables

        rows += show("Bills of networks", tables.measure(options.quick))
    if "notebooks" in options.only:
        from tests.benchmarks import notebook_runs

        rows += show("Notebooks, each in a fresh kernel", notebook_runs.measure())
    if "lab" in options.only:
        from tests.benchmarks import in_lab

        widget, comparison = in_lab.measure(count=10 if options.quick else 60)
        rows += show("SlidingKernel in JupyterLab", widget)
        rows += show("The same picture drawn by Python", comparison)
    missed = [row.name for row in rows if not row.passed]
    print(f"\n{sum(row.bar is not None for row in rows)} bars, {len(missed)} missed")
    return 1 if missed and options.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
