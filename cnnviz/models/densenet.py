"""DenseNet: every layer reads the maps of all layers before it in its block, and adds a few of its own.

Huang, Liu, van der Maaten, Weinberger: Densely Connected Convolutional Networks, CVPR 2017 (arXiv 1608.06993), tables 1
and 2 (DenseNet-161 is a later addition of its authors).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnnviz._checks import _whole
from cnnviz.models._network import Network, he_normal, initialise
from cnnviz.models._parts import check_share, choose, first_pool, first_window
from cnnviz.models._registry import register, register_each
from cnnviz.models._unfilled import batch_norm2d, conv2d, relu


class Blocks(NamedTuple):
    """One row of the table of DenseNets; what follows the stem differs only in networks for 32x32."""

    depths: tuple[int, ...]
    growth_rate: int = 32
    stem_channels: int = 64
    bottleneck: bool = True
    compression: float = 0.5  # the share of maps that a transition keeps
    dropout: float = 0.0
    add: bool = False


NETWORKS = {  # DenseNet-BC: bottlenecks of 4 * growth_rate, transitions that halve the channels
    "densenet121": Blocks((6, 12, 24, 16)),
    "densenet161": Blocks((6, 12, 36, 24), growth_rate=48, stem_channels=96),
    "densenet169": Blocks((6, 12, 32, 32)),
    "densenet201": Blocks((6, 12, 48, 32)),
    "densenet264": Blocks((6, 12, 64, 48)),
}
COMBINES = {"concatenate": False, "add": True}


def norm_relu_conv(end: object, in_channels: int, out_channels: int, kernel_size: int) -> dict[str, nn.Module]:
    """Return batch norm, ReLU and a convolution that keeps the size, in this order, their names ending alike."""
    conv = conv2d(in_channels, out_channels, kernel_size, 1, kernel_size // 2, bias=False)
    return {f"norm{end}": batch_norm2d(in_channels), f"relu{end}": relu(), f"conv{end}": conv}


class DenseLayer(nn.Module):
    """A 1x1 convolution to few channels and a 3x3 that makes ``growth_rate`` maps; they are put beside the input.

    (Or, to see what that is for, ``growth_rate`` does not count and they are added to it.)
    """

    def __init__(self, in_channels: int, blocks: Blocks) -> None:
        super().__init__()
        inner = 4 * blocks.growth_rate if blocks.bottleneck else in_channels
        steps = norm_relu_conv(1, in_channels, inner, 1) if blocks.bottleneck else {}
        steps |= norm_relu_conv(len(steps) // 3 + 1, inner, in_channels if blocks.add else blocks.growth_rate, 3)
        steps |= {"dropout": nn.Dropout(blocks.dropout)} if blocks.dropout else {}
        self.add = blocks.add
        for name, step in steps.items():
            self.add_module(name, step)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, in_channels + growth_rate, H, W); added, the channels stay."""
        new = x
        for step in self.children():  # (N, in_channels, H, W) -> (N, 4 * growth_rate, H, W) -> (N, growth_rate, H, W)
            new = step(new)
        return x + new if self.add else torch.cat([x, new], dim=1)


class DenseNet(Network):
    """A stem, dense blocks with transitions between them, a global average and one dense layer."""

    def __init__(self, stem: dict[str, nn.Module], blocks: Blocks, num_classes: int) -> None:
        super().__init__()
        channels = blocks.stem_channels
        self.features = nn.Sequential()
        for name, layer in stem.items():
            self.features.add_module(name, layer)
        for number, depth in enumerate(blocks.depths, start=1):
            dense = nn.Sequential()
            for index in range(depth):
                dense.add_module(f"denselayer{index + 1}", DenseLayer(channels, blocks))
                channels += 0 if blocks.add else blocks.growth_rate
            self.features.add_module(f"denseblock{number}", dense)
            if number < len(blocks.depths):
                kept = channels if blocks.add else int(channels * blocks.compression)
                self.features.add_module(f"transition{number}", transition(channels, kept, blocks.dropout))
                channels = kept
        last = len(blocks.depths) + 1
        self.features.add_module(f"norm{last}", nn.BatchNorm2d(channels))
        self.features.add_module(f"relu{last}", nn.ReLU())
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores (N, num_classes) for pictures (N, in_channels, H, W)."""
        x = self.features(x)  # (N, 3, 224, 224) -> (N, 1024, 7, 7), through 56, 28 and 14
        x = self.avgpool(x).flatten(1)  # (N, 1024)
        return self.classifier(x)


def transition(channels: int, kept: int, dropout: float) -> nn.Sequential:
    """Thin the channels with a 1x1 convolution, then halve the picture with an average pool."""
    steps = norm_relu_conv("", channels, kept, 1)
    steps |= {"dropout": nn.Dropout(dropout)} if dropout else {}
    layers = nn.Sequential()
    for name, step in {**steps, "pool": nn.AvgPool2d(kernel_size=2, stride=2)}.items():
        layers.add_module(name, step)
    return layers


@register_each(NETWORKS)
def densenet(
    blocks: Blocks, num_classes: int = 1000, in_channels: int = 3, small: bool = False, growth_rate: int | None = None
) -> DenseNet:
    """Build a DenseNet for 224x224; densenet121 has 7,978,856 parameters, densenet264 33,337,704.

    ``small`` is for 32x32: a first convolution of 3x3, stride 1, and no pool behind it. ``growth_rate``, instead of
    the published one, is how many maps each layer adds; the stem then makes twice as many.
    """
    if growth_rate is not None:
        _whole("growth_rate", growth_rate, 1)
        blocks = blocks._replace(growth_rate=growth_rate, stem_channels=2 * growth_rate)
    channels, (kernel_size, stride) = blocks.stem_channels, first_window(small)
    stem = {
        "conv0": nn.Conv2d(in_channels, channels, kernel_size, stride, padding=kernel_size // 2, bias=False),
        "norm0": nn.BatchNorm2d(channels),
        "relu0": nn.ReLU(),
        "pool0": first_pool(small),
    }
    network = DenseNet(stem, blocks, num_classes)
    initialise(network, conv=nn.init.kaiming_normal_)
    nn.init.zeros_(network.classifier.bias)
    return network


@register
def densenet_cifar(
    num_classes: int = 10, in_channels: int = 3, depth: int = 100, growth_rate: int = 12, bottleneck: bool = True,
    compression: float = 0.5, dropout: float = 0.0, combine: str = "concatenate",
) -> DenseNet:  # fmt: skip
    """Return DenseNet-BC for 32x32 pictures; ``bottleneck=False, compression=1.0`` is the first, plain DenseNet.

    Parameters
    ----------
    depth
        Layers with weights: 6n + 4 with bottlenecks (100 in the paper), 3n + 4 without (40).
    growth_rate, bottleneck, compression
        Maps that each layer adds; a 1x1 to 4 x growth_rate in front of each 3x3; the share a transition keeps.
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
    _whole("depth", depth, 7)
    _whole("growth_rate", growth_rate, 1)
    check_share("compression", compression, "above 0")
    step = 6 if bottleneck else 3
    layers, rest = divmod(depth - 4, step)
    if rest or layers < 1:
        below = max(4 + step, depth - rest)
        raise ValueError(f"depth {depth} is not {step}n + 4: use {below} or {below + step}")
    channels = 2 * growth_rate if bottleneck else 16
    added = choose("combine", combine, COMBINES)
    blocks = Blocks((layers,) * 3, growth_rate, channels, bottleneck, compression, dropout, added)  # 32x32, 16x16, 8x8
    network = DenseNet({"conv0": nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)}, blocks, num_classes)
    initialise(network, conv=he_normal)
    return network
