"""MobileNet v1 and v2: convolutions that filter each channel alone and then mix channels with 1x1."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from cnnviz.models._network import Network, he_normal, initialise
from cnnviz.models._parts import conv_norm, scale
from cnnviz.models._registry import register

# Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications", arXiv 1704.04861,
# table 1. (It prints stride 2 for the very last row too, though its 7x7 map stays 7x7.)
# out_channels of a pair (3x3 depthwise, 1x1), stride of the depthwise convolution
PAIRS = (
    (64, 1),
    (128, 2), (128, 1),
    (256, 2), (256, 1),
    (512, 2), *[(512, 1)] * 5,
    (1024, 2), (1024, 1),
)  # fmt: skip

# Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", arXiv 1801.04381, table 2.
# expansion, out_channels, repeats, stride of the first
INVERTED = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV1(Network):
    """One ordinary convolution, thirteen depthwise separable ones, a global average and one dense layer."""

    def __init__(self, num_classes: int, in_channels: int, small: bool, width_mult: float) -> None:
        super().__init__()
        width = scale(width_mult)
        channels = width(32)
        layers = [conv_norm(in_channels, channels, 3, 1 if small else 2, relu=nn.ReLU)]
        for index, (out_channels, stride) in enumerate(PAIRS):
            stride = 1 if small and index == 1 else stride
            depthwise = conv_norm(channels, channels, 3, stride, groups=channels, relu=nn.ReLU)
            pointwise = conv_norm(channels, width(out_channels), relu=nn.ReLU)
            layers.append(nn.Sequential(depthwise, pointwise))
            channels = width(out_channels)
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)
        initialise(self, conv=he_normal)

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores (N, num_classes) for pictures (N, in_channels, H, W)."""
        x = self.features(x)  # (N, 3, 224, 224) -> (N, 1024, 7, 7)
        x = self.avgpool(x).flatten(1)  # (N, 1024)
        return self.classifier(x)


class InvertedResidual(nn.Module):
    """Expand with 1x1, filter each channel with 3x3, project with 1x1 and no activation; add the input if it fits."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = in_channels * expansion
        layers: list[nn.Module] = [conv_norm(in_channels, inner, relu=nn.ReLU6)] if expansion > 1 else []
        layers += [conv_norm(inner, inner, 3, stride, groups=inner, relu=nn.ReLU6), *conv_norm(inner, out_channels)]
        self.conv = nn.Sequential(*layers)
        self.shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride)."""
        return x + self.conv(x) if self.shortcut else self.conv(x)


class MobileNetV2(Network):
    """A convolution, seventeen inverted residuals, a 1x1 convolution, a global average and one dense layer."""

    def __init__(self, num_classes: int, in_channels: int, small: bool, width_mult: float, dropout: float) -> None:
        super().__init__()
        scale(width_mult)  # refuses what is no multiplier
        channels, last = by_eights(32 * width_mult), by_eights(1280 * max(1.0, width_mult))
        features: list[nn.Module] = [conv_norm(in_channels, channels, 3, 1 if small else 2, relu=nn.ReLU6)]
        for row, (expansion, width, repeats, first_stride) in enumerate(INVERTED):
            out_channels = by_eights(width * width_mult)
            for index in range(repeats):
                stride = first_stride if index == 0 and not (small and row == 1) else 1
                features.append(InvertedResidual(channels, out_channels, stride, expansion))
                channels = out_channels
        features.append(conv_norm(channels, last, relu=nn.ReLU6))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
        initialise(self, conv=he_normal, linear=partial(nn.init.normal_, std=0.01))

    def forward(self, x: Tensor) -> Tensor:
        """Return class scores (N, num_classes) for pictures (N, in_channels, H, W)."""
        x = self.features(x)  # (N, 3, 224, 224) -> (N, 1280, 7, 7)
        x = self.avgpool(x).flatten(1)  # (N, 1280)
        return self.classifier(x)


def by_eights(channels: float) -> int:
    """Round to the nearest multiple of 8, but never by more than a tenth downwards, as the authors' code does."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


@register
def mobilenet_v1(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, width_mult: float = 1.0
) -> MobileNetV1:
    """Build MobileNet v1, 4,231,976 parameters at ``width_mult`` 1, which multiplies every layer's channels.

    The paper's other multiplier, of resolution, is no option: the network takes any size of picture, and at 192, 160
    or 128 instead of 224 costs what the paper's table 7 says. ``small`` is for 32x32: the first convolution and the
    first depthwise one that would halve the picture keep stride 1, so that the last map is 4x4.
    """
    return MobileNetV1(num_classes, in_channels, small, width_mult)


@register
def mobilenet_v2(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, width_mult: float = 1.0, dropout: float = 0.2
) -> MobileNetV2:
    """Build MobileNet v2, 3,504,872 parameters at ``width_mult`` 1.

    ``small`` is for 32x32: the first convolution and the first inverted residual that would halve the picture keep
    stride 1, so that the last map is 4x4.
    """
    return MobileNetV2(num_classes, in_channels, small, width_mult, dropout)
