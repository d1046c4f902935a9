"""The attributions of `inside` against their definitions, written out with autograd on random networks."""

from __future__ import annotations

import copy
import random
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from captum import attr
from torch import nn

from cnnviz import inside, models


class Net(nn.Module):
    """Convolutions with ReLUs as people write them: in place, shared by layers or by branches, read beside a skip."""

    def __init__(self, seed):
        super().__init__()
        chance = random.Random(seed)
        channels = chance.choice((2, 4))
        self.steps = [chance.choice(("plain", "shared", "branches", "skip", "residual", "pool")) for _ in range(3)]
        self.stem = nn.Conv2d(chance.choice((1, 3)), channels, 3)
        self.relu = nn.ReLU(inplace=chance.random() < 0.5)
        self.convs = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, groups=2) for _ in self.steps)
        self.others = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in self.steps)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in self.steps)
        self.relus = nn.ModuleList(nn.ReLU() for _ in self.steps)
        self.head = nn.Linear(channels, 5)
        self.places = ["stem", "convs.1", "convs.2"] + ["relus.2"] * (self.steps[2] not in ("shared", "branches"))
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


@pytest.mark.usefixtures("one_thread")
def test_saliency_guided_backpropagation_and_deconvnet_are_their_definitions_on_200_random_nets():
    found = largest_difference(range(200))
    assert max(found.values()) < 1e-6, found


def test_occlusion_is_the_mean_fall_of_the_score_over_the_windows_that_cover_a_pixel():
    net = models.create("lenet5").eval()
    x = torch.rand(32, 32)
    ours = inside.occlusion(net, x, target=4, window=7, stride=3, baseline=0.5)
    falls, covered = torch.zeros(32, 32), torch.zeros(32, 32)
    with torch.no_grad():
        for row in range(0, 28, 3):  # the last windows reach over the edge
            for column in range(0, 28, 3):
                patch = x.clone()
                patch[row : row + 7, column : column + 7] = 0.5
                falls[row : row + 7, column : column + 7] += (net(x[None, None]) - net(patch[None, None]))[0, 4]
                covered[row : row + 7, column : column + 7] += 1
    np.testing.assert_allclose(ours.values, falls / covered, atol=1e-6)


def test_grad_cam_is_its_definition():
    for seed in range(10):
        torch.manual_seed(seed)
        net = Net(seed).eval().requires_grad_(False)  # frozen, which captum alone does not take
        x = torch.randn(1, net.stem.in_channels, 11, 12)
        kept = []
        handle = net.convs[1].register_forward_hook(lambda *given, kept=kept: kept.append(given[2].requires_grad_()))
        score = net(x)[0, 2]
        handle.remove()
        weights = torch.autograd.grad(score, kept[0])[0].mean((2, 3), keepdim=True)
        maps = (weights * kept[0]).sum(1, keepdim=True).relu()
        enlarged = nn.functional.interpolate(maps, size=(11, 12), mode="bilinear")[0, 0].detach()
        np.testing.assert_allclose(inside.grad_cam(net, x, "convs.1", 2).values, enlarged, atol=1e-6)


def test_captum_alone_misses_skips_and_branches():
    """Why each ReLU gets a copy of its input: if captum learns this by itself, ours can go."""

    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.relu = nn.Conv2d(1, 2, 3), nn.ReLU()

        def forward(self, x):
            x = self.conv(x)
            return (self.relu(x) - 2 * x).mean((2, 3))

    torch.manual_seed(0)
    net, x = Skip().eval(), torch.rand(1, 1, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = attr.GuidedBackprop(copy.deepcopy(net)).attribute(x.clone(), 0)[0]
    ours = inside.guided_backpropagation(net, x, 0).values
    np.testing.assert_allclose(ours, by_hand(net, x[0], partial(scored, target=0), guided=True), atol=1e-6)
    assert np.abs(alone.detach().numpy() - ours).max() > 0.01
