"""What a network costs: parameters, multiply-adds (MACs), activation values. The formulas and the bill, without torch.

1 MAC is one multiplication and one addition, so 2 FLOPs. Adding a bias, batch norm, activation functions and pooling
are not MACs. Everything is for one example, a batch of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from cnnviz._checks import _by, _whole
from cnnviz._tables import Line, as_html, as_text, write_csv

STATES = {"sgd": 0, "momentum": 1, "adam": 2}  # values that the optimizer keeps for each parameter
COLUMNS = ("kind", "output", "params", "MACs", "activations", "receptive field")
FOLDED_LINES = 60  # the longest table that a notebook cell shows without being asked


@dataclass(frozen=True)
class Cost:
    """Parameters, multiply-adds and activation values of a layer, or of several added up.

    >>> Cost(34_944, 105_415_200, 290_400) + Cost(10, 20, 30)
    Cost(params=34954, macs=105415220, activations=290430)
    """

    params: int = 0
    macs: int = 0
    activations: int = 0

    @property
    def flops(self) -> int:
        """Floating-point operations of the multiply-adds: two each."""
        return 2 * self.macs

    def __add__(self, other: Cost) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(self.params + other.params, self.macs + other.macs, self.activations + other.activations)

    def __radd__(self, other: Any) -> Cost:
        return self if other == 0 else NotImplemented  # so that sum() works


def conv_cost(
    in_channels: int, out_channels: int, kernel_size: Any, output_size: Any, groups: int = 1, bias: bool = True
) -> Cost:
    """Cost of a convolution whose output has ``output_size`` rows and columns.

    Each of the ``out_channels`` filters has ``in_channels / groups * prod(kernel_size)`` weights, and each is used once
    at every place of the output. Sizes are numbers (square) or tuples of one, two or three (1-D, 2-D, 3-D).

    Raises
    ------
    ValueError
        If a number is not a whole one of at least 1, or ``groups`` does not divide both channel counts.

    >>> conv_cost(3, 96, 11, 55)  # AlexNet's first layer
    Cost(params=34944, macs=105415200, activations=290400)
    >>> conv_cost(192, 32, 5, (28, 28), bias=False).macs
    120422400
    """
    for name, value in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups)):
        _whole(name, value, 1)
    places, kernel = _sizes(output_size, kernel_size)
    if in_channels % groups or out_channels % groups:
        shared = [g for g in range(1, min(in_channels, out_channels) + 1) if not (in_channels % g or out_channels % g)]
        text = f"groups {groups} does not divide in_channels {in_channels} and out_channels {out_channels}"
        raise ValueError(f"{text}: use one of {', '.join(map(str, shared[:12]))}")
    weights = in_channels // groups * out_channels * prod(kernel)
    return Cost(weights + out_channels * bool(bias), weights * prod(places), out_channels * prod(places))


def separable_cost(in_channels: int, out_channels: int, kernel_size: Any, output_size: Any, bias: bool = True) -> Cost:
    """Cost of a depthwise separable convolution: one kernel a channel, then a 1x1 convolution that mixes them.

    Without biases it costs ``1 / out_channels + 1 / prod(kernel_size)`` of the standard one (Howard et al.,
    "MobileNets", 2017, section 3.1), in parameters and in MACs.

    >>> separable_cost(3, 256, 5, (8, 8), bias=False).macs  # 4,800 + 49,152
    53952
    """
    depthwise = conv_cost(in_channels, in_channels, kernel_size, output_size, groups=in_channels, bias=bias)
    return depthwise + conv_cost(in_channels, out_channels, 1, output_size, bias=bias)


def linear_cost(in_features: int, out_features: int, bias: bool = True) -> Cost:
    """Cost of a dense layer: every output value has a weight for every input value.

    >>> linear_cost(32 * 32 * 3, 500).params
    1536500
    """
    _whole("in_features", in_features, 1)
    _whole("out_features", out_features, 1)
    weights = in_features * out_features
    return Cost(weights + out_features * bool(bias), weights, out_features)


class Other(NamedTuple):
    """Operations that are not MACs, as numbers of values touched."""

    bias: int = 0  # output values that had a bias added
    norm: int = 0  # values normalised
    activation: int = 0  # values put through an activation function
    pooling: int = 0  # input values of pools


class CostRow(NamedTuple):
    """One call of a layer, or one function called in a ``forward``.

    ``activations`` are the values the layer newly writes: 0 for a view (flatten) and for a layer that works in place.
    ``inputs`` are the indices of the rows whose results it reads; -1 is the network's input.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...] | None
    params: int
    macs: int
    activations: int
    receptive_field: tuple[int, ...] | None
    call: int = 1  # 2 for the second call of a shared layer; 0 for a layer that has parameters and did not run
    inputs: tuple[int, ...] = ()
    other: Other = Other()

    @property
    def cost(self) -> Cost:
        """Params, MACs and activations as one :class:`Cost`."""
        return Cost(self.params, self.macs, self.activations)


class Memory(NamedTuple):
    """Bytes that a network needs, by what they are for."""

    parameters: int
    gradients: int
    optimizer_state: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)


class Sizes(NamedTuple):
    """What :meth:`CostTable.memory` needs beside the rows, in bytes."""

    value: int = 4  # one activation value
    parameters: int = 0
    buffers: int = 0
    inputs: int = 0
    peak: int = 0  # the most that was alive at one moment of a forward pass, inputs included


_NO_SIZES = Sizes()


@dataclass(frozen=True, repr=False)
class CostTable:
    """The bill of a network: one row a layer, in the order of their calls. Made by :func:`cnnviz.cost_table`.

    ``rows`` are :class:`CostRow`; their sums are ``total``. ``kinds`` names the class of each module that holds others.
    """

    title: str
    rows: tuple[CostRow, ...]
    kinds: dict[str, str] = field(default_factory=dict)
    sizes: Sizes = _NO_SIZES
    how: str = "meta"  # "meta", "fake" or "real": what the tensors of the counted forward pass were

    @property
    def total(self) -> Cost:
        """Sum of the rows."""
        rows = self.rows
        return Cost(*(sum([getattr(row, name) for row in rows]) for name in ("params", "macs", "activations")))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[CostRow]:
        return iter(self.rows)

    def part(self, name: str) -> CostTable:
        """The rows of one module and of what is inside it, as a table of its own (without ``memory``)."""
        kept = [n for n, row in enumerate(self.rows) if row.name == name or row.name.startswith(f"{name}.")]
        if not kept:
            tops = list(dict.fromkeys(row.name.split(".")[0] for row in self.rows))
            raise ValueError(f"{self.title} has no part {name!r}: its parts are {', '.join(tops)}")
        place = {old: new for new, old in enumerate(kept)}
        rows = [
            self.rows[n]._replace(inputs=tuple(dict.fromkeys(place.get(i, -1) for i in self.rows[n].inputs)))
            for n in kept
        ]
        kinds = {path: kind for path, kind in self.kinds.items() if path == name or path.startswith(f"{name}.")}
        return CostTable(f"{self.title}.{name}", tuple(rows), kinds, Sizes(), self.how)

    def memory(self, optimizer: str | None = None, batch_size: int = 1) -> Memory:
        """Bytes for inference (``optimizer=None``) or for a training step with "sgd", "momentum" or "adam".

        Inference holds the parameters, the buffers and, at the worst moment, the activations that are alive together.
        Training also holds one gradient a parameter, the optimizer's running averages (momentum one value a parameter,
        Adam two), and every activation from the forward pass until the backward pass has used it. What a library's
        convolution borrows for its own work is not in it.

        Raises
        ------
        ValueError
            For another optimizer, or a batch size below 1.
        """
        _whole("batch_size", batch_size, 1)
        held = self.sizes.parameters + self.sizes.buffers
        if optimizer is None:
            return Memory(held, 0, 0, self.sizes.peak * batch_size)
        if optimizer not in STATES:
            raise ValueError(f"optimizer {optimizer!r} is not known: use None for inference, or {', '.join(STATES)}")
        written = self.sizes.value * self.total.activations + self.sizes.inputs
        weights = self.sizes.parameters
        return Memory(held, weights, STATES[optimizer] * weights, written * batch_size)

    def to_csv(self, path: str | Path) -> Path:
        """Write the rows, the first line naming the columns; shapes are written as 64x112x112."""
        rows = ((*row[:2], _by(row.output_shape), *row[3:6], _by(row.receptive_field), row.call) for row in self.rows)
        return write_csv(path, CostRow._fields[:8], rows)

    def text(self, depth: int | None = None) -> str:
        """Aligned plain text; modules below ``depth`` levels are folded into one line with their sums."""
        return as_text("layer", COLUMNS, self._lines(depth))

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        for depth in range(9, 0, -1):
            text = self.text(depth)
            if text.count("\n") < FOLDED_LINES:
                return text
        lines = text.split("\n")  # a flat network of many layers
        return "\n".join([*lines[: FOLDED_LINES - 4], f"... {len(lines) - FOLDED_LINES + 1} more", *lines[-3:]])

    def _repr_html_(self) -> str:
        return as_html("layer", COLUMNS, self._lines(None))

    def _lines(self, depth: int | None) -> list[Line]:
        lines = _tree_lines(self, list(range(len(self.rows))), "", 0, depth)
        total = self.total
        cells = (self.title, "", *_counts(total), "")
        return [*lines, Line(0, "total", cells)]


def _tree_lines(table: CostTable, chosen: list[int], prefix: str, level: int, depth: int | None) -> list[Line]:
    """Lines of the rows with these indices, all of whose names begin with ``prefix``; a module's lines are together."""
    groups: dict[str, list[int]] = {}
    for index in chosen:
        groups.setdefault(table.rows[index].name[len(prefix) :].partition(".")[0], []).append(index)
    lines = []
    for label, members in groups.items():
        path = prefix + label
        inner = [n for n in members if table.rows[n].name != path]
        if inner:
            lines.append(_group_line(table, path, label, members, level))
        else:
            lines += [_row_line(table.rows[n], label, level) for n in members]
        if inner and (depth is None or level + 1 < depth):
            own = [_row_line(table.rows[n], label, level + 1) for n in members if n not in set(inner)]
            lines += own + _tree_lines(table, inner, f"{path}.", level + 1, depth)
    return lines


def _group_line(table: CostTable, path: str, label: str, members: list[int], level: int) -> Line:
    ran = [table.rows[n] for n in members if table.rows[n].call]
    last = ran[-1] if ran else table.rows[members[-1]]
    sums = sum((table.rows[n].cost for n in members), Cost())
    kind = table.kinds.get(path, "")
    return Line(level, label, (kind, _by(last.output_shape), *_counts(sums), _by(last.receptive_field)), True)


def _row_line(row: CostRow, label: str, level: int) -> Line:
    if row.call != 1:
        label += f" (call {row.call})" if row.call else " (not run)"
    return Line(level, label, (row.kind, _by(row.output_shape), *_counts(row.cost), _by(row.receptive_field)))


def _counts(cost: Cost) -> tuple[str, str, str]:
    return f"{cost.params:,}", f"{cost.macs:,}", f"{cost.activations:,}"


def _sizes(output_size: Any, kernel_size: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Both as tuples of the same length; a single number counts for every axis, and two axes where neither says."""
    given = [("output_size", output_size), ("kernel_size", kernel_size)]
    tuples = [tuple(value) if isinstance(value, (tuple, list)) else None for _, value in given]
    axes = {len(items) for items in tuples if items is not None} or {2}
    if len(axes) > 1 or not 1 <= max(axes) <= 3:
        text = f"kernel_size {kernel_size} and output_size {output_size}"
        raise ValueError(f"{text} do not fit together: give numbers, or tuples of the same one, two or three axes")
    filled = [
        items if items is not None else (value,) * max(axes) for items, (_, value) in zip(tuples, given, strict=True)
    ]
    for items, (name, _) in zip(filled, given, strict=True):
        for item in items:
            _whole(name, item, 1)
    return filled[0], filled[1]
