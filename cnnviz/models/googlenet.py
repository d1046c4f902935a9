"""GoogLeNet: as torchvision ships it, and as in the paper (5x5 branches, biases, local response normalisation).

Szegedy et al., "Going deeper with convolutions", CVPR 2015 (arXiv 1409.4842), table 1 and figure 3. The shipped form
came out of its authors' later code: batch norm behind every convolution, and a 3x3 where the table says 5x5.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from cnnviz.models._inception import Branches, ConvNormRelu, Inceptions, width
from cnnviz.models._network import initialise
from cnnviz.models._parts import first_window, keep_signal, scale
from cnnviz.models._registry import register


class Widths(NamedTuple):
    """The columns of table 1: channels of each branch, and of the 1x1 that thins its input."""

    one: int
    three_reduce: int
    three: int
    five_reduce: int
    five: int
    pool: int


MODULES = {
    "3a": Widths(64, 96, 128, 16, 32, 32),  # 192 -> 256, 28x28
    "3b": Widths(128, 128, 192, 32, 96, 64),  # 256 -> 480, 28x28
    "4a": Widths(192, 96, 208, 16, 48, 64),  # 480 -> 512, 14x14
    "4b": Widths(160, 112, 224, 24, 64, 64),  # 512
    "4c": Widths(128, 128, 256, 24, 64, 64),  # 512
    "4d": Widths(112, 144, 288, 32, 64, 64),  # 512 -> 528
    "4e": Widths(256, 160, 320, 32, 128, 128),  # 528 -> 832, 14x14
    "5a": Widths(256, 160, 320, 32, 128, 128),  # 832, 7x7
    "5b": Widths(384, 192, 384, 48, 128, 128),  # 832 -> 1024, 7x7
}
POOLS = {"3b": "maxpool3", "4e": "maxpool4"}  # behind these modules
HEADS = {"4a": "aux1", "4d": "aux2"}
Conv = Callable[..., nn.Module]


def relu_conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution that keeps the size at stride 1, and its ReLU."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2), nn.ReLU())


def inception(in_channels: int, widths: Widths, conv: Conv = relu_conv, large: int = 5) -> Branches:
    """Return the module of figure 2b: 1x1, 3x3, 5x5 and a pool side by side, thinned by 1x1 first.

    Examples
    --------
    >>> from torch import zeros
    >>> inception(192, MODULES["3a"])(zeros(1, 192, 28, 28)).shape
    torch.Size([1, 256, 28, 28])
    """
    one, three_reduce, three, five_reduce, five, pool = widths
    return Branches(
        branch1=conv(in_channels, one, 1),
        branch2=nn.Sequential(conv(in_channels, three_reduce, 1), conv(three_reduce, three, 3)),
        branch3=nn.Sequential(conv(in_channels, five_reduce, 1), conv(five_reduce, five, large)),
        branch4=nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(in_channels, pool, 1)),
    )


def naive_inception(in_channels: int, widths: Widths) -> Branches:
    """Return the module of figure 2a, without 1x1 reductions; the pool passes all channels on.

    Examples
    --------
    >>> from torch import zeros
    >>> naive_inception(192, MODULES["3a"])(zeros(1, 192, 28, 28)).shape
    torch.Size([1, 416, 28, 28])
    """
    kernels = {"one": 1, "three": 3, "five": 5}
    convs = {name: relu_conv(in_channels, getattr(widths, name), size) for name, size in kernels.items()}
    return Branches(**convs, pool=nn.MaxPool2d(3, 1, padding=1))


class AuxiliaryHead(nn.Module):
    """A small classifier in the middle of the network, so that gradients reach the early layers."""

    def __init__(self, conv: nn.Module, pool: nn.Module, channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.pool, self.conv = pool, conv
        self.fc1 = nn.Linear(channels * 4 * 4, channels * 8)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(channels * 8, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, 14, 14) -> (N, num_classes)."""
        x = self.conv(self.pool(x)).flatten(1)  # (N, 128, 4, 4) -> (N, 2048)
        return self.fc2(self.dropout(self.relu(self.fc1(x))))


class GoogLeNet(Inceptions):
    """A stem, nine inception modules, a global average and one dense layer; two heads that help in training."""

    def __init__(
        self, paper: bool, num_classes: int, in_channels: int, small: bool, aux_logits: bool, dropout: float,
        dropout_aux: float, transform_input: bool, width_mult: float,
    ) -> None:  # fmt: skip
        w, conv, large = scale(width_mult), relu_conv if paper else ConvNormRelu, 5 if paper else 3
        layers: dict[str, nn.Module] = {
            "conv1": conv(in_channels, w(64), *first_window(small)),  # 64, 112, 112
            "maxpool1": nn.Identity() if small else pool(3),  # 64, 56, 56
            **({"norm1": lrn()} if paper else {}),
            "conv2": conv(w(64), w(64), 1),
            "conv3": conv(w(64), w(192), 3),  # 192, 56, 56
            **({"norm2": lrn()} if paper else {}),
            "maxpool2": pool(3),  # 192, 28, 28
        }
        heads, channels = {}, w(192)
        for name, row in MODULES.items():
            module = layers[f"inception{name}"] = inception(channels, Widths(*map(w, row)), conv, large)
            channels = width(module, channels)
            if name in POOLS:
                layers[POOLS[name]] = pool(3 if paper or name == "3b" else 2)
            if aux_logits and name in HEADS:
                shrink = nn.AvgPool2d(5, 3) if paper and not small else nn.AdaptiveAvgPool2d(4)  # 14x14 -> 4x4
                head = AuxiliaryHead(conv(channels, w(128), 1), shrink, w(128), num_classes, dropout_aux)
                heads[f"inception{name}"] = (HEADS[name], head)
        super().__init__(layers, channels, num_classes, dropout, heads, transform_input)
        if paper:
            initialise(self, conv=keep_signal, linear=keep_signal)
        else:
            start = partial(nn.init.normal_, std=0.01)
            initialise(self, conv=start, linear=start, zero_biases=False)


def pool(kernel_size: int) -> nn.MaxPool2d:
    """Return a pool that halves the picture and counts a window that hangs over the edge."""
    return nn.MaxPool2d(kernel_size, stride=2, ceil_mode=True)


def lrn() -> nn.LocalResponseNorm:
    """Return the normalisation of AlexNet, with the numbers of the authors' Caffe model."""
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)


@register
def googlenet(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, aux_logits: bool = False, dropout: float = 0.2,
    dropout_aux: float = 0.7, transform_input: bool = False, width_mult: float = 1.0,
) -> GoogLeNet:  # fmt: skip
    """Build GoogLeNet as shipped, for 224x224: 6,624,904 parameters, 13,004,888 with both heads (``aux_logits``).

    With heads, a call in training mode returns ``Outputs(logits, (aux1, aux2))``, to be added to the loss times 0.3.
    ``transform_input`` takes pictures normalised as for the other networks where the weights expect -1 to 1.
    ``small`` is for 32x32: a first convolution of 3x3, stride 1, and no pool behind it.
    """
    return GoogLeNet(
        False, num_classes, in_channels, small, aux_logits, dropout, dropout_aux, transform_input, width_mult
    )


@register
def googlenet_2014(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, aux_logits: bool = False, dropout: float = 0.4,
    dropout_aux: float = 0.7, width_mult: float = 1.0,
) -> GoogLeNet:  # fmt: skip
    """Build GoogLeNet as in the paper, for 224x224: 6,998,552 parameters, 13,378,280 with both heads.

    Heads and ``small`` are as in ``googlenet``.
    """
    return GoogLeNet(True, num_classes, in_channels, small, aux_logits, dropout, dropout_aux, False, width_mult)
