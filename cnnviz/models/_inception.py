"""What the Inception networks share: branches side by side, built from tables, and the frame around them.

A table is a list of steps, each on what the one before it made:

- ``(channels, kernel_size, stride, padding)`` is a convolution with batch norm and ReLU; the last two may be left out,
  and then it keeps the size;
- a dict, name of a branch -> its steps, is branches side by side, their outputs stacked along the channels;
- a module, such as a pool, stands for itself.

Szegedy and others: arXiv 1409.4842 (GoogLeNet), 1502.03167 (BN-Inception), 1512.00567 (v2, v3), 1602.07261 (v4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cnnviz.models._network import Network, Outputs
from cnnviz.models._parts import Scale, Size
from cnnviz.models._unfilled import batch_norm2d, conv2d

Step = tuple[Any, ...] | dict[str, list[Any]] | nn.Module
Plan = Iterable[tuple[str, int, Callable[[int], nn.Module]]]  # name, how many, function of the channels that enter


class ConvNormRelu(nn.Module):
    """Convolution without bias, batch norm, ReLU; without a padding it keeps the size at stride 1.

    >>> ConvNormRelu(8, 16, (1, 7)).conv.padding
    (0, 3)
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Size, stride: int = 1, padding: Any = None
    ) -> None:
        super().__init__()
        height, width = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
        padding = (height // 2, width // 2) if padding is None else padding
        self.conv = conv2d(in_channels, out_channels, (height, width), stride, padding, bias=False)
        self.bn = batch_norm2d(out_channels, eps=0.001)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Apply the three in order."""
        return self.relu(self.bn(self.conv(x)))


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


def build(in_channels: int, steps: list[Step] | dict[str, list[Any]], w: Scale = int) -> nn.Module:
    """Build a table's layers; ``w`` scales every number of channels in it.

    >>> build(64, {"one": [(16, 1)], "three": [(32, 1), (48, 3)]})(torch.zeros(2, 64, 5, 5)).shape
    torch.Size([2, 64, 5, 5])
    """
    if isinstance(steps, dict):
        return Branches(**{name: build(in_channels, branch, w) for name, branch in steps.items()})
    layers = nn.Sequential()
    for step in steps:
        if isinstance(step, tuple):
            layer = ConvNormRelu(in_channels, w(step[0]), *step[1:])
        else:
            layer = step if isinstance(step, nn.Module) else build(in_channels, step, w)
        layers.append(layer)
        in_channels = width(layer, in_channels)
    return layers


def width(layer: nn.Module, in_channels: int) -> int:
    """Return how many channels leave a chain of convolutions, pools and branches that ``in_channels`` enter.

    >>> width(Branches(conv=ConvNormRelu(8, 2, 3), pool=nn.MaxPool2d(3, 1, 1)), 8)
    10
    """
    if isinstance(layer, nn.Conv2d):
        return layer.out_channels
    if isinstance(layer, Branches):
        return sum(width(branch, in_channels) for branch in layer.children())
    for child in layer.children():
        in_channels = width(child, in_channels)
    return in_channels


def stages(plan: Plan, channels: int) -> tuple[dict[str, nn.Module], int]:
    """Return the layers of a plan by name, numbered where there are several, and the channels that leave."""
    layers = {}
    for name, count, make in plan:
        for number in range(1, count + 1):
            layer = layers[name if count == 1 else f"{name}{number}"] = make(channels)
            channels = width(layer, channels)
    return layers, channels


class Inceptions(Network):
    """Named layers in a row, classifiers that read along, a global average, dropout and one dense layer.

    ``heads`` names, behind a layer, a small classifier and says which it is: with it gradients reach the early layers.
    It speaks in training mode only, and then a call returns :class:`Outputs`. ``transform_input`` turns pictures
    normalised with ImageNet's mean and deviation into ones from -1 to 1, on which TensorFlow's weights were trained.
    """

    def __init__(
        self, layers: Mapping[str, nn.Module], channels: int, num_classes: int, dropout: float,
        heads: Mapping[str, tuple[str, nn.Module]] | None = None, transform_input: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        heads = heads or {}
        self.order, self.readers = list(layers), {behind: name for behind, (name, _) in heads.items()}
        self.transform_input = transform_input
        for name, layer in [*layers.items(), *heads.values()]:
            self.add_module(name, layer)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor | Outputs:
        """Return class scores (N, num_classes) for pictures (N, in_channels, H, W)."""
        x, auxiliary = as_tensorflow(x) if self.transform_input else x, []
        for name in self.order:
            x = self.get_submodule(name)(x)
            if self.training and name in self.readers:
                auxiliary.append(self.get_submodule(self.readers[name])(x))
        logits = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        return Outputs(logits, tuple(auxiliary)) if auxiliary else logits


def as_tensorflow(x: Tensor) -> Tensor:
    """Turn pictures normalised with ImageNet's mean and deviation into ones from -1 to 1."""
    mean = x.new_tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = x.new_tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    return (x * deviation + mean - 0.5) / 0.5
