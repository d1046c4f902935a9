"""The effective receptive field: how strongly an output really hangs on each pixel, measured by gradients.

After Luo, Li, Urtasun and Zemel, "Understanding the effective receptive field in deep convolutional neural networks",
NIPS 2016: the gradient of one output unit with respect to the picture, over random pictures and random weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cnnviz._checks import Pair
from cnnviz.widgets.receptive_field.stack import Box, Stack

if TYPE_CHECKING:
    import torch
    from torch import nn

CHANNELS = 8  # of each map of a stack with random weights
SHARE = 0.95


class Effective(NamedTuple):
    """A measured field: `values` (H, W), the mean squared gradient, sums to 1."""

    values: np.ndarray
    position: Pair  # the output unit
    samples: int
    side: Pair  # rows and columns of the smallest box in the middle of the theoretical field with 95 % of it

    @property
    def shares(self) -> np.ndarray:
        """Each value as a share of the strongest few, for colours: a single lucky pixel would make the others pale."""
        strong = np.quantile(self.values[self.values > 0], 0.99)
        return np.minimum(self.values / strong, 1)


def measure(stack: Stack, size: Pair, unit: Pair, samples: int, seed: int, module: nn.Module | None) -> np.ndarray:
    """Mean squared gradient (H, W) of a unit, over random pictures; without a module over random weights too."""
    import torch

    total = np.zeros(size)
    modes = {part: part.training for part in module.modules()} if module is not None else {}
    weight = next(iter(module.parameters()), torch.empty(0)) if module is not None else torch.empty(0).double()
    channels = next((part.in_channels for part in modes if hasattr(part, "in_channels")), 3)
    try:
        for part in modes:
            part.training = False
        for sample in range(samples):
            draw = torch.Generator().manual_seed(seed + sample)
            picture = torch.randn(1, channels, *size, generator=draw, dtype=torch.float64).to(weight)
            picture.requires_grad_()
            with torch.enable_grad():  # whatever the notebook has switched off
                out = module(picture.clone()) if module is not None else _random_stack(stack, picture, draw)
                total += _squared(out, unit, picture)
    finally:
        for part, mode in modes.items():
            part.training = mode
    if not np.isfinite(total).all():
        raise ValueError(f"the gradient of unit {unit} is not a number: look at the model's weights")
    if not total.any():
        raise ValueError(f"the gradient of unit {unit} is zero: no pixel changes it")
    return total / total.sum()


def _squared(out: torch.Tensor, unit: Pair, picture: torch.Tensor) -> np.ndarray:
    import torch

    if out.dim() != 4 or any(at >= n for at, n in zip(unit, out.shape[2:], strict=True)):
        raise ValueError(
            f"the model's output {tuple(out.shape)} is not (1, channels, rows, columns) with a unit {unit}"
        )
    (gradient,) = torch.autograd.grad(out[0, :, unit[0], unit[1]].sum(), picture)
    return gradient.detach().double().square().sum((0, 1)).cpu().numpy()


def _random_stack(stack: Stack, x: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Run a picture through convolutions with new weights (He's deviation), a ReLU behind each."""
    import torch
    from torch.nn import functional

    for layer in stack:
        settings = {name: tuple(v) if isinstance(v, list) else v for name, v in layer.items() if name != "kind"}
        ceil, size = settings.pop("ceil_mode"), settings.pop("kernel_size")
        if layer["kind"] == "conv":
            height, width = size if isinstance(size, tuple) else (size, size)
            shape = CHANNELS, x.shape[1], height, width
            weight = torch.randn(shape, generator=draw, dtype=x.dtype) * (2 / (x.shape[1] * height * width)) ** 0.5
            x = functional.conv2d(x, weight, **settings).relu()
        elif layer["kind"] == "max_pool":
            x = functional.max_pool2d(x, size, ceil_mode=ceil, **settings)
        else:
            settings.pop("dilation")
            x = functional.avg_pool2d(x, size, ceil_mode=ceil, **settings)
    return x


def middle(values: np.ndarray, box: Box) -> Pair:
    """Size of the smallest box in the middle of `box` that holds 95 % of the values."""
    top, left, height, width = box
    trim = 0
    while min(height, width) > 2 * (trim + 1):
        t = trim + 1
        rows = slice(max(top + t, 0), max(top + height - t, 0))
        cols = slice(max(left + t, 0), max(left + width - t, 0))
        if values[rows, cols].sum() < SHARE * values.sum():
            break
        trim = t
    return height - 2 * trim, width - 2 * trim
