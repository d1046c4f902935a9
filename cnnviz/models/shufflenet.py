"""ShuffleNet v1 and v2: channels in groups, shuffled so that the groups hear of each other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from cnnviz.models._network import Network, he_normal, initialise
from cnnviz.models._parts import conv_norm, first_pool
from cnnviz.models._registry import register

DEPTHS = (4, 8, 4)  # units of stages 2, 3 and 4, the first of each with stride 2; both papers

# Zhang et al., "ShuffleNet: an extremely efficient convolutional neural network for mobile devices", arXiv 1707.01083,
# table 1: groups -> channels of stage 2, doubled by each later stage
V1_CHANNELS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}
STEM_CHANNELS = 24

# Ma et al., "ShuffleNet V2: practical guidelines for efficient CNN architecture design", arXiv 1807.11164, table 5, 1x:
# channels of stages 2, 3, 4 and of the last 1x1 convolution
V2_CHANNELS = (116, 232, 464, 1024)


class ChannelShuffle(nn.Module):
    """Deal the channels out like cards: the first of every group, then the second of every group, and so on.

    >>> ChannelShuffle(2)(torch.arange(6.0).view(1, 6, 1, 1)).flatten().tolist()
    [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)

    def extra_repr(self) -> str:
        """Return what stands in the brackets when the network is printed."""
        return f"groups={self.groups}"


class UnitV1(nn.Module):
    """Grouped 1x1 down to a quarter, shuffle, 3x3 on each channel, grouped 1x1 up; added to the shortcut.

    With stride 2 the shortcut is an average pool, and the two are put side by side instead of added.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, groups: int) -> None:
        super().__init__()
        inner = out_channels // 4
        own = out_channels - in_channels if stride == 2 else out_channels
        # The stem has too few channels to be worth grouping, says the paper.
        first = 1 if in_channels == STEM_CHANNELS else groups
        self.reduce = conv_norm(in_channels, inner, groups=first, relu=nn.ReLU)
        self.shuffle = ChannelShuffle(groups)
        self.depthwise = conv_norm(inner, inner, 3, stride, groups=inner)
        self.expand = conv_norm(inner, own, groups=groups)
        self.pool = nn.AvgPool2d(kernel_size=3, stride=2, padding=1) if stride == 2 else None
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        new = self.shuffle(self.reduce(x))  # (N, out_channels / 4, H, W)
        new = self.expand(self.depthwise(new))
        return self.relu(x + new if self.pool is None else torch.cat([self.pool(x), new], dim=1))


class UnitV2(nn.Module):
    """Half of the channels pass, the other half goes through 1x1, 3x3 on each channel, 1x1; then both are shuffled.

    With stride 2 both branches read everything, and each makes half of the output.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.split = stride == 1
        self.branch1, enter = nn.Sequential(), half
        if stride == 2:
            side = conv_norm(in_channels, in_channels, 3, stride, groups=in_channels)
            self.branch1, enter = nn.Sequential(*side, *conv_norm(in_channels, half, relu=nn.ReLU)), in_channels
        self.branch2 = nn.Sequential(
            *conv_norm(enter, half, relu=nn.ReLU),
            *conv_norm(half, half, 3, stride, groups=half),
            *conv_norm(half, half, relu=nn.ReLU),
        )
        self.shuffle = ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        one, two = x.chunk(2, dim=1) if self.split else (x, x)
        return self.shuffle(torch.cat([self.branch1(one), self.branch2(two)], dim=1))


class ShuffleNet(Network):
    """A stem that quarters the picture, three stages of units, a global average and one dense layer.

    ``unit`` is called with in_channels, out_channels and stride; ``last`` channels come from a 1x1 convolution that
    version 1 does not have (0).
    """

    def __init__(
        self, unit: Callable[..., nn.Module], widths: tuple[int, ...], last: int, num_classes: int, in_channels: int,
        small: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        channels = STEM_CHANNELS
        self.conv1 = conv_norm(in_channels, channels, 3, 1 if small else 2, relu=nn.ReLU)
        self.maxpool = first_pool(small)
        for stage, (width, depth) in enumerate(zip(widths, DEPTHS, strict=True), start=2):
            units = []
            for index in range(depth):
                units.append(unit(channels, width, stride=2 if index == 0 else 1))
                channels = width
            self.add_module(f"stage{stage}", nn.Sequential(*units))
        self.conv5 = conv_norm(channels, last, relu=nn.ReLU) if last else nn.Identity()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(last or channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores (N, num_classes) for pictures (N, in_channels, H, W)."""
        x = self.maxpool(self.conv1(x))  # (N, 3, 224, 224) -> (N, 24, 56, 56)
        x = self.stage2(x)  # (N, 240, 28, 28)     version 1, 3 groups; version 2 (N, 116, 28, 28)
        x = self.stage3(x)  # (N, 480, 14, 14)
        x = self.stage4(x)  # (N, 960, 7, 7)
        x = self.conv5(x)  # (N, 1024, 7, 7)      version 2
        x = self.avgpool(x).flatten(1)
        return self.fc(x)


@register
def shufflenet_v1(num_classes: int = 1000, in_channels: int = 3, small: bool = False, groups: int = 3) -> ShuffleNet:
    """Build ShuffleNet v1 for 224x224 with 1, 2, 3, 4 or 8 groups, each with the paper's widths.

    ``small`` is for 32x32: a first convolution of stride 1 and no pool behind it.
    """
    if not isinstance(groups, int) or isinstance(groups, bool) or groups not in V1_CHANNELS:
        known = ", ".join(map(str, V1_CHANNELS))
        raise ValueError(f"groups {groups!r} is not one of those that the paper gives widths for: {known}")
    width = V1_CHANNELS[groups]
    unit = partial(UnitV1, groups=groups)
    network = ShuffleNet(unit, (width, 2 * width, 4 * width), 0, num_classes, in_channels, small)
    initialise(network, conv=he_normal)
    return network


@register
def shufflenet_v2_x1_0(num_classes: int = 1000, in_channels: int = 3, small: bool = False) -> ShuffleNet:
    """Build ShuffleNet v2 for 224x224, 2,278,604 parameters. Weights start as torch's layers do, as in torchvision.

    ``small`` is for 32x32: a first convolution of stride 1 and no pool behind it.
    """
    *widths, last = V2_CHANNELS
    return ShuffleNet(UnitV2, tuple(widths), last, num_classes, in_channels, small)
