"""Standard against separable convolution, over a grid of channels and map sizes. Private: `measure` shows it."""

from __future__ import annotations

import csv
import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from cnnviz._checks import _short, _whole
from cnnviz._plotly import COLOURS, LOOK, TEXT
from cnnviz._tables import Line, as_html, as_text, write_csv
from cnnviz.cost import conv_cost
from cnnviz.measure._latency import Setting, read_setting, together
from cnnviz.measure._roofline import Roofline, roofline

COLUMNS = ("map", "MACs", "predicted", "measured", "standard", "separable", "depthwise", "pointwise")
UNITS = "MACs: times fewer. Predicted, measured: times faster. The rest: µs of a run"
NOTHING = math.nan


class Lap(NamedTuple):
    """One cell of the grid: how many times fewer MACs, how many times faster as predicted and as measured.

    The last four times are seconds of a run, those of the fastest block: of the standard convolution, of the separable
    form, and of its two steps.
    """

    channels: int
    size: int
    macs: float
    predicted: float = NOTHING
    measured: float = NOTHING
    lowest: float = NOTHING  # the ratios of any two blocks out of the fastest quarters
    highest: float = NOTHING  # lie between these
    standard: float = NOTHING
    separable: float = NOTHING
    depthwise: float = NOTHING
    pointwise: float = NOTHING
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        """A line of a table, without the channels."""
        numbers = [*self[2:5], *(1e6 * seconds for seconds in self[7:11])]
        cells = [f"{number:,.1f}" if number < 100 else f"{number:,.0f}" for number in numbers]
        return f"{self.size}x{self.size}", *(cells if not self.note else [cells[0], self.note, *[""] * 5])


@dataclass(frozen=True, repr=False)
class Race:
    """What :func:`race` measured: ``laps``, and ``about``: device, versions, date, and what was raced."""

    laps: tuple[Lap, ...]
    about: dict[str, str] = field(default_factory=dict)

    def lap(self, channels: int, size: int) -> Lap:
        """The cell with these channels and this map size.

        Raises
        ------
        ValueError
            If it was not raced.
        """
        for lap in self.laps:
            if (lap.channels, lap.size) == (channels, size):
                return lap
        there = ", ".join(f"({lap.channels}, {lap.size})" for lap in self.laps)
        raise ValueError(f"({_short(channels)}, {_short(size)}) was not raced: there are {there}")

    def to_csv(self, path: str | Path) -> Path:
        """Write a line for each cell, with device, versions and date, which `from_csv` reads back."""
        cells = ([f"{value:.6g}" if isinstance(value, float) else value for value in lap] for lap in self.laps)
        return write_csv(path, (*Lap._fields, *self.about), ([*row, *self.about.values()] for row in cells))

    @classmethod
    def from_csv(cls, path: str | Path) -> Race:
        """Read a race that was recorded, here or on another machine.

        Raises
        ------
        ValueError
            If the file is not one that `to_csv` wrote.
        """
        laps, about = [], {}
        with Path(path).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                try:
                    values = [row.pop(name) for name in Lap._fields]
                    laps.append(Lap(*map(int, values[:2]), *map(float, values[2:-1]), values[-1]))
                except (KeyError, ValueError, TypeError) as error:
                    raise ValueError(f"{str(path)!r} is not a recorded race: {error}") from None
                about = row
        if not laps:
            raise ValueError(f"{str(path)!r} is not a recorded race: it has no lines")
        return cls(tuple(laps), {**about, "raced": f"Recorded {about.get('date', '')}: {about.get('raced', '')}"})

    def figure(self) -> Any:
        """A plotly chart: for each cell the three ratios side by side, the measured one with its spread."""
        import plotly.graph_objects as go

        chart = go.Figure()
        laps = [lap for lap in self.laps if not lap.note]
        places = [[f"{lap.channels} channels" for lap in laps], [f"{lap.size}²" for lap in laps]]
        for name, colour in zip(("macs", "predicted", "measured"), COLOURS, strict=True):
            bars = {"x": places, "y": [round(getattr(lap, name), 2) for lap in laps], "marker_color": colour}
            if name == "measured":
                above = [lap.highest - lap.measured for lap in laps]
                below = [lap.measured - lap.lowest for lap in laps]
                bars["error_y"] = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
            chart.add_bar(name={"macs": "fewer MACs", "predicted": "predicted by roofline"}.get(name, name), **bars)
        words = {"text": "<br>".join([*self.about.values()][:2]), "font": {"size": TEXT}}
        legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom"}
        size = {"height": 440, "margin": {"t": 120}}
        chart.update_layout(title=words, yaxis_title="times", legend=legend, **size, **LOOK)
        return chart

    def __repr__(self) -> str:
        return "\n".join([*self._title(), UNITS, as_text("channels", COLUMNS, self._lines(), total=False)])

    def _repr_html_(self) -> str:
        title = "".join(f"<div>{escape(line)}</div>" for line in [*self._title(), UNITS])
        return title + as_html("channels", COLUMNS, self._lines())

    def _title(self) -> list[str]:
        raced, *rest = self.about.values()
        return [raced, "; ".join(rest)]

    def _lines(self) -> list[Line]:
        return [Line(0, str(lap.channels), lap.cells()) for lap in self.laps]


def recorded() -> list[Race]:
    """Races that were recorded on the machines that they name, for readers who have none like it."""
    return [Race.from_csv(path) for path in sorted((Path(__file__).parent / "recorded").glob("race-*.csv"))]


def race(
    channels: int | Sequence[int] = (16, 64, 256),
    sizes: int | Sequence[int] = (7, 14, 28, 56),
    kernel_size: int = 3,
    groups: int | None = None,
    batch: int = 1,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype = "float32",
    channels_last: bool = False,
    seconds: float = 0.3,
    roof: Roofline | None = None,
) -> Race:
    """Set a standard convolution against its separable form: multiply-adds, prediction, clock.

    The standard one has as many filters as channels. The separable one is a depthwise convolution (or one with
    ``groups``) and a 1x1. In each cell of the grid all are timed in turns, and of each the fastest block counts, since
    whatever else the machine does only adds to a time. A cell that does not fit into memory is only marked.

    Parameters
    ----------
    channels, sizes
        The grid: numbers of channels, and rows and columns of the maps.
    groups
        By itself as many as there are channels.
    seconds
        For each cell, about.
    roof
        A measured :func:`roofline`; by itself it is measured first.

    Raises
    ------
    ValueError
        For an argument that is none, and where ``groups`` does not divide a number of channels.

    Examples
    --------
    >>> result = race(8, 6, device="cpu", seconds=0.01)
    >>> round(result.lap(8, 6).macs, 2), result.lap(8, 6).measured > 0
    (4.24, True)
    """
    setting = read_setting(batch, device, dtype, channels_last)
    grid = [(c, s) for c in _wholes("channels", channels) for s in _wholes("sizes", sizes)]
    if _whole("kernel_size", kernel_size, 1, 99) % 2 == 0:
        raise ValueError(f"kernel_size {kernel_size} is even, and the map would not keep its size: use 3, 5 or 7")
    fewer = [_fewer_macs(*cell, kernel_size, groups) for cell in grid]
    roof = roof or roofline(setting.device, dtype, channels_last)
    laps = [
        _lap(*cell, macs, _convolutions(cell[0], kernel_size, groups), setting, roof, seconds)
        for cell, macs in zip(grid, fewer, strict=True)
    ]
    about = {
        "raced": f"{kernel_size}x{kernel_size} against {f'{groups} groups' if groups else 'depthwise'} and 1x1",
        "setting": str(setting),
        "roofline": f"{roof.peak / 1e9:,.0f} GFLOPs a second at most and {roof.bandwidth / 1e9:,.1f} GB a second",
        "versions": f"PyTorch {torch.__version__} on {platform.system()} {platform.machine()}",
        "date": date.today().isoformat(),
    }
    return Race(tuple(laps), about)


def _wholes(name: str, given: Any) -> list[int]:
    given = given.tolist() if hasattr(given, "tolist") else given  # of NumPy or PyTorch
    values = list(given) if isinstance(given, (list, tuple, range)) else [given]
    if not values:
        raise ValueError(f"{name} is empty: give a number or several")
    return [_whole(name, value, 1, 2**16) for value in values]


def _fewer_macs(channels: int, size: int, kernel_size: int, groups: int | None) -> float:
    grouped = conv_cost(channels, channels, kernel_size, size, groups or channels)
    separable = grouped + conv_cost(channels, channels, 1, size)
    return conv_cost(channels, channels, kernel_size, size).macs / separable.macs


def _convolutions(channels: int, kernel_size: int, groups: int | None) -> tuple[nn.Module, ...]:
    """Standard, separable, and the two steps of that; without memory."""

    def conv(kernel_size: int, groups: int = 1) -> nn.Conv2d:
        return nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, groups=groups, bias=False)

    with torch.device("meta"):
        grouped, mixing = conv(kernel_size, groups or channels), conv(1)
        return conv(kernel_size), nn.Sequential(grouped, mixing), grouped, mixing


def _lap(
    channels: int, size: int, macs: float, networks: tuple[nn.Module, ...], setting: Setting, roof: Roofline,
    seconds: float,
) -> Lap:  # fmt: skip
    shape = (channels, size, size)
    least = [roof.predict(network, shape, setting.batch).seconds for network in networks[:2]]
    try:
        taken = together([(network, shape) for network in networks], setting, seconds)
    except torch.OutOfMemoryError:
        return Lap(channels, size, macs, note="out of memory")
    times = [one.fastest for one in taken]
    slower = [one.middle_half[0] for one in taken]  # a quarter of the blocks were faster
    low, high = times[0] / slower[1], slower[0] / times[1]
    return Lap(channels, size, macs, least[0] / least[1], times[0] / times[1], low, high, *times)
