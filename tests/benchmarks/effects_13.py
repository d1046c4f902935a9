"""Notebook 13: networks of standard and of separable convolutions with as many multiply-adds."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import nn

from cnnviz import fit, load
from tests.benchmarks.rows import Row, seeds_of

WIDTHS = {"standard": (12, 24), "separable": (44, 88)}


def measure(quick: bool = False) -> Iterator[Row]:
    """Six passes over the digits at 16 by 16."""
    _train(0, "standard")  # what a first run loads does not count
    found = {kind: [_train(seed, kind) for seed in seeds_of(quick)] for kind in WIDTHS}
    for kind, runs in found.items():
        yield Row.of_seeds(f"13: {kind} convolutions: right", [right for right, _ in runs], "%")
    pairs = zip(found["separable"], found["standard"], strict=True)
    yield Row.of_seeds("13: separable, times as long to train", [one[1] / other[1] for one, other in pairs], "x")


def _train(seed: int, kind: str) -> tuple[float, float]:
    """Per cent of the test pictures right, and seconds."""
    torch.manual_seed(seed)
    layers, channels = _conv(1, 8, 3), 8
    for filters in WIDTHS[kind]:
        if kind == "separable":
            layers += _conv(channels, channels, 3, channels) + _conv(channels, filters, 1)
        else:
            layers += _conv(channels, filters, 3)
        layers.append(nn.MaxPool2d(2))
        channels = filters
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    start = time.process_time()
    run = fit(network, load("digits", size=16), 6, 0.01, "adam", schedule="one-cycle", seed=seed)
    right = 100 * run.result().epochs[-1].test_accuracy
    return right, time.process_time() - start


def _conv(channels: int, filters: int, kernel: int, groups: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(channels, filters, kernel, padding=kernel // 2, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(filters), nn.ReLU()]
