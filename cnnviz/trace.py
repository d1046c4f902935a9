"""Every sliding operation in NumPy, and the terms behind each output value.

The reference that the browser's arithmetic is held to (and that is itself held to PyTorch). Everything
goes through the index tables of :class:`cnnviz.geometry.Window`, one kernel tap at a time, so memory
stays at a few copies of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from math import isfinite, isnan
from typing import Any

import numpy as np

from cnnviz._checks import _flag, _is_whole, _short
from cnnviz.geometry import LARGEST_TABLE, Window, check_groups, check_pool

Terms = list[tuple[float, float]]
LARGEST_OUTPUT = LARGEST_TABLE  # values

_TWELVE, _FOUR = Context(prec=12, rounding=ROUND_HALF_UP), Context(prec=4, rounding=ROUND_HALF_UP)


@dataclass(frozen=True)
class Trace:
    """An output and where each of its values comes from.

    Examples
    --------
    >>> result = correlate([[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[0, 1], [2, 3]], Window(2))
    >>> result.output
    array([[[19., 25.],
            [37., 43.]]])
    >>> result.explain(0, 0, 0)
    '0·0 + 1·1 + 3·2 + 4·3 = 19'
    """

    output: np.ndarray  # (channels, h, w), float64
    _kind: str  # "sum", "max", "mean"
    _image: np.ndarray  # (C, H, W)
    _rows: np.ndarray  # (out, kernel), in reading order of the picture
    _cols: np.ndarray
    _weights: np.ndarray  # "sum": (filters, C / groups, h, w) in reading order
    _bias: np.ndarray  # (filters,)
    _counts: tuple[np.ndarray, ...]  # "mean": (out, kernel) twice, which taps count
    _divisor: int  # "mean": 0 = as many as count

    def terms(self, channel: int, i: int, j: int) -> Terms:
        """(value, weight) pairs whose products sum to ``output[channel, i, j]``, less the bias.

        In the picture's reading order, input channel by input channel. Convolutions list padding and
        inserted zeros too, an average pool what it divides by, a maximum pool (weights 1, take the
        largest) only real cells.
        """
        channel, i, j = self._index(channel, i, j)
        if self._kind == "sum":
            return self._products(channel, i, j)
        height, width = self._image.shape[1:]
        rows, cols = self._rows[i], self._cols[j]
        if self._kind == "mean":
            rows, cols = rows[self._counts[0][i]], cols[self._counts[1][j]]
        cells = [(r, c, 0 <= r < height and 0 <= c < width) for r in rows for c in cols]
        if self._kind == "max":
            return [(float(self._image[channel, r, c]), 1.0) for r, c, real in cells if real]
        weight = 1 / self._divide(i, j)
        return [(float(self._image[channel, r, c]) if real else 0.0, weight) for r, c, real in cells]

    def explain(self, channel: int, i: int, j: int) -> str:
        """Spell out one output value, such as ``3·0 + 3·1 + 2·2 = 7``."""
        channel, i, j = self._index(channel, i, j)
        terms, result = self.terms(channel, i, j), number_text(self.output[channel, i, j])
        if self._kind == "max":
            return f"max({', '.join(number_text(value) for value, _ in terms)}) = {result}"
        if self._kind == "mean":
            total = " + ".join(_factor(value) for value, _ in terms)
            return f"({total}) / {_factor(self._divide(i, j))} = {result}"
        total = " + ".join(f"{_factor(value)}·{_factor(weight)}" for value, weight in terms)
        return f"{total}{_signed(self._bias[channel])} = {result}"

    def _index(self, channel: int, i: int, j: int) -> tuple[int, int, int]:
        index = (channel, i, j)
        if all(_is_whole(at, 0, n - 1) for at, n in zip(index, self.output.shape, strict=True)):
            return int(channel), int(i), int(j)
        raise ValueError(f"no output value at {_plain(index)}: the output has shape {self.output.shape}")

    def _products(self, channel: int, i: int, j: int) -> Terms:
        filters, depth = self._weights.shape[:2]
        group = channel // (filters * depth // len(self._image))
        height, width = self._image.shape[1:]
        rows, cols = self._rows[i], self._cols[j]
        real = ((rows >= 0) & (rows < height))[:, None] & ((cols >= 0) & (cols < width))
        maps = self._image[group * depth : (group + 1) * depth]
        cells = maps[:, np.clip(rows, 0, height - 1)][:, :, np.clip(cols, 0, width - 1)]  # (depth, h, w)
        values = np.where(real, cells, 0.0).ravel().tolist()
        return list(zip(values, self._weights[channel].ravel().tolist(), strict=True))

    def _divide(self, i: int, j: int) -> int:
        return self._divisor or int(self._counts[0][i].sum() * self._counts[1][j].sum())


def correlate(image: Any, kernel: Any, window: Window, bias: Any = 0, groups: int = 1) -> Trace:
    """Convolution as CNNs do it (cross-correlation), torch's ``Conv2d``.

    ``image`` (H, W) or (C, H, W); ``kernel`` (h, w) or (out, in / groups, h, w); ``bias`` a number or one a
    filter. A ValueError repeats the shapes that do not fit.
    """
    return _correlate(image, kernel, window, bias, groups, flip=False)


def convolve(image: Any, kernel: Any, window: Window, bias: Any = 0, groups: int = 1) -> Trace:
    """Convolution as mathematics writes it: the kernel flipped in both axes; see :func:`correlate`."""
    return _correlate(image, kernel, window, bias, groups, flip=True)


def transposed(
    image: Any, kernel: Any, window: Window, bias: Any = 0, groups: int = 1, output_padding: Any = 0
) -> Trace:
    """Transposed convolution, torch's ``ConvTranspose2d``; ``kernel`` (h, w) or (in, out / groups, h, w).

    Computed as it is drawn: the flipped kernel slides over the input stretched by zeros.

    >>> transposed([[1, 2]], [[1, 10]], Window((1, 2), stride=2)).output
    array([[[ 1., 10.,  2., 20.]]])
    """
    image, kernel = _image(image), _kernel(kernel)
    _check_window(window, image, kernel)
    depth, per_group = kernel.shape[:2]
    if depth != len(image):
        text = f"a transposed kernel of shape {kernel.shape} reads {depth} channels, but the image of shape"
        raise ValueError(f"{text} {image.shape} has {len(image)}: use a kernel (in_channels, out/groups, h, w)")
    groups = check_groups(groups, depth, depth)  # out_channels are groups * per_group: always divided
    filters = per_group * groups
    split = kernel.reshape(groups, depth // groups, per_group, *kernel.shape[2:])
    weights = split.swapaxes(1, 2).reshape(filters, depth // groups, *kernel.shape[2:])[..., ::-1, ::-1]
    _check_output(filters, window.transposed_output_size(image.shape[1:], output_padding), image)
    rows = window.transposed_rows(image.shape[1], output_padding)
    return _sum(image, weights, rows, window.transposed_cols(image.shape[2], output_padding), bias, groups)


def max_pool(image: Any, window: Window) -> Trace:
    """Maximum of each window, torch's ``MaxPool2d``; the Window says the stride (torch's default is kernel_size)."""
    image = _image(image)
    rows, cols = _pool_tables(image, window, "max_pool")
    output = np.full((len(image), len(rows), len(cols)), -np.inf)
    for cells in _taps(image, rows, cols, outside=-np.inf):
        np.maximum(output, cells, out=output)
    return _pool(output, "max", image, rows, cols, (), 0)


def avg_pool(image: Any, window: Window, count_include_pad: bool = True, divisor_override: int | None = None) -> Trace:
    """Mean of each window, torch's ``AvgPool2d``; see :func:`max_pool`.

    ``count_include_pad`` counts padding (never what ceil_mode adds behind it) into the divisor.
    """
    image = _image(image)
    rows, cols = _pool_tables(image, window, "avg_pool")
    if window.dilation != (1, 1):
        raise ValueError(f"dilation {_short(window.dilation)} is not defined for avg_pool: use dilation 1")
    count_include_pad = _flag("count_include_pad", count_include_pad)
    if divisor_override is not None and (divisor_override == 0 or not _is_whole(divisor_override, -(10**9), 10**9)):
        raise ValueError(f"divisor_override {_short(divisor_override)} is not a whole number other than 0, or None")
    output = sum(_taps(image, rows, cols, outside=0.0), np.zeros((len(image), len(rows), len(cols))))
    behind = [pads[1] if count_include_pad else 0 for pads in window.pads]
    counts = tuple(
        (table < n + pad) & (count_include_pad | (table >= 0))
        for table, n, pad in zip((rows, cols), image.shape[1:], behind, strict=True)
    )
    output /= divisor_override or np.outer(counts[0].sum(axis=1), counts[1].sum(axis=1))
    return _pool(output, "mean", image, rows, cols, counts, divisor_override or 0)


def tile(base: Any, shape: Sequence[int]) -> np.ndarray:
    """Grow (by shifted copies) or shrink (by cropping) an array to a shape of up to four numbers.

    ``value[i, j, r, s] = base[i % n, j % c, (r + i // n) % h, (s + j // c + (i // n) // h) % w]`` for a base of
    shape (n, c, h, w); missing leading axes have length 1.

    >>> tile([[1, 2], [3, 4]], (3, 3))
    array([[1., 2., 1.],
           [3., 4., 3.],
           [1., 2., 1.]])
    """
    base = np.asarray(base, dtype=float)
    if base.ndim > 4 or base.size == 0 or not (len(shape) <= 4 and all(_is_whole(n, 1, 10**6) for n in shape)):
        raise ValueError(f"cannot tile shape {base.shape} to {_plain(shape)}: use up to four numbers of at least 1")
    base = base.reshape((1,) * (4 - base.ndim) + base.shape)
    n, c, h, w = base.shape
    wanted = (1,) * (4 - len(shape)) + tuple(int(k) for k in shape)
    i, j, r, s = np.ogrid[tuple(slice(k) for k in wanted)]
    return base[i % n, j % c, (r + i // n) % h, (s + j // c + (i // n) // h) % w].reshape(tuple(shape))


def number_text(x: float) -> str:
    """Text of a number for a reader: whole numbers plain, others with four significant digits.

    Below 1e-12 it is "0": what is left of sums that cancel is no number to show. The same in JavaScript
    (js/number.js).

    >>> number_text(-3), number_text(2 / 3), number_text(12345678)
    ('−3', '0.6667', '1.235e7')
    """
    x = float(x)
    if isnan(x):
        return "nan"
    sign = "−" if x < 0 else ""
    if not isfinite(x):
        return f"{sign}∞"
    exact = float(
        _TWELVE.create_decimal(Decimal(abs(x)))
    )  # 2.9999999999999996 is 3: last bits differ between languages
    if exact < 1e-12:
        return "0"
    if exact.is_integer() and exact < 10**6:
        return f"{sign}{int(exact)}"
    rounded = _FOUR.create_decimal(Decimal(exact))  # ties go up, as in JavaScript
    exponent = rounded.adjusted()
    if -4 <= exponent < 6:
        text = f"{rounded:f}"
        return sign + (text.rstrip("0").rstrip(".") if "." in text else text)
    mantissa = f"{rounded.scaleb(-exponent):f}".rstrip("0").rstrip(".")
    return f"{sign}{mantissa}e{str(exponent).replace('-', '−')}"


def _correlate(image: Any, kernel: Any, window: Window, bias: Any, groups: int, flip: bool) -> Trace:
    image, kernel = _image(image), _kernel(kernel)
    _check_window(window, image, kernel)
    groups = check_groups(groups, len(image), len(kernel))
    if kernel.shape[1] * groups != len(image):
        text = f"a kernel of shape {kernel.shape} with groups {groups} reads {kernel.shape[1] * groups} channels"
        works = f"use a kernel of shape {(len(kernel), len(image) // groups, *kernel.shape[2:])}"
        raise ValueError(f"{text}, but the image of shape {image.shape} has {len(image)}: {works}")
    _check_output(len(kernel), window.output_size(image.shape[1:]), image)
    rows, cols = window.rows(image.shape[1]), window.cols(image.shape[2])
    return _sum(image, kernel[..., ::-1, ::-1] if flip else kernel, rows, cols, bias, groups)


def _sum(image: np.ndarray, weights: np.ndarray, rows: np.ndarray, cols: np.ndarray, bias: Any, groups: int) -> Trace:
    """Slide weights (filters, C / groups, h, w), in reading order, and add up tap by tap."""
    filters, depth, height, width = weights.shape
    bias = _bias(bias, filters)
    output = np.zeros((groups, filters // groups, len(rows) * len(cols)))
    split = weights.reshape(groups, filters // groups, depth, height * width)
    for tap, cells in enumerate(_taps(image, rows, cols, outside=0.0)):
        output += split[..., tap] @ cells.reshape(groups, depth, -1)  # (groups, filters/groups, out)
    output = output.reshape(filters, len(rows), len(cols)) + bias[:, None, None]
    return Trace(output, "sum", image, rows, cols, weights, bias, (), 0)


def _pool(output: np.ndarray, kind: str, image: np.ndarray, *tables: Any) -> Trace:
    rows, cols, counts, divisor = tables
    return Trace(output, kind, image, rows, cols, np.zeros(0), np.zeros(0), counts, divisor)


def _taps(image: np.ndarray, rows: np.ndarray, cols: np.ndarray, outside: float) -> Any:
    """For each kernel tap in reading order, what every window reads there: (C, out rows, out columns)."""
    channels, height, width = image.shape
    framed = np.full((channels, height + 1, width + 1), outside)  # one more row and column: everything outside
    framed[:, :height, :width] = image
    rows = np.where((rows >= 0) & (rows < height), rows, height)
    cols = np.where((cols >= 0) & (cols < width), cols, width)
    for a in range(rows.shape[1]):
        lines = framed[:, rows[:, a]]
        for b in range(cols.shape[1]):
            yield lines[:, :, cols[:, b]]


def _pool_tables(image: np.ndarray, window: Window, op: str) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(window, Window):
        raise ValueError(f"window {_short(window)} is not a Window: use Window(kernel_size=2, stride=2)")
    check_pool(window, op)
    _check_output(len(image), window.output_size(image.shape[1:]), image)
    return window.rows(image.shape[1]), window.cols(image.shape[2])


def _array(name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
        array = array.astype(float) if array.dtype.kind in "biuf" else None
    except (ValueError, TypeError, RuntimeError):
        array = None
    if array is None:
        text = f"{name} is ragged or holds something else than numbers"
        raise ValueError(f"{text}: use rows of equal length, or a NumPy array of real numbers")
    if array.size == 0:
        raise ValueError(f"{name} of shape {array.shape} is empty: use at least one number along each axis")
    if not np.isfinite(array).all():
        where = tuple(int(at) for at in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} of shape {array.shape} holds {array[where]} at {where}: use finite numbers")
    return array


def _image(values: Any) -> np.ndarray:
    array = _array("image", values)
    if array.ndim not in (2, 3):
        raise ValueError(f"an image has shape (H, W) or (C, H, W), not {array.shape}")
    return array[None] if array.ndim == 2 else array


def _kernel(values: Any) -> np.ndarray:
    array = _array("kernel", values)
    if array.ndim not in (2, 4):
        raise ValueError(f"a kernel has shape (h, w) or (out, in/groups, h, w), not {array.shape}")
    return array[None, None] if array.ndim == 2 else array


def _bias(values: Any, filters: int) -> np.ndarray:
    array = _array("bias", values)
    if array.shape not in ((), (1,), (filters,)):
        text = f"bias of shape {array.shape} does not fit {filters} filters"
        raise ValueError(f"{text}: use a number or {filters} numbers")
    return np.broadcast_to(array, (filters,)).copy()


def _check_window(window: Any, image: np.ndarray, kernel: np.ndarray) -> None:
    if not isinstance(window, Window):
        raise ValueError(f"window {_short(window)} is not a Window: use Window(kernel_size=3)")
    if window.kernel_size != kernel.shape[2:]:
        text = f"a kernel of shape {kernel.shape} does not fit kernel_size {_plain(window.kernel_size)}"
        raise ValueError(f"{text}: use Window(kernel_size={_plain(kernel.shape[2:])})")
    if window.ceil_mode:
        raise ValueError(f"ceil_mode is for pools: use ceil_mode=False for the image of shape {image.shape}")


def _check_output(channels: int, size: tuple[int, int], image: np.ndarray) -> None:
    if channels * size[0] * size[1] > LARGEST_OUTPUT:
        text = f"an image of shape {image.shape} would give an output of shape {(channels, *size)}"
        raise ValueError(f"{text}, more than {LARGEST_OUTPUT} values: use smaller numbers")


def _plain(numbers: Sequence[Any]) -> str:
    return f"({', '.join(str(n) for n in numbers)})"


def _factor(x: float) -> str:
    return f"({number_text(x)})" if x < 0 else number_text(x)


def _signed(x: float) -> str:
    """`` + 0.5``, `` − 0.5``, or nothing for 0."""
    return "" if x == 0 else f" {'−' if x < 0 else '+'} {number_text(abs(x))}"
