"""Inception v3: large windows split into chains of small and of one-dimensional ones."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from cnnviz.models._network import ConvNormRelu, Network, Outputs, initialise
from cnnviz.models._registry import register
from cnnviz.models.googlenet import as_tensorflow

# Szegedy et al., "Rethinking the inception architecture for computer vision", arXiv 1512.00567, table 1 and figures 5
# to 7, with the widths of the authors' code. A block is a list of convolutions: name, what it reads, out_channels,
# kernel_size, stride. "x" is the block's input, "pool" its pooled input. What nobody reads is the block's output.
Row = tuple[str, str, int, int | tuple[int, int], int]


def block_a(pooled: int) -> list[Row]:
    """5x5 beside two 3x3 (figure 5)."""
    return [
        ("branch1x1", "x", 64, 1, 1),
        ("branch5x5_1", "x", 48, 1, 1),
        ("branch5x5_2", "branch5x5_1", 64, 5, 1),
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

BLOCKS = {
    "Mixed_5b": block_a(32),
    "Mixed_5c": block_a(64),
    "Mixed_5d": block_a(64),
    "Mixed_6a": BLOCK_B,
    "Mixed_6b": block_c(128),
    "Mixed_6c": block_c(160),
    "Mixed_6d": block_c(160),
    "Mixed_6e": block_c(192),
    "Mixed_7a": BLOCK_D,
    "Mixed_7b": BLOCK_E,
    "Mixed_7c": BLOCK_E,
}

# name, out_channels, kernel_size, stride, padding
STEM = (
    ("Conv2d_1a_3x3", 32, 3, 2, 0),
    ("Conv2d_2a_3x3", 32, 3, 1, 0),
    ("Conv2d_2b_3x3", 64, 3, 1, 1),
    ("maxpool1", 64, 3, 2, 0),
    ("Conv2d_3b_1x1", 80, 1, 1, 0),
    ("Conv2d_4a_3x3", 192, 3, 1, 0),
    ("maxpool2", 192, 3, 2, 0),
)


class Mixed(nn.Module):
    """A block of convolutions side by side and one behind the other, built from its rows."""

    def __init__(self, in_channels: int, rows: list[Row]) -> None:
        super().__init__()
        self.sources = {name: source for name, source, *_ in rows}
        halves = any(stride == 2 for *_, stride in rows)
        self.pool = nn.MaxPool2d(3, stride=2) if halves else nn.AvgPool2d(3, stride=1, padding=1)
        channels = {"x": in_channels, "pool": in_channels}
        for name, source, out_channels, kernel_size, stride in rows:
            kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
            padding = (0, 0) if stride == 2 else (kernel[0] // 2, kernel[1] // 2)
            conv = ConvNormRelu(channels[source], out_channels, kernel_size=kernel, stride=stride, padding=padding)
            self.add_module(name, conv)
            channels[name] = out_channels
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
        self.conv0 = ConvNormRelu(in_channels, 128, kernel_size=1)
        self.conv1 = ConvNormRelu(128, 768, kernel_size=5)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(768, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, 17, 17) -> (N, num_classes)."""
        x = self.conv0(self.pool(x))  # (N, 128, 5, 5)
        x = self.conv1(x)  # (N, 768, 1, 1)
        return self.fc(self.avgpool(x).flatten(1))


class Inception3(Network):
    """A stem, eleven mixed blocks, a global average and one dense layer."""

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        small: bool,
        aux_logits: bool,
        dropout: float,
        transform_input: bool,
    ) -> None:
        super().__init__()
        self.small = small
        self.transform_input = transform_input
        channels = in_channels
        for name, out_channels, kernel_size, stride, padding in STEM:
            if name.startswith("maxpool"):
                layer = nn.Identity() if small and name == "maxpool1" else nn.MaxPool2d(kernel_size, stride)
            else:
                place = {"stride": 1, "padding": kernel_size // 2} if small else {"stride": stride, "padding": padding}
                layer = ConvNormRelu(channels, out_channels, kernel_size=kernel_size, **place)
            self.add_module(name, layer)
            channels = out_channels
        for name, rows in BLOCKS.items():
            block = Mixed(channels, rows)
            self.add_module(name, block)
            channels = block.out_channels
            if name == "Mixed_6e":
                self.AuxLogits = AuxiliaryHead(channels, num_classes, small) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        start = partial(nn.init.normal_, std=0.1)
        initialise(self, conv=start, linear=start, zero_biases=False)
        if aux_logits:
            initialise(self.AuxLogits.fc, linear=partial(nn.init.normal_, std=0.001), zero_biases=False)

    def forward(self, x: Tensor) -> Tensor | Outputs:
        """Return class scores (N, num_classes) for pictures (N, in_channels, H, W).

        With the auxiliary head and in training mode, its scores come along in an ``Outputs``.
        """
        if self.transform_input:
            x = as_tensorflow(x)
        for name, *_ in STEM:  # (N, 3, 299, 299) -> (N, 64, 73, 73) -> (N, 192, 35, 35)
            x = self.get_submodule(name)(x)
        auxiliary = None
        for name in BLOCKS:  # Mixed_5: (N, 288, 35, 35), Mixed_6: (N, 768, 17, 17), Mixed_7: (N, 2048, 8, 8)
            x = self.get_submodule(name)(x)
            if name == "Mixed_6e" and self.training and self.AuxLogits is not None:
                auxiliary = self.AuxLogits(x)
        x = self.avgpool(x).flatten(1)  # (N, 2048)
        logits = self.fc(self.dropout(x))
        return logits if auxiliary is None else Outputs(logits, (auxiliary,))


@register
def inception_v3(
    num_classes: int = 1000,
    in_channels: int = 3,
    small: bool = False,
    aux_logits: bool = True,
    dropout: float = 0.5,
    transform_input: bool = False,
) -> Inception3:
    """Build Inception v3 for 299x299: 27,161,264 parameters, 23,834,568 without the auxiliary head (``aux_logits``).

    With the head, a call in training mode returns ``Outputs(logits, (aux,))``, and the picture must be 299x299 or
    larger; without it 75x75 is enough. ``transform_input`` takes pictures normalised as for the other networks where
    the weights expect -1 to 1. ``small`` is for 32x32: a first convolution of stride 1, padding wherever the stem has
    none, no first pool, and a head that averages to 5x5.
    """
    return Inception3(num_classes, in_channels, small, aux_logits, dropout, transform_input)
