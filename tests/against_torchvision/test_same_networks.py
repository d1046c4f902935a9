"""Our networks and torchvision's: the same parameters under the same names, the same output, the same start.

Output is compared in float64, on pictures that are not square, with one set of weights in both. Freshly made
networks forget their picture on the way (all outputs lie within a hair of each other), so the networks have
first lived through one training batch, which makes batch norm keep the signal at its size.
"""

import copy
import math

import pytest
import torch
import torchvision
from torch import nn

from cnnviz import models

NAMES = [
    "alexnet", "vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn", "googlenet",
    "inception_v3", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d",
    "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2", "densenet121", "densenet161", "densenet169",
    "densenet201", "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x1_0",
]  # fmt: skip
HEADED = ("googlenet", "inception_v3")
SIZES = {"inception_v3": (107, 91)}  # the others take 80x70
TRAINING_SIZES = {"inception_v3": (299, 299)}
CLOSE = 1e-10


def theirs(name):
    torch.manual_seed(0)
    start = {"init_weights": True} if name in HEADED else {}
    return torchvision.models.get_model(name, weights=None, **start)


def ours(name):
    torch.manual_seed(0)
    return models.create(name, **({"aux_logits": True} if name in HEADED else {}))


@pytest.fixture(scope="module", params=NAMES)
def made(request):
    """Torchvision's network and ours, freshly made: read only, since several tests share them."""
    return request.param, theirs(request.param), ours(request.param)


def pictures(name, number, sizes):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(number, 3, *sizes.get(name, (80, 70)), dtype=torch.float64, generator=generator)


def live_through_a_batch(network, batch):
    """Set batch norm's averages to those of one batch."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.5, 0.5)
    headless(network.train())(batch)
    return network.eval()


def headless(network):
    """Return the network without its auxiliary heads, which small pictures do not suit."""
    network = copy.copy(network)
    network.aux_logits, network.readers = False, {}  # theirs, ours
    if hasattr(network, "AuxLogits"):
        network._modules = network._modules | {"AuxLogits": None}
    return network


def scores(output):
    return [output] if isinstance(output, torch.Tensor) else list(output)


def test_these_are_all_the_names_that_torchvision_has_too():
    assert sorted(set(models.names()) & set(torchvision.models.list_models())) == sorted(NAMES)


@torch.no_grad()
def test_same_output_from_the_same_weights(made):
    name, reference, network = made[0], copy.deepcopy(made[1]).double(), copy.deepcopy(made[2]).double()
    network.load_state_dict(reference.state_dict(), strict=True)
    batch = pictures(name, 2, SIZES)
    fresh = network.eval()(batch) - reference.eval()(batch)
    assert fresh.abs().max() < CLOSE

    live_through_a_batch(reference, pictures(name, 3, SIZES))
    network.load_state_dict(reference.state_dict(), strict=True)
    expected, got = reference(batch), network.eval()(batch)
    print(f"{name}: differs by {(got - expected).abs().max():.1e}, scores spread by {expected.std():.1e}")
    assert (got - expected).abs().max() < CLOSE
    assert (got - expected).abs().max() < CLOSE * expected.std()
    assert (expected[0] - expected[1]).abs().max() > 0.01 * expected.std()  # or a lost picture would go unseen


@pytest.mark.parametrize("name", HEADED)
@torch.no_grad()
def test_same_scores_of_the_auxiliary_heads(name):
    reference, network = theirs(name).double(), ours(name).double()
    network.load_state_dict(reference.state_dict(), strict=True)
    for one in (reference.train(), network.train()):
        for layer in one.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
    batch = pictures(name, 2, TRAINING_SIZES)
    expected, (logits, auxiliary) = scores(reference(batch)), network(batch)
    if name == "googlenet":
        expected = [expected[0], expected[2], expected[1]]  # torchvision returns the second head first
    got = [logits, *auxiliary]
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        assert (one - other).abs().max() < CLOSE * other.std()


@pytest.mark.parametrize("name", HEADED)
@torch.no_grad()
def test_same_output_from_pictures_normalised_for_the_other_networks(name):
    reference, network = theirs(name).double().eval(), ours(name).double().eval()
    live_through_a_batch(reference, pictures(name, 3, SIZES))
    network.load_state_dict(reference.state_dict())
    reference.transform_input = network.transform_input = True
    batch = pictures(name, 2, SIZES)
    assert (network(batch) - reference(batch)).abs().max() < CLOSE


def test_same_count_of_trainable_parameters(made):
    _, *networks = made
    counts = [sum(p.numel() for p in network.parameters() if p.requires_grad) for network in networks]
    assert counts[0] == counts[1]


@torch.no_grad()
def test_same_random_start(made):
    """Every large parameter has torchvision's spread and shape of distribution, every constant one its value."""
    _, *networks = made
    expected, got = (dict(network.named_parameters()) for network in networks)
    assert got.keys() == expected.keys()
    for key, parameter in expected.items():
        if parameter.numel() > 1 and parameter.std() == 0:
            assert torch.equal(got[key], parameter), key
        elif parameter.numel() >= 1000:
            assert math.isclose(got[key].std(), parameter.std(), rel_tol=0.2), key
            assert math.isclose(tails(got[key]), tails(parameter), rel_tol=0.3), key


def tails(values):
    """Kurtosis: 1.8 for a uniform distribution, 3 for a normal one."""
    squares = values.flatten()[:100_000].double().square()
    return float(squares.square().mean() / squares.mean().square())


@pytest.mark.parametrize("name", NAMES)
def test_published_weights_are_described_as_torchvision_describes_them(name):
    weights, expected = models.published(name), torchvision.models.get_model_weights(name)["IMAGENET1K_V1"]
    accuracy = expected.meta["_metrics"]["ImageNet-1K"]
    assert weights.url == expected.url
    assert (weights.top1, weights.top5) == (accuracy["acc@1"], accuracy["acc@5"])
    assert weights.gmacs == expected.meta["_ops"]
    transforms = expected.transforms()
    assert ([weights.crop], [weights.resize]) == (transforms.crop_size, transforms.resize_size)
    assert (list(weights.mean), list(weights.std)) == (transforms.mean, transforms.std)
