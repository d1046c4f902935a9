"""LeNet-5, as it is taught today and as it was in 1998.

LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, Proc. IEEE 86(11), 1998.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnnviz._checks import _whole
from cnnviz.models._network import Network
from cnnviz.models._parts import ACTIVATIONS, choose
from cnnviz.models._registry import register

POOLS = {"average": nn.AvgPool2d, "max": nn.MaxPool2d}

# Table I of the paper: which of the six maps of S2 each of the sixteen maps of C3 reads.
C3_READS = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5), (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5),
    (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5), (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5),
)  # fmt: skip

# The target of F6 for each digit: a stylised picture of it, 7 x 12, ours. The paper draws its own in figure 3.
DIGITS = """
..###.. ...#... .#####. .#####. .....#. ####### ..####. ####### .#####. .#####.
.#...#. ..##... #.....# #.....# ....##. #...... .#..... ......# #.....# #.....#
#.....# .#.#... #.....# ......# ...#.#. #...... #...... ......# #.....# #.....#
#.....# ...#... ......# ......# ..#..#. #...... #...... .....#. #.....# #.....#
#.....# ...#... ......# ......# .#...#. ######. #...... .....#. #.....# #.....#
#.....# ...#... .....#. ..####. #....#. ......# ######. ....#.. .#####. .######
#.....# ...#... ....#.. ......# #....#. ......# #.....# ....#.. #.....# ......#
#.....# ...#... ...#... ......# ####### ......# #.....# ...#... #.....# ......#
#.....# ...#... ..#.... ......# .....#. ......# #.....# ...#... #.....# ......#
#.....# ...#... .#..... ......# .....#. ......# #.....# ..#.... #.....# ......#
.#...#. ...#... #...... #.....# .....#. #.....# #.....# ..#.... #.....# .....#.
..###.. .#####. ####### .#####. .....#. .#####. .#####. ..#.... .#####. .####..
"""


class LeNet5(Network):
    """LeNet-5 as frameworks write it: full C3, plain pooling, a linear output. 61,706 parameters."""

    def __init__(self, num_classes: int, in_channels: int, activation: str, pool: str, padding: int) -> None:
        super().__init__()
        _whole("padding", padding, 0)
        act, pooling = choose("activation", activation, ACTIVATIONS), choose("pool", pool, POOLS)
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5, padding=padding), act(),  # C1: 6, 28, 28
            pooling(2),  # S2: 6, 14, 14
            nn.Conv2d(6, 16, 5), act(),  # C3: 16, 10, 10
            pooling(2),  # S4: 16, 5, 5
            nn.Conv2d(16, 120, 5), act(),  # C5: 120, 1, 1
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(120, 84), act(), nn.Linear(84, num_classes))  # F6, out

    def forward(self, x: Tensor) -> Tensor:
        """Return one score a class."""
        return self.classifier(self.features(x))


@register
def lenet5(
    num_classes: int = 10, in_channels: int = 1, activation: str = "tanh", pool: str = "average", padding: int = 0
) -> LeNet5:
    """Return LeNet-5 in its modern form, for 32x32 pictures; ``padding=2`` takes MNIST's 28x28.

    Examples
    --------
    >>> sum(p.numel() for p in lenet5().parameters())
    61706
    >>> lenet5(padding=2)(torch.zeros(1, 1, 28, 28)).shape
    torch.Size([1, 10])
    """
    return LeNet5(num_classes, in_channels, activation, pool, padding)


class Squash(nn.Module):
    """The activation of 1998, 1.7159 tanh(2x/3): it maps 1 to 1 and -1 to -1 (the paper's appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the squashed values."""
        return 1.7159 * torch.tanh(x * (2 / 3))


class TrainablePool(nn.Module):
    """Subsampling with two trainable numbers a map: coefficient x (sum of 2x2 pixels) + bias.

    >>> sum(p.numel() for p in TrainablePool(6).parameters())
    12
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.full((channels, 1, 1), 0.25))  # starts as the average
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        self.average = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of half the size."""
        return self.coefficient * (4 * self.average(x)) + self.bias


class PartialConv2d(nn.Module):
    """A convolution whose output maps each read only some input maps: one small convolution an output map."""

    def __init__(self, reads: tuple[tuple[int, ...], ...], kernel_size: int) -> None:
        super().__init__()
        self.reads = reads
        self.maps = nn.ModuleList(nn.Conv2d(len(inputs), 1, kernel_size) for inputs in reads)

    def forward(self, x: Tensor) -> Tensor:
        """Return one map for each entry of ``reads``."""
        return torch.cat([conv(x[:, inputs]) for conv, inputs in zip(self.maps, self.reads, strict=True)], dim=1)


class RadialBasisOutput(nn.Module):
    """One fixed target vector a class; the score is minus the squared distance of the input to it.

    The paper's unit gives the distance itself, smallest for the right class. The minus makes it a score like every
    other network's: cross-entropy of it is the paper's loss (9) without the constant in its logarithm.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("codes", class_codes(num_classes))  # num_classes, 84: fixed, so not a parameter

    def forward(self, x: Tensor) -> Tensor:
        """Return minus the squared distances, (N, num_classes)."""
        return -(x[:, None, :] - self.codes).square().sum(dim=2)


def class_codes(num_classes: int) -> Tensor:
    """Return a vector of 84 times +1 or -1 for each class: the drawn digits, or coin tosses for any other number.

    >>> class_codes(10)[1].view(12, 7)[0].tolist()
    [-1.0, -1.0, -1.0, 1.0, -1.0, -1.0, -1.0]
    """
    if num_classes != 10:  # the paper's alternative to drawing: random codes
        tosses = torch.rand((num_classes, 84), generator=torch.Generator().manual_seed(1998), device="cpu")
        return (tosses < 0.5).to(torch.get_default_device(), torch.get_default_dtype()) * 2 - 1
    rows = [line.split() for line in DIGITS.split("\n") if line]
    pictures = ["".join(row[digit] for row in rows) for digit in range(10)]
    return torch.tensor([[1.0 if cell == "#" else -1.0 for cell in picture] for picture in pictures])


class LeNet51998(Network):
    """LeNet-5 as published: 60,000 trainable parameters, 340,908 connections."""

    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.c1 = nn.Sequential(nn.Conv2d(in_channels, 6, 5), Squash())  # 6, 28, 28
        self.s2 = nn.Sequential(TrainablePool(6), Squash())  # 6, 14, 14
        self.c3 = nn.Sequential(PartialConv2d(C3_READS, 5), Squash())  # 16, 10, 10
        self.s4 = nn.Sequential(TrainablePool(16), Squash())  # 16, 5, 5
        self.c5 = nn.Sequential(nn.Conv2d(16, 120, 5), Squash(), nn.Flatten())  # 120
        self.f6 = nn.Sequential(nn.Linear(120, 84), Squash())  # 84
        self.output = RadialBasisOutput(num_classes)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):  # the paper's start: uniform in ±2.4 / fan in
                fan_in = layer.weight[0].numel()
                nn.init.uniform_(layer.weight, -2.4 / fan_in, 2.4 / fan_in)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return one score a class: minus the squared distance to its code."""
        x = self.s4(self.c3(self.s2(self.c1(x))))
        return self.output(self.f6(self.c5(x)))


@register
def lenet5_1998(num_classes: int = 10, in_channels: int = 1) -> LeNet51998:
    """Return LeNet-5 as in 1998: trainable pooling, the partial connections of C3, distances to drawn digits.

    Takes 32x32 pictures, ideally with a background of -0.1 and strokes of 1.175, as in the paper.

    Examples
    --------
    >>> sum(p.numel() for p in lenet5_1998().parameters())
    60000
    """
    return LeNet51998(num_classes, in_channels)
