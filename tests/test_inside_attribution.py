"""The attributions of `inside` against their definitions, written out with autograd on random networks."""

from __future__ import annotations

import copy
import random
from functools import partial

import numpy as np
import torch
from torch import nn

from cnnviz import inside


class Net(nn.Module):
    """Convolutions with ReLUs as people write them: in place, shared by layers or by branches, read beside a skip."""

    def __init__(self, seed):
        super().__init__()
        chance = random.Random(seed)
        channels = chance.choice((2, 4))
        self.steps = [chance.choice(("plain", "shared", "branches", "skip", "residual", "pool")) for _ in range(4)]
        self.stem = nn.Conv2d(chance.choice((1, 3)), channels, 3)
        self.relu = nn.ReLU(inplace=chance.random() < 0.5)
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, groups=2) for _ in self.steps)
        self.others = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in self.steps)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in self.steps)
        self.relus = nn.ModuleList(nn.ReLU() for _ in self.steps)
        self.head = nn.Linear(channels, 5)
        self.places = ["stem", "convs.1", "convs.3"] + ["relus.3"] * (self.steps[3] not in ("shared", "branches"))
        for norm in self.norms:
            nn.init.normal_(norm.running_mean, std=0.3)

    def forward(self, x):
        x = self.relu(self.stem(x))
        for step, conv, other, norm, relu in zip(
            self.steps, self.convs, self.others, self.norms, self.relus, strict=True
        ):
            if step == "plain":
                x = relu(norm(conv(x)))
            elif step == "shared":
                x = self.relu(conv(x))
            elif step == "branches":  # one module, two branches
                a, b = conv(x), other(x)
                x = relu(a) - relu(b)
            elif step == "skip":  # what the ReLU reads is read by another too
                x = norm(conv(x))
                x = 0.5 * x - relu(x)
            elif step == "residual":
                x = relu(x + conv(x))
            else:
                x = nn.functional.max_pool2d(relu(conv(x)), 2, ceil_mode=True)
        return self.head(x.mean((2, 3)))


class Rule(torch.autograd.Function):
    """ReLU whose gradient is changed as a paper says."""

    @staticmethod
    def forward(context, x, guided):
        context.save_for_backward(x)
        context.guided = guided
        return x.clamp(min=0)

    @staticmethod
    def backward(context, gradient):
        (x,) = context.saved_tensors
        return gradient.clamp(min=0) * ((x > 0) if context.guided else 1), None


class Written(nn.Module):
    def __init__(self, guided):
        super().__init__()
        self.guided = guided

    def forward(self, x):
        return Rule.apply(x, self.guided)


def by_hand(net, x, of, guided=None):
    """The gradient of ``of(net, x)``, with every ReLU replaced by the written rule."""
    net = copy.deepcopy(net).eval()
    if guided is not None:
        for module in list(net.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.ReLU):
                    setattr(module, name, Written(guided))
    x = x[None].clone().requires_grad_()
    return torch.autograd.grad(of(net, x), x)[0][0].numpy()


def scored(net, x, target):
    return net(x)[0, target]


def strongest(net, x, layer, channel):
    kept = []
    net.get_submodule(layer).register_forward_hook(lambda *given: kept.append(given[2].clone()))
    net(x)
    values = kept[-1][0, channel].flatten()
    return values[values.argmax()]


def largest_difference(seeds):
    """How far each method is from its definition, the largest over random networks; results are below 1 or so."""
    worst = dict.fromkeys(("saliency", "guided backpropagation", "deconvnet"), 0.0)
    for seed in seeds:
        torch.manual_seed(seed)
        net, target, channel = Net(seed).eval(), seed % 5, seed % 2
        x, layer = torch.randn(net.stem.in_channels, 11, 12), net.places[seed % len(net.places)]
        score, start = partial(scored, target=target), partial(strongest, layer=layer, channel=channel)
        found = {
            "saliency": (inside.saliency(net, x, target), np.abs(by_hand(net, x, score)).max(0)),
            "guided backpropagation": (
                inside.guided_backpropagation(net, x, target),
                by_hand(net, x, score, guided=True),
            ),
            "deconvnet": (
                inside.deconvnet(net, x, layer, channel),
                by_hand(net, x, start, guided=False) * max(0, start(copy.deepcopy(net), x[None]).item()),
            ),
        }
        for name, (ours, theirs) in found.items():
            assert np.shape(ours.values) == theirs.shape
            worst[name] = max(worst[name], float(np.abs(ours.values - theirs).max()))
    return worst


def test_saliency_guided_backpropagation_and_deconvnet_are_their_definitions_on_200_random_nets():
    for method, difference in largest_difference(range(200)).items():
        assert difference < 1e-6, method
