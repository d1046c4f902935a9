"""Notebook 11: what shortcuts change in 56 layers, and what a network is without one of its blocks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import nn

from cnnviz import fit, load, models
from cnnviz.training import Run
from tests.benchmarks.effects import right
from tests.benchmarks.rows import Row, seeds_of


def measure(quick: bool = False) -> Iterator[Row]:
    """Compare plain and residual networks at 16 pixels, width 8, five passes."""
    runs = {kind: [_train(*kind, seed) for seed in seeds_of(quick)] for kind in KINDS}
    plain, residual, _ = ([run.history.epochs[-1] for run, _ in each] for each in runs.values())
    ratios = [one.train_loss / other.train_loss for one, other in zip(plain, residual, strict=True)]
    yield Row.of_seeds("11: training loss of plain-56 over residual-56, the least", ratios, "x", bar=3)
    pairs = zip(runs[KINDS[0]], runs[KINDS[1]], strict=True)
    yield Row("  both together, the slowest seed", max(one + other for (_, one), (_, other) in pairs), "s", 60)
    for (depth, kind), trained in runs.items():
        values = [100 * run.history.epochs[-1].test_accuracy for run, _ in trained]
        yield Row.of_seeds(f"11: {kind}-{depth}: right", values, "%")
    without = [_without_each_block(run) for run, _ in runs[KINDS[1]]]
    yield Row.of_seeds("11: residual-56: blocks it can lose and keep 90 %", [sum(x > 90 for x in w) for w in without])
    without = [max(_without_each_block(run)) for run, _ in runs[KINDS[2]]]
    yield Row.of_seeds("11: plain-14: the most it keeps without a block", without, "%")


KINDS = ((56, "plain"), (56, "residual"), (14, "plain"))


def _train(depth: int, kind: str, seed: int) -> tuple[Run, float]:
    torch.manual_seed(seed)
    network = models.create("resnet_cifar", depth=depth, plain=kind == "plain", width=8, in_channels=1)
    run = fit(network, load("digits", size=16), 5, 0.05, "momentum", schedule="one-cycle", seed=seed)
    start = time.perf_counter()
    run.result()
    return run, time.perf_counter() - start


def _without_each_block(run: Run) -> list[float]:
    """Return how many of 100 are right without each block that does not change the size."""
    stages, found = len(run.model.blocks) // 3, []
    for number in range(3 * stages):
        if number not in (stages, 2 * stages):
            rest = deepcopy(run.model)
            rest.blocks[number] = nn.Identity()
            found.append(right(rest, run.data.test_x, run.data.test_y))
    return found
