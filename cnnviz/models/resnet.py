"""ResNet, ResNeXt and Wide ResNet: blocks that add what they compute to what they were given."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from cnnviz.models._network import Network, he_normal, initialise
from cnnviz.models._parts import conv_norm, first_pool, first_window, scale
from cnnviz.models._registry import register_each


class Stages(NamedTuple):
    """One row of the table of residual networks."""

    block: str
    depths: tuple[int, int, int, int]
    groups: int = 1
    group_width: int = 64  # channels of a group in the 3x3 convolution of the first stage


# He et al., "Deep residual learning for image recognition", arXiv 1512.03385, table 1; Xie et al., "Aggregated residual
# transformations", arXiv 1611.05431; Zagoruyko and Komodakis, "Wide residual networks", arXiv 1605.07146.
NETWORKS = {
    "resnet18": Stages("basic", (2, 2, 2, 2)),
    "resnet34": Stages("basic", (3, 4, 6, 3)),
    "resnet50": Stages("bottleneck", (3, 4, 6, 3)),
    "resnet101": Stages("bottleneck", (3, 4, 23, 3)),
    "resnet152": Stages("bottleneck", (3, 8, 36, 3)),
    "resnext50_32x4d": Stages("bottleneck", (3, 4, 6, 3), groups=32, group_width=4),
    "resnext101_32x8d": Stages("bottleneck", (3, 4, 23, 3), groups=32, group_width=8),
    "wide_resnet50_2": Stages("bottleneck", (3, 4, 6, 3), group_width=128),
    "wide_resnet101_2": Stages("bottleneck", (3, 4, 23, 3), group_width=128),
}
WIDTHS = (64, 128, 256, 512)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu1 = conv_norm(in_channels, width, 3, stride, relu=nn.ReLU)
        self.conv2, self.bn2 = conv_norm(width, width, 3)
        self.downsample = shortcut(in_channels, width, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, width, H / stride, W / stride)."""
        residual = self.relu1(self.bn1(self.conv1(x)))
        residual = self.bn2(self.conv2(residual))
        return self.relu2(residual + self.downsample(x))


class Bottleneck(nn.Module):
    """1x1 down to few channels, 3x3 (in groups, for ResNeXt), 1x1 up to four times the width, and a shortcut."""

    expansion = 4

    def __init__(
        self, in_channels: int, width: int, stride: int = 1, groups: int = 1, group_width: int = 64,
        stride_in_1x1: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        inner, out_channels = max(1, width * group_width // 64) * groups, width * self.expansion
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1, self.bn1, self.relu1 = conv_norm(in_channels, inner, 1, first, relu=nn.ReLU)
        self.conv2, self.bn2, self.relu2 = conv_norm(inner, inner, 3, second, groups, relu=nn.ReLU)
        self.conv3, self.bn3 = conv_norm(inner, out_channels)
        self.downsample = shortcut(in_channels, out_channels, stride)
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, 4 * width, H / stride, W / stride)."""
        residual = self.relu1(self.bn1(self.conv1(x)))
        residual = self.relu2(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        return self.relu3(residual + self.downsample(x))


def shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Return an empty shortcut, or a 1x1 convolution where the shape changes (option B of the paper)."""
    same = stride == 1 and in_channels == out_channels
    return nn.Sequential() if same else conv_norm(in_channels, out_channels, 1, stride)


class ResNet(Network):
    """A stem that quarters the picture, four stages of residual blocks, a global average and one dense layer."""

    def __init__(
        self, stages: Stages, num_classes: int, in_channels: int, small: bool, stride_in_1x1: bool = False,
        width_mult: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        widths = [*map(scale(width_mult), WIDTHS)]
        channels, block, own = widths[0], BasicBlock, {}
        if stages.block == "bottleneck":
            block = Bottleneck
            own = {"groups": stages.groups, "group_width": stages.group_width, "stride_in_1x1": stride_in_1x1}
        self.conv1, self.bn1, self.relu = conv_norm(in_channels, channels, *first_window(small), relu=nn.ReLU)
        self.maxpool = first_pool(small)
        for number, (width, depth) in enumerate(zip(widths, stages.depths, strict=True), start=1):
            blocks = []
            for index in range(depth):
                stride = 2 if number > 1 and index == 0 else 1
                blocks.append(block(channels, width, stride, **own))
                channels = width * block.expansion
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        initialise(self, conv=he_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores (N, num_classes) for pictures (N, in_channels, H, W)."""
        x = self.relu(self.bn1(self.conv1(x)))  # (N, 3, 224, 224) -> (N, 64, 112, 112)
        x = self.maxpool(x)  # (N, 64, 56, 56)
        x = self.layer1(x)  # (N, 64 or 256, 56, 56)
        x = self.layer2(x)  # (N, 128 or 512, 28, 28)
        x = self.layer3(x)  # (N, 256 or 1024, 14, 14)
        x = self.layer4(x)  # (N, 512 or 2048, 7, 7)
        x = self.avgpool(x).flatten(1)  # (N, 512 or 2048)
        return self.fc(x)


@register_each({name: stages for name, stages in NETWORKS.items() if stages.block == "basic"})
def resnet_basic(
    stages: Stages, num_classes: int = 1000, in_channels: int = 3, small: bool = False, width_mult: float = 1.0
) -> ResNet:
    """Build a ResNet of basic blocks for 224x224; resnet18 has 11,689,512 parameters.

    ``small`` is for 32x32: a first convolution of 3x3, stride 1, and no pool behind it. ``width_mult`` multiplies the
    channels of every layer.
    """
    return ResNet(stages, num_classes, in_channels, small, width_mult=width_mult)


@register_each({name: stages for name, stages in NETWORKS.items() if stages.block == "bottleneck"})
def resnet_bottleneck(
    stages: Stages, num_classes: int = 1000, in_channels: int = 3, small: bool = False, stride_in_1x1: bool = False,
    width_mult: float = 1.0,
) -> ResNet:  # fmt: skip
    """Build a ResNet, ResNeXt or Wide ResNet of bottleneck blocks for 224x224; resnet50 has 25,557,032 parameters.

    ``small`` is for 32x32: a first convolution of 3x3, stride 1, and no pool behind it. ``stride_in_1x1`` halves in a
    block's first convolution, as the paper did (3.86 GMACs for resnet50), not in its 3x3, as everyone ships (4.09).
    """
    return ResNet(stages, num_classes, in_channels, small, stride_in_1x1, width_mult)
