"""Image kernels by name, at any size and any angle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb, cos, floor, isfinite, radians, sin
from typing import Any

import numpy as np

from cnnviz._checks import _is_whole, _one_of, _short
from cnnviz.trace import tile

LARGEST = 11


def names() -> tuple[str, ...]:
    """Names that :func:`named` knows, in the order of the list in the widget.

    >>> names()
    ('identity', 'edge', 'sobel_x', 'sobel_y', 'sharpen', 'box', 'gaussian', 'emboss')
    """
    return tuple(_KERNELS)


def named(name: str, kernel_size: Any = 3) -> np.ndarray:
    """Return a kernel by name, shape (h, w), for a size from 1 to 11 or an (h, w) pair.

    ``sobel_x`` reacts to vertical edges (it differs along x), ``sobel_y`` to horizontal ones.

    >>> named("sobel_x")
    array([[-1.,  0.,  1.],
           [-2.,  0.,  2.],
           [-1.,  0.,  1.]])
    """
    _one_of("kernel", name, _KERNELS)
    size = kernel_size if isinstance(kernel_size, (tuple, list)) else (kernel_size, kernel_size)
    if len(size) != 2 or not all(_is_whole(k, 1, LARGEST) for k in size):
        text = f"kernel_size {_short(kernel_size)} is not a whole number from 1 to {LARGEST} or a pair of them"
        raise ValueError(text)
    return np.asarray(_KERNELS[name](int(size[0]), int(size[1])), dtype=float)


def rotated(kernel: np.ndarray, degrees: float) -> np.ndarray:
    """Turn a kernel (h, w) counter-clockwise about its centre, as seen on the page.

    Bilinear, zeros outside; a square kernel turned by a multiple of 90 degrees is exact.

    >>> rotated(named("sobel_x"), 90)
    array([[ 1.,  2.,  1.],
           [ 0.,  0.,  0.],
           [-1., -2., -1.]])
    """
    kernel = np.asarray(kernel, dtype=float)
    if kernel.ndim != 2:
        raise ValueError(f"a kernel to rotate has shape (h, w), not {kernel.shape}")
    if isinstance(degrees, (bool, str)) or not isfinite(degrees):
        raise ValueError(f"angle {_short(degrees)} is not a finite number of degrees")
    height, width = kernel.shape
    turn = degrees % 360
    if turn == 0:
        return kernel.copy()
    exact = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}
    c, s = exact.get(turn, (cos(radians(turn)), sin(radians(turn))))
    middle, centre = (height - 1) / 2, (width - 1) / 2
    result = np.zeros((height, width))
    for i, j in np.ndindex(height, width):
        x, y = j - centre, middle - i  # y points up
        result[i, j] = _between(kernel, middle - (y * c - x * s), centre + x * c + y * s)
    return result


def effective(base: np.ndarray, shape: Sequence[int], name: str = "", angle: float = 0) -> np.ndarray:
    """Weights (four numbers in ``shape``, torch's layout) that a layer of the widget uses.

    With a name, first-axis slice f of F is the named kernel turned by ``angle + 360 * f / F``; without,
    ``base`` grows or shrinks to the shape (:func:`cnnviz.trace.tile`) and every slice is turned by ``angle``.

    >>> effective(np.ones((1, 1, 3, 3)), (2, 1, 3, 3), name="sobel_x")[1, 0]
    array([[ 1.,  0., -1.],
           [ 2.,  0., -2.],
           [ 1.,  0., -1.]])
    """
    if name:
        kernel, filters = named(name, tuple(shape[2:])), shape[0]
        turned = np.stack([rotated(kernel, angle + 360 * f / filters) for f in range(filters)])
        return np.repeat(turned[:, None], shape[1], axis=1)  # (filters, channels, h, w)
    weights = tile(base, shape)
    if angle == 0:
        return weights
    flat = weights.reshape(-1, *shape[2:])
    return np.stack([rotated(kernel, angle) for kernel in flat]).reshape(tuple(shape))


def _between(kernel: np.ndarray, row: float, col: float) -> float:
    """Bilinear value at a point between cells, zeros outside."""
    top, left = floor(row), floor(col)
    total = 0.0
    for i, down in ((top, 1 - (row - top)), (top + 1, row - top)):
        for j, across in ((left, 1 - (col - left)), (left + 1, col - left)):
            if 0 <= i < kernel.shape[0] and 0 <= j < kernel.shape[1]:
                total += kernel[i, j] * down * across
    return total


def _binomial(n: int) -> np.ndarray:
    return np.array([comb(n - 1, i) for i in range(n)], dtype=float)


def _derivative(n: int) -> np.ndarray:
    if n < 3:
        return np.array([0.0] if n == 1 else [-1.0, 1.0])
    return np.convolve(_binomial(n - 2), [-1, 0, 1])


def _identity(h: int, w: int) -> np.ndarray:
    kernel = np.zeros((h, w))
    kernel[(h - 1) // 2, (w - 1) // 2] = 1
    return kernel


def _edge(h: int, w: int) -> np.ndarray:
    return h * w * _identity(h, w) - 1


def _sharpen(h: int, w: int) -> np.ndarray:
    kernel = np.zeros((h, w))
    kernel[(h - 1) // 2, :] = -1
    kernel[:, (w - 1) // 2] = -1
    kernel[(h - 1) // 2, (w - 1) // 2] = h + w - 1  # the arms' number, and 1 for the picture itself
    return kernel


def _gaussian(h: int, w: int) -> np.ndarray:
    return np.outer(_binomial(h), _binomial(w)) / 2.0 ** (h + w - 2)


def _emboss(h: int, w: int) -> np.ndarray:
    kernel = np.add.outer(np.arange(h) - (h - 1) // 2, np.arange(w) - (w - 1) // 2).astype(float)
    kernel[(h - 1) // 2, (w - 1) // 2] = 1
    return kernel


_KERNELS: dict[str, Callable[[int, int], np.ndarray]] = {
    "identity": _identity,
    "edge": _edge,
    "sobel_x": lambda h, w: np.outer(_binomial(h), _derivative(w)),
    "sobel_y": lambda h, w: np.outer(_derivative(h), _binomial(w)),
    "sharpen": _sharpen,
    "box": lambda h, w: np.full((h, w), 1 / (h * w)),
    "gaussian": _gaussian,
    "emboss": _emboss,
}
