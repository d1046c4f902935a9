"""What the notebooks say of several seeds: each ``effects_NN.py`` beside this file is one notebook's."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

from tests.benchmarks.rows import Row


def measure(quick: bool = False) -> Iterator[Row]:
    """Train what the notebooks train, with seeds 0, 1 and 2, a notebook after the other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the notebooks were executed
    for path in sorted(Path(__file__).parent.glob("effects_[0-9][0-9].py")):
        yield from import_module(f"tests.benchmarks.{path.stem}").measure(quick)
    torch.set_num_threads(threads)


@torch.no_grad()
def right(network: nn.Module, x: Tensor, y: Tensor) -> float:
    """Return how many of 100 pictures a network gets right."""
    return 100 * (network.eval()(x).argmax(1) == y).float().mean().item()
