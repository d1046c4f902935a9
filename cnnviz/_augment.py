"""Small changes that leave the label alone, made to a whole batch on its device. `data` shows them. Private."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cnnviz._checks import _number, _whole


@dataclass(frozen=True, eq=False)
class Mixed:
    """Pictures that are each a mixture of two of a batch, and what their labels are then."""

    pictures: Tensor  # N, C, H, W
    partners: Tensor  # N: which other picture of the batch was mixed in
    shares: Tensor  # N: how much of the first is left, the rest is the partner's

    def labels(self, y: Tensor, classes: int) -> Tensor:
        """Shares of the classes (N, classes); `y` holds labels (N,), or such shares already."""
        y = functional.one_hot(y, classes).to(self.shares.dtype) if y.dim() == 1 else y
        share = self.shares[:, None]
        return share * y + (1 - share) * y[self.partners]


Augmentation = Callable[[Tensor, torch.Generator], Tensor | Mixed]


def crop(padding: int) -> Augmentation:
    """Pad each picture with zeros and cut its size out at a random place (Lee et al. 2015; He et al. 2016).

    >>> import torch
    >>> from cnnviz import data
    >>> data.crop(2)(torch.ones(5, 3, 8, 8), torch.Generator()).shape
    torch.Size([5, 3, 8, 8])
    """
    return _moved_by("crop", "padding", padding)


def shift(pixels: int) -> Augmentation:
    """Move each picture by up to so many whole pixels, down and across; what comes in is zero. The same as `crop`."""
    return _moved_by("shift", "pixels", pixels)


def flip() -> Augmentation:
    """Mirror every second picture, on average, left to right."""

    def flip(x: Tensor, generator: torch.Generator) -> Tensor:
        turned = torch.rand(len(x), generator=generator, device=x.device) < 0.5
        return torch.where(turned[:, None, None, None], x.flip(3), x)

    return _named(flip, "flip()")


def pca_colour(std: float = 0.1) -> Augmentation:
    """Add to each picture a random multiple of the main directions of colour (Krizhevsky et al. 2012, section 4.1).

    The multiples have the spread `std`, in units of the standard deviation along each direction. The directions are
    those of the batch; AlexNet took those of all of ImageNet.
    """
    std = _number("std", std, least=0)

    def pca_colour(x: Tensor, generator: torch.Generator) -> Tensor:
        colours = x.float().transpose(0, 1).flatten(1)  # C, N * H * W
        variance, directions = torch.linalg.eigh(torch.cov(colours).reshape(len(colours), -1))
        steps = std * torch.randn(len(x), len(colours), generator=generator, device=x.device)
        added = (steps * variance.clamp(min=0).sqrt()) @ directions.T  # N, C
        return x + added[:, :, None, None].to(x.dtype)

    return _named(pca_colour, f"pca_colour({std:g})")


def mixup(alpha: float = 0.2) -> Augmentation:
    """Lay a second picture of the batch over each, and mix their labels alike (Zhang et al. 2018, arXiv 1710.09412).

    The share of the first is drawn from Beta(alpha, alpha), for each pair anew: mostly near 0 or 1 when `alpha` is
    small, near a half when it is large.

    >>> import torch
    >>> from cnnviz import data
    >>> mixed = data.mixup(1.0)(torch.eye(3).reshape(3, 3, 1, 1), torch.Generator().manual_seed(0))
    >>> torch.equal(mixed.pictures.flatten(1), mixed.labels(torch.arange(3), classes=3))
    True
    """
    alpha = _number("alpha", alpha, above=0)

    def mixup(x: Tensor, generator: torch.Generator) -> Mixed:
        partners = torch.randperm(len(x), generator=generator, device=x.device)
        seed = torch.randint(2**62, (), generator=generator, device=x.device)  # torch's own Beta takes no generator
        drawn = np.random.default_rng(seed.item()).beta(alpha, alpha, len(x))
        shares = torch.from_numpy(drawn).to(x)
        share = shares[:, None, None, None]
        return Mixed(share * x + (1 - share) * x[partners], partners, shares)

    return _named(mixup, f"mixup({alpha:g})")


def moved(x: Tensor, down: Tensor, across: Tensor, most: int) -> Tensor:
    """Each picture moved by its own whole numbers of pixels, `most` at most; what comes in is zero.

    >>> import torch
    >>> moved(torch.tensor([[[[1., 2.], [3., 4.]]]]), torch.tensor([1]), torch.tensor([0]), most=1)
    tensor([[[[0., 0.],
              [1., 2.]]]])
    """
    number, _, height, width = x.shape
    padded = functional.pad(x, (most, most, most, most))
    rows = torch.arange(height, device=x.device) + most - down[:, None]  # N, H
    cols = torch.arange(width, device=x.device) + most - across[:, None]  # N, W
    which = torch.arange(number, device=x.device)[:, None, None]
    return padded[which, :, rows[:, :, None], cols[:, None, :]].permute(0, 3, 1, 2)  # N, H, W, C -> N, C, H, W


def _moved_by(word: str, argument: str, pixels: int) -> Augmentation:
    _whole(argument, pixels, 0, 1000)

    def move(x: Tensor, generator: torch.Generator) -> Tensor:
        by = torch.randint(-pixels, pixels + 1, (2, len(x)), generator=generator, device=x.device)
        return moved(x, *by, pixels)

    return _named(move, f"{word}({pixels})")


def _named(change: Augmentation, name: str) -> Augmentation:
    change.__name__ = name  # what a run's label says
    return change
