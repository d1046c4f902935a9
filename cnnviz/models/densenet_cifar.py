"""DenseNet for 32x32 pictures: every layer reads the maps of all layers before it and adds a few of its own.

Huang, Liu, van der Maaten, Weinberger: Densely Connected Convolutional Networks, CVPR 2017 (arXiv 1608.06993), table 2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnnviz.models._network import Network, he_normal, initialise
from cnnviz.models._parts import check_share, check_whole, choose
from cnnviz.models._registry import register

COMBINES = ("concatenate", "add")


def norm_relu_conv(in_channels: int, out_channels: int, kernel_size: int) -> list[nn.Module]:
    """Return batch norm, ReLU and a convolution that keeps the size, in this order."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)
    return [nn.BatchNorm2d(in_channels), nn.ReLU(), conv]


class DenseLayer(nn.Module):
    """New maps from all maps so far, put beside them (or, to see what that is for, added to them)."""

    def __init__(self, in_channels: int, growth: int, bottleneck: bool, dropout: float, combine: str) -> None:
        super().__init__()
        inner = 4 * growth if bottleneck else in_channels
        layers = norm_relu_conv(in_channels, inner, 1) if bottleneck else []
        new = growth if combine == "concatenate" else in_channels
        self.layers = nn.Sequential(*layers, *norm_relu_conv(inner, new, 3), nn.Dropout(dropout))
        self.add = combine == "add"

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, channels + growth, H, W); added, the channels stay."""
        new = self.layers(x)
        return x + new if self.add else torch.cat([x, new], dim=1)


class DenseNetCifar(Network):
    """A convolution, three dense blocks with transitions between them, an average and one dense layer."""

    def __init__(
        self, num_classes: int, in_channels: int, layers: int, growth: int, bottleneck: bool, compression: float,
        dropout: float, combine: str,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_classes = num_classes
        channels = 2 * growth if bottleneck else 16
        self.features = nn.Sequential()
        self.features.add_module("stem", nn.Conv2d(in_channels, channels, 3, padding=1, bias=False))  # 32x32
        for block in (1, 2, 3):  # 32x32, 16x16, 8x8
            dense = nn.Sequential()
            for _ in range(layers):
                dense.append(DenseLayer(channels, growth, bottleneck, dropout, combine))
                channels += growth if combine == "concatenate" else 0
            self.features.add_module(f"block{block}", dense)
            if block < 3:
                kept = int(channels * compression) if combine == "concatenate" else channels
                transition = nn.Sequential(*norm_relu_conv(channels, kept, 1), nn.Dropout(dropout), nn.AvgPool2d(2))
                self.features.add_module(f"transition{block}", transition)
                channels = kept
        self.classifier = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes)
        )
        initialise(self, conv=he_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Return one score a class."""
        return self.classifier(self.features(x))


@register
def densenet_cifar(
    num_classes: int = 10, in_channels: int = 3, depth: int = 100, growth_rate: int = 12, bottleneck: bool = True,
    compression: float = 0.5, dropout: float = 0.0, combine: str = "concatenate",
) -> DenseNetCifar:  # fmt: skip
    """Return DenseNet-BC for 32x32 pictures; ``bottleneck=False, compression=1.0`` is the first, plain DenseNet.

    Parameters
    ----------
    num_classes, in_channels
        Scores out, channels in.
    depth
        Layers with weights: 6n + 4 with bottlenecks (100 in the paper), 3n + 4 without (40).
    growth_rate
        Maps that each layer adds.
    bottleneck
        A 1x1 to 4 x growth_rate maps in front of each 3x3.
    compression
        The share of maps that a transition keeps.
    dropout
        Behind each convolution but the first; 0.2 in the paper where it trained without augmentation.
    combine
        "concatenate"; or "add", which makes it a residual network of the width of its stem (growth rate and
        compression then change nothing behind it).

    Examples
    --------
    >>> sum(p.numel() for p in densenet_cifar().parameters())
    769162
    """
    check_whole("depth", depth, least=7)
    check_whole("growth_rate", growth_rate)
    check_share("compression", compression, "above 0")
    check_share("dropout", dropout)
    choose("combine", combine, dict.fromkeys(COMBINES))
    step = 6 if bottleneck else 3
    layers, rest = divmod(depth - 4, step)
    if rest or layers < 1:
        below = max(4 + step, depth - rest)
        raise ValueError(f"depth {depth} is not {step}n + 4: use {below} or {below + step}")
    return DenseNetCifar(num_classes, in_channels, layers, growth_rate, bottleneck, compression, dropout, combine)
