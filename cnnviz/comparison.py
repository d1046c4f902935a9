"""Networks side by side: accuracy against multiply-adds, with the parameters as area."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from itertools import cycle
from math import log10
from pathlib import Path
from typing import Any, NamedTuple

from cnnviz._checks import _number
from cnnviz._plotly import LOOK, TEXT
from cnnviz._tables import Line, as_html, as_text, write_csv
from cnnviz.cost import CostTable

COLUMNS = ("family", "top-1 %", "top-5 %", "params", "MACs", "activations")
LARGEST_BUBBLE = 56  # pixels across
WIDTHS, HEIGHT = (530, 1100), 520  # pixels of a chart's inside, in a narrow and in a wide window
# Sides of a disc, as plotly calls them: to the right, up.
SIDES = {"middle right": (1, 0), "middle left": (-1, 0), "top center": (0, 1), "bottom center": (0, -1)}
SIDES |= {f"{v} {h}": (a, b) for v, b in (("top", 1), ("bottom", -1)) for h, a in (("right", 1), ("left", -1))}
WORSE = 3  # a name over a name or beyond the edge, times one over a disc
Box = tuple[float, float, float, float]  # left, right, bottom, top
# ImageNet accuracies of networks that torchvision has no weights for, from their papers.
PAPERS = {"mobilenet_v1": (70.6, None)}  # Howard et al., MobileNets, table 6


class Compared(NamedTuple):
    """One network: its bill and, where it is known, its accuracy in per cent (ImageNet validation, one crop)."""

    name: str
    family: str
    top1: float | None
    top5: float | None
    params: int
    macs: int
    activations: int


@dataclass(frozen=True, repr=False)
class Comparison:
    """Networks with their costs and accuracies: a table, and a chart of it."""

    rows: tuple[Compared, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Compared]:
        return iter(self.rows)

    def within(
        self, macs: float | None = None, params: float | None = None, families: Iterable[str] | None = None
    ) -> Comparison:
        """The networks that stay inside a budget, or belong to some families.

        Raises
        ------
        ValueError
            For a limit that is no number of at least 0, or families that are one name instead of a list.

        >>> nets = (Compared("a", "a", 70.0, None, 5, 10, 1), Compared("b", "b", 75.0, None, 9, 30, 1))
        >>> [net.name for net in Comparison(nets).within(macs=20)]
        ['a']
        """
        for name, limit in (("macs", macs), ("params", params)):
            if limit is not None:
                _number(name, limit, least=0)
        if isinstance(families, str):
            raise ValueError(f"families {families!r} is one name: give a list, [{families!r}]")
        wanted = None if families is None else set(families)
        kept = (
            row
            for row in self.rows
            if (macs is None or row.macs <= macs)
            and (params is None or row.params <= params)
            and (wanted is None or row.family in wanted)
        )
        return Comparison(tuple(kept))

    def front(self) -> Comparison:
        """The networks that no other beats: none has at least their top-1 accuracy for fewer MACs (Pareto front)."""
        rows = sorted((row for row in self.rows if row.top1 is not None), key=lambda row: (row.macs, -row.top1))
        kept: list[Compared] = []
        for row in rows:
            if not kept or row.top1 > kept[-1].top1:
                kept.append(row)
        return Comparison(tuple(kept))

    def to_csv(self, path: str | Path) -> Path:
        """Write the rows, the first line naming the columns."""
        return write_csv(path, Compared._fields, self.rows)

    def figure(self) -> Any:
        """A plotly chart: top-1 accuracy against MACs, area by parameters; a click in the legend hides a family.

        The picture of Canziani, Paszke and Culurciello, "An Analysis of Deep Neural Network Models for Practical
        Applications", 2016.

        Raises
        ------
        ValueError
            If no network has a known accuracy (give ``compare`` an ``accuracy``), or one of them does no MACs.
        """
        import plotly.graph_objects as go
        from plotly.colors import qualitative

        rows = sorted((row for row in self.rows if row.top1 is not None), key=lambda row: -row.params)
        if not rows:
            names = ", ".join(row.name for row in self.rows)
            raise ValueError(f"no accuracy is known for {names}: give compare(..., accuracy={{name: per cent}})")
        for row in rows:
            if not row.macs:
                raise ValueError(
                    f"{row.name} has no MACs, and a logarithmic axis no place for 0: leave it out of the chart"
                )
        x_range, y_range = _room([log10(row.macs / 1e9) for row in rows], 0.12), _room([row.top1 for row in rows], 0.1)
        places = _label_places(rows, x_range, y_range)
        chart = go.Figure()
        colours = dict(zip(dict.fromkeys(row.family for row in rows), cycle(qualitative.Dark24), strict=False))
        for family, colour in colours.items():  # the largest discs first, so that none is covered
            members = [row for row in rows if row.family == family]
            chart.add_scatter(
                name=escape(family),
                legendgroup=escape(family),
                x=[row.macs / 1e9 for row in members],
                y=[row.top1 for row in members],
                text=[escape(row.name) for row in members],
                customdata=[[row.params / 1e6, row.activations / 1e6] for row in members],
                mode="markers",
                marker={
                    "color": colour,
                    "opacity": 0.6,
                    "size": [row.params for row in members],
                    "sizemode": "area",
                    "sizeref": 2 * max(rows[0].params, 1) / LARGEST_BUBBLE**2,
                    "sizemin": 3,
                },
                hovertemplate=(
                    "%{text}: %{y:.1f} %<br>%{x:.3g} billion MACs<br>%{customdata[0]:.1f} million parameters"
                    "<br>%{customdata[1]:.1f} million activation values<extra></extra>"
                ),
            )
        for disc in list(chart.data):  # the names over all discs; discs nobody sees keep them at their distance
            sides = [places[name] for name in disc.text]
            names = {"mode": "markers+text", "textposition": sides, "cliponaxis": False, "showlegend": False}
            chart.add_scatter(**disc.to_plotly_json() | names | {"hovertemplate": None, "hoverinfo": "skip"})
            chart.data[-1].marker.opacity = 0
        ticks = [digit * 10.0**power for power in range(-6, 6) for digit in (1, 2, 5)]
        title = "multiply-adds of one picture, billions"
        chart.update_layout(
            xaxis={"title": title, "type": "log", "range": x_range, "tickvals": ticks},
            yaxis={"title": "top-1 accuracy on ImageNet, %", "range": y_range},
            title={"text": "area of a disc: parameters · a click in the legend hides a family", "font": {"size": TEXT}},
            legend={"itemsizing": "constant", "orientation": "h", "y": -0.18, "yanchor": "top"},
            height=HEIGHT + 210,
            margin={"t": 60, "l": 60, "r": 30, "b": 150},
            **LOOK,
        )
        return chart

    def __repr__(self) -> str:
        return as_text("network", COLUMNS, self._lines(), total=False)

    def _repr_html_(self) -> str:
        return as_html("network", COLUMNS, self._lines())

    def _lines(self) -> list[Line]:
        return [Line(0, row.name, _cells(row)) for row in self.rows]


def compare(
    networks: Iterable[Any] | Mapping[str, Any] | None = None,
    accuracy: Mapping[str, float] | None = None,
    input_size: Any = None,
) -> Comparison:
    """Costs of several networks, with the accuracies that are known.

    Parameters
    ----------
    networks
        Names of ``cnnviz.models.names()``, modules or cost tables; a dict gives them names of your own. By default all
        networks with published ImageNet weights.
    accuracy
        Top-1 accuracies in per cent by name, for networks that have none or to put in the place of the published one.
    input_size
        Shape of a picture (C, H, W) for all; by default what each named network was published for.

    Raises
    ------
    ValueError
        For an unknown name, an accuracy that is not 0 to 100 or belongs to none of the networks, or no networks at all.

    >>> compare(["squeezenet1_1", "alexnet"])
    network        family      top-1 %  top-5 %      params         MACs  activations
    ---------------------------------------------------------------------------------
    squeezenet1_1  squeezenet     58.2     80.6   1,235,496  349,151,936    6,960,376
    alexnet        alexnet        56.5     79.1  61,100,840  714,188,480    1,084,904
    """
    from cnnviz import models

    if isinstance(networks, str):
        raise ValueError(f"networks {networks!r} is one name: give a list of names, [{networks!r}]")
    if not (networks is None or isinstance(networks, Iterable)):
        raise ValueError(f"networks {str(networks)[:60]} is not a list of names, modules or cost tables")
    chosen = sorted(models.published()) if networks is None else networks
    pairs = list(chosen.items()) if isinstance(chosen, Mapping) else [(None, network) for network in chosen]
    if not pairs:
        raise ValueError("no network to compare: give a list of names, or nothing for all with published weights")
    if not isinstance(accuracy or {}, Mapping):
        raise ValueError(f"accuracy {str(accuracy)[:60]} is not a dictionary: give {{name: per cent}}")
    given = dict(accuracy or {})
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 100:
            raise ValueError(f"accuracy of {name}: {value!r} is not a number of per cent from 0 to 100")
    rows = tuple(_compared(label, network, given, input_size) for label, network in pairs)
    unused = given.keys() - {row.name for row in rows}
    if unused:
        names = ", ".join(row.name for row in rows)
        raise ValueError(f"accuracy of {', '.join(sorted(unused))} belongs to none of the networks: {names}")
    return Comparison(rows)


def _compared(label: str | None, network: Any, given: dict[str, float], input_size: Any) -> Compared:
    from cnnviz.measure import cost_table

    table = network if isinstance(network, CostTable) else cost_table(network, input_size)
    name = label or table.title
    top1, top5 = _accuracies(network) if isinstance(network, str) else (None, None)
    if name in given:
        top1, top5 = float(given[name]), None
    family = re.match(r"(wide_)?[^\W\d_]+|.*", table.title).group()
    return Compared(name, family, top1, top5, table.total.params, table.total.macs, table.total.activations)


def _room(values: list[float], share: float) -> list[float]:
    """From the lowest to the highest value, with room for labels."""
    low, high = min(values), max(values)
    extra = share * (high - low or 1)
    return [low - extra, high + extra]


def _label_places(rows: list[Compared], x_range: list[float], y_range: list[float]) -> dict[str, str]:
    """On which side of its disc each name stands, so that names cover each other and the discs as little as may be."""
    windows = [_Window(width, rows, x_range, y_range) for width in WIDTHS]
    places: dict[str, str] = {}
    for _ in range(4):  # the first names chose before they knew the others
        for row in reversed(rows):
            others = {name: side for name, side in places.items() if name != row.name}
            places[row.name] = min(SIDES, key=lambda side: sum(one.hidden(row.name, side, others) for one in windows))
    return {escape(name): side for name, side in places.items()}


class _Window:
    """Where discs and names would be in a chart of this width, as boxes (left, right, bottom, top) in pixels."""

    def __init__(self, width: float, rows: list[Compared], x_range: list[float], y_range: list[float]) -> None:
        self.names: dict[str, dict[str, Box]] = {}
        outside = [(width, 2 * width, 0, HEIGHT), (-width, 0, 0, HEIGHT)]
        outside += [(-width, 2 * width, HEIGHT, 2 * HEIGHT), (-width, 2 * width, -HEIGHT, 0)]
        discs = []
        for row in rows:
            x = width * (log10(row.macs / 1e9) - x_range[0]) / (x_range[1] - x_range[0])
            y = HEIGHT * (row.top1 - y_range[0]) / (y_range[1] - y_range[0])
            radius = LARGEST_BUBBLE / 2 * (row.params / max(rows[0].params, 1)) ** 0.5 + 2
            half, tall, core = 0.28 * TEXT * len(row.name), 0.6 * TEXT, 0.8 * radius
            discs.append((x - core, x + core, y - core, y + core))
            centres = {side: (x + a * (radius + half), y + b * (radius + tall)) for side, (a, b) in SIDES.items()}
            self.names[row.name] = {side: (a - half, a + half, b - tall, b + tall) for side, (a, b) in centres.items()}
        self.fixed = {  # how much of a name lies over what does not move
            name: {side: _over(box, discs) + WORSE * _over(box, outside) for side, box in boxes.items()}
            for name, boxes in self.names.items()
        }

    def hidden(self, name: str, side: str, others: dict[str, str]) -> float:
        """How much of a name would lie over other things; over another name is worse than over a disc."""
        words = [self.names[other][place] for other, place in others.items()]
        return self.fixed[name][side] + WORSE * _over(self.names[name][side], words)


def _over(box: Box, others: Iterable[Box]) -> float:
    return sum(_shared(box, other) for other in others)


def _shared(a: Box, b: Box) -> float:
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[2], b[2]))


def _accuracies(name: str) -> tuple[float | None, float | None]:
    from cnnviz import models

    known = models.published().get(name)
    return (known.top1, known.top5) if known else PAPERS.get(name, (None, None))


def _cells(row: Compared) -> tuple[str, ...]:
    counts = (f"{count:,}" for count in (row.params, row.macs, row.activations))
    return row.family, _percent(row.top1), _percent(row.top5), *counts


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
