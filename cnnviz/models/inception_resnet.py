"""Inception-ResNet v2: inception modules whose output, thinned by a 1x1 and scaled down, is added to their input.

Szegedy, Ioffe, Vanhoucke, Alemi (arXiv 1602.07261), figures 15 to 19. The model that the authors released, counted
everywhere at 55.8 million parameters, differs from the drawings: it has the stem of Inception v3 with one module more
(320 channels), and 10, 20, 10 blocks where the figure has 5, 10, 5. Both are here.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from cnnviz.models._network import Network
from cnnviz.models._parts import Branches, Scale, chain, check_share, choose, conv, scale, width
from cnnviz.models._registry import register
from cnnviz.models.inception_v4 import average, check_modules, reduction_a, stack, stem


class Form(NamedTuple):
    """What the drawings and the released model do differently."""

    blocks: tuple[int, int, int]
    scales: tuple[float, float, float]  # "between 0.1 and 0.3" in the paper's section 3.3
    last_channels: int  # of a 1x1 convolution behind the last block; 0 for none


FORMS = {
    "released": Form((10, 20, 10), (0.17, 0.10, 0.20), 1536),
    "paper": Form((5, 10, 5), (0.17, 0.10, 0.20), 0),
}


class Residual(nn.Module):
    """x + scale * (branches, then a 1x1 without batch norm or ReLU), and a ReLU.

    Examples
    --------
    >>> from torch import zeros
    >>> Residual(block_a(320), 320, 0.17)(zeros(2, 320, 35, 35)).shape
    torch.Size([2, 320, 35, 35])
    """

    def __init__(self, branches: Branches, channels: int, scale: float, relu: bool = True) -> None:
        super().__init__()
        self.branches = branches
        self.linear = nn.Conv2d(width(branches, channels), channels, 1)
        self.scale = scale
        self.relu = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return maps of the shape they had."""
        return self.relu(x + self.scale * self.linear(self.branches(x)))


def block_a(c: int, w: Scale = int) -> Branches:
    """Return the branches of figure 16, for 35x35 maps."""
    return Branches(
        one=conv(c, w(32), 1),
        three=chain(c, (w(32), 1), (w(32), 3)),
        twice=chain(c, (w(32), 1), (w(48), 3), (w(64), 3)),
    )


def block_b(c: int, w: Scale = int) -> Branches:
    """Return the branches of figure 17, for 17x17 maps."""
    return Branches(one=conv(c, w(192), 1), seven=chain(c, (w(128), 1), (w(160), (1, 7)), (w(192), (7, 1))))


def block_c(c: int, w: Scale = int) -> Branches:
    """Return the branches of figure 19, for 8x8 maps."""
    return Branches(one=conv(c, w(192), 1), three=chain(c, (w(192), 1), (w(224), (1, 3)), (w(256), (3, 1))))


def reduction_b(c: int, w: Scale = int, pad: int = 0) -> Branches:
    """Return the reduction from 17x17 to 8x8, figure 18."""
    return Branches(
        three=nn.Sequential(conv(c, w(256), 1), conv(w(256), w(384), 3, 2, pad)),
        other=nn.Sequential(conv(c, w(256), 1), conv(w(256), w(288), 3, 2, pad)),
        twice=nn.Sequential(chain(c, (w(256), 1), (w(288), 3)), conv(w(288), w(320), 3, 2, pad)),
        pool=nn.MaxPool2d(3, 2, pad),
    )


def released_stem(in_channels: int, w: Scale = int, small: bool = False) -> nn.Sequential:
    """Return the stem of the released model, 299x299 to 320 maps of 35x35; small: 32x32 to 16x16."""
    pad, stride = (1, 1) if small else (0, 2)
    return nn.Sequential(
        conv(in_channels, w(32), 3, stride, pad),  # 32, 149, 149
        conv(w(32), w(32), 3, 1, pad),  # 32, 147, 147
        conv(w(32), w(64), 3),  # 64, 147, 147
        nn.MaxPool2d(3, stride, pad),  # 64, 73, 73
        conv(w(64), w(80), 1),  # 80, 73, 73
        conv(w(80), w(192), 3, 1, pad),  # 192, 71, 71
        nn.MaxPool2d(3, 2, pad),  # 192, 35, 35
        Branches(
            one=conv(w(192), w(96), 1),
            five=chain(w(192), (w(48), 1), (w(64), 5)),
            twice=chain(w(192), (w(64), 1), (w(96), 3), (w(96), 3)),
            pool=nn.Sequential(average(), conv(w(192), w(64), 1)),
        ),  # 320, 35, 35
    )


class InceptionResNetV2(Network):
    """Stem, blocks A, reduction, blocks B, reduction, blocks C, perhaps a 1x1, average, dropout, one dense layer."""

    def __init__(
        self, num_classes: int, in_channels: int, small: bool, form: str, blocks: tuple[int, int, int] | None,
        dropout: float, width_mult: float,
    ) -> None:  # fmt: skip
        super().__init__()
        check_share("dropout", dropout)
        chosen, w, pad = choose("form", form, FORMS), scale(width_mult), int(small)
        a, b, c = check_modules(chosen.blocks if blocks is None else blocks, "blocks")
        first = released_stem if form == "released" else stem
        scale_a, scale_b, scale_c = chosen.scales
        plan = [
            ("stem", 1, lambda n: first(n, w, small)),  # 320 (paper: 384), 35, 35
            ("a", a, lambda n: Residual(block_a(n, w), n, scale_a)),
            (
                "reduction_a",
                1,
                lambda n: reduction_a(n, *map(w, (256, 256, 384, 384)), pad),
            ),  # 1088 (paper: 1152), 17, 17
            ("b", b, lambda n: Residual(block_b(n, w), n, scale_b)),
            ("reduction_b", 1, lambda n: reduction_b(n, w, pad)),  # 2080 (paper: 2144), 8, 8
            ("c", c, lambda n: Residual(block_c(n, w), n, scale_c)),
        ]
        self.num_classes, self.small = num_classes, small
        self.features, channels = stack(plan, in_channels)
        if chosen.last_channels:
            last = list(self.features.children())[-1]
            last.scale, last.relu = 1.0, nn.Identity()  # so in the release: a 1x1 with its own norm and ReLU follows
            self.features.add_module("last", conv(channels, w(chosen.last_channels), 1))  # 1536, 8, 8
            channels = w(chosen.last_channels)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return one score a class."""
        return self.classifier(self.features(x))


@register
def inception_resnet_v2(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, form: str = "released",
    blocks: tuple[int, int, int] | None = None, dropout: float = 0.2, width_mult: float = 1.0,
) -> InceptionResNetV2:  # fmt: skip
    """Return Inception-ResNet v2, for 299x299.

    Parameters
    ----------
    num_classes, in_channels
        Scores out, channels in.
    small
        For 32x32: the stem halves the picture once (35x35 becomes 16x16), and padding makes the rest 8x8 and 4x4.
    form
        "released" (55,843,464 parameters) or "paper", as drawn.
    blocks
        How many blocks A, B and C, if not the form's own.
    dropout, width_mult
        Before the last layer; a factor on every width.

    Examples
    --------
    >>> inception_resnet_v2(small=True, blocks=(1, 1, 1), width_mult=0.125, num_classes=10).num_classes
    10
    """
    return InceptionResNetV2(num_classes, in_channels, small, form, blocks, dropout, width_mult)
