"""What several networks are made of: a convolution with its batch norm, stems, checks of options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import Tensor, nn

from cnnviz.models._unfilled import batch_norm2d, conv2d

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


def conv_norm(
    in_channels: int, out_channels: int, kernel_size: int = 1, stride: int = 1, groups: int = 1, relu: Any = None
) -> nn.Sequential:
    """Return a convolution that keeps the size at stride 1, its batch norm, and perhaps an activation.

    >>> [type(layer).__name__ for layer in conv_norm(8, 16, 3, relu=nn.ReLU6)]
    ['Conv2d', 'BatchNorm2d', 'ReLU6']
    """
    conv = conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, batch_norm2d(out_channels), *([relu()] if relu else []))


def first_window(small: bool) -> tuple[int, int]:
    """Return kernel size and stride with which most networks for 224x224 begin, or those that suit 32x32."""
    return (3, 1) if small else (7, 2)


def first_pool(small: bool) -> nn.Module:
    """Return the pool behind it, none for 32x32."""
    return nn.Identity() if small else nn.MaxPool2d(kernel_size=3, stride=2, padding=1)


def keep_signal(weight: Tensor) -> None:
    """Fill so that what passes forward through ReLUs keeps its size (He et al. 2015, equation 10).

    Without batch norm a deep net needs it: torch's own start shrinks the scores of ``googlenet_2014`` to 1e-8.
    """
    nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu")
