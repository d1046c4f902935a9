"""Strokes of a pen become what a scanner and the makers of scikit-learn's digits would have made of them.

Those digits were written on forms, fitted into 20 x 32 pixels of a field of 32 x 32, thinned or thickened to about the
same amount of ink, and counted in blocks of 4 x 4 (Alpaydin and Kaynak 1998, with NIST's form-based handprint system,
Garris et al., NISTIR 5469). The numbers below were measured on the 1,797 scans.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

Stroke = tuple[tuple[float, float], ...]
FIELD, WIDTH, HEIGHT = 32, 20, 32  # pixels
INK = 320  # pixels; the scans' median is 313
PEN = 2.2  # half the width of a usual line: kept free at the border of the box
THICKEST = 6.0  # half the width of the line of a lone vertical stroke, whose ink would else make it a square
STRETCH = 1.5  # a narrow digit is widened by this much at most, so that a 1 stays narrow
ENLARGED = 250.0  # pixels of the field that the paper's side may become: a dot is not blown up to a digit
MOST_POINTS = 5000


def read_strokes(value: Any) -> tuple[Stroke, ...]:
    """Read a list of strokes, each a list of points (x, y) from 0 to 1, from the upper left corner of the paper.

    >>> read_strokes([[(0, 0), [0.5, 1]]])
    (((0.0, 0.0), (0.5, 1.0)),)
    """
    text = "is not a list of strokes: use [[(0.2, 0.1), (0.8, 0.1), (0.4, 0.9)], ...], each number from 0 to 1"
    try:
        strokes = tuple(tuple((float(x), float(y)) for x, y in stroke) for stroke in value)
    except (TypeError, ValueError):
        raise ValueError(f"{str(value)[:40]} {text}") from None
    points = [point for stroke in strokes for point in stroke]
    if len(points) > MOST_POINTS:
        raise ValueError(f"a drawing of {len(points):,} points has more than {MOST_POINTS:,}: clear the paper")
    wrong = [point for point in points if not all(0 <= number <= 1 for number in point)]
    if wrong or not all(strokes):
        raise ValueError(f"{wrong[0] if wrong else 'a stroke without a point'} {text}")
    return strokes


def scan(strokes: Sequence[Stroke]) -> np.ndarray:
    """Return the drawing as 8 x 8 counts of ink from 0 to 16, where it stood and how large it was no longer matters.

    >>> scan([((0.4, 0.2), (0.4, 0.7))])[0].round()
    array([ 0.,  0.,  6., 16., 16.,  6.,  0.,  0.])
    """
    if not strokes:
        return np.zeros((8, 8))
    distances = _distances(_fitted(strokes))
    radius = np.clip(np.partition(distances, INK, axis=None)[INK], 1, THICKEST)  # the INK pixels next to the pen's way
    ink = np.clip(radius + 0.5 - distances, 0, 1)
    return ink.reshape(8, 4, 8, 4).sum(axis=(1, 3))


def _fitted(strokes: Sequence[Stroke]) -> np.ndarray:
    """Return the line segments (n, from and to, x and y) in pixels, the drawing in the middle of the field."""
    points = np.concatenate([np.asarray(stroke, dtype=float) for stroke in strokes])
    low, high = points.min(axis=0), points.max(axis=0)
    fill = (np.array([WIDTH, HEIGHT]) - 2 * PEN) / np.maximum(high - low, 1e-6)
    scale = np.minimum(fill, min(fill.min() * STRETCH, ENLARGED))
    segments = [pair for stroke in strokes for pair in pairwise(stroke if len(stroke) > 1 else stroke * 2)]
    return (np.array(segments) - (low + high) / 2) * scale + FIELD / 2


def _distances(segments: np.ndarray) -> np.ndarray:
    """Return how far the middle of each pixel is from the nearest segment, (32, 32)."""
    rows, columns = np.mgrid[:FIELD, :FIELD] + 0.5
    nearest = np.full((FIELD, FIELD), np.inf)
    for (x, y), (to_x, to_y) in segments:
        along_x, along_y = to_x - x, to_y - y
        length = along_x**2 + along_y**2
        share = np.clip(((columns - x) * along_x + (rows - y) * along_y) / (length or 1.0), 0, 1)
        np.minimum(nearest, (x + share * along_x - columns) ** 2 + (y + share * along_y - rows) ** 2, out=nearest)
    return np.sqrt(nearest)
