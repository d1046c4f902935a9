"""Residual networks for 32x32 pictures, 6n + 2 layers deep, with everything about the block that papers have varied.

He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016 (arXiv 1512.03385), section 4.2.
He, Zhang, Ren, Sun: Identity Mappings in Deep Residual Networks, ECCV 2016 (arXiv 1603.05027): shortcuts and orders.
Huang, Sun, Liu, Sedra, Weinberger: Deep Networks with Stochastic Depth, ECCV 2016 (arXiv 1603.09382).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cnnviz._checks import _whole
from cnnviz.models._network import Network, he_normal, initialise
from cnnviz.models._parts import check_share, choose, conv_norm
from cnnviz.models._registry import register, register_each

DEPTHS = {
    "resnet20_cifar": 20,
    "resnet32_cifar": 32,
    "resnet44_cifar": 44,
    "resnet56_cifar": 56,
    "resnet110_cifar": 110,
}


class Order(NamedTuple):
    """What the residual branch does, and what happens behind the addition."""

    branch: str
    after: str


# Figure 4 of Identity Mappings, (a) to (e); its table 2 gives the error of ResNet-110 on CIFAR-10.
ORDERS = {
    "original": Order("conv norm relu conv norm", "relu"),  # 6.61 %
    "norm_after_addition": Order("conv norm relu conv", "norm relu"),  # 8.17 %
    "relu_before_addition": Order("conv norm relu conv norm relu", ""),  # 7.84 %
    "relu_only_preactivation": Order("relu conv norm relu conv norm", ""),  # 6.71 %
    "full_preactivation": Order("norm relu conv norm relu conv", ""),  # 6.37 %
}


class Join(nn.Module):
    """What a block makes of its shortcut s and its branch f: here plain s + f, figure 2a of Identity Mappings."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """Return the sum, of the same shape."""
        return shortcut + branch


class ConstantJoin(Join):
    """0.5 s + 0.5 f, figure 2b: through many blocks the signal fades."""

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """Return the mean, of the same shape."""
        return 0.5 * shortcut + 0.5 * branch


class ShortcutGate(Join):
    """(1 - g) s + f, figure 2d, with a gate g = sigmoid(1x1 convolution of s) for every value.

    The bias starts at -6, the best of the paper's starts for this gate, so that the shortcut is nearly open.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gate = nn.Conv2d(channels, channels, 1)

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """Return the gated sum, of the same shape."""
        return (1 - torch.sigmoid(self.gate(shortcut))) * shortcut + branch


class ExclusiveGate(ShortcutGate):
    """(1 - g) s + g f, figure 2c, the gate of Highway Networks."""

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """Return the mixture, of the same shape."""
        gate = torch.sigmoid(self.gate(shortcut))
        return (1 - gate) * shortcut + gate * branch


class ConvJoin(Join):
    """A 1x1 convolution on the shortcut, figure 2e."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.conv = nn.Conv2d(channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """Return the sum, of the same shape."""
        return self.norm(self.conv(shortcut)) + branch


class DropoutJoin(Join):
    """Dropout of one half on the shortcut, figure 2f: it fails to converge in the paper."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.dropout = nn.Dropout(0.5)

    def forward(self, shortcut: Tensor, branch: Tensor) -> Tensor:
        """Return the sum, of the same shape."""
        return self.dropout(shortcut) + branch


# Figure 2 of Identity Mappings; errors of ResNet-110 on CIFAR-10 from its table 1.
SHORTCUTS = {
    "identity": Join,  # 6.61 %
    "constant": ConstantJoin,  # 12.35 %
    "exclusive_gate": ExclusiveGate,  # 8.70 %
    "shortcut_gate": ShortcutGate,  # 6.91 %
    "conv": ConvJoin,  # 12.22 %
    "dropout": DropoutJoin,  # does not learn (above 20 %)
}
GATE_BIAS = -6.0


class PadShortcut(nn.Module):
    """Every second pixel, and zeros in the new channels: a change of shape without parameters (option A)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = out_channels - in_channels, stride

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, H / stride, W / stride)."""
        before = self.extra // 2
        return nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.extra - before))


# Options A and B of Deep Residual Learning, section 4.1; B is a 1x1 convolution.
RESHAPES = {"pad": PadShortcut, "conv": lambda before, after, stride: conv_norm(before, after, 1, stride)}


class Recipe(NamedTuple):
    """The options of a network, checked: how each of its blocks is made."""

    order: Order
    join: type[Join]
    reshape: str
    plain: bool


class Block(nn.Module):
    """A branch of two 3x3 convolutions, a shortcut around it, and what joins them."""

    def __init__(
        self, in_channels: int, channels: int, stride: int, recipe: Recipe, survival: float, first: bool
    ) -> None:
        super().__init__()
        self.branch = steps(recipe.order.branch, in_channels, channels, stride, skip_leading=first)
        self.shortcut = nn.Identity()
        if not recipe.plain and (stride > 1 or in_channels != channels):
            self.shortcut = RESHAPES[recipe.reshape](in_channels, channels, stride)
        self.join = None if recipe.plain else recipe.join(channels)
        self.after = steps(recipe.order.after, channels, channels)
        self.survival = survival

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, channels, H / stride, W / stride)."""
        if self.join is None:
            return self.after(self.branch(x))
        shortcut = self.shortcut(x)
        if self.training and self.survival < 1:
            if torch.rand((), device="cpu") >= self.survival:
                return self.after(shortcut)  # this block sleeps for this batch
            return self.after(self.join(shortcut, self.branch(x)))
        branch = self.branch(x)
        if self.survival < 1:
            branch = self.survival * branch  # awake all the time, so only as loud as it was on average
        return self.after(self.join(shortcut, branch))


def steps(words: str, in_channels: int, channels: int, stride: int = 1, skip_leading: bool = False) -> nn.Sequential:
    """Return the layers that an :class:`Order` names; the first convolution changes channels and size.

    Examples
    --------
    >>> [type(layer).__name__ for layer in steps("relu conv norm", 16, 32)]
    ['ReLU', 'Conv2d', 'BatchNorm2d']
    """
    layers = nn.Sequential()
    for word in words.split():
        if word == "conv":
            layers.append(nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False))
            in_channels, stride, skip_leading = channels, 1, False
        elif not skip_leading:
            layers.append(nn.BatchNorm2d(in_channels) if word == "norm" else nn.ReLU())
    return layers


class ResNetCifar(Network):
    """A convolution, three stages of n blocks on 32x32, 16x16 and 8x8 maps, an average and one dense layer.

    ``blocks`` is a flat list of the 3n blocks, so that one can be deleted: ``net.blocks[4] = nn.Identity()``. All but
    the first of stages 2 and 3 keep the shape and can go.
    """

    def __init__(
        self, depth: int, num_classes: int, in_channels: int, width: int, recipe: Recipe, survival: float
    ) -> None:
        super().__init__()
        count = (depth - 2) // 6
        self.stem = conv_norm(in_channels, width, 3, relu=nn.ReLU)
        self.blocks, channels = nn.Sequential(), width
        for index in range(3 * count):
            out_channels = width * 2 ** (index // count)  # 16, 32, 64
            stride = 2 if index in (count, 2 * count) else 1  # 32x32, 16x16, 8x8
            awake = 1 - (index + 1) / (3 * count) * (1 - survival)  # falls linearly with depth
            # The stem's norm and ReLU stand in for those that would lead the first block, before its paths part.
            self.blocks.append(Block(channels, out_channels, stride, recipe, awake, first=index == 0))
            channels = out_channels
        missing = "" if recipe.order.branch.endswith("relu") or recipe.order.after else recipe.order.branch
        self.last = steps(missing.split("conv")[0], channels, channels)  # what the next block would have begun with
        self.average = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(channels, num_classes)
        initialise(self, conv=he_normal)
        for module in self.modules():
            if isinstance(module, ShortcutGate):
                nn.init.constant_(module.gate.bias, GATE_BIAS)

    def forward(self, x: Tensor) -> Tensor:
        """Return one score a class."""
        return self.classifier(self.average(self.last(self.blocks(self.stem(x)))))


@register
def resnet_cifar(
    num_classes: int = 10, in_channels: int = 3, depth: int = 20, plain: bool = False, order: str = "original",
    shortcut: str = "identity", reshape: str = "pad", survival: float = 1.0, width: int = 16,
) -> ResNetCifar:  # fmt: skip
    """Return a residual network for 32x32 pictures of any depth 6n + 2: 8, 14, 20, 26, ...

    Parameters
    ----------
    depth
        Layers with weights, n blocks of two convolutions in each of three stages.
    plain
        Leave out the shortcuts: the network whose training error grows with depth.
    order
        Where norm and ReLU stand: "original", "norm_after_addition", "relu_before_addition",
        "relu_only_preactivation" or "full_preactivation".
    shortcut
        "identity", "constant", "exclusive_gate", "shortcut_gate", "conv" or "dropout".
    reshape
        How a shortcut changes shape: "pad" with zeros, no parameters (option A), or "conv" (option B).
    survival
        Stochastic depth: the chance that the last block is awake in a training step; 0.5 in the paper, 1 for none.
    width
        Channels of the first stage.

    Examples
    --------
    >>> resnet_cifar(depth=8, width=4, order="full_preactivation")(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    _whole("depth", depth, 8)
    _whole("width", width, 1)
    check_share("survival", survival, "above 0")
    choose("reshape", reshape, RESHAPES)
    recipe = Recipe(choose("order", order, ORDERS), choose("shortcut", shortcut, SHORTCUTS), reshape, plain)
    if depth % 6 != 2:
        below = depth - (depth - 2) % 6
        raise ValueError(f"depth {depth} is not 6n + 2: use {below} or {below + 6}")
    if plain and (shortcut, reshape, survival) != ("identity", "pad", 1):
        raise ValueError("plain=True has no shortcuts: leave shortcut, reshape and survival alone, or plain=False")
    if survival != 1 and shortcut != "identity":
        raise ValueError(f"survival {survival} is stochastic depth, which needs shortcut 'identity', not {shortcut!r}")
    return ResNetCifar(depth, num_classes, in_channels, width, recipe, survival)


@register_each(DEPTHS)
def resnet_6n2(
    depth: int, num_classes: int = 10, in_channels: int = 3, plain: bool = False, order: str = "original",
    shortcut: str = "identity", reshape: str = "pad", survival: float = 1.0, width: int = 16,
) -> ResNetCifar:  # fmt: skip
    """Return a residual network for 32x32 pictures; see :func:`resnet_cifar`, which takes any depth.

    Examples
    --------
    >>> sum(p.numel() for p in resnet_6n2(20).parameters())
    269722
    """
    return resnet_cifar(num_classes, in_channels, depth, plain, order, shortcut, reshape, survival, width)
