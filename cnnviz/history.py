"""What a training run leaves behind: one row a step, one row an epoch, gradient norms by layer, snapshots.

A trainer appends while anybody reads: columns only grow, and every reader gets copies.

>>> from cnnviz import History
>>> history = History()
>>> history.add_step(Step(1, 1, loss=2.5, accuracy=0.125, lr=0.1, seconds=0.01, samples_per_second=6400))
>>> history.steps[0].accuracy, history.series("loss")
(0.125, array([2.5]))
"""

from __future__ import annotations

import copy
import csv
import os
import threading
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cnnviz._checks import _count
from cnnviz._plotly import COLOURS, LOOK

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotly.graph_objects import Figure as Chart

__all__ = ["History", "News", "Record", "Step"]

_NORM = "gradient norm of "  # what a layer's column is called in a CSV file


class Step(NamedTuple):
    """One step: loss and accuracy of its batch before the update, seconds of training so far (pauses left out)."""

    step: int
    epoch: int
    loss: float
    accuracy: float
    lr: float
    seconds: float
    samples_per_second: float


class Record(NamedTuple):
    """One epoch: means over its batches, while the weights moved; then the test set, with the weights at its end."""

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    lr: float
    seconds: float


class News(NamedTuple):
    """What was appended after two cursors."""

    steps: list[Step]
    epochs: list[Record]
    gradient_norms: dict[str, np.ndarray]


class _Rows(Sequence):
    """Named tuples kept as columns of doubles, 56 bytes a row: an hour of training has a million of them."""

    def __init__(self, kind: type, whole: int) -> None:
        self.kind, self.whole = kind, whole  # the first `whole` fields are integers
        self.columns = [array("d") for _ in kind._fields]

    def append(self, row: tuple) -> None:
        for column, value in zip(self.columns, row, strict=True):
            column.append(value)

    def __len__(self) -> int:
        return len(self.columns[-1])  # the last to grow: a reader sees a row whole or not at all

    def __getitem__(self, index: int | slice) -> Any:
        places = range(len(self))[index]
        return self._row(places) if isinstance(places, int) else [self._row(place) for place in places]

    def __iter__(self) -> Iterator[Any]:
        return iter(self[:])

    def __repr__(self) -> str:
        return f"[{self[0]}, ..., {self[-1]}]" if len(self) > 2 else str(self[:])

    def _row(self, place: int) -> tuple:
        values = [column[place] for column in self.columns]
        return self.kind(*map(int, values[: self.whole]), *values[self.whole :])


def _copied(column: array, start: int = 0) -> np.ndarray:
    """A copy of a column that may be growing: while NumPy held the array itself, `append` would raise."""
    return np.frombuffer(column[start:], column.typecode)


class History:
    """Everything a run recorded. Appended to by one trainer, read by any thread.

    Attributes
    ----------
    steps, epochs
        Sequences of `Step` and of `Record`.
    snapshots
        List of ``(epoch, {"filters": (F, C, h, w), "maps": (F, H, W)})``, if the run was asked for them.
    snapshots_of
        The layer that they are of, as `fit` was given its name; empty for the first convolution.
    ending
        How the run ended, as one sentence; empty before.

    Examples
    --------
    >>> history = History()
    >>> history.add_epoch(Record(1, 2.1, 0.3, 1.9, 0.5, lr=0.1, seconds=0.2))
    >>> history.series("test_accuracy")
    array([0.5])
    """

    def __init__(self) -> None:
        self.steps, self.epochs = _Rows(Step, whole=2), _Rows(Record, whole=1)
        self.snapshots: list[tuple[int, dict[str, np.ndarray]]] = []
        self.snapshots_of = self.ending = ""
        self.steps_per_epoch = 0  # planned; 0 where it is not known
        self._norms: dict[str, array] = {}
        self._grown = threading.Condition()

    def __getstate__(self) -> dict[str, Any]:
        with self._grown:
            return {key: copy.deepcopy(value) for key, value in self.__dict__.items() if key != "_grown"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _grown=threading.Condition())

    def add_step(self, step: Step, norms: Mapping[str, float] | None = None) -> None:
        """Append a step, with the gradient norm of each layer (the same layers every time)."""
        with self._grown:
            for layer, norm in (norms or {}).items():
                self._norms.setdefault(layer, array("f")).append(norm)
            self.steps.append(step)
            self._grown.notify_all()

    def add_epoch(self, record: Record) -> None:
        """Append an epoch."""
        with self._grown:
            self.epochs.append(record)
            self._grown.notify_all()

    @property
    def gradient_norms(self) -> dict[str, np.ndarray]:
        """For each layer with a kernel or a matrix the norm of its gradient at each step, before any clipping."""
        return self.since(len(self.steps), len(self.epochs), norms_from=0).gradient_norms

    def since(self, step: int = 0, epoch: int = 0, norms_from: int | None = None) -> News:
        """Return what was appended after the first `step` steps and `epoch` epochs."""
        start = step if norms_from is None else norms_from
        with self._grown:
            norms = {layer: _copied(column, start) for layer, column in self._norms.items()}
            return News(self.steps[step:], self.epochs[epoch:], norms)

    def wait(self, step: int, epoch: int, timeout: float | None = None) -> bool:
        """Wait until there are more than `step` steps or `epoch` epochs; False after `timeout` seconds without."""
        with self._grown:
            return self._grown.wait_for(lambda: len(self.steps) > step or len(self.epochs) > epoch, timeout)

    def series(self, name: str) -> np.ndarray:
        """Return one column: a field of `Step` (one value a step) or of `Record` (one an epoch).

        "epoch", "lr" and "seconds" are those of the steps.
        """
        for rows in (self.steps, self.epochs):
            if name in rows.kind._fields:
                return _copied(rows.columns[rows.kind._fields.index(name)])
        known = dict.fromkeys((*Step._fields, *Record._fields))
        raise ValueError(f"a history has no series {name!r}: use one of {', '.join(known)}")

    def __repr__(self) -> str:
        if self.ending:
            return self.ending
        return f"{_count(len(self.epochs), 'epoch')} so far, {_count(len(self.steps), 'step')}{self.result()}."

    def result(self) -> str:
        """What the last epoch reached, rounded so that it is the same on other machines more often than not."""
        if not self.epochs:
            return ""
        return f": {100 * self.epochs[-1].test_accuracy:.0f} % of the test pictures right"

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a table that `from_csv` reads back: a row for each step, then one without `step` for each epoch."""
        steps, epochs, norms = self.since()
        names = list(dict.fromkeys((*Step._fields, *Record._fields)))
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow([*names, *(_NORM + layer for layer in norms)])
            for i, row in enumerate([*steps, *epochs]):
                values = row._asdict()
                further = [norm[i] for norm in norms.values()] if i < len(steps) else []
                table.writerow([*(values.get(name, "") for name in names), *further])

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> History:
        """Read what `to_csv` wrote, for a replay; snapshots are not in it."""
        history = cls()
        with Path(path).open(newline="", encoding="utf-8-sig", errors="replace") as file:  # -sig: a spreadsheet's mark
            table = csv.DictReader(file, restkey="too many")
            missing = {*Step._fields, *Record._fields} - set(table.fieldnames or ())
            if missing:
                raise ValueError(f"{str(path)!r} is not a history: it has no column {sorted(missing)[0]!r}")
            for row in table:
                try:
                    history._add_row(row)
                except (TypeError, ValueError, OverflowError) as error:
                    raise ValueError(f"{str(path)!r}, line {table.line_num}: {error}") from None
        return history

    def _add_row(self, row: dict[str, str]) -> None:
        kind = Step if row["step"] else Record
        values = kind(*(float(row[name]) for name in kind._fields))
        if "too many" in row or not all(
            1 <= int(place) == place < 10**9 for place in values[: 2 if kind is Step else 1]
        ):
            raise ValueError("step and epoch are whole numbers from 1, and a row has one cell a column")
        if kind is Record:
            self.add_epoch(values)
        else:
            self.add_step(values, {key.removeprefix(_NORM): float(row[key]) for key in row if key.startswith(_NORM)})

    def plot(self) -> Figure:
        """Draw loss and accuracy with matplotlib, as a still picture that a notebook keeps."""
        from matplotlib import pyplot

        figure, axes = pyplot.subplots(1, 2, figsize=(6.6, 3), layout="constrained")  # wider, a narrow page shrinks it
        pyplot.close(figure)  # the caller shows it: open, it would appear twice in a notebook
        for axis, (name, curves) in zip(axes, self._curves().items(), strict=True):
            for curve, (x, y) in curves.items():
                faint = {"alpha": 0.35, "linewidth": 1} if curve == "batches" else {"marker": "o", "markersize": 3}
                axis.plot(x, y, label=curve, **faint)
            axis.set(xlabel="epoch", title=name)
            axis.xaxis.get_major_locator().set_params(integer=True, nbins=5)
        axes[0].legend()
        return figure

    def figure(self) -> Chart:
        """Draw loss and accuracy with plotly: zoom, and values under the pointer."""
        from plotly.subplots import make_subplots

        chart = make_subplots(1, 2, subplot_titles=("loss", "accuracy"))
        for column, curves in enumerate(self._curves().values(), start=1):
            for (curve, (x, y)), colour in zip(curves.items(), COLOURS, strict=True):
                look = {"line_color": colour, "opacity": 0.4 if curve == "batches" else 1}
                once = {"name": curve, "legendgroup": curve, "showlegend": column == 1}
                chart.add_scatter(x=x, y=y, row=1, col=column, **look, **once)
        below = {"orientation": "h", "y": -0.25, "yanchor": "top"}  # beside the panels it would take a third of a page
        size = {"height": 420, "margin": {"t": 60}}
        return chart.update_xaxes(title_text="epoch").update_layout(legend=below, **size, **LOOK)

    def _curves(self) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
        """Chart -> curve -> x, y; the batches at fractions of an epoch, so that all curves share one axis."""
        steps, epochs, _ = self.since()
        counts = np.unique([step.epoch for step in steps], return_counts=True)[1]
        each = self.steps_per_epoch or max(counts, default=1)  # the last epoch may have been stopped in the middle
        batches = np.array([row.step for row in steps]) / each
        at = np.array([record.epoch for record in epochs])
        return {
            name: {
                "batches": (batches, np.array([getattr(step, name) for step in steps])),
                "training": (at, np.array([getattr(record, f"train_{name}") for record in epochs])),
                "test": (at, np.array([getattr(record, f"test_{name}") for record in epochs])),
            }
            for name in ("loss", "accuracy")
        }
