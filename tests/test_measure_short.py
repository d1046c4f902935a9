"""What makes bills quick changes nothing in them: the short way past torch's calls, layers that are made alike."""

from __future__ import annotations

import itertools
import random
import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from cnnviz import models
from cnnviz.inside._patches import fields_of
from cnnviz.measure import _layers, cost_table, module_of
from cnnviz.models._unfilled import batch_norm2d, conv2d, unfilled
from tests.random_nets import RandomNet

NAMES = models.names()


@pytest.fixture
def both_ways(monkeypatch):
    """The same bill twice: as ever, and with every layer called as torch calls it. An error is its text."""

    def billed(*given, **options):
        torch.manual_seed(0)  # fractalnet drops paths
        random.seed(0)
        try:
            return cost_table(*given, **options)
        except ValueError as error:
            return str(error)

    def both(*given, **options):
        short = billed(*given, **options)
        with monkeypatch.context() as patch:
            patch.setattr(_layers, "rule_of", lambda layer: None)
            return short, billed(*given, **options)

    return both


# The short way


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_short_way_gives_the_bill_of_torchs_own(name, training, both_ways):
    short, whole = both_ways(name, training=training)
    assert short == whole  # rows, kinds, sizes with the peak, how


@pytest.mark.parametrize("name", ["densenet121", "googlenet", "mobilenet_v2", "vgg16"])
def test_so_it_does_where_a_layer_refuses(name, both_ways):
    for size in ((3, 7, 7), (1, 64, 64), (3, 5)):
        short, whole = both_ways(name, size)
        assert short == whole


def test_so_it_does_in_random_nets(both_ways):
    for seed in range(400):
        net = RandomNet(seed)
        short, whole = both_ways(net, net.input_size)
        assert short == whole, f"seed {seed}"


def test_it_is_taken(monkeypatch):
    asked = []
    rule = _layers._RULES[nn.Conv2d]
    monkeypatch.setitem(_layers._RULES, nn.Conv2d, lambda layer, x: asked.append(layer) or rule(layer, x))
    monkeypatch.setattr(nn.Conv2d, "_conv_forward", None)  # torch's own way would fail
    assert len([row for row in cost_table("densenet121") if row.kind == "Conv2d"]) == len(asked) == 120


class Forward(nn.Module):
    """A forward of one's own over a convolution, a batch norm and an activation."""

    def __init__(self, forward, **conv):
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(3, 4, 3, **conv), nn.BatchNorm2d(4), nn.ReLU()
        self.own = forward

    def forward(self, x):
        return self.own(self, x)


def chain(net, x):
    return net.act(net.norm(net.conv(x)))


def within(context):
    def forward(net, x):
        with context():
            return chain(net, x)

    return forward


class Halved(TorchFunctionMode):
    """Activations leave half of the channels out."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        return out[:, :2] if func is F.relu else out


def hooked(net, x):
    handle = net.conv.register_forward_hook(lambda layer, inputs, output: F.relu(output))
    y = net.conv(x)
    handle.remove()
    return y


def replaced(net, x):
    net.conv.forward = lambda given: F.conv2d(given, net.conv.weight)
    return chain(net, x)


def added(net, x):
    net.act.more = nn.Tanh()
    net.conv.stride = 2
    return chain(net, x)


def written(net, x):
    net.norm.running_mean.copy_(net.conv(x).mean((0, 2, 3)))
    return chain(net, x)


def caught(net, x):
    try:
        return net.conv(x[:, :2])
    except RuntimeError:
        return chain(net, x)


UNUSUAL = {
    "gradients": within(torch.enable_grad),
    "autocast": within(lambda: torch.autocast("cpu", dtype=torch.bfloat16)),
    "inference mode": within(torch.inference_mode),
    "a mode": within(Halved),
    "vmap": lambda net, x: torch.vmap(lambda one: net.act(net.conv(one[None])))(x),
    "a hook": hooked,
    "a forward of its own": replaced,
    "a part": added,
    "a buffer": written,
    "an error": caught,
    "by name": lambda net, x: net.act(input=net.conv(input=x)),
    "strides": lambda net, x: net.act(net.norm(net.conv(x.transpose(2, 3)).transpose(2, 3))),
    "no batch": lambda net, x: net.conv(x[0]),
    "integers": lambda net, x: net.act(x.long()),
}


@pytest.mark.parametrize("case", UNUSUAL)
def test_what_is_unusual_in_a_forward_is_counted_as_torch_does_it(case, both_ways):
    short, whole = both_ways(Forward(UNUSUAL[case]), (3, 9, 9))
    assert short == whole
    assert short.how == "meta"


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 4, 3, dtype=torch.complex64), nn.Conv2d(3, 4, 3, padding="same"),
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), nn.Conv2d(3, 6, 3, groups=3, dilation=2),
        nn.Conv2d(8, 4, 3), nn.BatchNorm2d(3, track_running_stats=False), nn.BatchNorm2d(3, affine=False),
        nn.BatchNorm2d(3).double(), nn.ReLU(inplace=True), nn.ReLU6(inplace=True),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.MaxPool2d(2, padding=2), nn.MaxPool2d(2, return_indices=True),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), nn.AvgPool2d(40),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_unusual_in_a_layer_is_counted_as_torch_does_it(layer, both_ways):
    short, whole = both_ways(nn.Sequential(layer), (3, 12, 12))
    assert short == whole


def test_hooks_of_all_modules_are_run(both_ways):
    handle = nn.modules.module.register_module_forward_hook(
        lambda layer, inputs, output: output[:, :2] if isinstance(layer, nn.Conv2d) else None
    )
    try:
        short, whole = both_ways(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (3, 9, 9))
    finally:
        handle.remove()
    assert short == whole
    assert short.rows[1].output_shape == (2, 7, 7)


def test_batch_norm_of_one_value_a_channel_is_refused_in_training(both_ways):
    short, whole = both_ways(nn.Sequential(nn.BatchNorm2d(3)), torch.zeros(1, 3, 1, 1), training=True)
    assert short == whole
    assert "Expected more than 1 value per channel" in short


def test_a_parameter_that_a_layer_should_not_have_is_in_its_row():
    layer = nn.ReLU()
    layer.more = nn.Parameter(torch.ones(7))
    assert [row.params for row in cost_table(nn.Sequential(nn.Conv2d(3, 4, 3), layer), (3, 9, 9))] == [112, 7]


@pytest.mark.parametrize("lock", [False, True])
def test_a_module_is_called_as_before_afterwards(lock):
    net = Forward(chain)
    net.lock = threading.Lock() if lock else None  # cannot be copied, so it is used itself
    net.conv.compile(backend="eager")
    compiled = net.conv._compiled_call_impl
    assert cost_table(net, (3, 9, 9)).total.params == 112 + 8
    assert net.conv._compiled_call_impl is compiled
    assert not any("_compiled_call_impl" in vars(part) for part in net.modules() if part is not net.conv)


def test_nor_is_it_called_otherwise_where_only_its_fields_were_asked_for():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)))
    assert fields_of(net, torch.zeros(1, 3, 9, 9), ["1"])["1"].size == (4, 4)
    assert not any("_compiled_call_impl" in vars(part) for part in net.modules())


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_scripted_parts_are_counted():
    part = torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    bill = cost_table(nn.Sequential(part, nn.Conv2d(4, 2, 1)), (3, 9, 9))
    assert [row.macs for row in bill] == [108 * 49, 0, 8 * 49]
    assert bill.total.params == 112 + 10


def test_a_module_whose_first_part_is_an_empty_one_has_its_kind_in_the_table():
    assert cost_table("shufflenet_v2_x1_0").kinds["stage2.1"] == "UnitV2"


# Layers that are made alike


def described(value):
    """A value of a layer, tensors by what they are apart from their values."""
    if isinstance(value, torch.Tensor):
        return type(value), value.shape, value.stride(), value.dtype, value.device, value.requires_grad
    if isinstance(value, dict):
        return type(value), [(key, described(item)) for key, item in value.items() if not isinstance(item, nn.Module)]
    return type(value), value


@pytest.mark.parametrize("name", NAMES)
def test_layers_made_alike_are_those_that_torch_constructs(name):
    with torch.device("meta"):
        theirs = models.create(name)
    ours = module_of(name)
    pairs = zip(ours.named_modules(), theirs.named_modules(), strict=True)
    for (path, layer), (their_path, their_layer) in pairs:
        assert (path, type(layer)) == (their_path, type(their_layer))
        if not list(layer.children()) and type(layer).__module__.startswith("torch."):
            assert described(vars(layer)) == described(vars(their_layer)), path


def test_layers_are_made_alike_only_if_they_are_of_one_form():
    windows, norms = [(1,), (3,), (3, 2), (3, 2, 1), ((1, 3), 1, (0, 1))], [1e-5, 1e-3]
    with unfilled():
        for channels in (4, 6):
            for window, bias in itertools.product(windows, (False, True)):
                theirs = nn.Conv2d(channels, 5, *window, bias=bias)
                assert described(vars(conv2d(channels, 5, *window, bias=bias))) == described(vars(theirs))
            for eps in norms:
                assert described(vars(batch_norm2d(channels, eps))) == described(vars(nn.BatchNorm2d(channels, eps)))


def test_layers_made_alike_share_nothing():
    holders, tensors = [], []
    for layer in module_of("densenet121").modules():
        holders += [id(value) for value in vars(layer).values() if isinstance(value, (dict, list, set))]
        tensors += [id(t) for t in (*layer._parameters.values(), *layer._buffers.values()) if t is not None]
    assert len(set(holders)) == len(holders)
    assert len(set(tensors)) == len(tensors)


def test_a_thread_beside_a_bill_builds_networks_with_values():
    built = []
    with unfilled():
        thread = threading.Thread(target=lambda: built.append(models.create("mobilenet_v1", width_mult=0.25)))
        thread.start()
        thread.join()
    assert {p.device.type for p in built[0].parameters()} == {"cpu"}
    assert all(layer.weight.std() > 0 for layer in built[0].modules() if isinstance(layer, nn.Conv2d))


def test_groups_that_torch_refuses_are_refused():
    with unfilled():
        conv2d(4, 4, 3)
        for groups in (0, 3):
            with pytest.raises(ValueError, match=r"groups must|divisible by groups"):
                conv2d(4, 4, 3, groups=groups)
