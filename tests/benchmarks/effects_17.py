"""Notebook 17: how many steps an ODE net bears that was trained with few, and which level of a pyramid sees what."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from cnnviz import fit, load, models
from cnnviz.data import Data, shapes
from cnnviz.models.fpn import FPN
from cnnviz.models.resnet import ResNet, Stages
from tests.benchmarks.effects import right
from tests.benchmarks.rows import Row, seeds_of

ACROSS = (9, 17, 34, 60)  # pixels: one size for each level


def measure(quick: bool = False) -> list[Row]:
    """Return both halves of the notebook."""
    return [*steps(quick), *levels(quick)]


def steps(quick: bool) -> Iterator[Row]:
    """Train ODE nets with 1 and with 8 Euler steps, and test them with 1, 8 and 32."""
    digits = load("digits", size=28)
    for trained in (1, 8):
        found = [_right_by_steps(digits, trained, seed) for seed in seeds_of(quick)]
        for tested, values in zip((1, 8, 32), zip(*found, strict=True), strict=True):
            yield Row.of_seeds(f"17: trained with {trained} steps, tested with {tested}: digits right", values, "%")


def _right_by_steps(digits: Data, trained: int, seed: int) -> list[float]:
    torch.manual_seed(seed)
    net = models.create("odenet", steps=trained, channels=16)
    fit(net, digits, 10, lr=0.03, optimizer="adam", schedule="one-cycle", seed=seed).result()
    found = []
    for net.ode.steps in (1, 8, 32):
        found.append(right(net, digits.test_x, digits.test_y))
    return found


class Finder(nn.Module):
    """A pyramid whose scores for all places, levels and shapes are one softmax; labels may name the level too."""

    def __init__(self, told: bool, way_down: bool = True) -> None:
        super().__init__()
        backbone = ResNet(Stages("basic", (1, 1, 1, 1)), 10, 3, small=False, width_mult=0.25)
        self.net, self.told, self.way_down = FPN(backbone, num_classes=10, channels=32), told, way_down

    def levels(self, x: Tensor) -> Tensor:
        """(N, 3, 64, 64) -> (N, 4 levels, 10 shapes)."""
        maps = self.net.pyramid(x).values() if self.way_down else self._sideways(x)
        return torch.stack([self.net.head(each).flatten(2).logsumexp(2) for each in maps], 1)

    def _sideways(self, x: Tensor) -> Iterator[Tensor]:
        x = self.net.stem(x)
        for stage, lateral, smooth in zip(self.net.stages, self.net.lateral, self.net.smooth, strict=True):
            x = stage(x)
            yield smooth(lateral(x))

    def forward(self, x: Tensor) -> Tensor:
        """One score for each level and shape, or one for each shape."""
        return self.levels(x).flatten(1) if self.told else self.levels(x).logsumexp(1)


def level_of(across: Tensor) -> Tensor:
    """Equation 1 of the paper with 24 pixels in the place of 224; 0 is P2."""
    return (4 + torch.log2(across / 24)).floor().clamp(2, 5).long() - 2


def levels(quick: bool) -> Iterator[Row]:
    """Train three pyramids, and see which level gives the answer for objects of four sizes."""
    kinds = {"told": (True, True), "told, no way down": (True, False), "free": (False, True)}
    for kind, options in kinds.items():
        found = [_seen(*options, seed) for seed in seeds_of(quick)]
        for number, across in enumerate(ACROSS):
            shares, values, without = zip(*(each[number] for each in found), strict=True)
            yield Row.of_seeds(f"17: {kind}, {across} pixels: share of P{number + 2}", shares, "%")
            yield Row.of_seeds(f"17: {kind}, {across} pixels: right", values, "%")
            yield Row.of_seeds(f"17: {kind}, {across} pixels: right without P{number + 2}", without, "%")


def _seen(told: bool, way_down: bool, seed: int) -> list[tuple[float, float, float]]:
    torch.manual_seed(seed)
    net, sets = Finder(told, way_down), [shapes(2000, seed=seed), shapes(200, seed=1000 + seed)]
    labelled = [(x, level_of(across) * 10 + y if told else y) for x, y, across in sets]
    data = Data(*labelled[0], *labelled[1], tuple(map(str, range(40 if told else 10))))
    fit(net, data, 10 if told else 6, lr=0.005, optimizer="adamw", schedule="one-cycle", seed=seed).result()
    found = []
    for number, across in enumerate(ACROSS):
        x, y, _ = shapes(300, across=across, seed=99)
        with torch.no_grad():
            scores = net.eval().levels(x)
        share = scores.flatten(1).softmax(1).reshape(-1, 4, 10).sum(2)[:, number].mean().item()
        rest = scores[:, [level for level in range(4) if level != number]]
        values = [(each.logsumexp(1).argmax(1) == y).float().mean().item() for each in (scores, rest)]
        found.append((100 * share, 100 * values[0], 100 * values[1]))
    return found
