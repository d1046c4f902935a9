"""SqueezeNet: AlexNet's accuracy with a fiftieth of its parameters."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnnviz.models._network import Network, initialise
from cnnviz.models._registry import register_each


class Layers(NamedTuple):
    """One row of the table of SqueezeNets."""

    stem: tuple[int, int]  # out_channels and kernel_size, stride 2
    fires: tuple[tuple[int, int] | str, ...]  # squeezed channels, channels of each of the two expansions


# Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
# arXiv 1602.07360, table 1; version 1.1 is the authors' later one, 2.4 times cheaper because it pools earlier.
NETWORKS = {
    "squeezenet1_0": Layers(
        (96, 7), ((16, 64), (16, 64), (32, 128), "pool", (32, 128), (48, 192), (48, 192), (64, 256), "pool", (64, 256))
    ),
    "squeezenet1_1": Layers(
        (64, 3), ((16, 64), (16, 64), "pool", (32, 128), (32, 128), "pool", (48, 192), (48, 192), (64, 256), (64, 256))
    ),
}


class Fire(nn.Module):
    """Squeeze the channels with 1x1, then expand them with 1x1 and 3x3 side by side."""

    def __init__(self, in_channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, kernel_size=1)
        self.squeeze_activation = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeezed, expanded, kernel_size=1)
        self.expand1x1_activation = nn.ReLU()
        self.expand3x3 = nn.Conv2d(squeezed, expanded, kernel_size=3, padding=1)
        self.expand3x3_activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, 2 * expanded, H, W)."""
        x = self.squeeze_activation(self.squeeze(x))  # (N, squeezed, H, W)
        one, three = self.expand1x1(x), self.expand3x3(x)  # each (N, expanded, H, W)
        return torch.cat([self.expand1x1_activation(one), self.expand3x3_activation(three)], dim=1)


class SqueezeNet(Network):
    """A convolution, eight fire modules and a 1x1 convolution whose map, averaged, is the class score."""

    def __init__(self, layers: Layers, num_classes: int, in_channels: int, small: bool, dropout: float) -> None:
        super().__init__()
        channels, kernel_size = layers.stem
        stem = {"kernel_size": 3, "padding": 1} if small else {"kernel_size": kernel_size, "stride": 2}
        features = [nn.Conv2d(in_channels, channels, **stem), nn.ReLU(), nn.Identity() if small else pool()]
        for row in layers.fires:
            if row == "pool":
                features.append(pool())
            else:
                squeezed, expanded = row
                features.append(Fire(channels, squeezed, expanded))
                channels = 2 * expanded
        self.features = nn.Sequential(*features)
        last = nn.Conv2d(channels, num_classes, kernel_size=1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), last, nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        initialise(self, conv=nn.init.kaiming_uniform_)
        initialise(last, conv=partial(nn.init.normal_, std=0.01))

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores (N, num_classes) for pictures (N, in_channels, H, W)."""
        x = self.features(x)  # (N, 3, 224, 224) -> (N, 512, 13, 13)
        return self.classifier(x).flatten(1)  # (N, num_classes)


def pool() -> nn.MaxPool2d:
    """Return the pool between the stages: overlapping, and counting a window that hangs over the edge."""
    return nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)


@register_each(NETWORKS)
def squeezenet(
    layers: Layers, num_classes: int = 1000, in_channels: int = 3, small: bool = False, dropout: float = 0.5
) -> SqueezeNet:
    """Build a SqueezeNet for 224x224; version 1.0 has 1,248,424 parameters.

    ``small`` is for 32x32: a first convolution of 3x3, stride 1, and no pool behind it.
    """
    return SqueezeNet(layers, num_classes, in_channels, small, dropout)
