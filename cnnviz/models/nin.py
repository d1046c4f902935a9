"""Network in Network: after each convolution, small dense nets (1x1 convolutions) slide along; no dense layer at all.

Lin, Chen, Yan: Network In Network, ICLR 2014 (arXiv 1312.4400). The widths are those of the authors' released models.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from cnnviz._checks import _whole
from cnnviz.models._network import Network, initialise
from cnnviz.models._parts import keep_signal, scale
from cnnviz.models._registry import register


class Mlpconv(NamedTuple):
    """A convolution and the 1x1 convolutions behind it; then a pool ("max", "average" or "")."""

    channels: tuple[int, ...]  # 0 stands for num_classes
    kernel_size: int
    stride: int
    padding: int
    pool: str


CIFAR = (
    Mlpconv((192, 160, 96), 5, 1, 2, "max"),  # 32x32 -> 16x16
    Mlpconv((192, 192, 192), 5, 1, 2, "average"),  # 16x16 -> 8x8
    Mlpconv((192, 192, 0), 3, 1, 1, ""),  # 8x8
)
IMAGENET = (
    Mlpconv((96, 96, 96), 11, 4, 0, "max"),  # 224x224 -> 54x54 -> 27x27
    Mlpconv((256, 256, 256), 5, 1, 2, "max"),  # 27x27 -> 13x13
    Mlpconv((384, 384, 384), 3, 1, 1, "max"),  # 13x13 -> 6x6
    Mlpconv((1024, 1024, 0), 3, 1, 1, ""),  # 6x6
)


class NiN(Network):
    """Blocks of a convolution and 1x1 convolutions; the last block's maps, averaged, are the scores."""

    def __init__(
        self, blocks: tuple[Mlpconv, ...], num_classes: int, in_channels: int, small: bool, one_by_ones: int,
        dropout: float, width_mult: float,
    ) -> None:  # fmt: skip
        super().__init__()
        _whole("one_by_ones", one_by_ones, 0)
        if one_by_ones > 2:
            raise ValueError(f"one_by_ones {one_by_ones} is more than the 2 of the paper: use 0, 1 or 2")
        w = scale(width_mult)
        self.features = nn.Sequential()
        for index, block in enumerate(blocks, start=1):
            widths = [w(channels) if channels else num_classes for channels in block.channels]
            kept = [*widths[:one_by_ones], widths[-1]]  # the last width closes a block, however short it is
            if small and index == 1:
                block = block._replace(kernel_size=3, stride=1, padding=1)
            self.features.add_module(f"block{index}", mlpconv(in_channels, kept, block))
            if block.pool:
                pool = nn.MaxPool2d if block.pool == "max" else nn.AvgPool2d
                self.features.add_module(f"pool{index}", pool(3, 2, ceil_mode=True))
                self.features.add_module(f"dropout{index}", nn.Dropout(dropout))
            in_channels = kept[-1]
        self.average = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())  # each class its own map
        initialise(self, conv=keep_signal)

    def forward(self, x: Tensor) -> Tensor:
        """Return one score a class, the mean of its map."""
        return self.average(self.features(x))


def mlpconv(in_channels: int, widths: list[int], block: Mlpconv) -> nn.Sequential:
    """Return one convolution with its sliding dense net: ReLU after every layer, as in the paper."""
    layers = nn.Sequential()
    for index, out_channels in enumerate(widths):
        geometry = (block.kernel_size, block.stride, block.padding) if index == 0 else (1, 1, 0)
        layers.append(nn.Conv2d(in_channels, out_channels, *geometry)).append(nn.ReLU())
        in_channels = out_channels
    return layers


@register
def nin(
    num_classes: int = 10, in_channels: int = 3, one_by_ones: int = 2, dropout: float = 0.5, width_mult: float = 1.0
) -> NiN:  # fmt: skip
    """Return the CIFAR-10 network, for 32x32; ``one_by_ones`` (0 to 2) says how many follow each convolution.

    Examples
    --------
    >>> sum(p.numel() for p in nin().parameters())
    966986
    >>> [type(layer).__name__ for name, layer in nin().features.named_children() if "pool" in name]
    ['MaxPool2d', 'AvgPool2d']
    """
    return NiN(CIFAR, num_classes, in_channels, False, one_by_ones, dropout, width_mult)


@register
def nin_imagenet(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, one_by_ones: int = 2, dropout: float = 0.5,
    width_mult: float = 1.0,
) -> NiN:  # fmt: skip
    """Return the ImageNet network, for 224x224; ``small`` makes its first convolution 3x3 with stride 1."""
    return NiN(IMAGENET, num_classes, in_channels, small, one_by_ones, dropout, width_mult)
