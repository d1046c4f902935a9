"""Sliding windows in whole numbers: output sizes, index tables, receptive fields.

The geometry of every sliding operation separates by axis: tap ``a`` of window ``i`` reads input row
``i * stride - padding + a * dilation``. Two small tables, one for rows and one for columns, say all
that drawing, computing and counting need. Nothing here knows values, torch or widgets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any, NamedTuple

import numpy as np

from cnnviz._checks import LARGEST, Pair, _either, _flag, _is_whole, _pair, _short, _signed, _whole

OPS = ("conv", "convolve", "transposed", "max_pool", "avg_pool")
POOLS = ("max_pool", "avg_pool")
LARGEST_TABLE = 2**24  # index entries
LARGEST_SHOWN = 1024  # output rows or columns of a layer that a widget draws

# What a state (the traits of a widget, a share string) holds when it says nothing.
DEFAULTS: dict[str, Any] = {
    "op": "conv", "height": 5, "width": 5, "in_channels": 1, "filters": 1, "kernel_size": 3, "stride": 1,
    "padding": 0, "dilation": 1, "output_padding": 0, "groups": 1, "ceil_mode": False,
    "count_include_pad": True, "divisor_override": 0,
}  # fmt: skip


class ReceptiveField(NamedTuple):
    """What one output value of a stack of layers sees of the input, each an (h, w) pair."""

    size: Pair
    jump: Pair
    start: Pair


class Layer(NamedTuple):
    """A checked layer: what :func:`read_layer` finds in a state."""

    op: str
    window: Window
    in_channels: int
    filters: int
    groups: int
    input_size: Pair
    output_padding: Pair
    output_shape: tuple[int, int, int]
    weight_shape: tuple[int, ...]  # torch's layout; () for a pool


@dataclass(frozen=True)
class Window:
    """The geometry of a sliding window, in PyTorch's words.

    Parameters
    ----------
    kernel_size, stride, dilation
        A whole number of at least 1, or an (h, w) pair.
    padding
        A whole number of at least 0, an (h, w) pair, ``"same"`` (stride 1 only) or ``"valid"``.
    ceil_mode
        Pools only: count a last window that hangs over the edge.

    Raises
    ------
    ValueError
        If an argument is something else; the text repeats it and says what works.

    Examples
    --------
    >>> Window(kernel_size=3, stride=2, padding=1).output_size((7, 7))
    (4, 4)
    >>> Window(3, stride=3).unused((7, 7))
    ((6,), (6,))
    """

    kernel_size: Any = 3
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        """Turn numbers into pairs and refuse what no layer can have."""
        also = ', "same" or "valid"'
        object.__setattr__(self, "kernel_size", _pair("kernel_size", self.kernel_size, 1))
        object.__setattr__(self, "stride", _pair("stride", self.stride, 1))
        if not (isinstance(self.padding, str) and self.padding in ("same", "valid")):
            object.__setattr__(self, "padding", _pair("padding", self.padding, 0, also))
        object.__setattr__(self, "dilation", _pair("dilation", self.dilation, 1))
        object.__setattr__(self, "ceil_mode", _flag("ceil_mode", self.ceil_mode))
        if self.padding == "same" and self.stride != (1, 1):
            text = f'padding "same" needs stride 1, but stride is {_short(self.stride)}'
            raise ValueError(f"{text}: use stride 1 or a number for padding")

    @property
    def pads(self) -> tuple[Pair, Pair]:
        """Padding as ((top, bottom), (left, right)).

        >>> Window(4, padding="same").pads
        ((1, 2), (1, 2))
        """
        if self.padding == "valid":
            return (0, 0), (0, 0)
        if self.padding == "same":
            totals = [d * (k - 1) for k, d in zip(self.kernel_size, self.dilation, strict=True)]
            return tuple((total // 2, total - total // 2) for total in totals)  # torch puts the odd one behind
        return tuple((p, p) for p in self.padding)

    @property
    def span(self) -> Pair:
        """Input rows and columns from the first tap to the last: ``dilation * (kernel_size - 1) + 1``."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel_size, self.dilation, strict=True))

    def padded(self, size: Iterable[int]) -> Pair:
        """Size of the padded input."""
        return tuple(n + sum(pads) for n, pads in zip(_size(size), self.pads, strict=True))

    def output_size(self, size: Iterable[int]) -> Pair:
        """Output (rows, columns) of a convolution or pool over an input of ``size`` (H, W).

        >>> Window(11, stride=4).output_size((227, 227))  # AlexNet's first layer
        (55, 55)
        """
        return tuple(self._out(n, axis) for axis, n in enumerate(_size(size)))

    def transposed_output_size(self, size: Iterable[int], output_padding: Any = 0) -> Pair:
        """Output (rows, columns) of a transposed convolution over an input of ``size`` (H, W).

        >>> Window(3, stride=2, padding=1).transposed_output_size((3, 3))
        (5, 5)
        """
        more = self._output_padding(output_padding)
        return tuple(self._transposed_out(n, axis, more[axis]) for axis, n in enumerate(_size(size)))

    def rows(self, height: int) -> np.ndarray:
        """Table (output row, kernel row) of input rows; outside [0, height) it is padding.

        >>> Window(3, stride=2, padding=1).rows(5).tolist()
        [[-1, 0, 1], [1, 2, 3], [3, 4, 5]]
        """
        return self._table(height, 0)

    def cols(self, width: int) -> np.ndarray:
        """Table (output column, kernel column) of input columns; see :meth:`rows`."""
        return self._table(width, 1)

    def transposed_rows(self, height: int, output_padding: Any = 0) -> np.ndarray:
        """Table (output row, tap from the top) of input rows, -1 for an inserted zero or padding.

        Tap ``a`` meets kernel row ``kernel_size - 1 - a``: a transposed convolution slides the flipped
        kernel over the stretched input.

        >>> Window(3, stride=2).transposed_rows(2).tolist()
        [[-1, -1, 0], [-1, 0, -1], [0, -1, 1], [-1, 1, -1], [1, -1, -1]]
        """
        return self._transposed_table(height, 0, self._output_padding(output_padding)[0])

    def transposed_cols(self, width: int, output_padding: Any = 0) -> np.ndarray:
        """Table (output column, tap from the left) of input columns; see :meth:`transposed_rows`."""
        return self._transposed_table(width, 1, self._output_padding(output_padding)[1])

    def reads(self, size: Iterable[int]) -> np.ndarray:
        """(H, W): how many windows read each pixel.

        >>> Window(3).reads((3, 4)).tolist()
        [[1, 2, 2, 1], [1, 2, 2, 1], [1, 2, 2, 1]]
        """
        height, width = _size(size)
        return np.outer(_reads(self.rows(height), height), _reads(self.cols(width), width))

    def unused(self, size: Iterable[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Input (rows, columns) that no window reads."""
        height, width = _size(size)
        return _unread(self.rows(height), height), _unread(self.cols(width), width)

    def formula(self, size: Iterable[int], axis: int = 0, op: str = "conv", output_padding: Any = 0) -> str:
        """Output size along ``axis`` (0 rows, 1 columns) as a formula with the numbers in it.

        >>> Window(3, stride=2, padding=1).formula((7, 7))
        '⌊(7 − 3 + 2·1) / 2⌋ + 1 = 4'
        >>> Window(3, stride=2, padding=1).formula((3, 3), op="transposed")
        '(3 − 1)·2 − 2·1 + (3 − 1) + 0 + 1 = 5'
        """
        n = _size(size)[axis]
        if op == "transposed":
            more = self._output_padding(output_padding)[axis]
            return f"{self._transposed_sum(n, axis, more)} = {self._transposed_out(n, axis, more)}"
        out, s, before = self._out(n, axis), self.stride[axis], self.pads[axis][0]
        left, right = "⌈⌉" if self.ceil_mode else "⌊⌋"
        ceiling = -(-(self.padded(_size(size))[axis] - self.span[axis]) // s) + 1
        dropped = " − 1" if self.ceil_mode and out < ceiling and (ceiling - 1) * s >= n + before else ""
        return f"{left}({n} − {self._kernel_text(axis)} + {self._pads_text(axis)}) / {s}{right} + 1{dropped} = {out}"

    def _kernel_text(self, axis: int) -> str:
        k, d = self.kernel_size[axis], self.dilation[axis]
        return f"{k}" if d == 1 else f"({d}·({k} − 1) + 1)"

    def _pads_text(self, axis: int) -> str:
        before, after = self.pads[axis]
        return f"2·{before}" if before == after else f"{before} + {after}"

    def _out(self, n: int, axis: int) -> int:
        k, s, (before, after) = self.kernel_size[axis], self.stride[axis], self.pads[axis]
        free = n + before + after - self.span[axis]
        if self.ceil_mode:
            out = -(-free // s) + 1
            if (out - 1) * s >= n + before:  # the last window must start inside the input or the leading padding
                out -= 1
        else:
            out = free // s + 1
        if out >= 1:
            return out
        span = f"kernel_size {k}" + (f" with dilation {self.dilation[axis]}" if self.dilation[axis] > 1 else "")
        text = f"{span} spans {_count(self.span[axis], axis)}, but the padded input has {n + before + after}"
        raise ValueError(f"{text}: use padding >= {-(-(self.span[axis] - n) // 2)} or a smaller kernel")

    def _transposed_sum(self, n: int, axis: int, more: int) -> str:
        d, k, s, p = self.dilation[axis], self.kernel_size[axis], self.stride[axis], self.pads[axis][0]
        reach = f"({k} − 1)" if d == 1 else f"{d}·({k} − 1)"
        return f"({n} − 1)·{s} − 2·{p} + {reach} + {more} + 1"

    def _transposed_out(self, n: int, axis: int, more: int) -> int:
        p = self.pads[axis][0]
        out = (n - 1) * self.stride[axis] - 2 * p + self.span[axis] + more
        if out >= 1:
            return out
        text = f"padding {p} leaves no output {_NAMES[axis][0]}: {self._transposed_sum(n, axis, more)} = {_signed(out)}"
        raise ValueError(f"{text}; use padding <= {(out + 2 * p - 1) // 2} or a larger kernel")

    def _output_padding(self, value: Any) -> Pair:
        if isinstance(self.padding, str):
            raise ValueError(f'padding "{self.padding}" is not defined for transposed: use a number or a pair')
        pair = _pair("output_padding", value, 0)
        for more, s, d in zip(pair, self.stride, self.dilation, strict=True):
            if more >= max(s, d):  # torch: smaller than either stride or dilation
                text = f"output_padding {more} is not smaller than stride {s} or dilation {d}"
                raise ValueError(f"{text}: use at most {max(s, d) - 1}")
        return pair

    def _table(self, n: int, axis: int) -> np.ndarray:
        n = _size((n, n))[0]
        out, k = self._out(n, axis), self.kernel_size[axis]
        _check_table(out, k)
        starts = np.arange(out)[:, None] * self.stride[axis] - self.pads[axis][0]
        return starts + np.arange(k) * self.dilation[axis]  # (out, kernel)

    def _transposed_table(self, n: int, axis: int, more: int) -> np.ndarray:
        n = _size((n, n))[0]
        out, k = self._transposed_out(n, axis, more), self.kernel_size[axis]
        _check_table(out, k)
        flipped = np.arange(k)[::-1] * self.dilation[axis]
        stretched = np.arange(out)[:, None] + self.pads[axis][0] - flipped  # (out, kernel)
        s = self.stride[axis]
        real = (stretched >= 0) & (stretched % s == 0) & (stretched // s < n)
        return np.where(real, stretched // s, -1)


def receptive_field(windows: Iterable[Window]) -> ReceptiveField:
    """Receptive field of a stack of windows, the first layer first.

    ``size`` rows and columns of the input reach one output value, neighbouring outputs are ``jump``
    apart, and the first output's field begins at input index ``start`` (negative: in the padding).
    Recurrences of Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural
    Networks", Distill 2019.

    >>> receptive_field([Window(3), Window(3), Window(3)]).size
    (7, 7)
    """
    size, jump, start = [1, 1], [1, 1], [0, 0]
    for window in windows:
        for axis in (0, 1):
            start[axis] -= window.pads[axis][0] * jump[axis]
            size[axis] += (window.span[axis] - 1) * jump[axis]
            jump[axis] *= window.stride[axis]
    return ReceptiveField(tuple(size), tuple(jump), tuple(start))


def check_pool(window: Window, op: str = "max_pool") -> None:
    """Refuse a window that PyTorch's pools refuse: padding beyond half of the kernel, or a text."""
    if isinstance(window.padding, str):
        raise ValueError(f'padding "{window.padding}" is not defined for {op}: use a number or a pair')
    for p, k in zip(window.padding, window.kernel_size, strict=True):
        if p > k // 2:
            raise ValueError(f"padding {p} is more than half of kernel_size {k}: a pool takes at most {k // 2}")


def check_groups(groups: Any, in_channels: int, filters: int) -> int:
    """Refuse groups that do not divide the channels on both sides."""
    groups = _whole("groups", groups, 1, LARGEST)
    common = gcd(in_channels, filters)
    if common % groups:
        works = [g for g in range(1, common + 1) if common % g == 0][:8]
        text = f"groups {groups} does not divide {in_channels} in_channels and {filters} filters"
        raise ValueError(f"{text}: use {_either(works)}")
    return groups


def read_layer(state: Mapping[str, Any]) -> Layer:
    """Check the layer that a state describes (the traits of ``SlidingKernel``; missing entries at their defaults).

    What an operation does not have is ignored: groups and filters of a pool, dilation of an average
    pool, ceil_mode of a convolution, output_padding of anything but a transposed convolution.
    ``readLayer`` in geometry.js is its twin and gives the same errors.

    >>> read_layer({"op": "transposed", "height": 3, "width": 3, "stride": 2}).output_shape
    (1, 7, 7)
    """
    get = {**DEFAULTS, **state}.__getitem__
    op = get("op")
    if op not in OPS:
        raise ValueError(f"op {_short(op)} is not known: use {_either(OPS)}")
    size = _whole("height", get("height"), 1, 256), _whole("width", get("width"), 1, 256)
    channels = _whole("in_channels", get("in_channels"), 1, 512)
    filters = channels if op in POOLS else _whole("filters", get("filters"), 1, 512)
    dilation = 1 if op == "avg_pool" else get("dilation")
    window = Window(get("kernel_size"), get("stride"), get("padding"), dilation, op in POOLS and get("ceil_mode"))
    groups, more = 1, (0, 0)
    if op in POOLS:
        check_pool(window, op)
    else:
        groups = check_groups(get("groups"), channels, filters)
    if op == "avg_pool":
        _flag("count_include_pad", get("count_include_pad"))
        _whole("divisor_override", get("divisor_override"), -LARGEST, LARGEST)
    if op == "transposed":
        more = window._output_padding(get("output_padding"))
        out = window.transposed_output_size(size, more)
        weight_shape = (channels, filters // groups, *window.kernel_size)
    else:
        out = window.output_size(size)
        weight_shape = () if op in POOLS else (filters, channels // groups, *window.kernel_size)
    _check_shown(out)
    return Layer(op, window, channels, filters, groups, size, more, (filters, *out), weight_shape)


_NAMES = (("row", "rows"), ("column", "columns"))


def _count(n: int, axis: int) -> str:
    return f"{n} {_NAMES[axis][n != 1]}"


def _size(size: Iterable[int]) -> Pair:
    items = tuple(size) if isinstance(size, Iterable) and not isinstance(size, str) else (size,)
    if len(items) == 2 and all(_is_whole(item, 1, 2**31) for item in items):
        return int(items[0]), int(items[1])
    raise ValueError(f"input size {_short(size)} is not a pair (rows, columns) of whole numbers of at least 1")


def _check_table(out: int, kernel: int) -> None:
    if out * kernel > LARGEST_TABLE:
        raise ValueError(f"{out} windows of {kernel} taps are more than {LARGEST_TABLE} indices: use smaller numbers")


def _check_shown(out: Pair) -> None:
    for axis, n in enumerate(out):
        if n > LARGEST_SHOWN:
            text = f"the output would have {_count(n, axis)}, and at most {LARGEST_SHOWN} are drawn"
            raise ValueError(f"{text}: use a smaller picture, padding or stride")


def _reads(table: np.ndarray, n: int) -> np.ndarray:
    inside = table[(table >= 0) & (table < n)]
    return np.bincount(inside, minlength=n)


def _unread(table: np.ndarray, n: int) -> tuple[int, ...]:
    return tuple(np.flatnonzero(_reads(table, n) == 0).tolist())
