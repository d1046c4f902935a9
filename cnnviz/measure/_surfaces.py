"""What a separable convolution needs of the standard one, by filters and kernel size. Private: `measure` shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import Any

from cnnviz._checks import _either, _whole
from cnnviz._plotly import LOOK, TEXT
from cnnviz.cost import Cost, conv_cost
from cnnviz.measure._race import _wholes

VALUE = 4  # bytes
FILTERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
KERNEL_SIZES = (1, 3, 5, 7, 9, 11)
QUANTITIES = ("MACs", "parameters", "activations", "bytes moved")


@dataclass(frozen=True, repr=False)
class Surfaces:
    """For each quantity, separable divided by standard: a row a kernel size, a column a number of filters.

    Without biases MACs and parameters are ``1 / N + 1 / Dk**2``, whatever the channels and the map (Howard et al.,
    "MobileNets", 2017, section 3.1). Activations and bytes moved are not: the depthwise step writes maps that the
    pointwise step reads again.
    """

    in_channels: int
    size: int
    filters: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    shares: dict[str, list[list[float]]]

    def share(self, quantity: str, filters: int, kernel_size: int) -> float:
        """One value of a surface.

        >>> round(surfaces(64, 28).share("MACs", filters=128, kernel_size=3), 4)
        0.1189
        """
        for name, value, known in (
            ("quantity", quantity, QUANTITIES),
            ("filters", filters, self.filters),
            ("kernel_size", kernel_size, self.kernel_sizes),
        ):
            if value not in known:
                raise ValueError(f"{name} {str(value)[:40]} is not on the surface: use {_either(known)}")
        return self.shares[quantity][self.kernel_sizes.index(kernel_size)][self.filters.index(filters)]

    def figure(self) -> Any:
        """A plotly chart: a coloured map of each surface; a menu chooses the quantity."""
        import plotly.graph_objects as go

        chart = go.Figure()
        columns, rows = [f"{n:,}" for n in self.filters], [f"{k}x{k}" for k in self.kernel_sizes]
        for quantity in QUANTITIES:
            texts = [[_percent(share) for share in row] for row in self.shares[quantity]]
            heights = [[round(log10(share), 4) for share in row] for row in self.shares[quantity]]
            colours = {"colorscale": "RdBu_r", "zmin": -4, "zmax": 4, "showscale": False}  # half: dark words stay clear
            hover = "%{x} filters, %{y}: %{text} of the standard one<extra></extra>"
            chart.add_heatmap(
                x=columns, y=rows, z=heights, text=texts, texttemplate="%{text}", hovertemplate=hover, **colours,
                textfont={"color": "#111111", "size": TEXT},
                visible=quantity == QUANTITIES[0],
            )  # fmt: skip
        choices = [
            {"label": name, "method": "restyle", "args": ["visible", [name == other for other in QUANTITIES]]}
            for name in QUANTITIES
        ]
        # not a row of buttons: in a narrow window the last ones would be out of sight
        menu = {"type": "dropdown", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"}
        words = f"separable, as a share of standard:<br>{self.in_channels} channels in, maps of {self.size}x{self.size}"
        chart.update_layout(
            title={"text": words, "font": {"size": TEXT}, "x": 0.02, "y": 0.96, "yanchor": "top"},
            xaxis={"title": "filters (N)", "type": "category"},
            yaxis={"title": "kernel size (Dk)", "type": "category"},
            updatemenus=[menu | {"buttons": choices}],
            height=430,
            margin={"t": 120, "l": 70, "r": 20},
            **LOOK,
        )
        return chart

    def __repr__(self) -> str:
        ends = f"{self.filters[0]} to {self.filters[-1]} filters, kernels of {self.kernel_sizes[0]} to"
        return (
            f"Surfaces: {self.in_channels} channels in, {ends} {self.kernel_sizes[-1]}, maps of {self.size}x{self.size}"
        )


def surfaces(
    in_channels: int = 128,
    size: int = 28,
    filters: int | Sequence[int] = FILTERS,
    kernel_sizes: int | Sequence[int] = KERNEL_SIZES,
) -> Surfaces:
    """Compute, over filters and kernel sizes, what a separable convolution needs of the standard one, without biases.

    Raises
    ------
    ValueError
        If a number is not a whole one of at least 1.

    Examples
    --------
    >>> surfaces(64, 28)
    Surfaces: 64 channels in, 1 to 1024 filters, kernels of 1 to 11, maps of 28x28
    """
    in_channels, size = _whole("in_channels", in_channels, 1, 2**16), _whole("size", size, 1, 2**16)
    filters, kernel_sizes = _wholes("filters", filters), _wholes("kernel_sizes", kernel_sizes)
    shares: dict[str, list[list[float]]] = {quantity: [] for quantity in QUANTITIES}
    for kernel_size in kernel_sizes:
        cells = [_shares(in_channels, n, kernel_size, size) for n in filters]
        for quantity, row in zip(QUANTITIES, zip(*cells, strict=True), strict=True):
            shares[quantity].append(list(row))
    return Surfaces(in_channels, size, tuple(filters), tuple(kernel_sizes), shares)


def _shares(channels: int, filters: int, kernel_size: int, size: int) -> list[float]:
    standard = conv_cost(channels, filters, kernel_size, size, bias=False)
    steps = [
        conv_cost(channels, channels, kernel_size, size, groups=channels, bias=False),
        conv_cost(channels, filters, 1, size, bias=False),
    ]
    separable = sum(steps, Cost())
    read = channels * size * size  # values, by either form's first step and by the pointwise step
    bills = [
        (cost.macs, cost.params, cost.activations, VALUE * (cost.params + cost.activations + calls * read))
        for cost, calls in ((separable, 2), (standard, 1))
    ]
    return [mine / other for mine, other in zip(*bills, strict=True)]


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"
