"""DenseNet: every layer reads the maps of all layers before it in its block."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnnviz.models._network import Network, initialise
from cnnviz.models._parts import check_whole
from cnnviz.models._registry import register_each


class Blocks(NamedTuple):
    """One row of the table of DenseNets."""

    depths: tuple[int, ...]
    growth_rate: int = 32
    stem_channels: int = 64


# Huang et al., "Densely connected convolutional networks", arXiv 1608.06993, table 1 (DenseNet-161 is a later addition
# of its authors). DenseNet-BC: bottlenecks of 4 * growth_rate, transitions that halve the channels.
NETWORKS = {
    "densenet121": Blocks((6, 12, 24, 16)),
    "densenet161": Blocks((6, 12, 36, 24), growth_rate=48, stem_channels=96),
    "densenet169": Blocks((6, 12, 32, 32)),
    "densenet201": Blocks((6, 12, 48, 32)),
    "densenet264": Blocks((6, 12, 64, 48)),
}
BOTTLENECK = 4


class DenseLayer(nn.Module):
    """A 1x1 convolution down to a few channels and a 3x3 that adds ``growth_rate`` maps to those it was given."""

    def __init__(self, in_channels: int, growth_rate: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(in_channels, BOTTLENECK * growth_rate, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(BOTTLENECK * growth_rate)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(BOTTLENECK * growth_rate, growth_rate, kernel_size=3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, in_channels + growth_rate, H, W)."""
        new = self.conv1(self.relu1(self.norm1(x)))  # (N, 4 * growth_rate, H, W)
        new = self.conv2(self.relu2(self.norm2(new)))  # (N, growth_rate, H, W)
        return torch.cat([x, new], dim=1)


class DenseNet(Network):
    """A stem, dense blocks with transitions between them, a global average and one dense layer."""

    def __init__(self, blocks: Blocks, num_classes: int, in_channels: int, small: bool) -> None:
        super().__init__()
        self.small = small
        channels = blocks.stem_channels
        stem = {"kernel_size": 3, "padding": 1} if small else {"kernel_size": 7, "stride": 2, "padding": 3}
        features: OrderedDict[str, nn.Module] = OrderedDict()
        features["conv0"] = nn.Conv2d(in_channels, channels, bias=False, **stem)
        features["norm0"] = nn.BatchNorm2d(channels)
        features["relu0"] = nn.ReLU()
        features["pool0"] = nn.Identity() if small else nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        for number, depth in enumerate(blocks.depths, start=1):
            if number > 1:
                features[f"transition{number - 1}"] = transition(channels)
                channels //= 2
            layers = OrderedDict()
            for index in range(depth):
                layers[f"denselayer{index + 1}"] = DenseLayer(channels, blocks.growth_rate)
                channels += blocks.growth_rate
            features[f"denseblock{number}"] = nn.Sequential(layers)
        last = len(blocks.depths) + 1
        features[f"norm{last}"] = nn.BatchNorm2d(channels)
        features[f"relu{last}"] = nn.ReLU()
        self.features = nn.Sequential(features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)
        initialise(self, conv=nn.init.kaiming_normal_)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores (N, num_classes) for pictures (N, in_channels, H, W)."""
        x = self.features(x)  # (N, 3, 224, 224) -> (N, 1024, 7, 7), through 56, 28 and 14
        x = self.avgpool(x).flatten(1)  # (N, 1024)
        return self.classifier(x)


def transition(channels: int) -> nn.Sequential:
    """Halve the channels with a 1x1 convolution, then the picture with an average pool."""
    return nn.Sequential(
        OrderedDict(
            norm=nn.BatchNorm2d(channels),
            relu=nn.ReLU(),
            conv=nn.Conv2d(channels, channels // 2, kernel_size=1, bias=False),
            pool=nn.AvgPool2d(kernel_size=2, stride=2),
        )
    )


@register_each(NETWORKS)
def densenet(
    blocks: Blocks,
    num_classes: int = 1000,
    in_channels: int = 3,
    small: bool = False,
    growth_rate: int | None = None,
) -> DenseNet:
    """Build a DenseNet for 224x224; densenet121 has 7,978,856 parameters, densenet264 33,337,704.

    ``small`` is for 32x32: a first convolution of 3x3, stride 1, and no pool behind it. ``growth_rate``, instead of
    the published one, is how many maps each layer adds; the stem then makes twice as many.
    """
    if growth_rate is not None:
        check_whole("growth_rate", growth_rate)
        blocks = Blocks(blocks.depths, growth_rate, 2 * growth_rate)
    return DenseNet(blocks, num_classes, in_channels, small)
