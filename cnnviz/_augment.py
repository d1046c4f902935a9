"""Small changes that leave the label alone, made to a whole batch on its device. `data` shows them. Private."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from cnnviz._checks import _number, _whole

Augmentation = Callable[[Tensor, torch.Generator], Tensor]


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
