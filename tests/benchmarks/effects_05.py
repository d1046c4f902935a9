"""Notebook 05: how much LeNet-5 owes to what its first layer learns."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional

from cnnviz import fit, load, models
from tests.benchmarks.rows import Row, seeds_of


def measure(quick: bool = False) -> Iterator[Row]:
    """Train all layers, and all but the first."""
    found = [(_train(seed, frozen=False), _train(seed, frozen=True)) for seed in seeds_of(quick)]
    yield Row.of_seeds("05: LeNet-5: right", [whole[0] for whole, _ in found], "%")
    yield Row.of_seeds("05: the same with a first layer that stays random", [rest[0] for _, rest in found], "%")
    yield Row.of_seeds("05: first filters, cosine with their start, the least", [whole[1] for whole, _ in found])
    yield Row.of_seeds("05: first filters, times as strong as at the start", [whole[2] for whole, _ in found])


def _train(seed: int, frozen: bool) -> tuple[float, float, float]:
    torch.manual_seed(seed)
    net = models.create("lenet5")
    first = net.features[0].requires_grad_(not frozen)
    before = first.weight.detach().flatten(1).clone()
    history = fit(net, load("digits"), 10, 0.05, "momentum", seed=seed).result()
    after = first.weight.detach().flatten(1)
    alike = functional.cosine_similarity(before, after).min().item()
    return 100 * history.epochs[-1].test_accuracy, alike, (after.norm() / before.norm()).item()
