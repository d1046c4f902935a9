"""Inception v4: a deeper stem, three kinds of module, two reductions, and no dense layer but the last.

Szegedy, Ioffe, Vanhoucke, Alemi: Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning,
AAAI 2017 (arXiv 1602.07261), figures 3 to 9. "V" in the paper's drawings is a padding of 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from cnnviz.models._network import Network
from cnnviz.models._parts import Branches, Scale, chain, check_share, check_whole, conv, scale, width
from cnnviz.models._registry import register

MODULES = (4, 7, 3)  # modules A, B, C


def stem(in_channels: int, w: Scale = int, small: bool = False) -> nn.Sequential:
    """Return the stem of figure 3, 299x299 to 384 maps of 35x35; small: 32x32 to 16x16, its steps 1, 1, 1, 2."""
    pad, stride = (1, 1) if small else (0, 2)  # padded, the small stem keeps the size until the last step
    return nn.Sequential(
        conv(in_channels, w(32), 3, stride, pad),  # 32, 149, 149
        conv(w(32), w(32), 3, 1, pad),  # 32, 147, 147
        conv(w(32), w(64), 3),  # 64, 147, 147
        Branches(pool=nn.MaxPool2d(3, stride, pad), conv=conv(w(64), w(96), 3, stride, pad)),  # 160, 73, 73
        Branches(
            short=nn.Sequential(conv(w(64) + w(96), w(64), 1), conv(w(64), w(96), 3, 1, pad)),
            long=nn.Sequential(
                chain(w(64) + w(96), (w(64), 1), (w(64), (7, 1)), (w(64), (1, 7))), conv(w(64), w(96), 3, 1, pad)
            ),
        ),  # 192, 71, 71
        Branches(conv=conv(2 * w(96), w(192), 3, 2, pad), pool=nn.MaxPool2d(3, 2, pad)),  # 384, 35, 35
    )


def module_a(c: int, w: Scale = int) -> Branches:
    """Return the module for 35x35 maps, figure 4: 384 channels to 384."""
    return Branches(
        pool=nn.Sequential(average(), conv(c, w(96), 1)),
        one=conv(c, w(96), 1),
        three=chain(c, (w(64), 1), (w(96), 3)),
        twice=chain(c, (w(64), 1), (w(96), 3), (w(96), 3)),
    )


def module_b(c: int, w: Scale = int) -> Branches:
    """Return the module for 17x17 maps, figure 5: 1024 channels to 1024."""
    return Branches(
        pool=nn.Sequential(average(), conv(c, w(128), 1)),
        one=conv(c, w(384), 1),
        seven=chain(c, (w(192), 1), (w(224), (1, 7)), (w(256), (7, 1))),
        twice=chain(c, (w(192), 1), (w(192), (1, 7)), (w(224), (7, 1)), (w(224), (1, 7)), (w(256), (7, 1))),
    )


def module_c(c: int, w: Scale = int) -> Branches:
    """Return the module for 8x8 maps, figure 6: 1536 channels to 1536; its branches end in 1x3 beside 3x1."""

    def fork(channels: int) -> Branches:
        return Branches(flat=conv(channels, w(256), (1, 3)), tall=conv(channels, w(256), (3, 1)))

    return Branches(
        pool=nn.Sequential(average(), conv(c, w(256), 1)),
        one=conv(c, w(256), 1),
        three=nn.Sequential(conv(c, w(384), 1), fork(w(384))),
        twice=nn.Sequential(chain(c, (w(384), 1), (w(448), (1, 3)), (w(512), (3, 1))), fork(w(512))),
    )


def reduction_a(c: int, k: int, l: int, m: int, n: int, pad: int = 0) -> Branches:  # noqa: E741 (the paper's letters)
    """Return the reduction from 35x35 to 17x17, figure 7; table 1 gives k, l, m, n."""
    return Branches(
        pool=nn.MaxPool2d(3, 2, pad),
        three=conv(c, n, 3, 2, pad),
        twice=nn.Sequential(chain(c, (k, 1), (l, 3)), conv(l, m, 3, 2, pad)),
    )


def reduction_b(c: int, w: Scale = int, pad: int = 0) -> Branches:
    """Return the reduction from 17x17 to 8x8, figure 8: 1024 channels to 1536."""
    return Branches(
        pool=nn.MaxPool2d(3, 2, pad),
        three=nn.Sequential(conv(c, w(192), 1), conv(w(192), w(192), 3, 2, pad)),
        seven=nn.Sequential(chain(c, (w(256), 1), (w(256), (1, 7)), (w(320), (7, 1))), conv(w(320), w(320), 3, 2, pad)),
    )


def average() -> nn.AvgPool2d:
    """Return the average over 3x3 that keeps the size; padding does not count."""
    return nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)


def check_modules(modules: object, option: str = "modules") -> tuple[int, int, int]:
    """Return how many modules A, B and C there are, or refuse."""
    if not isinstance(modules, (tuple, list)) or len(modules) != 3:
        raise ValueError(
            f"{option} {modules!r} is not three numbers, those of the {option} A, B and C, such as (4, 7, 3)"
        )
    for count in modules:
        check_whole(option, count)
    return tuple(modules)


class InceptionV4(Network):
    """Stem, modules A, reduction, modules B, reduction, modules C, average, dropout, one dense layer."""

    def __init__(
        self, num_classes: int, in_channels: int, small: bool, modules: tuple[int, int, int], dropout: float,
        width_mult: float,
    ) -> None:  # fmt: skip
        super().__init__()
        check_share("dropout", dropout)
        w, pad = scale(width_mult), int(small)
        a, b, c = check_modules(modules)
        plan = [
            ("stem", 1, lambda channels: stem(channels, w, small)),  # 384, 35, 35
            ("a", a, lambda channels: module_a(channels, w)),  # 384, 35, 35
            (
                "reduction_a",
                1,
                lambda channels: reduction_a(channels, *map(w, (192, 224, 256, 384)), pad),
            ),  # 1024, 17, 17
            ("b", b, lambda channels: module_b(channels, w)),  # 1024, 17, 17
            ("reduction_b", 1, lambda channels: reduction_b(channels, w, pad)),  # 1536, 8, 8
            ("c", c, lambda channels: module_c(channels, w)),  # 1536, 8, 8
        ]
        self.num_classes, self.small = num_classes, small
        self.features, channels = stack(plan, in_channels)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return one score a class."""
        return self.classifier(self.features(x))


def stack(plan: Sequence[tuple[str, int, Callable[[int], nn.Module]]], channels: int) -> tuple[nn.Sequential, int]:
    """Return the layers of a plan (name, how many, function of the channels that enter) and the channels that leave."""
    layers = nn.Sequential()
    for name, count, build in plan:
        for index in range(count):
            layer = build(channels)
            layers.add_module(name if count == 1 else f"{name}{index + 1}", layer)
            channels = width(layer, channels)
    return layers, channels


@register
def inception_v4(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, modules: tuple[int, int, int] = MODULES,
    dropout: float = 0.2, width_mult: float = 1.0,
) -> InceptionV4:  # fmt: skip
    """Return Inception v4, for 299x299: 42,679,816 parameters.

    Parameters
    ----------
    num_classes, in_channels
        Scores out, channels in.
    small
        For 32x32: the stem halves the picture once (35x35 becomes 16x16), and padding makes the rest 8x8 and 4x4.
    modules
        How many modules A, B and C; (4, 7, 3) in the paper, (1, 1, 1) is the quickest net.
    dropout, width_mult
        Before the last layer; a factor on every width.

    Examples
    --------
    >>> inception_v4(small=True, modules=(1, 1, 1), width_mult=0.125, num_classes=10).num_classes
    10
    """
    return InceptionV4(num_classes, in_channels, small, modules, dropout, width_mult)
