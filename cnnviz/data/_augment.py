"""Small changes that leave the label alone, made to a whole batch on its device. `data` shows them. Private."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def rotation(degrees: float) -> Augmentation:
    """Turn each picture about its middle by an angle up to `degrees`, either way; what comes in is zero."""
    return _warped_by("rotation", "degrees", degrees, 180, lambda turn: _turned(torch.deg2rad(turn)))


def shear(degrees: float) -> Augmentation:
    """Lean each picture to a side, its upright lines by an angle up to `degrees`; what comes in is zero."""
    return _warped_by("shear", "degrees", degrees, 89, lambda lean: _matrices(1, torch.deg2rad(lean).tan(), 0, 1))


def zoom(share: float) -> Augmentation:
    """Enlarge or shrink each picture about its middle, by a factor from ``1 - share`` to ``1 + share``.

    >>> import torch
    >>> from cnnviz import data
    >>> data.zoom(0.5)(torch.ones(2, 1, 4, 4), torch.Generator()).shape
    torch.Size([2, 1, 4, 4])
    """
    return _warped_by("zoom", "share", share, 0.99, lambda by: _matrices(1 / (1 + by), 0, 0, 1 / (1 + by)))


def noise(std: float) -> Augmentation:
    """Add to each value a random number of this spread."""
    std = _number("std", std, least=0)

    def noise(x: Tensor, generator: torch.Generator) -> Tensor:
        return x + std * torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype)

    return _named(noise, f"noise({std:g})")


def channel_shift(most: float) -> Augmentation:
    """Add to each channel of each picture one number, up to `most` either way."""
    most = _number("most", most, least=0)

    def channel_shift(x: Tensor, generator: torch.Generator) -> Tensor:
        return x + _between(-most, most, x.shape[:2], x, generator)[:, :, None, None]

    return _named(channel_shift, f"channel_shift({most:g})")


def colour(share: float) -> Augmentation:
    """Multiply brightness, contrast and saturation of each picture by factors from ``1 - share`` to ``1 + share``.

    Contrast is the distance from the picture's mean, saturation that from the mean of its channels at each place: a
    picture of one channel has none.
    """
    share = _number("share", share, least=0)

    def colour(x: Tensor, generator: torch.Generator) -> Tensor:
        bright, contrast, saturation = _between(1 - share, 1 + share, (3, len(x), 1, 1, 1), x, generator)
        x = x * bright
        for factor, over in ((contrast, (1, 2, 3)), (saturation, 1)):
            mean = x.mean(over, keepdim=True)
            x = mean + factor * (x - mean)
        return x

    return _named(colour, f"colour({share:g})")


def pca_colour(std: float = 0.1) -> Augmentation:
    """Add to each picture a random multiple of the main directions of colour (Krizhevsky et al. 2012, section 4.1).

    The multiples have the spread `std`, in units of the standard deviation along each direction. The directions are
    those of the batch; AlexNet took those of all of ImageNet.
    """
    std = _number("std", std, least=0)

    def pca_colour(x: Tensor, generator: torch.Generator) -> Tensor:
        colours = x.float().transpose(0, 1).flatten(1)  # C, N * H * W
        variance, directions = torch.linalg.eigh(torch.cov(colours, correction=0).reshape(len(colours), -1))
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


def _warped_by(
    word: str, argument: str, given: float, below: float, matrices: Callable[[Tensor], Tensor]
) -> Augmentation:
    """A change by random amounts, `given` at most; each is a matrix from places of the result to the original's."""
    most = _number(argument, given, least=0)
    if most > below:
        raise ValueError(f"{argument} {given} is too much: use at most {below}")

    def warp(x: Tensor, generator: torch.Generator) -> Tensor:
        return warped(x, matrices(_between(-most, most, (len(x),), x, generator)))

    return _named(warp, f"{word}({most:g})")


def warped(x: Tensor, matrices: Tensor) -> Tensor:
    """Each picture drawn about its middle through its own matrix (N, 2, 2) of places (across, down); bilinear."""
    sides = torch.tensor([x.shape[3], x.shape[2]], dtype=x.dtype, device=x.device)
    theta = functional.pad(matrices * sides / sides[:, None], (0, 1))  # torch measures each axis from -1 to 1
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)


def _turned(angle: Tensor) -> Tensor:
    return _matrices(angle.cos(), -angle.sin(), angle.sin(), angle.cos())


def _matrices(*entries: Tensor | float) -> Tensor:
    """2x2 matrices (N, 2, 2) of four entries, each (N,) or one number for all."""
    like = next(entry for entry in entries if isinstance(entry, Tensor))
    return torch.stack([entry + torch.zeros_like(like) for entry in entries], dim=1).unflatten(1, (2, 2))


def _between(low: float, high: float, shape: Sequence[int], x: Tensor, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(tuple(shape), generator=generator, device=x.device, dtype=x.dtype)


def _moved_by(word: str, argument: str, pixels: int) -> Augmentation:
    _whole(argument, pixels, 0, 1000)

    def move(x: Tensor, generator: torch.Generator) -> Tensor:
        by = torch.randint(-pixels, pixels + 1, (2, len(x)), generator=generator, device=x.device)
        return moved(x, *by, pixels)

    return _named(move, f"{word}({pixels})")


def _named(change: Augmentation, name: str) -> Augmentation:
    change.__name__ = name  # what a run's label says
    return change
