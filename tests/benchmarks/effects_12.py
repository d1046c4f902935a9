"""Notebook 12: a DenseNet beside a ResNet of twice its parameters."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from cnnviz import fit, load, models
from tests.benchmarks.rows import Row, seeds_of

NETWORKS = {
    "DenseNet": ("densenet_cifar", {"depth": 22, "growth_rate": 4}),
    "ResNet": ("resnet_cifar", {"depth": 20, "width": 4}),
}


def measure(quick: bool = False) -> Iterator[Row]:
    """Six passes over the digits at 16 pixels."""
    for name, (builder, options) in NETWORKS.items():
        right = []
        for seed in seeds_of(quick):
            torch.manual_seed(seed)
            net = models.create(builder, in_channels=1, **options)
            run = fit(net, load("digits", size=16), 6, 0.01, "adam", schedule="one-cycle", seed=seed)
            right.append(100 * run.result().epochs[-1].test_accuracy)
        yield Row.of_seeds(f"12: {name}, {sum(w.numel() for w in net.parameters()):,} parameters: right", right, "%")
