"""Pictures to learn from, whole in memory: embedded digits.

>>> from cnnviz import load
>>> load("digits")
digits: 1,442 pictures to learn from and 355 to test with, 1 x 32 x 32, 10 classes
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Data", "load"]


@dataclass(frozen=True, repr=False)
class Data:
    """Pictures and their labels: to learn from, and to test with.

    Attributes
    ----------
    train_x, test_x
        Tensors ``(N, C, H, W)``, float32.
    train_y, test_y
        Tensors ``(N,)``, int64: places in `classes`.
    classes
        The classes' names.
    """

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    classes: tuple[str, ...]
    name: str = "own pictures"

    def to(self, device: torch.device | str) -> Data:
        """Return the same data on another device."""
        moved = {key: getattr(self, key).to(device) for key in ("train_x", "train_y", "test_x", "test_y")}
        return replace(self, **moved)

    def few(self, per_class: int, seed: int = 0) -> Data:
        """Keep `per_class` training pictures a class, drawn by `seed`; the test set stays whole."""
        generator = torch.Generator().manual_seed(seed)
        kept = []
        for label in range(len(self.classes)):
            places = (self.train_y == label).nonzero()[:, 0]
            kept.append(places[torch.randperm(len(places), generator=generator)[:per_class].to(places.device)])
        chosen = torch.cat(kept)
        return replace(self, train_x=self.train_x[chosen], train_y=self.train_y[chosen])

    def __repr__(self) -> str:
        channels, height, width = self.train_x.shape[1:]
        return (
            f"{self.name}: {len(self.train_x):,} pictures to learn from and {len(self.test_x):,} to test with, "
            f"{channels} x {height} x {width}, {len(self.classes)} classes"
        )


def load(name: str, size: int | None = None, seed: int = 0, path: str | None = None) -> Data:
    """Return a data set by its name."""
    if name != "digits":
        raise ValueError(f"there is no data set {name!r}: use 'digits'")
    return _digits(size or 32)


def _digits(size: int) -> Data:
    from sklearn.datasets import load_digits

    scans = load_digits()
    x = torch.from_numpy((scans.images / 16).astype(np.float32))[:, None]  # N, 1, 8, 8: 0 paper, 1 ink
    y = torch.from_numpy(scans.target.astype(np.int64))
    test = _fifth_of_each_class(y)
    x = _enlarged(x, size, digit=min(size, 20))
    return Data(x[~test], y[~test], x[test], y[test], tuple(map(str, range(10))), "digits")


def _enlarged(x: Tensor, size: int, digit: int) -> Tensor:
    """Each picture `digit` pixels wide in the middle of a field of `size`, bilinear."""
    theta = torch.zeros(len(x), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = size / digit
    grid = functional.affine_grid(theta, [len(x), 1, size, size], align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)


def _fifth_of_each_class(y: Tensor, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.zeros(len(y), dtype=torch.bool)
    for label in y.unique():
        places = (y == label).nonzero()[:, 0]
        chosen[places[torch.randperm(len(places), generator=generator)[: len(places) // 5]]] = True
    return chosen
