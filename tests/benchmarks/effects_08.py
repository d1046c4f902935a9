"""Notebook 08: a small AlexNet with one ingredient swapped, and digits that are not in the middle."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from cnnviz import fit, load, models
from cnnviz.data import shift
from cnnviz.training import Run
from tests.benchmarks.effects import right
from tests.benchmarks.rows import Row, seeds_of

SWAPS = {
    "nothing: ReLU, He's weights": {},
    "tanh": {"activation": "tanh"},
    "Xavier's weights": {"init": "xavier"},
    "PyTorch's weights": {"init": "torch"},
    "sigmoid": {"activation": "sigmoid"},
    "the start of the paper": {"init": "paper"},
    "tanh and PyTorch's weights": {"activation": "tanh", "init": "torch"},
    "tanh and Xavier's weights": {"activation": "tanh", "init": "xavier"},
    "dropout": {"dropout": 0.5},
    "local response normalisation": {"lrn": True},
}


def measure(quick: bool = False) -> Iterator[Row]:
    """Four passes over the digits for each swap, and for pictures that move about."""
    for name, changes in SWAPS.items():
        values = [100 * _train(seed, **changes).history.epochs[-1].test_accuracy for seed in seeds_of(quick)]
        yield Row.of_seeds(f"08: swapped {name}: right", values, "%")
    for moved in (0, 4):
        values = [_right_away(_train(seed, moved)) for seed in seeds_of(quick)]
        yield Row.of_seeds(f"08: learned moved by up to {moved}, tested moved by 3: right", values, "%")


def _train(seed: int, moved: int = 0, **changes: object) -> Run:
    torch.manual_seed(seed)
    options = {"small": True, "width_mult": 1 / 8, "in_channels": 1, "num_classes": 10}
    net = models.create("alexnet_2012", **options | {"lrn": False, "init": "he", "dropout": 0.0} | changes)
    augment = shift(moved) if moved else None
    run = fit(net, load("digits"), 4, 0.001, "adam", augment=augment, seed=seed)
    run.result()
    return run


def _right_away(run: Run) -> float:
    return right(run.model, torch.roll(run.data.test_x, (3, 3), dims=(2, 3)), run.data.test_y)
