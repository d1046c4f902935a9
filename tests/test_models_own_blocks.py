"""The blocks of the networks beyond torchvision: each against its formula or drawing, and every ablation."""

import sys

import pytest
import torch
from torch import nn

from cnnviz import models
from cnnviz.models import bn_inception, densenet, fractalnet, googlenet, lenet, ode, resnet_cifar
from tests.test_models_own import count, meta_picture, on_meta, outputs, walk

pytestmark = pytest.mark.usefixtures("one_thread")

# LeNet


def test_each_map_of_s2_is_read_by_ten_maps_of_c3():
    readers = [sum(source in reads for reads in lenet.C3_READS) for source in range(6)]
    assert readers == [10] * 6
    assert len(set(lenet.C3_READS)) == 16


def test_partial_convolution_is_a_full_one_with_zeros():
    partial, full = lenet.PartialConv2d(lenet.C3_READS, 5), nn.Conv2d(6, 16, 5)
    with torch.no_grad():
        full.weight.zero_()
        for index, (conv, reads) in enumerate(zip(partial.maps, lenet.C3_READS, strict=True)):
            full.weight[index, list(reads)], full.bias[index] = conv.weight[0], conv.bias[0]
    x = torch.randn(2, 6, 14, 14)
    assert torch.allclose(partial(x), full(x), atol=1e-6)


def test_trainable_pool_is_coefficient_times_sum_plus_bias():
    pool = lenet.TrainablePool(1)
    with torch.no_grad():
        pool.coefficient.fill_(0.5)
        pool.bias.fill_(3)
    assert pool(torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])).item() == 0.5 * 10 + 3


def test_squash_maps_one_to_one():
    assert lenet.Squash()(torch.tensor([-1.0, 0.0, 1.0])).tolist() == pytest.approx([-1, 0, 1], abs=1e-4)


@pytest.mark.parametrize("classes", [10, 3, 26])
def test_every_code_is_plus_or_minus_one_and_nearest_to_itself(classes):
    output = lenet.RadialBasisOutput(classes)
    assert output.codes.shape == (classes, 84)
    assert set(output.codes.flatten().tolist()) == {-1.0, 1.0}
    scores = output(output.codes)
    assert scores.argmax(dim=1).tolist() == list(range(classes))
    assert scores.diagonal().tolist() == [0] * classes


def test_lenet_takes_mnist_with_padding():
    assert models.create("lenet5", padding=2)(torch.zeros(1, 1, 28, 28)).shape == (1, 10)


# The 2012 to 2014 networks: what can be taken out


def kinds(net):
    return [type(layer).__name__ for layer in net.modules()]


@pytest.mark.parametrize(
    ("options", "kind", "number"),
    [
        ({}, "LocalResponseNorm", 2), ({"lrn": False}, "LocalResponseNorm", 0),
        ({}, "ReLU", 7), ({"activation": "tanh"}, "Tanh", 7), ({"activation": "tanh"}, "ReLU", 0),
    ],
)  # fmt: skip
def test_ingredients_of_alexnet(options, kind, number):
    assert kinds(on_meta("alexnet_2012", **options)).count(kind) == number


def test_alexnet_without_overlap_ends_in_the_same_maps():
    pools = outputs(on_meta("alexnet_2012", overlapping=False), 227, nn.MaxPool2d)
    assert pools == [(96, 27, 27), (256, 13, 13), (256, 6, 6)]
    net = on_meta("alexnet_2012", overlapping=False, small=True, width_mult=0.125)
    assert outputs(net, 32, nn.MaxPool2d) == [(12, 16, 16), (32, 8, 8), (32, 4, 4)]


def test_alexnet_normalises_as_the_paper_writes_it():
    # b = a / (2 + 0.0001 * sum of the squares of 5 neighbours) ** 0.75, section 3.3
    norm = next(layer for layer in models.create("alexnet_2012", small=True, width_mult=0.1).modules()
                if isinstance(layer, nn.LocalResponseNorm))  # fmt: skip
    a = torch.randn(1, 9, 1, 1) * 50
    squares = nn.functional.pad(a.flatten() ** 2, (2, 2)).unfold(0, 5, 1).sum(dim=1)
    expected = a.flatten() / (2 + 1e-4 * squares) ** 0.75
    assert torch.allclose(norm(a).flatten(), expected, rtol=1e-5)


@pytest.mark.parametrize(("init", "factor"), [("he", 2.0), ("torch", 1 / 3)])
def test_starting_weights_have_the_variance_their_name_says(init, factor):
    torch.manual_seed(0)
    conv = models.create("alexnet_2012", small=True, width_mult=0.25, init=init).features[8]
    assert (conv.in_channels, conv.out_channels, conv.groups) == (64, 96, 1)
    assert conv.weight.var().item() == pytest.approx(factor / (9 * 64), rel=0.03)


def test_the_papers_start_for_alexnet():
    net = models.create("alexnet_2012", small=True, width_mult=0.125, init="paper")
    convolutions = [layer for layer in net.features if isinstance(layer, nn.Conv2d)]
    assert [layer.bias[0].item() for layer in convolutions] == [0, 1, 0, 1, 1]
    assert convolutions[3].weight.std().item() == pytest.approx(0.01, rel=0.05)


def test_naive_inception_costs_more_and_its_pool_adds_its_input():
    row = googlenet.MODULES["3a"]
    naive, reduced = googlenet.naive_inception(192, row), googlenet.inception(192, row)
    x = torch.zeros(1, 192, 28, 28)
    assert (naive(x).shape[1], reduced(x).shape[1]) == (64 + 128 + 32 + 192, 256)
    assert (count(naive), count(reduced)) == (387_296, 163_696)


def test_two_3x3_cost_18_25ths_of_a_5x5_and_see_as_much():
    row = bn_inception.Widths(1, 1, 1, 64, 64, "max", 1)
    branch = bn_inception.inception(64, row).twice
    weights = sum(m.weight.numel() for m in branch.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3))
    assert weights / (25 * 64 * 64) == 18 / 25


# CIFAR ResNets


def ready(block, zero=False):
    """In eval mode; zero=True silences the branch."""
    with torch.no_grad():
        for layer in block.branch:
            if zero and isinstance(layer, nn.Conv2d):
                layer.weight.zero_()
    return block.eval()


def make(order="original", shortcut="identity", plain=False, survival=1.0, channels=4):
    recipe = resnet_cifar.Recipe(
        resnet_cifar.ORDERS[order], resnet_cifar.SHORTCUTS[shortcut], "pad", plain
    )  # fmt: skip
    return resnet_cifar.Block(channels, channels, 1, recipe, survival, first=False)


@pytest.mark.parametrize(
    ("order", "passes_negatives"),
    [("original", False), ("norm_after_addition", False), ("relu_before_addition", True),
     ("relu_only_preactivation", True), ("full_preactivation", True)],
)  # fmt: skip
def test_a_silent_branch_leaves_the_signal_alone_where_nothing_follows_the_addition(order, passes_negatives):
    x = torch.randn(2, 4, 5, 5)
    expected = x if passes_negatives else x.clamp(min=0)
    assert torch.allclose(ready(make(order), zero=True)(x), expected, rtol=1e-4)  # a fresh norm divides by 1.000005


@pytest.mark.parametrize("order", resnet_cifar.ORDERS)
def test_orders_as_in_figure_4(order):
    words = {nn.Conv2d: "weight", nn.BatchNorm2d: "BN", nn.ReLU: "ReLU"}
    block = make(order)
    drawn = " ".join(words[type(layer)] for layer in block.branch) + " + "
    drawn += " ".join(words[type(layer)] for layer in block.after)
    assert (
        drawn.strip()
        == {
            "original": "weight BN ReLU weight BN + ReLU",
            "norm_after_addition": "weight BN ReLU weight + BN ReLU",
            "relu_before_addition": "weight BN ReLU weight BN ReLU +",
            "relu_only_preactivation": "ReLU weight BN ReLU weight BN +",
            "full_preactivation": "BN ReLU weight BN ReLU weight +",
        }[order]
    )


@pytest.mark.parametrize("order", resnet_cifar.ORDERS)
def test_every_order_has_the_same_number_of_weights_and_trains(order):
    assert count(on_meta("resnet20_cifar", order=order)) == 269_722
    net = models.create("resnet_cifar", depth=8, width=4, order=order)
    net(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_preactivation_nets_end_in_the_activation_that_the_next_block_would_have_made():
    lasts = {
        order: [type(m).__name__ for m in on_meta("resnet20_cifar", order=order).last] for order in resnet_cifar.ORDERS
    }
    assert lasts == {
        "original": [], "norm_after_addition": [], "relu_before_addition": [],
        "relu_only_preactivation": ["ReLU"], "full_preactivation": ["BatchNorm2d", "ReLU"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shortcut", "extra"),
    # ResNet-20: three blocks each of 16, 32 and 64 channels. A gate is a 1x1 with biases, "conv" one with a norm.
    [("identity", 0), ("constant", 0), ("dropout", 0), ("exclusive_gate", 3 * (16 * 17 + 32 * 33 + 64 * 65)),
     ("shortcut_gate", 3 * (16 * 17 + 32 * 33 + 64 * 65)), ("conv", 3 * (16 * 18 + 32 * 34 + 64 * 66))],
)  # fmt: skip
def test_shortcuts_cost_what_they_should_and_train(shortcut, extra):
    assert count(on_meta("resnet20_cifar", shortcut=shortcut)) == 269_722 + extra
    net = models.create("resnet_cifar", depth=8, width=4, shortcut=shortcut)
    net(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


@pytest.mark.parametrize(
    ("shortcut", "formula"),
    [("identity", lambda s, f, g: s + f), ("constant", lambda s, f, g: 0.5 * s + 0.5 * f),
     ("exclusive_gate", lambda s, f, g: (1 - g) * s + g * f), ("shortcut_gate", lambda s, f, g: (1 - g) * s + f)],
)  # fmt: skip
def test_shortcuts_as_in_figure_2(shortcut, formula):
    join = resnet_cifar.SHORTCUTS[shortcut](4)
    s, f = torch.randn(2, 4, 3, 3), torch.randn(2, 4, 3, 3)
    g = torch.sigmoid(join.gate(s)) if hasattr(join, "gate") else None
    assert torch.allclose(join(s, f), formula(s, f, g))


def test_gates_start_nearly_closed():
    net = models.create("resnet20_cifar", shortcut="exclusive_gate")
    assert {block.join.gate.bias.unique().item() for block in net.blocks} == {-6.0}


def test_dropout_shortcut_drops_half_of_the_shortcut_in_training_only():
    torch.manual_seed(0)
    join, s = resnet_cifar.SHORTCUTS["dropout"](4), torch.ones(10, 4, 20, 20)
    dropped = join(s, torch.zeros_like(s))
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert dropped.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(join.eval()(s, torch.zeros_like(s)), s)


def test_the_shortcut_without_parameters_thins_and_pads():
    x = torch.arange(2.0 * 16).reshape(1, 2, 4, 4)
    y = resnet_cifar.PadShortcut(2, 4, 2)(x)
    assert y.shape == (1, 4, 2, 2)
    assert torch.equal(y[:, 1:3], x[:, :, ::2, ::2])
    assert y[:, [0, 3]].abs().sum() == 0


def test_plain_net_has_no_way_around_a_branch():
    x = torch.randn(2, 4, 5, 5)
    assert ready(make(plain=True), zero=True)(x).abs().max() == 0
    assert count(on_meta("resnet56_cifar", plain=True)) == 853_018  # "no extra parameter" in either direction


def test_blocks_that_keep_the_shape_can_be_deleted():
    net = models.create("resnet20_cifar").eval()
    for index in (0, 1, 2, 4, 5, 7, 8):
        net.blocks[index] = nn.Identity()
    assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_survival_falls_linearly_with_depth():
    # Huang et al., equation 4: p_l = 1 - l / L * (1 - p_L)
    net = models.create("resnet20_cifar", survival=0.5)
    assert [block.survival for block in net.blocks] == pytest.approx([1 - step / 18 for step in range(1, 10)])
    assert {block.survival for block in models.create("resnet20_cifar").blocks} == {1.0}


def test_a_block_sleeps_in_training_as_often_as_it_should_and_is_scaled_in_eval_mode():
    torch.manual_seed(0)
    block, x = make(survival=0.25), torch.rand(2, 4, 5, 5)
    asleep = sum(torch.equal(block(x), x) for _ in range(400))
    assert asleep / 400 == pytest.approx(0.75, abs=0.06)
    block.eval()
    assert torch.allclose(block(x), (x + 0.25 * block.branch(x)).clamp(min=0), atol=1e-6)


# FractalNet


def test_column_k_of_a_fractal_is_2_to_the_k_convolutions_deep():
    net = on_meta("fractalnet", columns=4, blocks=2).eval()
    for column, depth in enumerate((1, 2, 4, 8)):
        calls = []
        hooks = [m.register_forward_hook(lambda *call, calls=calls: calls.append(1))
                 for m in net.modules() if isinstance(m, nn.Conv2d)]  # fmt: skip
        net.column(meta_picture(32), column)
        assert len(calls) == 2 * depth
        for hook in hooks:
            hook.remove()


def test_a_fractal_is_the_mean_of_its_columns_all_the_way_down():
    fractal = fractalnet.Fractal(2, 3, 4, drop_path=0.0).eval()
    x = torch.randn(2, 3, 8, 8)
    assert torch.allclose(fractal(x), (fractal.short(x) + fractal.second.short(fractal.first.short(x))) / 2, atol=1e-6)
    three = fractalnet.Fractal(3, 3, 4, drop_path=0.0).eval()
    shallow, middle, deep = three.columns(x)  # one join of three inputs, not a mean of means
    assert torch.allclose(three(x), (shallow + middle + deep) / 3, atol=1e-6)
    joined = three.first(x)
    assert torch.allclose(middle, three.second.short(joined), atol=1e-6)


def test_drop_path_always_leaves_one_input():
    torch.manual_seed(0)
    fractal = fractalnet.Fractal(3, 2, 2, drop_path=0.99).train()
    x = torch.randn(4, 2, 4, 4)
    assert len(fractal.columns(x)) == 3
    assert all(fractal(x).isfinite().all() for _ in range(20))  # the mean of nothing would not be


def test_global_drop_path_trains_one_column():
    torch.manual_seed(0)
    net = models.create("fractalnet", columns=2, blocks=1, width_mult=0.1, drop_path=0.0, global_share=0.999)
    net(torch.randn(2, 3, 32, 32)).sum().backward()
    used = {name.split(".")[2] for name, p in net.named_parameters() if p.grad is not None and "fractals" in name}
    assert used in ({"short"}, {"first", "second"})


# DenseNet


def test_a_dense_layer_passes_its_input_on_and_adds_growth_maps():
    layer = densenet.DenseLayer(6, densenet.Blocks((1,), growth_rate=4)).eval()
    x = torch.randn(2, 6, 5, 5)
    assert layer(x).shape == (2, 10, 5, 5)
    assert torch.equal(layer(x)[:, :6], x)
    adding = densenet.DenseLayer(6, densenet.Blocks((1,), growth_rate=4, add=True)).eval()
    made = adding.conv2(adding.relu2(adding.norm2(adding.conv1(adding.relu1(adding.norm1(x))))))
    assert torch.allclose(adding(x), x + made)


def test_densenet_channels_grow_by_k_and_halve_at_transitions():
    net = on_meta("densenet_cifar")
    shapes = walk(net.eval().features.named_children(), 32)
    assert list(shapes.values())[:6] == [  # stem, block, transition, block, transition, block
        (24, 32, 32), (24 + 16 * 12, 32, 32), (108, 16, 16), (108 + 192, 16, 16), (150, 8, 8), (342, 8, 8),
    ]  # fmt: skip


# Feature pyramid


def test_the_way_down_adds_the_doubled_coarser_map():
    net = models.create("fpn", num_classes=4, small=True, channels=8).eval()
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        stages, y = [], net.stem(x)
        for stage in net.stages:
            y = stage(y)
            stages.append(y)
        coarse = net.lateral[3](stages[3])
        finer = net.lateral[2](stages[2]) + coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        pyramid = net.pyramid(x)
    assert torch.allclose(pyramid["P5"], net.smooth[3](coarse), atol=1e-5)
    assert torch.allclose(pyramid["P4"], net.smooth[2](finer), atol=1e-5)
    assert [maps.shape[-1] for maps in pyramid.values()] == [32, 16, 8, 4]


# Neural ODE


def decay(block):
    """Make the derivative -x, whose solution at time 1 is x / e."""
    block.derivative.forward = lambda t, x: -x
    return block


@pytest.mark.parametrize("steps", [1, 2, 10, 200])
def test_euler_steps_are_compound_interest(steps):
    block = decay(ode.ODEBlock(4, "euler", steps, 1e-3))
    x = torch.ones(1, 4, 3, 3, dtype=torch.float64)
    assert torch.allclose(block(x), x * (1 - 1 / steps) ** steps)


def test_euler_reads_the_derivative_at_the_start_of_each_step():
    block = ode.ODEBlock(4, "euler", 4, 1e-3)
    block.derivative.forward = lambda t, x: t.expand_as(x)
    assert block(torch.zeros(1, 4, 1, 1)).unique().item() == (0 + 0.25 + 0.5 + 0.75) / 4


@pytest.mark.parametrize(("method", "bound"), [("midpoint", 1e-2), ("rk4", 1e-4), ("dopri5", 1e-5)])
def test_torchdiffeqs_methods_find_the_solution(method, bound):
    pytest.importorskip("torchdiffeq")
    block = decay(ode.ODEBlock(4, method, 4, 1e-6))
    x = torch.ones(1, 4, 3, 3, dtype=torch.float64)
    assert torch.allclose(block(x), x / torch.e, atol=bound)


def test_more_euler_steps_come_nearer_to_the_adaptive_solution():
    pytest.importorskip("torchdiffeq")
    torch.manual_seed(0)
    net = models.create("odenet", channels=8, method="dopri5", tolerance=1e-6).eval()
    x, gaps = torch.randn(1, 1, 32, 32), []
    with torch.no_grad():
        solution = net.ode(net.stem(x))
        assert net.ode.derivative.evaluations > 6
        net.ode.method = "euler"
        for net.ode.steps in (1, 4, 16, 64):
            gaps.append((net.ode(net.stem(x)) - solution).abs().max().item())
            assert net.ode.derivative.evaluations == net.ode.steps
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[3] < gaps[0] / 10


def test_without_torchdiffeq_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchdiffeq", None)
    net = models.create("odenet", channels=4, method="rk4")
    with pytest.raises(ImportError) as error:
        net(torch.zeros(1, 1, 28, 28))
    assert str(error.value) == (
        "every method but 'euler' needs the package torchdiffeq: pip install torchdiffeq, or use method='euler'"
    )
