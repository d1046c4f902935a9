"""Inception-ResNet v2: inception modules whose output, thinned by a 1x1 and scaled down, is added to their input.

Szegedy, Ioffe, Vanhoucke, Alemi (arXiv 1602.07261), figures 15 to 19. The model that the authors released, counted
everywhere at 55.8 million parameters, differs from the drawings: it has the stem of Inception v3 with one module more
(320 channels), and 10, 20, 10 blocks where the figure has 5, 10, 5. Both are here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn

from cnnviz.models._inception import Inceptions, build, stages, width
from cnnviz.models._parts import Scale, choose, scale
from cnnviz.models._registry import register
from cnnviz.models.inception_v4 import Table, average, check_three, reduction_a, stem


class Form(NamedTuple):
    """What the drawings and the released model do differently."""

    blocks: tuple[int, int, int]
    scales: tuple[float, float, float]  # "between 0.1 and 0.3" in the paper's section 3.3
    last_channels: int  # of a 1x1 convolution behind the last block; 0 for none


FORMS = {
    "released": Form((10, 20, 10), (0.17, 0.10, 0.20), 1536),
    "paper": Form((5, 10, 5), (0.17, 0.10, 0.20), 0),
}

BLOCK_A: Table = {  # figure 16, for 35x35 maps
    "one": [(32, 1)],
    "three": [(32, 1), (32, 3)],
    "twice": [(32, 1), (48, 3), (64, 3)],
}
BLOCK_B: Table = {"one": [(192, 1)], "seven": [(128, 1), (160, (1, 7)), (192, (7, 1))]}  # figure 17, for 17x17
BLOCK_C: Table = {"one": [(192, 1)], "three": [(192, 1), (224, (1, 3)), (256, (3, 1))]}  # figure 19, for 8x8


class Residual(nn.Module):
    """x + scale * (branches, then a 1x1 without batch norm or ReLU), and a ReLU.

    Examples
    --------
    >>> from torch import zeros
    >>> Residual(320, BLOCK_A, 0.17)(zeros(2, 320, 35, 35)).shape
    torch.Size([2, 320, 35, 35])
    """

    def __init__(self, channels: int, table: Table, scale: float, w: Scale = int) -> None:
        super().__init__()
        self.branches = build(channels, table, w)
        self.linear = nn.Conv2d(width(self.branches, channels), channels, 1)
        self.scale = scale
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the shape they had."""
        return self.relu(x + self.scale * self.linear(self.branches(x)))


def reduction_b(pad: int = 0) -> Table:
    """Return the reduction from 17x17 to 8x8, figure 18."""
    return {
        "three": [(256, 1), (384, 3, 2, pad)],
        "other": [(256, 1), (288, 3, 2, pad)],
        "twice": [(256, 1), (288, 3), (320, 3, 2, pad)],
        "pool": [nn.MaxPool2d(3, 2, pad)],
    }


def released_stem(small: bool = False) -> list[Any]:
    """Return the stem of the released model, 299x299 to 320 maps of 35x35; small: 32x32 to 16x16."""
    pad, stride = (1, 1) if small else (0, 2)
    return [
        (32, 3, stride, pad),  # 32, 149, 149
        (32, 3, 1, pad),  # 32, 147, 147
        (64, 3),  # 64, 147, 147
        nn.MaxPool2d(3, stride, pad),  # 64, 73, 73
        (80, 1),  # 80, 73, 73
        (192, 3, 1, pad),  # 192, 71, 71
        nn.MaxPool2d(3, 2, pad),  # 192, 35, 35
        {
            "one": [(96, 1)],
            "five": [(48, 1), (64, 5)],
            "twice": [(64, 1), (96, 3), (96, 3)],
            "pool": [average(), (64, 1)],
        },  # 320, 35, 35
    ]


@register
def inception_resnet_v2(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, form: str = "released",
    blocks: tuple[int, int, int] | None = None, dropout: float = 0.2, width_mult: float = 1.0,
) -> Inceptions:  # fmt: skip
    """Return Inception-ResNet v2, for 299x299.

    ``form`` is "released" (55,843,464 parameters) or "paper", as drawn. ``blocks`` says how many there are of A, B and
    C, if not the form's own. ``small`` is for 32x32, as in ``inception_v4``.
    """
    chosen, w, pad = choose("form", form, FORMS), scale(width_mult), int(small)
    a, b, c = chosen.blocks if blocks is None else check_three("blocks", blocks, FORMS["paper"].blocks)
    scale_a, scale_b, scale_c = chosen.scales
    first = released_stem if form == "released" else stem
    plan = [
        ("stem", 1, lambda n: build(n, first(small), w)),  # 320 (paper: 384), 35, 35
        ("a", a, lambda n: Residual(n, BLOCK_A, scale_a, w)),
        ("reduction_a", 1, lambda n: build(n, reduction_a(256, 256, 384, 384, pad), w)),  # 1088 (paper: 1152), 17, 17
        ("b", b, lambda n: Residual(n, BLOCK_B, scale_b, w)),
        ("reduction_b", 1, lambda n: build(n, reduction_b(pad), w)),  # 2080 (paper: 2144), 8, 8
        ("c", c, lambda n: Residual(n, BLOCK_C, scale_c, w)),
    ]
    if chosen.last_channels:
        plan.append(("last", 1, lambda n: build(n, [(chosen.last_channels, 1)], w)))  # 1536, 8, 8
    layers, channels = stages(plan, in_channels)
    if chosen.last_channels:  # so in the release: no scale and no ReLU, a 1x1 with its own norm and ReLU follows
        final = [layer for layer in layers.values() if isinstance(layer, Residual)][-1]
        final.scale, final.relu = 1.0, nn.Identity()
    return Inceptions(layers, channels, num_classes, dropout)
