"""Inception v2 and v3: large windows split into chains of small and of one-dimensional ones.

Szegedy et al., "Rethinking the inception architecture for computer vision", CVPR 2016 (arXiv 1512.00567): table 1, and
figures 5, 6, 7 (the three kinds of block) and 10 (how they halve the maps).
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from cnnviz.models._inception import ConvNormRelu, Inceptions
from cnnviz.models._network import initialise
from cnnviz.models._parts import Scale, scale
from cnnviz.models._registry import register

# A block is a list of convolutions: name, what it reads, out_channels, kernel_size, stride. "x" is the block's input,
# "pool" its pooled input. What nobody reads is the block's output.
Row = tuple[str, str, int, int | tuple[int, int], int]


def block_a(pooled: int, large: int = 5) -> list[Row]:
    """One window of 5x5 beside two of 3x3; with 3 in place of the 5x5, as in v2, nothing larger than 3x3 is left."""
    return [
        ("branch1x1", "x", 64, 1, 1),
        (f"branch{large}x{large}_1", "x", 48, 1, 1),
        (f"branch{large}x{large}_2", f"branch{large}x{large}_1", 64, large, 1),
        ("branch3x3dbl_1", "x", 64, 1, 1),
        ("branch3x3dbl_2", "branch3x3dbl_1", 96, 3, 1),
        ("branch3x3dbl_3", "branch3x3dbl_2", 96, 3, 1),
        ("branch_pool", "pool", pooled, 1, 1),
    ]


BLOCK_B: list[Row] = [
    ("branch3x3", "x", 384, 3, 2),
    ("branch3x3dbl_1", "x", 64, 1, 1),
    ("branch3x3dbl_2", "branch3x3dbl_1", 96, 3, 1),
    ("branch3x3dbl_3", "branch3x3dbl_2", 96, 3, 2),
]


def block_c(inner: int) -> list[Row]:
    """7x7 as 1x7 and 7x1, once and twice (figure 6)."""
    return [
        ("branch1x1", "x", 192, 1, 1),
        ("branch7x7_1", "x", inner, 1, 1),
        ("branch7x7_2", "branch7x7_1", inner, (1, 7), 1),
        ("branch7x7_3", "branch7x7_2", 192, (7, 1), 1),
        ("branch7x7dbl_1", "x", inner, 1, 1),
        ("branch7x7dbl_2", "branch7x7dbl_1", inner, (7, 1), 1),
        ("branch7x7dbl_3", "branch7x7dbl_2", inner, (1, 7), 1),
        ("branch7x7dbl_4", "branch7x7dbl_3", inner, (7, 1), 1),
        ("branch7x7dbl_5", "branch7x7dbl_4", 192, (1, 7), 1),
        ("branch_pool", "pool", 192, 1, 1),
    ]


BLOCK_D: list[Row] = [
    ("branch3x3_1", "x", 192, 1, 1),
    ("branch3x3_2", "branch3x3_1", 320, 3, 2),
    ("branch7x7x3_1", "x", 192, 1, 1),
    ("branch7x7x3_2", "branch7x7x3_1", 192, (1, 7), 1),
    ("branch7x7x3_3", "branch7x7x3_2", 192, (7, 1), 1),
    ("branch7x7x3_4", "branch7x7x3_3", 192, 3, 2),
]

# 3x3 as 1x3 beside 3x1 (figure 7)
BLOCK_E: list[Row] = [
    ("branch1x1", "x", 320, 1, 1),
    ("branch3x3_1", "x", 384, 1, 1),
    ("branch3x3_2a", "branch3x3_1", 384, (1, 3), 1),
    ("branch3x3_2b", "branch3x3_1", 384, (3, 1), 1),
    ("branch3x3dbl_1", "x", 448, 1, 1),
    ("branch3x3dbl_2", "branch3x3dbl_1", 384, 3, 1),
    ("branch3x3dbl_3a", "branch3x3dbl_2", 384, (1, 3), 1),
    ("branch3x3dbl_3b", "branch3x3dbl_2", 384, (3, 1), 1),
    ("branch_pool", "pool", 192, 1, 1),
]

# out_channels, kernel_size, stride, padding; 0 channels: a pool
STEM_V2 = {
    "conv1": (32, 3, 2, 0),  # 299x299 -> 149x149
    "conv2": (32, 3, 1, 0),  # 147x147
    "conv3": (64, 3, 1, 1),
    "maxpool1": (0, 3, 2, 0),  # 73x73
    "conv4": (80, 3, 1, 0),  # 71x71
    "conv5": (192, 3, 2, 0),  # 35x35
    "conv6": (288, 3, 1, 1),
}
STEM_V3 = {
    "Conv2d_1a_3x3": (32, 3, 2, 0),  # 299x299 -> 149x149
    "Conv2d_2a_3x3": (32, 3, 1, 0),  # 147x147
    "Conv2d_2b_3x3": (64, 3, 1, 1),
    "maxpool1": (0, 3, 2, 0),  # 73x73
    "Conv2d_3b_1x1": (80, 1, 1, 0),
    "Conv2d_4a_3x3": (192, 3, 1, 0),  # 71x71
    "maxpool2": (0, 3, 2, 0),  # 35x35
}

# The paper prints how many channels enter and leave the blocks of v2, not the widths inside, for which it refers to a
# file beside it. Those of v3 in the authors' code fit, so they are taken here, the last of figure 6 once more. They are
# not the paper's: it says (section 6) that the network costs about 2.5 times GoogLeNet, 2.5 x 1.5 = 3.8 GMACs, and with
# these it is 6.48 at 299x299. `cnnviz.measure.audit` says so too.
BLOCKS_V2 = {
    **{f"figure5_{number}": block_a(64, large=3) for number in (1, 2, 3)},  # 288, 35x35
    "reduction1": BLOCK_B,  # 768, 17x17
    **{f"figure6_{number + 1}": block_c(inner) for number, inner in enumerate((128, 160, 160, 192, 192))},
    "reduction2": BLOCK_D,  # 1280, 8x8
    "figure7_1": BLOCK_E,  # 2048, 8x8
    "figure7_2": BLOCK_E,
}
BLOCKS_V3 = {
    "Mixed_5b": block_a(32),  # 256, 35x35
    "Mixed_5c": block_a(64),  # 288
    "Mixed_5d": block_a(64),
    "Mixed_6a": BLOCK_B,  # 768, 17x17
    "Mixed_6b": block_c(128),
    "Mixed_6c": block_c(160),
    "Mixed_6d": block_c(160),
    "Mixed_6e": block_c(192),
    "Mixed_7a": BLOCK_D,  # 1280, 8x8
    "Mixed_7b": BLOCK_E,  # 2048
    "Mixed_7c": BLOCK_E,
}


class Mixed(nn.Module):
    """A block of convolutions side by side and one behind the other, built from its rows."""

    def __init__(self, in_channels: int, rows: list[Row], w: Scale = int) -> None:
        super().__init__()
        self.sources = {name: source for name, source, *_ in rows}
        halves = any(stride == 2 for *_, stride in rows)
        self.pool = nn.MaxPool2d(3, stride=2) if halves else nn.AvgPool2d(3, stride=1, padding=1)
        channels = {"x": in_channels, "pool": in_channels}
        for name, source, out_channels, kernel_size, stride in rows:
            channels[name] = w(out_channels)
            conv = ConvNormRelu(channels[source], channels[name], kernel_size, stride, 0 if stride == 2 else None)
            self.add_module(name, conv)
        self.ends = [name for name in [*self.sources, "pool"] if name not in self.sources.values()]
        self.out_channels = sum(channels[name] for name in self.ends)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W), or half of H and W where the rows have stride 2."""
        values = {"x": x, "pool": self.pool(x)}
        for name, source in self.sources.items():
            values[name] = self.get_submodule(name)(values[source])
        return torch.cat([values[name] for name in self.ends], dim=1)


class AuxiliaryHead(nn.Module):
    """A small classifier behind Mixed_6e."""

    def __init__(self, in_channels: int, num_classes: int, small: bool) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(5) if small else nn.AvgPool2d(kernel_size=5, stride=3)
        self.conv0 = ConvNormRelu(in_channels, 128, 1)
        self.conv1 = ConvNormRelu(128, 768, 5, padding=0)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, 17, 17) -> (N, num_classes)."""
        x = self.conv0(self.pool(x))  # (N, 128, 5, 5)
        x = self.conv1(x)  # (N, 768, 1, 1)
        return self.fc(self.avgpool(x).flatten(1))


def layers_of(
    stem: dict[str, tuple[int, ...]], blocks: dict[str, list[Row]], channels: int, small: bool, w: Scale
) -> tuple[dict[str, nn.Module], int]:
    """Return a network's layers by name, and the channels that leave the last.

    ``small`` is for 32x32: a first convolution of stride 1, padding wherever the stem has none, no first pool.
    """
    layers: dict[str, nn.Module] = {}
    for index, (name, (out_channels, kernel_size, stride, padding)) in enumerate(stem.items()):
        if out_channels == 0:
            layers[name] = nn.Identity() if small and name == "maxpool1" else nn.MaxPool2d(kernel_size, stride)
            continue
        place = (1 if index == 0 else stride, None) if small else (stride, padding)
        layers[name] = ConvNormRelu(channels, w(out_channels), kernel_size, *place)
        channels = w(out_channels)
    for name, rows in blocks.items():
        layers[name] = block = Mixed(channels, rows, w)
        channels = block.out_channels
    return layers, channels


def start(network: nn.Module, std: float) -> None:
    """Draw all weights from a normal distribution."""
    fill = partial(nn.init.normal_, std=std)
    initialise(network, conv=fill, linear=fill, zero_biases=False)


@register
def inception_v2(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, dropout: float = 0.5, width_mult: float = 1.0
) -> Inceptions:
    """Build Inception v2 for 299x299: the factorised network of the paper's table 1, its blocks filled in by us.

    The table prints the channels between the blocks. Inside them are the widths of ``inception_v3``: 26,405,192
    parameters and 6.48 GMACs, while the paper says that its own costs about 2.5 times GoogLeNet, 3.8 GMACs.

    What some libraries call Inception v2 is ``bn_inception``. ``small`` is for 32x32, as in ``inception_v3``.
    """
    layers, channels = layers_of(STEM_V2, BLOCKS_V2, in_channels, small, scale(width_mult))
    network = Inceptions(layers, channels, num_classes, dropout)
    start(network, std=0.1)
    return network


@register
def inception_v3(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, aux_logits: bool = True, dropout: float = 0.5,
    transform_input: bool = False, width_mult: float = 1.0,
) -> Inceptions:  # fmt: skip
    """Build Inception v3 for 299x299: 27,161,264 parameters, 23,834,568 without the auxiliary head (``aux_logits``).

    With the head, a call in training mode returns ``Outputs(logits, (aux,))``, and the picture must be 299x299 or
    larger; without it 75x75 is enough. ``transform_input`` takes pictures normalised as for the other networks where
    the weights expect -1 to 1. ``small`` is for 32x32: a first convolution of stride 1, padding wherever the stem has
    none, no first pool, and a head that averages to 5x5.
    """
    layers, channels = layers_of(STEM_V3, BLOCKS_V3, in_channels, small, scale(width_mult))
    head = AuxiliaryHead(layers["Mixed_6e"].out_channels, num_classes, small) if aux_logits else None
    heads = {"Mixed_6e": ("AuxLogits", head)} if head else None
    network = Inceptions(layers, channels, num_classes, dropout, heads, transform_input)
    start(network, std=0.1)
    if head:
        start(head.fc, std=0.001)
    return network
