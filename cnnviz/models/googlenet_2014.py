"""GoogLeNet as in the paper: 5x5 branches, biases, local response normalisation, no batch norm.

Szegedy et al.: Going Deeper with Convolutions, CVPR 2015 (arXiv 1409.4842), table 1 and figure 3. What torchvision
ships as ``googlenet`` has batch norm, and 3x3 in place of the 5x5.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from cnnviz.models._network import Network, Outputs, initialise
from cnnviz.models._parts import Branches, check_share, keep_signal, scale, width
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
POOL_BEFORE, HEAD_BEFORE = ("4a", "5a"), ("4b", "4e")  # the heads read the outputs of 4a and 4d


def relu_conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution that keeps the size at stride 1, and its ReLU."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2)
    return nn.Sequential(conv, nn.ReLU())


def inception(in_channels: int, widths: Widths) -> Branches:
    """Return the module of figure 2b: 1x1, 3x3, 5x5 and a pool side by side, thinned by 1x1 first.

    Examples
    --------
    >>> from torch import zeros
    >>> inception(192, MODULES["3a"])(zeros(1, 192, 28, 28)).shape
    torch.Size([1, 256, 28, 28])
    """
    w = widths
    return Branches(
        one=relu_conv(in_channels, w.one, 1),
        three=nn.Sequential(relu_conv(in_channels, w.three_reduce, 1), relu_conv(w.three_reduce, w.three, 3)),
        five=nn.Sequential(relu_conv(in_channels, w.five_reduce, 1), relu_conv(w.five_reduce, w.five, 5)),
        pool=nn.Sequential(nn.MaxPool2d(3, 1, padding=1), relu_conv(in_channels, w.pool, 1)),
    )


def naive_inception(in_channels: int, widths: Widths) -> Branches:
    """Return the module of figure 2a, without 1x1 reductions; the pool passes all channels on.

    Examples
    --------
    >>> from torch import zeros
    >>> naive_inception(192, MODULES["3a"])(zeros(1, 192, 28, 28)).shape
    torch.Size([1, 416, 28, 28])
    """
    return Branches(
        one=relu_conv(in_channels, widths.one, 1),
        three=relu_conv(in_channels, widths.three, 3),
        five=relu_conv(in_channels, widths.five, 5),
        pool=nn.MaxPool2d(3, 1, padding=1),
    )


def head(in_channels: int, num_classes: int, channels: int) -> nn.Sequential:
    """Return an auxiliary classifier, for maps of 14x14 to 16x16."""
    return nn.Sequential(
        nn.AvgPool2d(5, 3),  # 14x14 -> 4x4
        relu_conv(in_channels, channels, 1),
        nn.Flatten(), nn.Linear(channels * 16, channels * 8), nn.ReLU(), nn.Dropout(0.7),
        nn.Linear(channels * 8, num_classes),
    )  # fmt: skip


class GoogLeNet2014(Network):
    """A stem, nine inception modules, an average and one dense layer; two heads that help in training."""

    def __init__(
        self, num_classes: int, in_channels: int, small: bool, aux_logits: bool, dropout: float, width_mult: float
    ) -> None:
        super().__init__()
        check_share("dropout", dropout)
        self.num_classes, self.small = num_classes, small
        w = scale(width_mult)
        first, second = w(64), w(192)
        self.stem = nn.Sequential(
            relu_conv(in_channels, first, *((3, 1) if small else (7, 2))),  # 64, 112, 112
            halve(not small), lrn(),  # 64, 56, 56
            relu_conv(first, first, 1),  # 64, 56, 56
            relu_conv(first, second, 3), lrn(),  # 192, 56, 56
            halve(not small),  # 192, 28, 28
        )  # fmt: skip
        self.inception, self.heads, channels = nn.ModuleDict(), nn.ModuleDict(), second
        for name, row in MODULES.items():
            if aux_logits and name in HEAD_BEFORE:
                self.heads[name] = head(channels, num_classes, w(128))
            module = inception(channels, Widths(*map(w, row)))
            self.inception[name] = nn.Sequential(halve(True), module) if name in POOL_BEFORE else module
            channels = width(module, channels)
        self.classifier = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, num_classes)
        )
        initialise(self, conv=keep_signal, linear=keep_signal)

    def forward(self, x: Tensor) -> Tensor | Outputs:
        """Return one score a class; in training, if there are heads, also theirs: the paper weighs each loss 0.3."""
        x, auxiliary = self.stem(x), []
        for name, module in self.inception.items():
            if self.training and name in self.heads:
                auxiliary.append(self.heads[name](x))
            x = module(x)
        logits = self.classifier(x)
        return Outputs(logits, tuple(auxiliary)) if auxiliary else logits


def halve(wanted: bool) -> nn.Module:
    """Return a pool of 3x3 with stride 2 whose last window may hang over the edge, or nothing."""
    return nn.MaxPool2d(3, 2, ceil_mode=True) if wanted else nn.Identity()


def lrn() -> nn.LocalResponseNorm:
    """Return the normalisation of AlexNet, with the numbers of the authors' Caffe model."""
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)


@register
def googlenet_2014(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, aux_logits: bool = False,
    dropout: float = 0.4, width_mult: float = 1.0,
) -> GoogLeNet2014:  # fmt: skip
    """Return GoogLeNet in the paper's form, for 224x224: 6,998,552 parameters, 13,378,280 with both heads.

    Parameters
    ----------
    num_classes, in_channels
        Scores out, channels in.
    small
        For 32x32: the first convolution is 3x3 with stride 1, and the stem's two pools are left out.
    aux_logits
        Whether to build the two auxiliary heads; in training mode the network then returns their scores too.
    dropout, width_mult
        Before the last layer; a factor on every width.

    Examples
    --------
    >>> sum(p.numel() for p in googlenet_2014().parameters())
    6998552
    """
    return GoogLeNet2014(num_classes, in_channels, small, aux_logits, dropout, width_mult)
