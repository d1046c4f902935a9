"""Networks side by side: accuracy against multiply-adds, with the parameters as area."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from cnnviz._tables import Line, as_html, as_text
from cnnviz.cost import CostTable

COLUMNS = ("family", "top-1 %", "top-5 %", "params", "MACs", "activations")
LARGEST_BUBBLE = 60  # pixels across
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

        >>> nets = (Compared("a", "a", 70.0, None, 5, 10, 1), Compared("b", "b", 75.0, None, 9, 30, 1))
        >>> [net.name for net in Comparison(nets).within(macs=20)]
        ['a']
        """
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
        path = Path(path)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(Compared._fields)
            writer.writerows(self.rows)
        return path

    def figure(self) -> Any:
        """A plotly chart: top-1 accuracy against MACs, area by parameters; a click in the legend hides a family.

        The picture of Canziani, Paszke and Culurciello, "An Analysis of Deep Neural Network Models for Practical
        Applications", 2016.

        Raises
        ------
        ValueError
            If no network has a known accuracy: give ``compare`` an ``accuracy``.
        """
        import plotly.graph_objects as go

        rows = [row for row in self.rows if row.top1 is not None]
        if not rows:
            names = ", ".join(row.name for row in self.rows)
            raise ValueError(f"no accuracy is known for {names}: give compare(..., accuracy={{name: per cent}})")
        most = max(row.params for row in rows)
        chart = go.Figure()
        for family in dict.fromkeys(row.family for row in rows):
            members = [row for row in rows if row.family == family]
            chart.add_scatter(
                name=escape(family),
                x=[row.macs / 1e9 for row in members],
                y=[row.top1 for row in members],
                text=[escape(row.name) for row in members],
                customdata=[[row.params / 1e6, row.activations / 1e6] for row in members],
                mode="markers+text",
                textposition="top center",
                marker={
                    "size": [row.params for row in members],
                    "sizemode": "area",
                    "sizeref": most / LARGEST_BUBBLE**2,
                    "sizemin": 3,
                },
                hovertemplate=(
                    "%{text}: %{y:.1f} %<br>%{x:.2f} billion MACs<br>%{customdata[0]:.1f} million parameters"
                    "<br>%{customdata[1]:.1f} million activation values<extra></extra>"
                ),
            )
        chart.update_layout(
            xaxis={"title": "multiply-adds of one picture, billions", "type": "log"},
            yaxis={"title": "top-1 accuracy on ImageNet, %"},
            legend={"title": "area: parameters"},
            height=600,
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
    chosen = sorted(models.published()) if networks is None else networks
    pairs = list(chosen.items()) if isinstance(chosen, Mapping) else [(None, network) for network in chosen]
    if not pairs:
        raise ValueError("no network to compare: give a list of names, or nothing for all with published weights")
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


def _accuracies(name: str) -> tuple[float | None, float | None]:
    from cnnviz import models

    known = models.published().get(name)
    return (known.top1, known.top5) if known else PAPERS.get(name, (None, None))


def _cells(row: Compared) -> tuple[str, ...]:
    counts = (f"{count:,}" for count in (row.params, row.macs, row.activations))
    return row.family, _percent(row.top1), _percent(row.top5), *counts


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
