"""AlexNet as in 2012: two groups (one a GPU), local response normalisation, overlapping pools, a 227x227 input.

Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep Convolutional Neural Networks, NIPS 2012. The paper
says 224, but its 55x55 maps need 227 (or a padding that it does not mention).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from cnnviz._checks import _whole
from cnnviz.geometry import Window
from cnnviz.models._network import Network, initialise
from cnnviz.models._parts import ACTIVATIONS, choose, keep_signal, scale
from cnnviz.models._registry import register


class Convolution(NamedTuple):
    """A convolution with its activation, then perhaps local response normalisation and a pool."""

    channels: int
    kernel_size: int
    stride: int
    padding: int
    groups: int = 1
    normalised: bool = False
    pooled: bool = False


LAYERS = (
    Convolution(96, 11, 4, 0, normalised=True, pooled=True),  # 227 -> 55 -> 27
    Convolution(256, 5, 1, 2, groups=2, normalised=True, pooled=True),  # 27 -> 13
    Convolution(384, 3, 1, 1),  # 13: the only convolution in which the two GPUs meet
    Convolution(384, 3, 1, 1, groups=2),  # 13
    Convolution(256, 3, 1, 1, groups=2, pooled=True),  # 13 -> 6
)

Start = Callable[[Tensor], Any]
STARTS: dict[str, Start | None] = {
    "torch": None,  # uniform, variance 1 / (3 fan in): half of what tanh wants and a sixth of what ReLU wants
    "he": keep_signal,
    "xavier": nn.init.xavier_normal_,
    "paper": lambda weight: nn.init.normal_(weight, std=0.01),  # the biases of the paper are at `paper_biases`
}


class AlexNet2012(Network):
    """Five convolutions and three dense layers, of any table of :class:`Convolution`; ZFNet is one too."""

    def __init__(
        self, layers: Sequence[Convolution], pool: Window, picture: int, num_classes: int, in_channels: int,
        activation: str, dropout: float, init: str, width_mult: float,
    ) -> None:  # fmt: skip
        super().__init__()
        w = scale(width_mult, multiple=2)  # two groups
        act, start = choose("activation", activation, ACTIVATIONS), choose("init", init, STARTS)
        self.picture, self.side = picture, last_side(layers, pool, picture)
        self.features = nn.Sequential()
        for layer in layers:
            channels = w(layer.channels)
            geometry = (layer.kernel_size, layer.stride, layer.padding)
            self.features.append(nn.Conv2d(in_channels, channels, *geometry, groups=layer.groups)).append(act())
            if layer.normalised:  # torch divides alpha by the size, the paper does not: 5 x its 0.0001
                self.features.append(nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0))
            if layer.pooled:
                self.features.append(nn.MaxPool2d(pool.kernel_size, pool.stride, ceil_mode=pool.ceil_mode))
            in_channels = channels
        hidden = w(4096)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_channels * self.side**2, hidden), act(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden), act(), nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )  # fmt: skip
        initialise(self, conv=start, linear=start)
        if init == "paper":
            paper_biases(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return one score a class."""
        maps = self.features(x)
        if maps.shape[-2:] != (self.side, self.side):
            given, got = ("x".join(map(str, picture.shape[-2:])) for picture in (x, maps))
            built = f"layer classifier.1 gets maps of {got}, but was built for {self.side}x{self.side}"
            raise ValueError(f"{self.name}: {built}: use pictures of {self.picture}x{self.picture}, not {given}")
        return self.classifier(maps)


def last_side(layers: Sequence[Convolution], pool: Window, side: int) -> int:
    """Return the side of the last maps of a square picture.

    >>> last_side(LAYERS, Window(kernel_size=3, stride=2), 227)
    6
    """
    for layer in layers:
        side, _ = Window(layer.kernel_size, layer.stride, layer.padding).output_size((side, side))
        side, _ = pool.output_size((side, side)) if layer.pooled else (side, side)
    return side


def paper_biases(network: AlexNet2012) -> None:
    """Start the biases of convolutions 2, 4, 5 and of the hidden dense layers at 1, so that their ReLUs are awake."""
    convolutions = [layer for layer in network.features if isinstance(layer, nn.Conv2d)]
    dense = [layer for layer in network.classifier if isinstance(layer, nn.Linear)]
    for layer in (convolutions[1], *convolutions[3:], *dense[:-1]):
        nn.init.ones_(layer.bias)


def small_stem(layers: Sequence[Convolution]) -> list[Convolution]:
    """Return the table with a first convolution of 3x3, stride 1 and padding 1."""
    return [layers[0]._replace(kernel_size=3, stride=1, padding=1), *layers[1:]]


@register
def alexnet_2012(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, groups: int = 2, lrn: bool = True,
    overlapping: bool = True, activation: str = "relu", dropout: float = 0.5, init: str = "he",
    width_mult: float = 1.0,
) -> AlexNet2012:  # fmt: skip
    """Return the AlexNet of the paper, for 227x227; every ingredient can be taken out.

    Parameters
    ----------
    small
        For 32x32: the first convolution is 3x3 with stride 1. The pools stay, so that the last maps are 3x3.
    groups
        2 as on the paper's two GPUs, or 1.
    lrn, overlapping, activation, dropout
        Local response normalisation or none; pools of 3x3 or of 2x2, stride 2 both; "relu", "tanh" or "sigmoid".
    init
        "he", "xavier", "torch" (what torch draws by itself) or "paper": N(0, 0.01²), and biases of 1 where it has them.
    width_mult
        Scales every layer's width.

    Examples
    --------
    >>> alexnet_2012(small=True, width_mult=0.125, num_classes=10).classifier[1]
    Linear(in_features=288, out_features=512, bias=True)
    """
    _whole("groups", groups, 1)
    if groups > 2:
        raise ValueError(f"groups {groups} is not an AlexNet of the paper: use 1 or 2")
    layers = [
        row._replace(groups=min(row.groups, groups), normalised=row.normalised and lrn)
        for row in (small_stem(LAYERS) if small else LAYERS)
    ]
    pool = Window(kernel_size=3 if overlapping else 2, stride=2)
    picture = 32 if small else 227
    return AlexNet2012(layers, pool, picture, num_classes, in_channels, activation, dropout, init, width_mult)
