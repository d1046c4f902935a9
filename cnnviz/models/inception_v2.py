"""Inception v2: GoogLeNet with batch norm, each 5x5 factorised into two 3x3.

Ioffe, Szegedy: Batch Normalization, ICML 2015 (arXiv 1502.03167), figure 5: the network built here, also known as
BN-Inception. The 1x7 and 7x1 factors of Szegedy et al.: Rethinking the Inception Architecture, CVPR 2016 (arXiv
1512.00567), figures 5 to 7, came later; they are in :func:`asymmetric` here and in ``inception_v3``.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from cnnviz.models._network import Network
from cnnviz.models._parts import Branches, chain, check_whole, choose, conv, scale, width
from cnnviz.models._registry import register


class Widths(NamedTuple):
    """The columns of figure 5. ``one`` = 0: a module that halves the picture, its pool passing all channels on."""

    one: int
    three_reduce: int
    three: int
    double_reduce: int
    double: int
    pool: str
    pool_width: int = 0


MODULES = {
    "3a": Widths(64, 64, 64, 64, 96, "average", 32),  # 192 -> 256, 28x28
    "3b": Widths(64, 64, 96, 64, 96, "average", 64),  # 256 -> 320
    "3c": Widths(0, 128, 160, 64, 96, "max"),  # 320 -> 576, 28x28 -> 14x14
    "4a": Widths(224, 64, 96, 96, 128, "average", 128),  # 576, 14x14
    "4b": Widths(192, 96, 128, 96, 128, "average", 128),  # 576
    "4c": Widths(160, 128, 160, 128, 160, "average", 96),  # 576: see FORMS
    "4d": Widths(96, 128, 192, 160, 192, "average", 96),  # 576: see FORMS
    "4e": Widths(0, 128, 192, 192, 256, "max"),  # 576 -> 1024, 14x14 -> 7x7
    "5a": Widths(352, 192, 320, 160, 224, "average", 128),  # 1024, 7x7
    "5b": Widths(352, 192, 320, 192, 224, "max", 128),  # 1024
}
# The figure prints 128 channels behind the pools of 4c and 4d, and also 576 channels in all, which needs 96.
# The model that went round (Caffe) took the 128, so has 608 channels there, and gave its convolutions biases.
FORMS = {"paper": 96, "caffe": 128}


def inception(in_channels: int, widths: Widths, convs: int = 2) -> Branches:
    """Return a module: 1x1, 3x3, a chain of ``convs`` 3x3 in place of a 5x5, and a pool.

    Examples
    --------
    >>> from torch import zeros
    >>> inception(192, MODULES["3a"])(zeros(2, 192, 28, 28)).shape
    torch.Size([2, 256, 28, 28])
    >>> inception(320, MODULES["3c"])(zeros(2, 320, 28, 28)).shape
    torch.Size([2, 576, 14, 14])
    """
    w, stride = widths, 1 if widths.one else 2
    pool = nn.AvgPool2d(3, stride, 1) if w.pool == "average" else nn.MaxPool2d(3, stride, 1)
    branches = {"one": conv(in_channels, w.one, 1)} if w.one else {}
    branches["three"] = nn.Sequential(conv(in_channels, w.three_reduce, 1), conv(w.three_reduce, w.three, 3, stride))
    branches["twice"] = nn.Sequential(
        conv(in_channels, w.double_reduce, 1),
        chain(w.double_reduce, *[(w.double, 3)] * (convs - 1)),
        conv(w.double if convs > 1 else w.double_reduce, w.double, 3, stride),
    )
    branches["pool"] = nn.Sequential(pool, conv(in_channels, w.pool_width, 1)) if w.pool_width else pool
    return Branches(**branches)


def asymmetric(in_channels: int, reduce: int, out_channels: int, n: int = 7) -> nn.Sequential:
    """Return an n x n convolution factorised into 1 x n and n x 1: 2n weights where n² were (Rethinking, figure 6).

    Examples
    --------
    >>> sum(layer.weight.numel() for layer in asymmetric(64, 64, 64).modules() if isinstance(layer, nn.Conv2d))
    61440
    """
    return chain(in_channels, (reduce, 1), (reduce, (1, n)), (out_channels, (n, 1)))


class InceptionV2(Network):
    """A stem of two convolutions, ten modules, an average and one dense layer."""

    def __init__(
        self, num_classes: int, in_channels: int, small: bool, form: str, double_convs: int, width_mult: float
    ) -> None:
        super().__init__()
        check_whole("double_convs", double_convs)
        projection = choose("form", form, FORMS)
        self.num_classes, self.small = num_classes, small
        w = scale(width_mult)
        first, second = w(64), w(192)
        self.stem = nn.Sequential(
            conv(in_channels, first, 3) if small else conv(in_channels, first, 7, stride=2),  # 64, 112, 112
            nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1),  # 64, 56, 56
            conv(first, first, 1),
            conv(first, second, 3),  # 192, 56, 56
            nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1),  # 192, 28, 28
        )
        self.inception, channels = nn.ModuleDict(), second
        for name, row in MODULES.items():
            if name in ("4c", "4d"):
                row = row._replace(pool_width=projection)
            numbers = {key: w(value) for key, value in row._asdict().items() if value and key != "pool"}
            self.inception[name] = inception(channels, row._replace(**numbers), double_convs)
            channels = width(self.inception[name], channels)
        self.classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))
        if form == "caffe":
            add_biases(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return one score a class."""
        x = self.stem(x)
        for module in self.inception.values():
            x = module(x)
        return self.classifier(x)


def add_biases(network: nn.Module) -> None:
    """Give every convolution a bias; the batch norm behind it makes it useless, yet the Caffe model counts it."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.bias = nn.Parameter(layer.weight.new_zeros(layer.out_channels))


@register
def inception_v2(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, form: str = "paper", double_convs: int = 2,
    width_mult: float = 1.0,
) -> InceptionV2:  # fmt: skip
    """Return Inception v2 (BN-Inception), for 224x224.

    Parameters
    ----------
    num_classes, in_channels
        Scores out, channels in.
    small
        For 32x32: the first convolution is 3x3 with stride 1, and the stem's two pools are left out.
    form
        "paper": modules 4c and 4d as wide as the paper says they are; "caffe": as shipped, 11,295,240 parameters.
    double_convs
        How many 3x3 the branch in place of the 5x5 chains; 2 in the paper.
    width_mult
        Scales every width.

    Examples
    --------
    >>> inception_v2(small=True, width_mult=0.25, num_classes=10).num_classes
    10
    """
    return InceptionV2(num_classes, in_channels, small, form, double_convs, width_mult)
