"""AlexNet in the form that torchvision ships; for the paper's own, see ``alexnet_2012``."""

from __future__ import annotations

from torch import Tensor, nn

from cnnviz.models._network import Network
from cnnviz.models._registry import register

# Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv 1404.5997 (one column, no LRN).
# out_channels, kernel_size, stride, padding, max pool 3x3 / 2 behind it
LAYERS = (
    (64, 11, 4, 2, True),
    (192, 5, 1, 2, True),
    (384, 3, 1, 1, False),
    (256, 3, 1, 1, False),
    (256, 3, 1, 1, True),
)
SMALL_FIRST = (64, 3, 1, 1, True)


class AlexNet(Network):
    """Five convolutions and three dense layers; of 61 million parameters the convolutions have 2.5 million."""

    def __init__(self, num_classes: int, in_channels: int, small: bool, dropout: float) -> None:
        super().__init__()
        grid, hidden = (3, 512) if small else (6, 4096)
        layers: list[nn.Module] = []
        channels = in_channels
        for out_channels, kernel_size, stride, padding, pool in (SMALL_FIRST, *LAYERS[1:]) if small else LAYERS:
            layers += [nn.Conv2d(channels, out_channels, kernel_size, stride, padding), nn.ReLU()]
            layers += [nn.MaxPool2d(kernel_size=3, stride=2)] if pool else []
            channels = out_channels
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(grid)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(channels * grid * grid, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores (N, num_classes) for pictures (N, in_channels, H, W)."""
        x = self.features(x)  # (N, 3, 224, 224) -> (N, 256, 6, 6)
        x = self.avgpool(x).flatten(1)  # (N, 9216)
        return self.classifier(x)


@register
def alexnet(num_classes: int = 1000, in_channels: int = 3, small: bool = False, dropout: float = 0.5) -> AlexNet:
    """Build AlexNet, 61,100,840 parameters, for 224x224.

    ``small`` is for 32x32: a first convolution of 3x3, stride 1, and dense layers of 512 units on a 3x3 map. The three
    pools stay. Weights start as torch's layers do, as in torchvision.
    """
    return AlexNet(num_classes, in_channels, small, dropout)
