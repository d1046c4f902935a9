"""Digits as people draw them with a mouse: several ways for each, bent, slanted, shaken and misplaced at random.

There are no recorded drawings here. LEARNED are the ways that the bundled LeNet-5 has seen; OTHERS are kept from it,
to measure how well it reads a hand that it does not know.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from cnnviz.data import enlarge
from cnnviz.widgets.draw_pad.strokes import scan

# digit -> ways; a way is a list of strokes, a stroke a list of points (x to the right, y down, in any unit)
LEARNED = {
    0: [[[(5, 0), (1, 2), (0, 6), (2, 10), (5, 11), (8, 9), (9, 5), (7, 1), (5, 0)]],
        [[(6, 0), (3, 0), (0, 4), (1, 9), (4, 11), (7, 9), (8, 4), (6, 1), (3, 0.5)]]],
    1: [[[(0, 0), (0, 5), (0, 11)]],
        [[(0, 3), (2, 1.5), (3, 0), (3, 11)]],
        [[(0, 3), (3, 0), (3, 11)], [(0, 11), (6, 11)]],
        [[(2, 0), (1, 5), (0, 11)]]],
    2: [[[(0, 2), (2, 0), (6, 0), (8, 3), (6, 6), (0, 11), (9, 11)]],
        [[(1, 2), (4, 0), (7, 2), (6, 5), (2, 10), (0, 10), (2, 8.5), (5, 10.5), (8, 10)]]],
    3: [[[(0, 1), (4, 0), (7, 2), (6, 5), (3, 5.5), (7, 6.5), (8, 9), (4, 11), (0, 10)]],
        [[(0, 0), (7, 0), (3, 4.5), (7, 6), (7, 9.5), (3, 11), (0, 10)]]],
    4: [[[(3, 0), (0, 7), (8, 7)], [(6, 3), (6, 11)]],
        [[(6, 11), (6, 0), (0, 7.5), (9, 7.5)]],
        [[(0, 0), (0, 5), (6, 5)], [(6, 0), (6, 11)]]],
    5: [[[(7, 0), (1, 0), (0, 5), (4, 4), (7, 6), (7, 9), (4, 11), (0, 10)]],
        [[(1, 0), (0.5, 5), (4, 4), (7, 7), (5, 10.5), (0, 11)], [(1, 0), (7, 0)]]],
    6: [[[(6, 0), (2, 3), (0, 8), (3, 11), (6, 10), (6, 7), (3, 6), (0, 8)]],
        [[(4, 0), (0, 5), (0, 9), (3, 11), (7, 9), (5, 6), (1, 7)]]],
    7: [[[(0, 0), (8, 0), (3, 11)]],
        [[(0, 0), (8, 0), (3, 11)], [(1.5, 5.5), (7, 5.5)]],
        [[(0, 2), (0, 0), (8, 0), (5, 5), (4, 11)]]],
    8: [[[(7, 1), (4, 0), (1, 2), (3, 5), (7, 8), (5, 11), (1, 10), (1, 7.5), (5, 5), (7, 3), (6, 0.5)]],
        [[(4, 5), (1, 3), (4, 0), (7, 3), (4, 5), (0, 8), (4, 11), (8, 8), (4, 5)]]],
    9: [[[(7, 1), (3, 0), (0, 3), (3, 5.5), (7, 3), (7, 1), (7, 11)]],
        [[(7, 2), (4, 0), (1, 2), (2, 5), (6, 4.5), (7, 1), (7, 6), (5, 10), (1, 11)]],
        [[(7, 2), (4, 0), (1, 2), (2, 5), (6, 4.5), (7, 1), (4, 11)]]],
}  # fmt: skip
OTHERS = {
    0: [[[(2, 1), (0, 5), (2, 10), (6, 11), (9, 8), (9, 3), (6, 0), (3, 0.5), (1, 3)]],
        [[(3, 0), (1, 2), (0, 5.5), (1, 9), (3, 11), (5, 9), (6, 5.5), (5, 2), (3, 0)]]],
    1: [[[(0, 4), (4, 0), (4, 5), (4, 11)]],
        [[(3, 11), (3, 0), (1, 1.5)]],
        [[(1, 2), (3, 0), (3, 11)], [(1, 11), (5, 11)]]],
    2: [[[(0, 3), (1, 0.5), (4, 0), (6, 2), (5, 5), (2, 8), (0, 11)], [(0, 11), (7, 11)]],
        [[(0, 0), (6, 0), (7, 3), (5, 5), (1, 7), (0, 11), (8, 11)]]],
    3: [[[(1, 2), (4, 0), (7, 3), (4, 5), (2, 5)], [(4, 5), (8, 8), (4, 11), (0, 9)]],
        [[(0, 0), (6, 0), (6, 5), (1, 5)], [(6, 5), (6, 11), (0, 11)]]],
    4: [[[(5, 0), (3, 4), (0, 7), (4, 7), (8, 6.5)], [(7, 4), (6, 8), (5, 11)]],
        [[(1, 0), (0, 4), (2, 6), (7, 5)], [(7, 0), (6, 6), (5, 11)]]],
    5: [[[(6, 0), (0, 0), (0, 5), (5, 5), (6, 8), (5, 11), (0, 11)]],
        [[(7, 0), (2, 0), (1, 4.5), (5, 5), (7, 8), (4, 11), (1, 11), (0, 9)]]],
    6: [[[(5, 0), (1, 4), (0, 8), (2, 11), (6, 11), (7, 8), (5, 6), (1, 7.5)]],
        [[(1, 0), (0, 4), (0, 10), (4, 11), (6, 9), (4, 6.5), (0, 7)]]],
    7: [[[(0, 1), (3, 0), (8, 0), (6, 4), (3, 8), (2, 11)]],
        [[(0, 0), (7, 0), (6, 3), (3, 11)], [(2, 6), (7, 5)]]],
    8: [[[(4, 0), (1, 2.5), (4, 5), (7, 2.5), (4, 0)], [(4, 5), (0, 8), (4, 11), (8, 8), (4, 5)]],
        [[(6, 1), (3, 0), (1, 2), (5, 6), (6, 9), (3, 11), (0, 9), (2, 6), (6, 3), (6, 1)]]],
    9: [[[(6, 4), (3, 5), (0, 3), (2, 0), (5, 0), (6, 3), (6, 7), (5, 11)]],
        [[(7, 3), (4, 6), (1, 4), (2, 0), (6, 0), (8, 3), (7, 8), (3, 11), (0, 10)]]],
}  # fmt: skip
MOSTLY_STRAIGHT = (1, 4, 7)


def drawing(strokes: list, digit: int, rng: np.random.Generator) -> list[list[list[float]]]:
    """One drawing on paper from 0 to 1: of some size, somewhere, with a slant, a wobble and a hand of its own."""
    bend = _straight if digit in MOSTLY_STRAIGHT and rng.random() < 0.7 else _curved
    angle, slant, width = rng.normal((0, 0.05, 0), (0.08, 0.12, 0.12))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ [[1, -slant], [0, 1]] @ np.diag([np.exp(width), 1]) * rng.uniform(0.03, 0.075)
    lines = [bend(np.asarray(stroke) + rng.normal(0, 0.35, (len(stroke), 2))) @ matrix.T for stroke in strokes]
    low, high = np.min(np.vstack(lines), axis=0), np.max(np.vstack(lines), axis=0)
    place = rng.uniform(0.03, np.maximum(0.97 - (high - low), 0.04)) - low
    return [np.clip(line + place + rng.normal(0, 0.003, line.shape), 0, 1).round(3).tolist() for line in lines]


def _curved(points: np.ndarray) -> np.ndarray:
    """A smooth line through the points (Catmull and Rom's spline), 12 steps between two."""
    p = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    t = np.linspace(0, 1, 12, endpoint=False)[:, None]
    parts = [
        b + ((c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * (b - c) - a + d) * t**3) / 2
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return np.vstack([*parts, points[-1:]])


def _straight(points: np.ndarray) -> np.ndarray:
    t = np.linspace(0, 1, 12, endpoint=False)[:, None]
    return np.vstack([*(a + (b - a) * t for a, b in pairwise(points)), points[-1:]])


def drawn(ways: dict, each: int, seed: int) -> tuple[Tensor, Tensor]:
    """`each` drawings of every way, as the pad gives them to a network; and their labels."""
    rng = np.random.default_rng(seed)
    asked = [(digit, way) for digit in ways for way in ways[digit] for _ in range(each)]
    scans = np.array([scan(drawing(way, digit, rng)) for digit, way in asked])
    pictures = enlarge(torch.from_numpy(scans / 16).float()[:, None], 32)
    return pictures, torch.tensor([digit for digit, _ in asked])
