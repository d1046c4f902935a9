"""What several of our own networks are made of: a convolution with its batch norm, branches side by side, checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from cnnviz.models._network import ConvNormRelu

Size = int | tuple[int, int]
Scale = Callable[[int], int]  # a published number of channels -> ours
Value = TypeVar("Value")

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


def choose(option: str, value: object, table: Mapping[str, Value]) -> Value:
    """Return the table's entry for an option's value, or say which values there are.

    >>> choose("activation", "relu", ACTIVATIONS).__name__
    'ReLU'
    """
    if not isinstance(value, str) or value not in table:
        raise ValueError(f"{option} {value!r} is not known: use {' or '.join(map(repr, table))}")
    return table[value]


def check_whole(option: str, value: object, least: int = 1) -> None:
    """Refuse what is not a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{option} {value!r} is not a whole number of at least {least}")


def check_share(option: str, value: object, lowest: str = "0 or more") -> None:
    """Refuse what is not a number from 0 to 1; ``lowest`` "above 0" also refuses 0 (and then allows 1)."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if lowest == "above 0":
        if not (number and 0 < value <= 1):
            raise ValueError(f"{option} {value!r} is not a number above 0 and at most 1")
    elif not (number and 0 <= value < 1):
        raise ValueError(f"{option} {value!r} is not a number from 0 to below 1")


def scale(width_mult: float, multiple: int = 1) -> Scale:
    """Return the function that scales a number of channels, to a whole multiple and never to less than one.

    >>> scale(0.25, multiple=2)(96)
    24
    """
    if isinstance(width_mult, bool) or not isinstance(width_mult, (int, float)) or not 0 < width_mult <= 8:
        raise ValueError(f"width_mult {width_mult!r} is not a number above 0 and at most 8")
    return lambda channels: max(1, round(channels * width_mult / multiple)) * multiple


def conv(in_channels: int, out_channels: int, kernel_size: Size, stride: int = 1, padding: Any = None) -> ConvNormRelu:
    """Return a convolution with batch norm and ReLU; without a padding, one that keeps the size at stride 1.

    >>> conv(8, 16, (1, 7)).conv.padding
    (0, 3)
    """
    height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    padding = (height // 2, width // 2) if padding is None else padding
    return ConvNormRelu(in_channels, out_channels, kernel_size=(height, width), stride=stride, padding=padding)


def chain(in_channels: int, *steps: tuple[int, Size]) -> nn.Sequential:
    """Return convolutions one after the other, each given as (channels, kernel_size), all keeping the size.

    >>> chain(64, (32, 1), (48, 3))(torch.zeros(1, 64, 5, 5)).shape
    torch.Size([1, 48, 5, 5])
    """
    widths = [in_channels, *(channels for channels, _ in steps)]
    return nn.Sequential(*(conv(a, b, size) for a, (b, size) in zip(widths[:-1], steps, strict=True)))


def keep_signal(weight: Tensor) -> None:
    """Fill so that what passes forward through ReLUs keeps its size (He et al. 2015, equation 10).

    Without batch norm a deep net needs it: torch's own start shrinks the scores of ``googlenet_2014`` to 1e-8.
    """
    nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu")


class Branches(nn.Module):
    """Layers side by side on one input, their outputs stacked along the channels.

    >>> Branches(a=nn.Conv2d(8, 2, 1), b=nn.Conv2d(8, 3, 3, padding=1))(torch.zeros(1, 8, 5, 5)).shape
    torch.Size([1, 5, 5, 5])
    """

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        """Return the branches' outputs, in their order."""
        return torch.cat([branch(x) for branch in self.children()], dim=1)


def width(layer: nn.Module, in_channels: int) -> int:
    """Return how many channels leave a chain of convolutions, pools and branches that ``in_channels`` enter.

    >>> width(Branches(conv=conv(8, 2, 3), pool=nn.MaxPool2d(3, 1, 1)), 8)
    10
    """
    if isinstance(layer, nn.Conv2d):
        return layer.out_channels
    if isinstance(layer, Branches):
        return sum(width(branch, in_channels) for branch in layer.children())
    for child in layer.children():
        in_channels = width(child, in_channels)
    return in_channels
