"""Inception v4: a deeper stem, three kinds of module, two reductions, and no dense layer but the last.

Szegedy, Ioffe, Vanhoucke, Alemi: Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning,
AAAI 2017 (arXiv 1602.07261), figures 3 to 9. "V" in the paper's drawings is a padding of 0. What a table means is
written in ``_inception``.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from cnnviz._checks import _whole
from cnnviz.models._inception import Inceptions, build, stages
from cnnviz.models._parts import scale
from cnnviz.models._registry import register

Table = dict[str, list[Any]]


def stem(small: bool = False) -> list[Any]:
    """Return the stem of figure 3, 299x299 to 384 maps of 35x35; small: 32x32 to 16x16, halved in the last step."""
    pad, stride = (1, 1) if small else (0, 2)
    return [
        (32, 3, stride, pad),  # 32, 149, 149
        (32, 3, 1, pad),  # 32, 147, 147
        (64, 3),  # 64, 147, 147
        {"pool": [nn.MaxPool2d(3, stride, pad)], "conv": [(96, 3, stride, pad)]},  # 160, 73, 73
        {
            "short": [(64, 1), (96, 3, 1, pad)],
            "long": [(64, 1), (64, (7, 1)), (64, (1, 7)), (96, 3, 1, pad)],
        },  # 192, 71
        {"conv": [(192, 3, 2, pad)], "pool": [nn.MaxPool2d(3, 2, pad)]},  # 384, 35, 35
    ]


def module_a() -> Table:
    """Return the module for 35x35 maps, figure 4: 384 channels to 384."""
    return {
        "pool": [average(), (96, 1)],
        "one": [(96, 1)],
        "three": [(64, 1), (96, 3)],
        "twice": [(64, 1), (96, 3), (96, 3)],
    }


def module_b() -> Table:
    """Return the module for 17x17 maps, figure 5: 1024 channels to 1024."""
    return {
        "pool": [average(), (128, 1)],
        "one": [(384, 1)],
        "seven": [(192, 1), (224, (1, 7)), (256, (7, 1))],
        "twice": [(192, 1), (192, (1, 7)), (224, (7, 1)), (224, (1, 7)), (256, (7, 1))],
    }


def module_c() -> Table:
    """Return the module for 8x8 maps, figure 6: 1536 channels to 1536; its branches end in 1x3 beside 3x1."""
    fork = {"flat": [(256, (1, 3))], "tall": [(256, (3, 1))]}
    return {
        "pool": [average(), (256, 1)],
        "one": [(256, 1)],
        "three": [(384, 1), fork],
        "twice": [(384, 1), (448, (1, 3)), (512, (3, 1)), fork],
    }


def reduction_a(k: int, l: int, m: int, n: int, pad: int = 0) -> Table:  # noqa: E741 (the paper's letters)
    """Return the reduction from 35x35 to 17x17, figure 7; table 1 gives k, l, m, n."""
    return {
        "pool": [nn.MaxPool2d(3, 2, pad)],
        "three": [(n, 3, 2, pad)],
        "twice": [(k, 1), (l, 3), (m, 3, 2, pad)],
    }


def reduction_b(pad: int = 0) -> Table:
    """Return the reduction from 17x17 to 8x8, figure 8: 1024 channels to 1536."""
    return {
        "pool": [nn.MaxPool2d(3, 2, pad)],
        "three": [(192, 1), (192, 3, 2, pad)],
        "seven": [(256, 1), (256, (1, 7)), (320, (7, 1)), (320, 3, 2, pad)],
    }


def average() -> nn.AvgPool2d:
    """Return the average over 3x3 that keeps the size; padding does not count."""
    return nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)


def check_three(option: str, counts: object, such_as: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return how many modules A, B and C there are, or refuse."""
    if not isinstance(counts, (tuple, list)) or len(counts) != 3:
        raise ValueError(f"{option} {counts!r} is not three numbers, those of the {option} A, B and C: use {such_as}")
    for count in counts:
        _whole(option, count, 1)
    return tuple(counts)


@register
def inception_v4(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, modules: tuple[int, int, int] = (4, 7, 3),
    dropout: float = 0.2, width_mult: float = 1.0,
) -> Inceptions:  # fmt: skip
    """Return Inception v4, for 299x299: 42,679,816 parameters.

    ``modules`` says how many there are of A, B and C; (1, 1, 1) is the quickest net. ``small`` is for 32x32: the stem
    halves the picture once (35x35 becomes 16x16), and padding makes the rest 8x8 and 4x4.
    """
    (a, b, c), w, pad = check_three("modules", modules, (4, 7, 3)), scale(width_mult), int(small)
    plan = [
        ("stem", 1, lambda channels: build(channels, stem(small), w)),  # 384, 35, 35
        ("a", a, lambda channels: build(channels, module_a(), w)),  # 384, 35, 35
        ("reduction_a", 1, lambda channels: build(channels, reduction_a(192, 224, 256, 384, pad), w)),  # 1024, 17, 17
        ("b", b, lambda channels: build(channels, module_b(), w)),  # 1024, 17, 17
        ("reduction_b", 1, lambda channels: build(channels, reduction_b(pad), w)),  # 1536, 8, 8
        ("c", c, lambda channels: build(channels, module_c(), w)),  # 1536, 8, 8
    ]
    return Inceptions(*stages(plan, in_channels), num_classes, dropout)
