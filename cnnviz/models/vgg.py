"""VGG: nothing but 3x3 convolutions and 2x2 pools, 11 to 19 layers deep."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from cnnviz.models._network import Network, he_normal, initialise
from cnnviz.models._parts import scale
from cnnviz.models._registry import register_each

# Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition", arXiv 1409.1556,
# table 1. How many convolutions of 64, 128, 256, 512 and 512 channels stand before each pool.
CHANNELS = (64, 128, 256, 512, 512)
DEPTHS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
# The forms with batch norm behind every convolution, which the paper did not yet have.
NETWORKS = {name + end: (depths, bool(end)) for end in ("", "_bn") for name, depths in DEPTHS.items()}


class VGG(Network):
    """Five groups of 3x3 convolutions, each halved by a pool, then three dense layers."""

    def __init__(
        self, depths: tuple[int, ...], batch_norm: bool, num_classes: int, in_channels: int, small: bool,
        dropout: float, width_mult: float,
    ) -> None:  # fmt: skip
        super().__init__()
        width, channels = scale(width_mult), in_channels
        layers: list[nn.Module] = []
        for out_channels, depth in zip(map(width, CHANNELS), depths, strict=True):
            for _ in range(depth):
                layers += [nn.Conv2d(channels, out_channels, kernel_size=3, padding=1)]
                layers += [nn.BatchNorm2d(out_channels), nn.ReLU()] if batch_norm else [nn.ReLU()]
                channels = out_channels
            layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
        grid, hidden = (1, width(512)) if small else (7, width(4096))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(grid)
        self.classifier = nn.Sequential(
            nn.Linear(channels * grid * grid, hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )  # fmt: skip
        initialise(self, conv=he_normal, linear=partial(nn.init.normal_, std=0.01))

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores (N, num_classes) for pictures (N, in_channels, H, W)."""
        x = self.features(x)  # (N, 3, 224, 224) -> (N, 512, 7, 7)
        x = self.avgpool(x).flatten(1)  # (N, 25088)
        return self.classifier(x)


@register_each(NETWORKS)
def vgg(
    row: tuple[tuple[int, ...], bool], num_classes: int = 1000, in_channels: int = 3, small: bool = False,
    dropout: float = 0.5, width_mult: float = 1.0,
) -> VGG:  # fmt: skip
    """Build a VGG for 224x224; vgg16 has 138,357,544 parameters, of which 123,642,856 are in the dense layers.

    ``small`` is for 32x32, where the five pools leave one pixel: dense layers of 512 units on that, instead of 4096 on
    a map of 7x7. The convolutions are the published ones. ``width_mult`` multiplies the channels of every layer.
    """
    return VGG(*row, num_classes, in_channels, small, dropout, width_mult)
