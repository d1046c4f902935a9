"""What a benchmark prints: rows with a measured value and, where the project promised one, a bar."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata

LIBRARIES = ("jupyterlab", "ipywidgets", "anywidget", "plotly", "matplotlib", "torch", "numpy", "playwright")


@dataclass(frozen=True)
class Row:
    """One figure. `bar` is the promise: at most, or at least when `more` is set; None when nothing was promised."""

    name: str
    value: float
    unit: str = "ms"
    bar: float | None = None
    more: bool = False
    note: str = ""

    @classmethod
    def of_seeds(cls, name: str, values: Sequence[float], unit: str = "", bar: float | None = None) -> Row:
        """Return the median of the values that several seeds gave, with all of them as a note; a bar holds for each."""
        value = statistics.median(values) if bar is None else min(values)
        return cls(name, value, unit, bar, more=True, note="seeds: " + ", ".join(map(number, values)))

    @property
    def passed(self) -> bool:
        """Whether the bar is kept; true without a bar."""
        if self.bar is None:
            return True
        return self.value >= self.bar if self.more else self.value <= self.bar

    def __str__(self) -> str:
        promise = ""
        if self.bar is not None:
            promise = f"{'>=' if self.more else '<='} {self.bar:g}".rjust(10) + ("  ok" if self.passed else "  MISSED")
        return f"  {self.name:<66}{number(self.value):>10} {self.unit:<4}{promise}  {self.note}".rstrip()


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percentile(values: Sequence[float], percent: float) -> float:
    """Nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def spread(name: str, values: Sequence[float], p95: float | None = None, note: str = "") -> list[Row]:
    """Median and 95th percentile of a set of times in milliseconds."""
    note = note or f"{len(values)} samples"
    return [
        Row(f"{name}, median", statistics.median(values), note=note),
        Row(f"{name}, p95", percentile(values, 95), bar=p95),
    ]


def machine() -> str:
    """One line that names the machine and the versions that were measured."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    system = f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return f"{system}, {versions}"


def show(title: str, rows: Iterable[Row]) -> list[Row]:
    """Print a table and return its rows."""
    rows = list(rows)
    print(f"\n{title}", flush=True)
    for row in rows:
        print(row, flush=True)
    return rows


def seeds_of(quick: bool) -> range:
    """Return the seeds that an effect of training is measured with."""
    return range(1 if quick else 3)
