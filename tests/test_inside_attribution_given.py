"""What `inside` is given: networks that stay as they were, pictures made to fit and said so, and what is refused."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from cnnviz import inside, models
from cnnviz.inside._layers import as_batch, convolutions, find_layer, fitted, quiet


class Functional(nn.Module):
    """One ReLU as a module, and one of the ways to call it as a function."""

    def __init__(self, relu, modules=True):
        super().__init__()
        self.conv1, self.act, self.conv2 = nn.Conv2d(1, 3, 3), nn.ReLU() if modules else nn.Tanh(), nn.Conv2d(3, 4, 3)
        self.fc, self.relu = nn.Linear(4, 3), relu

    def forward(self, x):
        x = self.relu(self.conv2(self.act(self.conv1(x))))
        return self.fc(x.mean((2, 3)))


WAYS = (
    functional.relu, torch.relu, torch.relu_, torch.Tensor.relu, lambda x: functional.relu(x, inplace=True),
    lambda x: x.clamp(min=0), lambda x: x.clamp_min(0), lambda x: functional.threshold(x, 0, 0), torch.ops.aten.relu,
    lambda x: nn.ReLU()(x),
    lambda x: torch.where(x > 0, x, 0), lambda x: x * (x > 0), lambda x: torch.maximum(x, torch.zeros(())),
    lambda x: x.clone().mul_(x > 0), lambda x: x.masked_fill(x < 0, 0),
    lambda x: x.index_put((x < 0,), torch.zeros(())),
)  # fmt: skip
RELATIVES = {
    "gelu": nn.GELU(), "silu": nn.SiLU(), "leaky_relu": nn.LeakyReLU(), "elu": nn.SELU(inplace=True), "celu": nn.CELU(),
    "prelu": nn.PReLU(), "rrelu": nn.RReLU(), "hardswish": nn.Hardswish(), "mish": nn.Mish(),
    "softplus": nn.Softplus(), "relu6": nn.ReLU6(),
}  # fmt: skip
CALLS = {
    "saliency": lambda net, x: inside.saliency(net, x),
    "guided_backpropagation": lambda net, x: inside.guided_backpropagation(net, x),
    "deconvnet": lambda net, x: inside.deconvnet(net, x, "conv2", 0),
    "occlusion": lambda net, x: inside.occlusion(net, x),
    "grad_cam": lambda net, x: inside.grad_cam(net, x, "conv2"),
    "deletion": lambda net, x: inside.deletion(net, x, "random"),
    "randomised": lambda net, x: inside.randomised(net),
    "fool": lambda net, x: inside.fool(net, x, 0.1),
}


def refused(call, *given, **named):
    with pytest.raises(ValueError) as caught:
        call(*given, **named)
    return str(caught.value)


def relu_net():
    return models.create("lenet5", activation="relu", pool="max")


@pytest.mark.parametrize("way", range(len(WAYS)))
def test_a_functional_relu_is_refused_with_the_layers_name_by_what_it_would_falsify(way):
    torch.manual_seed(0)
    net, x = Functional(WAYS[way]), torch.randn(12, 12)
    reason = "Functional calls ReLU as a function behind layer conv2, where captum cannot change its gradient: "
    reason += "make it a module, self.relu = nn.ReLU(), or use saliency"
    assert refused(inside.guided_backpropagation, net, x) == reason
    inside.deconvnet(net, x, "conv2", 0)  # the function comes later
    assert refused(inside.deconvnet, nn.Sequential(nn.Conv2d(1, 1, 1), net), x, "1.fc", 0).startswith("layer 1.fc of")
    deeper = nn.Sequential(net, nn.Unflatten(1, (3, 1, 1)), nn.Conv2d(3, 2, 1), nn.Flatten())
    assert "calls ReLU as a function in 0 behind layer 0.conv2," in refused(inside.deconvnet, deeper, x, "2", 0)
    inside.saliency(net, x), inside.occlusion(net, x), inside.grad_cam(net, x, "conv2")


@pytest.mark.parametrize("name", RELATIVES)
def test_a_relative_of_relu_is_refused_with_the_layers_name_since_no_paper_says_what_goes_back_through_it(name):
    called = "Functional calls {} {}behind layer conv2, but guided backpropagation and the deconvnet are made for ReLU "
    called += "alone: use saliency, or a network with nn.ReLU in its place"
    torch.manual_seed(0)
    net, x = Functional(RELATIVES[name]), torch.randn(12, 12)
    assert refused(inside.guided_backpropagation, net, x) == called.format(name, "in relu ")
    inside.deconvnet(net, x, "conv2", 0)  # the function comes later
    by_function = Functional(lambda x: RELATIVES[name](x))
    assert refused(inside.guided_backpropagation, by_function, x) == called.format(name, "")


@pytest.mark.parametrize("other", [
    torch.tanh, torch.sigmoid, lambda x: x.clamp(min=0.5), lambda x: x.clamp(0, 1), nn.Hardtanh(), nn.Hardsigmoid(),
    lambda x: x, lambda x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)), lambda x: x * (x > 0.5), torch.abs,
])  # fmt: skip
def test_other_functions_are_not_taken_for_relu(other):
    torch.manual_seed(0)
    inside.guided_backpropagation(Functional(other), torch.randn(12, 12))


def test_without_a_relu_guided_backpropagation_and_deconvnet_are_refused():
    for call in (lambda: inside.guided_backpropagation(models.create("lenet5"), torch.rand(32, 32)),
                 lambda: inside.deconvnet(models.create("lenet5"), torch.rand(32, 32), "features.3", 0)):  # fmt: skip
        assert refused(call).startswith("lenet5 has no nn.ReLU, so this would be the plain gradient: use saliency")


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_mode_hooks_gradients_and_weights_stay_as_they_were(call):
    net = Functional(nn.Dropout(0.5))
    net.act.train(False)
    net.conv1.weight.requires_grad_(False)
    net.conv2.bias.grad = torch.ones(4)
    net.conv2.register_forward_hook(lambda *given: None)
    net.kept = net.conv1(torch.rand(1, 1, 5, 5)) * net.conv2.bias.sum()  # a tensor that deepcopy refuses
    before = _state(net)
    x = torch.rand(1, 12, 12)
    pixels = x.clone()
    call(net, x)
    assert _state(net) == before
    assert torch.equal(x, pixels)
    assert not x.requires_grad


def _state(net):
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return (
        [module.training for module in net.modules()],
        [list(getattr(module, name)) for module in net.modules() for name in hooks],
        [(p.requires_grad, p.grad is None, p.tolist()) for p in net.parameters()],
    )


def test_a_step_of_a_run_beside_it_does_no_harm():
    """As `fit` makes it, between the forward and the backward pass: autograd would refuse to go on."""
    net = relu_net()

    def step(*given):
        with torch.no_grad():
            net.features[3].weight.add_(0.001)

    net.classifier.register_forward_hook(step)
    assert inside.saliency(net, torch.rand(32, 32)).values.any()


def test_it_works_where_gradients_are_switched_off():
    net, x = relu_net(), torch.rand(32, 32)
    for off in (torch.no_grad, torch.inference_mode):
        with off():
            assert inside.guided_backpropagation(net, x).values.any()
            assert inside.fool(net, x, 0.1).shape == (1, 32, 32)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_network_built_in_inference_mode_is_looked_into_like_any_other(call):
    with torch.inference_mode():
        net = Functional(nn.Dropout(0.5))
    call(net, torch.rand(1, 12, 12))


def test_a_network_that_cannot_be_copied_is_refused():
    net = relu_net()
    net.lock = threading.Lock()
    assert refused(inside.saliency, net, torch.rand(32, 32)).startswith("lenet5 holds something that cannot be copied")


@pytest.mark.parametrize(("picture", "said"), [
    (np.full((32, 32), 200, np.uint8), "divided by 255"),
    (np.zeros((32, 32, 3)), "turned from (H, W, C) to (C, H, W) and made grey"),
    (torch.zeros(3, 40, 50), "made grey and resized from 40 x 50 to 32 x 32"),
    (torch.zeros(4, 32, 32), "laid on white and made grey"),
    (Image.new("L", (32, 32)), "divided by 255"),
    (np.full((32, 32), 200.0), "divided by 255"),
    (np.full((32, 32), 40000, np.uint16), "divided by 65,535"),
    (Image.new("I", (32, 32), 40000), "divided by 65,535"),
    (Image.new("P", (32, 20)), "divided by 255, turned from (H, W, C) to (C, H, W), made grey and resized from 20 x 32 "
                               "to 32 x 32"),
])  # fmt: skip
def test_a_picture_of_the_wrong_size_or_mode_is_converted_and_that_is_said_at_the_users_line(picture, said):
    with pytest.warns(UserWarning, match="^the picture was") as caught:
        result = inside.saliency(models.create("lenet5"), picture, 3)
    assert [str(one.message) for one in caught] == [f"the picture was {said}, as lenet5 takes it"]
    assert caught[0].filename == __file__
    assert result.values.shape == (32, 32)


def test_conversions_keep_the_right_values():
    net = models.create("lenet5")
    colour = np.zeros((3, 32, 32), np.uint8)
    colour[1] = 255
    assert fitted(colour, net)[0].unique() == pytest.approx(0.587)
    assert fitted(torch.zeros(4, 32, 32), net)[0].unique() == pytest.approx(1)  # nothing there: white
    assert torch.equal(fitted(np.eye(32), models.create("resnet18"))[0], torch.eye(32).expand(1, 3, 32, 32))
    assert fitted(torch.zeros(1, 2, 3000), models.create("resnet18", in_channels=1))[0].shape == (1, 1, 1, 1024)


def test_a_picture_that_fits_passes_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for x in (torch.rand(1, 32, 32), torch.rand(32, 32), torch.rand(1, 1, 32, 32), np.zeros((32, 32), bool)):
            assert as_batch(x, models.create("lenet5")).shape == (1, 1, 32, 32)
        assert as_batch(torch.rand(3, 70, 90), models.create("resnet18")).shape == (1, 3, 70, 90)


@pytest.mark.parametrize(("picture", "reason"), [
    ("a.png", 'picture "a.png" is a text: use images.open(path), or images.get(name)'),
    (None, "picture None is no array of numbers: use a tensor (C, H, W)"),
    (np.zeros((1, 1), complex), "picture [[0.+0.j]] is no array of numbers: use a tensor (C, H, W)"),
    (torch.zeros(2, 1, 32, 32), "the picture is 2 x 1 x 32 x 32: use one picture, (C, H, W) or (H, W)"),
    (torch.zeros(1, 0, 32), "the picture is 1 x 0 x 32: use one picture, (C, H, W) or (H, W)"),
    (torch.full((32, 32), float("nan")), "the picture of 32 x 32 holds NaN or infinity: use finite numbers"),
    (torch.zeros(2, 32, 32), "the picture has 2 channels, but lenet5 reads 1: use (C, H, W)"),
])  # fmt: skip
def test_what_is_no_picture_is_refused(picture, reason):
    assert refused(inside.saliency, models.create("lenet5"), picture) == reason


def test_a_network_that_takes_no_size_says_why():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(7, 3))
    assert refused(inside.saliency, net, torch.rand(9, 9)).startswith(
        "a picture of 1 x 9 x 9 does not fit Sequential: mat1"
    )


def test_layers_are_found_by_name_or_module_and_the_others_refused():
    net, x = relu_net(), torch.rand(32, 32)
    assert find_layer(net, net.features[3]) == find_layer(net, "features.3") == ("features.3", net.features[3])
    assert refused(find_layer, net, "features.1") == (
        'layer "features.1" of lenet5 is ReLU, not a convolution: use features.0, features.3 or features.6'
    )
    known = "use one of features, features.0, features.1, features.2"
    assert refused(inside.grad_cam, net, x, "conv9").startswith(f'lenet5 has no layer "conv9": {known}')
    assert refused(inside.grad_cam, net, x, nn.ReLU()).startswith(f"layer ReLU() is not part of lenet5: {known}")
    assert refused(inside.grad_cam, net, x, "classifier.1") == (
        "layer classifier.1 of lenet5 gives (1, 84), no maps: use a layer that gives (N, channels, height, width)"
    )
    unused = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten(), nn.Linear(2, 2))
    unused[0].spare = nn.ReLU()
    assert refused(inside.deconvnet, unused, torch.rand(1, 1), "0.spare", 0).startswith(
        "layer 0.spare of Sequential is not used"
    )
    assert refused(convolutions, nn.Sequential(nn.Linear(2, 2))).startswith("Sequential has no convolution: use a")
    assert refused(quiet, "lenet5").startswith('model "lenet5" is not a network: use models.create')


def whole(name, given, low, high):
    return f"{name} {given} is not a whole number from {low} to {high}"


@pytest.mark.parametrize(("call", "reason"), [
    (lambda net, x: inside.saliency(net, x, 10), whole("target", 10, 0, 9)),
    (lambda net, x: inside.saliency(net, x, "cat"), whole("target", '"cat"', 0, 9)),
    (lambda net, x: inside.saliency(net, x, torch.tensor([1, 2])), whole("target", "tensor([1, 2])", 0, 9)),
    (lambda net, x: inside.saliency(net.features, x),
     "the network gives (1, 120, 1, 1): use one that gives scores (N, classes)"),
    (lambda net, x: inside.deconvnet(net, x, "features.0", 6),
     whole("channel", 6, 0, 5) + ": layer features.0 has 6 channels"),
    (lambda net, x: inside.occlusion(net, x, window=33), whole("window", 33, 1, 32)),
    (lambda net, x: inside.occlusion(net, x, window=3, stride=4), whole("stride", 4, 1, 3)),
    (lambda net, x: inside.occlusion(net, x, baseline="grey"), 'baseline "grey" is not a number'),
    (lambda net, x: inside.deletion(net, x, "darkest"), 'ranking "darkest" is not known: use random or brightest'),
    (lambda net, x: inside.deletion(net, x, x[:8]),
     "the ranking is 8 x 32, but the picture 32 x 32: rank the pixels of the same picture"),
    (lambda net, x: inside.deletion(net, x, None),
     "ranking None is neither a result nor an array: use inside.occlusion(...)"),
    (lambda net, x: inside.deletion(net, x, "random", seed=-1), whole("seed", -1, 0, 2**63 - 1)),
    (lambda net, x: inside.agreement(x, x[:8]),
     "results of the shapes (32, 32) and (8, 32) cannot be compared: use one shape"),
    (lambda net, x: inside.fool(net, x, -0.1), "size -0.1 is not a number of 0 or more"),
])  # fmt: skip
def test_arguments_that_make_no_sense_are_refused(call, reason):
    assert refused(call, relu_net(), torch.rand(32, 32)) == reason
