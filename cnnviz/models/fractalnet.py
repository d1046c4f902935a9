"""FractalNet: a network that grows by one rule, f(C + 1) = join of (f(C) twice in a row) and (one convolution).

Larsson, Maire, Shakhnarovich: FractalNet, Ultra-Deep Neural Networks without Residuals, ICLR 2017 (arXiv 1605.07648).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnnviz._checks import _whole
from cnnviz.models._network import Network, he_normal, initialise
from cnnviz.models._parts import Scale, check_share, conv_norm, scale
from cnnviz.models._registry import register

CHANNELS = (64, 128, 256, 512, 512)  # a block each, a pool behind each: 32, 16, 8, 4, 2, 1
DROPOUTS = (0.0, 0.1, 0.2, 0.3, 0.4)  # behind the blocks, where the paper uses dropout


class Fractal(nn.Module):
    """The rule: one convolution beside two fractals of one column fewer, one after the other."""

    def __init__(self, columns: int, in_channels: int, channels: int, drop_path: float) -> None:
        super().__init__()
        self.short = conv_norm(in_channels, channels, 3, relu=nn.ReLU)
        self.drop_path = drop_path
        if columns > 1:
            self.first = Fractal(columns - 1, in_channels, channels, drop_path)
            self.second = Fractal(columns - 1, channels, channels, drop_path)

    def columns(self, x: Tensor) -> list[Tensor]:
        """Return what every column makes of x, shallowest first: joins that would meet are one, of several inputs."""
        ends = [self.short(x)]
        if hasattr(self, "first"):
            ends += self.second.columns(self.first(x))
        return ends

    def column(self, x: Tensor, index: int) -> Tensor:
        """Return what one column alone makes of x: 2**index convolutions."""
        if index == 0:
            return self.short(x)
        return self.second.column(self.first.column(x, index - 1), index - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean of the columns' ends; in training each is dropped now and then (local drop-path)."""
        ends = self.columns(x)
        if self.training and self.drop_path:
            kept = [end for end in ends if torch.rand((), device="cpu") >= self.drop_path]
            ends = kept or [ends[int(torch.randint(len(ends), (), device="cpu"))]]  # one always survives
        return torch.stack(ends).mean(dim=0)


class FractalNet(Network):
    """Blocks of a fractal and a pool, then one dense layer."""

    def __init__(
        self, num_classes: int, in_channels: int, columns: int, blocks: int, drop_path: float, global_share: float,
        dropout: bool, w: Scale,
    ) -> None:  # fmt: skip
        super().__init__()
        self.columns, self.global_share = columns, global_share
        self.fractals, self.shrink = nn.ModuleList(), nn.ModuleList()
        for width, rate in zip(map(w, CHANNELS[:blocks]), DROPOUTS, strict=False):
            self.fractals.append(Fractal(columns, in_channels, width, drop_path))
            self.shrink.append(nn.Sequential(nn.MaxPool2d(2), nn.Dropout(rate if dropout else 0.0)))
            in_channels = width
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_channels, num_classes))
        initialise(self, conv=he_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Return one score a class; in training, for a share of the batches, from one column (global drop-path)."""
        if self.training and torch.rand((), device="cpu") < self.global_share:
            return self.column(x, int(torch.randint(self.columns, (), device="cpu")))
        for fractal, shrink in zip(self.fractals, self.shrink, strict=True):
            x = shrink(fractal(x))
        return self.classifier(x)

    def column(self, x: Tensor, index: int) -> Tensor:
        """Return the scores of one column alone: a plain network of ``blocks * 2**index`` convolutions."""
        if index not in range(self.columns):
            raise ValueError(f"column {index!r} is not one of this network's: use 0 to {self.columns - 1}")
        for fractal, shrink in zip(self.fractals, self.shrink, strict=True):
            x = shrink(fractal.column(x, index))
        return self.classifier(x)


@register
def fractalnet(
    num_classes: int = 10, in_channels: int = 3, columns: int = 3, blocks: int = 5, drop_path: float = 0.15,
    global_share: float = 0.5, dropout: bool = False, width_mult: float = 1.0,
) -> FractalNet:  # fmt: skip
    """Return FractalNet for 32x32 pictures: ``blocks * 2**(columns - 1)`` convolutions deep, 20 as in the paper.

    It has 33,724,618 parameters. Table 2 of the DenseNet paper says 38.6 million, which no reading of the FractalNet
    paper gives; that paper's own counts, for networks a quarter as wide with 1 to 6 columns, come out here.

    Parameters
    ----------
    columns
        How often the rule is applied.
    blocks
        1 to 5; each halves the picture.
    drop_path
        The chance that a join drops an input (local drop-path).
    global_share
        The share of training batches that run through one column only (global drop-path).
    dropout
        Whether to drop 0, 10, 20, 30, 40 % of the values behind the blocks.
    width_mult
        Scales every width.

    Examples
    --------
    >>> net = fractalnet(columns=2, blocks=2, width_mult=0.125)
    >>> net.column(torch.zeros(2, 3, 32, 32), 1).shape
    torch.Size([2, 10])
    """
    _whole("columns", columns, 1)
    _whole("blocks", blocks, 1)
    check_share("drop_path", drop_path)
    check_share("global_share", global_share)
    if columns > 6 or blocks > len(CHANNELS):
        raise ValueError(f"columns {columns} and blocks {blocks} is too large: use at most 6 and {len(CHANNELS)}")
    return FractalNet(num_classes, in_channels, columns, blocks, drop_path, global_share, dropout, scale(width_mult))
