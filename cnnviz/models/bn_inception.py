"""BN-Inception: GoogLeNet with batch norm, each 5x5 replaced by two 3x3, and pools of the average.

Ioffe, Szegedy: Batch Normalization, ICML 2015 (arXiv 1502.03167), figure 5. Some libraries call it Inception v2, a name
that the later paper of Szegedy et al. gives to another network: see ``inception_v2``.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from cnnviz._checks import _whole
from cnnviz.models._inception import Inceptions, build, stages
from cnnviz.models._parts import Scale, choose, first_pool, first_window, scale
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


def inception(in_channels: int, widths: Widths, convs: int = 2, w: Scale = int) -> nn.Module:
    """Return a module: 1x1, 3x3, a chain of ``convs`` 3x3 in place of a 5x5, and a pool.

    Examples
    --------
    >>> from torch import zeros
    >>> inception(192, MODULES["3a"])(zeros(2, 192, 28, 28)).shape
    torch.Size([2, 256, 28, 28])
    >>> inception(320, MODULES["3c"])(zeros(2, 320, 28, 28)).shape
    torch.Size([2, 576, 14, 14])
    """
    row, stride = widths, 1 if widths.one else 2
    pool = nn.AvgPool2d(3, stride, 1) if row.pool == "average" else nn.MaxPool2d(3, stride, 1)
    branches = {
        "one": [(row.one, 1)],
        "three": [(row.three_reduce, 1), (row.three, 3, stride)],
        "twice": [(row.double_reduce, 1), *[(row.double, 3)] * (convs - 1), (row.double, 3, stride)],
        "pool": [pool, (row.pool_width, 1)],
    }
    if stride == 2:
        branches = {"three": branches["three"], "twice": branches["twice"], "pool": [pool]}
    return build(in_channels, branches, w)


def add_biases(network: nn.Module) -> None:
    """Give every convolution a bias; the batch norm behind it makes it useless, yet the Caffe model counts it."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.bias = nn.Parameter(layer.weight.new_zeros(layer.out_channels))


@register
def bn_inception(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, form: str = "paper", double_convs: int = 2,
    dropout: float = 0.0, width_mult: float = 1.0,
) -> Inceptions:  # fmt: skip
    """Return BN-Inception, for 224x224.

    Parameters
    ----------
    num_classes, in_channels, dropout, width_mult
        Scores out, channels in; before the last layer; a factor on every width.
    small
        For 32x32: the first convolution is 3x3 with stride 1, and the stem's two pools are left out.
    form
        "paper": modules 4c and 4d as wide as the paper says they are, 11,194,984 parameters; "caffe": as shipped,
        11,295,240.
    double_convs
        How many 3x3 the branch in place of the 5x5 chains; 2 in the paper.
    """
    _whole("double_convs", double_convs, 1)
    projection, w = choose("form", form, FORMS), scale(width_mult)
    plan = [
        ("conv1", 1, lambda c: build(c, [(64, *first_window(small))], w)),  # 64, 112, 112
        ("maxpool1", 1, lambda c: first_pool(small)),  # 64, 56, 56
        ("conv2", 1, lambda c: build(c, [(64, 1), (192, 3)], w)),  # 192, 56, 56
        ("maxpool2", 1, lambda c: first_pool(small)),  # 192, 28, 28
    ]
    for name, row in MODULES.items():
        row = row._replace(pool_width=projection) if name in ("4c", "4d") else row
        plan.append((f"inception{name}", 1, lambda c, row=row: inception(c, row, double_convs, w)))
    network = Inceptions(*stages(plan, in_channels), num_classes, dropout)
    if form == "caffe":
        add_biases(network)
    return network
