"""Small random networks, each with its bill worked out by hand formulas beside it."""

from __future__ import annotations

import random
from math import prod

import torch
import torch.nn.functional as F
from torch import nn

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
BACK = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
CALLS = (F.conv1d, F.conv2d, F.conv3d)


class RandomNet(nn.Module):
    """A chain of 1 to 5 layers: grouped, dilated, transposed, functional, shared; then perhaps a dense layer."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        chance = random.Random(seed)
        self.axes = chance.choice((1, 2, 2, 2, 3))
        self.input_size = (chance.choice((2, 4, 6)), *(chance.randint(9, 13) for _ in range(self.axes)))
        self.macs = self.params = 0
        self.layers = nn.ModuleList()
        self.steps: list[tuple[str, dict]] = []
        channels, sides = self.input_size[0], self.input_size[1:]
        for _ in range(chance.randint(1, 5)):
            kind = chance.choice(("conv", "conv", "functional", "transposed", "shared", "pointwise"))
            channels, sides = getattr(self, f"_{kind}")(chance, channels, sides)
        if chance.random() < 0.3:
            self.layers.append(nn.Linear(channels * prod(sides), 7))
            self.steps.append(("dense", {}))
            self.macs += channels * prod(sides) * 7
            self.params += (channels * prod(sides) + 1) * 7

    def _numbers(self, chance, channels, sides):
        kernel = tuple(chance.randint(1, 3) for _ in sides)
        groups = chance.choice([g for g in (1, 2, 3) if channels % g == 0])
        options = {"stride": chance.randint(1, 2), "padding": chance.randint(0, 1), "dilation": chance.randint(1, 2)}
        return kernel, groups, groups * chance.randint(1, 4), options

    def _conv(self, chance, channels, sides, functional=False):
        kernel, groups, out, options = self._numbers(chance, channels, sides)
        reach = [n + 2 * options["padding"] - options["dilation"] * (k - 1) for n, k in zip(sides, kernel, strict=True)]
        if min(reach) < 1:
            return channels, sides
        after = tuple((n - 1) // options["stride"] + 1 for n in reach)
        layer = CONVS[self.axes - 1](channels, out, kernel, groups=groups, bias=chance.random() < 0.5, **options)
        self._add(layer, "functional" if functional else "call", out * (channels // groups) * prod(kernel), prod(after))
        self.params += 0 if layer.bias is None else out
        return out, after

    def _functional(self, chance, channels, sides):
        return self._conv(chance, channels, sides, functional=True)

    def _transposed(self, chance, channels, sides):
        kernel, groups, out, options = self._numbers(chance, channels, sides)
        pad, dilation, stride = options["padding"], options["dilation"], options["stride"]
        after = tuple((n - 1) * stride - 2 * pad + dilation * (k - 1) + 1 for n, k in zip(sides, kernel, strict=True))
        if not 1 <= min(after) <= max(after) <= 40:
            return channels, sides
        layer = BACK[self.axes - 1](channels, out, kernel, groups=groups, bias=chance.random() < 0.5, **options)
        # every input value meets every weight of its group once
        self._add(layer, "call", channels * (out // groups) * prod(kernel), prod(sides))
        self.params += 0 if layer.bias is None else out
        return out, after

    def _shared(self, chance, channels, sides):
        layer = CONVS[self.axes - 1](channels, channels, 3, padding=1)
        times = chance.randint(2, 3)
        self._add(layer, "call", channels * channels * 3**self.axes, prod(sides) * times, prod(sides))
        self.steps += [("again", {})] * (times - 1)
        self.params += channels
        return channels, sides

    def _pointwise(self, chance, channels, sides):
        self.layers.append(chance.choice((nn.ReLU(), nn.ReLU(inplace=True), nn.Sigmoid(), nn.Identity())))
        self.steps.append(("call", {}))
        return channels, sides

    def _add(self, layer, step, weights, places, _=0):
        assert layer.weight.numel() == weights
        self.layers.append(layer)
        self.steps.append((step, {}))
        self.macs += weights * places
        self.params += weights

    def forward(self, x):
        waiting = iter(self.layers)
        layer = None
        for step, _ in self.steps:
            if step != "again":
                layer = next(waiting)
            if step == "dense":
                x = layer(torch.flatten(x, 1))
            elif step == "functional":
                numbers = layer.stride, layer.padding, layer.dilation, layer.groups
                x = CALLS[self.axes - 1](x, layer.weight, layer.bias, *numbers)
            else:
                x = layer(x)
        return x
