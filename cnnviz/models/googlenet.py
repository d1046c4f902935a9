"""GoogLeNet in the form that torchvision ships, with batch norm; for the paper's own, see ``googlenet_2014``."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from cnnviz.models._network import ConvNormRelu, Network, Outputs, initialise
from cnnviz.models._registry import register

# Szegedy et al., "Going deeper with convolutions", arXiv 1409.4842, table 1. This form came out of its authors' later
# code: batch norm behind every convolution, and a 3x3 where the table says 5x5.
# channels of 1x1; 1x1 before 3x3; 3x3; 1x1 before the second 3x3; second 3x3; 1x1 behind the pool
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "maxpool3": 3,
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "maxpool4": 2,
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
HEADS = {"4a": "aux1", "4d": "aux2"}  # the blocks behind which an auxiliary head reads along


class Inception(nn.Module):
    """Four branches side by side: 1x1; 1x1 and 3x3; 1x1 and 3x3; pool and 1x1."""

    def __init__(self, in_channels: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        one, before_three, three, before_five, five, behind_pool = channels
        conv1x1, conv3x3 = partial(ConvNormRelu, kernel_size=1), partial(ConvNormRelu, kernel_size=3, padding=1)
        self.branch1 = conv1x1(in_channels, one)
        self.branch2 = nn.Sequential(conv1x1(in_channels, before_three), conv3x3(before_three, three))
        self.branch3 = nn.Sequential(conv1x1(in_channels, before_five), conv3x3(before_five, five))
        pool = nn.MaxPool2d(kernel_size=3, stride=1, padding=1)
        self.branch4 = nn.Sequential(pool, conv1x1(in_channels, behind_pool))
        self.out_channels = one + three + five + behind_pool

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W)."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1)


class AuxiliaryHead(nn.Module):
    """A small classifier in the middle of the network, so that gradients reach the early layers."""

    def __init__(self, in_channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.conv = ConvNormRelu(in_channels, 128, kernel_size=1)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, num_classes)."""
        x = self.conv(self.pool(x)).flatten(1)  # (N, 2048)
        return self.fc2(self.dropout(self.relu(self.fc1(x))))


class GoogLeNet(Network):
    """A stem, nine inception modules, a global average and one dense layer."""

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        small: bool,
        aux_logits: bool,
        dropout: float,
        dropout_aux: float,
        transform_input: bool,
    ) -> None:
        super().__init__()
        self.small = small
        self.aux_logits = aux_logits
        self.transform_input = transform_input
        stem = {"kernel_size": 3, "padding": 1} if small else {"kernel_size": 7, "stride": 2, "padding": 3}
        self.conv1 = ConvNormRelu(in_channels, 64, **stem)
        self.maxpool1 = nn.Identity() if small else pool(3)
        self.conv2 = ConvNormRelu(64, 64, kernel_size=1)
        self.conv3 = ConvNormRelu(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = pool(3)
        channels = 192
        for name, row in INCEPTIONS.items():
            if isinstance(row, int):
                self.add_module(name, pool(row))
                continue
            inception = Inception(channels, row)
            self.add_module(f"inception{name}", inception)
            channels = inception.out_channels
            if aux_logits and name in HEADS:
                self.add_module(HEADS[name], AuxiliaryHead(channels, num_classes, dropout_aux))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        start = partial(nn.init.normal_, std=0.01)
        initialise(self, conv=start, linear=start, zero_biases=False)

    def forward(self, x: Tensor) -> Tensor | Outputs:
        """Return class scores (N, num_classes) for pictures (N, in_channels, H, W).

        With auxiliary heads and in training mode, their scores come along in an ``Outputs``.
        """
        if self.transform_input:
            x = as_tensorflow(x)
        x = self.maxpool1(self.conv1(x))  # (N, 3, 224, 224) -> (N, 64, 56, 56)
        x = self.maxpool2(self.conv3(self.conv2(x)))  # (N, 192, 28, 28)
        auxiliary = []
        for name, row in INCEPTIONS.items():  # 3a to 5b: (N, 256, 28, 28) ... (N, 512, 14, 14) ... (N, 1024, 7, 7)
            x = self.get_submodule(name if isinstance(row, int) else f"inception{name}")(x)
            if self.aux_logits and self.training and name in HEADS:
                auxiliary.append(self.get_submodule(HEADS[name])(x))
        x = self.avgpool(x).flatten(1)  # (N, 1024)
        logits = self.fc(self.dropout(x))
        return Outputs(logits, tuple(auxiliary)) if auxiliary else logits


def pool(kernel_size: int) -> nn.MaxPool2d:
    """Return a pool that halves the picture and counts a window that hangs over the edge."""
    return nn.MaxPool2d(kernel_size, stride=2, ceil_mode=True)


def as_tensorflow(x: Tensor) -> Tensor:
    """Turn pictures normalised with ImageNet's mean and deviation into ones from -1 to 1.

    The published weights of GoogLeNet and Inception v3 were trained in TensorFlow on such pictures.
    """
    mean = x.new_tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = x.new_tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    return (x * deviation + mean - 0.5) / 0.5


@register
def googlenet(
    num_classes: int = 1000,
    in_channels: int = 3,
    small: bool = False,
    aux_logits: bool = False,
    dropout: float = 0.2,
    dropout_aux: float = 0.7,
    transform_input: bool = False,
) -> GoogLeNet:
    """Build GoogLeNet for 224x224: 6,624,904 parameters, 13,004,888 with the two auxiliary heads (``aux_logits``).

    With heads, a call in training mode returns ``Outputs(logits, (aux1, aux2))``, to be added to the loss times 0.3.
    ``transform_input`` takes pictures normalised as for the other networks where the weights expect -1 to 1.
    ``small`` is for 32x32: a first convolution of 3x3, stride 1, and no pool behind it.
    """
    return GoogLeNet(num_classes, in_channels, small, aux_logits, dropout, dropout_aux, transform_input)
