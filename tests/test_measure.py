"""Bills of networks against hand formulas, torch's own counter and published figures."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cnnviz import models
from cnnviz.cost import Cost
from cnnviz.geometry import Window, receptive_field
from cnnviz.measure import cost_table, module_of, native_size
from cnnviz.measure._meta import known
from tests.random_nets import RandomNet

NAMES = models.names()


@pytest.fixture(scope="module")
def table():
    """Tables of named networks, each made once."""
    made = {}
    return lambda name: made.setdefault(name, cost_table(name))


# Named networks


@pytest.mark.parametrize("name", NAMES)
def test_parts_sum_to_the_totals_of_the_whole(name, table):
    module = module_of(name).eval()
    bill = table(name)
    assert bill.how == "meta"
    assert bill.total.params == sum(p.numel() for p in module.parameters())
    tops = dict.fromkeys(row.name.split(".")[0] for row in bill)
    assert sum((bill.part(top).total for top in tops), Cost()) == bill.total
    assert all(-1 <= n < place for place, row in enumerate(bill) for n in row.inputs)


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "densenet121", "shufflenet_v2_x1_0", "lenet5", "fpn"])
def test_macs_are_half_of_what_torch_counts(name, table):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module_of(name).eval()(torch.empty(1, *native_size(name), device="meta"))
    assert counter.get_total_flops() == 2 * table(name).total.macs


@pytest.mark.parametrize("name", sorted(models.published()))
def test_macs_published_by_torchvision(name, table):
    assert table(name).total.macs / 1e9 == pytest.approx(models.published(name).gmacs, abs=0.0006)


def test_vgg16_of_the_lectures(table):
    bill = table("vgg16")  # B1 to B5
    biases = sum(row.output_shape[0] for row in bill if row.kind in ("Conv2d", "Linear"))
    assert (bill.total.params, bill.total.params - biases) == (138_357_544, 138_344_128)
    assert bill.part("features").total.params == 14_714_688
    assert bill.part("classifier").total.params == 123_642_856
    listed = sum(row.activations for row in bill if row.kind in ("Conv2d", "Linear", "MaxPool2d"))
    assert listed + 3 * 224 * 224 == 15_237_608
    fifth = [row for row in bill if row.kind == "Conv2d"][-1]
    assert fifth.receptive_field == (196, 196)


def test_alexnet_in_one_group():
    bill = cost_table(models.create("alexnet_2012", groups=1), (3, 227, 227))  # B4
    dense = sum(row.params for row in bill if row.kind == "Linear")
    assert (bill.total.params - dense, dense) == (3_747_200, 58_631_144)


@pytest.mark.parametrize(("depth", "first", "third"), [(50, 3.858, 4.089), (101, 7.570, 7.801), (152, 11.282, 11.514)])
def test_resnets_with_the_stride_where_the_paper_has_it(depth, first, third, table):
    with torch.device("meta"):
        paper = models.create(f"resnet{depth}", stride_in_1x1=True)
    assert cost_table(paper).total.macs / 1e9 == pytest.approx(first, abs=0.0006)  # B12
    assert table(f"resnet{depth}").total.macs / 1e9 == pytest.approx(third, abs=0.0006)


@pytest.mark.parametrize(
    ("name", "params", "macs"),  # B13, millions and billions
    [
        ("alexnet", 61.1, 0.714), ("vgg11", 132.86, 7.61), ("vgg13", 133.05, 11.31), ("vgg16", 138.36, 15.47),
        ("vgg19", 143.67, 19.63), ("resnet18", 11.69, 1.81), ("resnet34", 21.8, 3.66), ("squeezenet1_0", 1.25, 0.82),
        ("squeezenet1_1", 1.24, 0.35), ("densenet121", 7.98, 2.83), ("densenet169", 14.15, 3.36),
        ("densenet201", 20.01, 4.29), ("densenet161", 28.68, 7.73), ("inception_v3", 27.16, 5.71),
    ],
)  # fmt: skip
def test_comparison_table_of_the_lectures(name, params, macs, table):
    assert table(name).total.params / 1e6 == pytest.approx(params, abs=0.0051)
    assert table(name).total.macs / 1e9 == pytest.approx(macs, abs=0.0051)


def test_inception_v3_at_the_wrong_size():
    assert cost_table("inception_v3", (3, 224, 224)).total.macs == pytest.approx(2.838e9, abs=1e6)


@pytest.mark.parametrize(
    ("width", "macs", "params"), [(1.0, 569, 4.2), (0.75, 325, 2.6), (0.5, 149, 1.3), (0.25, 41, 0.5)]
)
def test_mobilenet_widths(width, macs, params):
    with torch.device("meta"):
        net = models.create("mobilenet_v1", width_mult=width)
    assert cost_table(net).total.macs / 1e6 == pytest.approx(macs, abs=1)  # B14
    assert cost_table(net).total.params / 1e6 == pytest.approx(params, abs=0.05)


@pytest.mark.parametrize(("side", "macs"), [(224, 569), (192, 418), (160, 290.7), (128, 186)])
def test_mobilenet_resolutions(side, macs):
    assert cost_table("mobilenet_v1", (3, side, side)).total.macs / 1e6 == pytest.approx(macs, abs=1)


def test_squeezenet_against_alexnet(table):
    small = table("squeezenet1_0").total.params  # B15
    assert small == 1_248_424
    assert 4 * small / 2**20 == pytest.approx(4.76, abs=0.005)
    assert table("alexnet").total.params / small == pytest.approx(48.9, abs=0.05)
    assert 62_378_344 / small == pytest.approx(50.0, abs=0.05)


# Random networks against hand formulas


@pytest.mark.parametrize("start", range(0, 2000, 500))
def test_two_thousand_small_nets(start):
    for seed in range(start, start + 500):
        net = RandomNet(seed)
        bill = cost_table(net, net.input_size)
        assert (bill.total.macs, bill.total.params) == (net.macs, net.params), f"seed {seed}"
        if seed % 50 == 0:
            out = net.eval()(torch.zeros(1, *net.input_size))
            assert [row for row in bill if row.call][-1].output_shape == tuple(out.shape[1:])


def test_receptive_fields_are_those_of_the_geometry():
    chance = random.Random(4)
    for _ in range(100):
        windows, layers = [], []
        for _ in range(chance.randint(1, 5)):
            kernel, stride, dilation = ((chance.randint(1, 3), chance.randint(1, 3)) for _ in range(3))
            pad = (chance.randint(0, 1) if kernel[0] > 1 else 0, 0)
            windows.append(Window(kernel, stride, pad, dilation))
            layers.append(
                chance.choice(
                    (nn.MaxPool2d(kernel, stride, pad, dilation), nn.Conv2d(1, 1, kernel, stride, pad, dilation))
                )
            )
        bill = cost_table(nn.Sequential(*layers), (1, 3000, 3000))
        assert bill.rows[-1].receptive_field == receptive_field(windows).size


class Branches(nn.Module):
    """A 5x5 beside a 3x3 that is moved by a slice: branches that meet, and one whose field is not a box of its own."""

    def __init__(self):
        super().__init__()
        self.five, self.three = nn.Conv2d(4, 4, 5, padding=2), nn.Conv2d(4, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 2, 2, stride=2)

    def forward(self, x):
        both = torch.cat([self.five(x), F.relu(self.three(x))], 1)
        left, right = both.chunk(2, 1)
        return (left + right).sum(), self.up(both), both[:, :, 1:]


def test_receptive_field_where_branches_meet_and_where_it_is_not_defined():
    rows = {row.name: row for row in cost_table(Branches(), (4, 9, 9))}
    assert rows["relu"].receptive_field == (3, 3)
    assert rows["cat"].receptive_field == rows["add"].receptive_field == (5, 5)
    assert rows["up"].receptive_field is None
    assert rows["cat"].inputs == (0, 2)


def same(ours, theirs):
    """Whether two results have the same shapes, strides and types."""
    ours, theirs = ((found,) if isinstance(found, torch.Tensor) else found for found in (ours, theirs))
    described = [[(t.shape, t.stride(), t.dtype) for t in found] for found in (ours, theirs)]
    return described[0] == described[1]


def test_shortcuts_give_what_torch_gives():
    """Each operation that is worked out here instead of by torch; and what is left to it."""
    a, b, wide = (torch.empty(shape, device="meta") for shape in ((2, 3, 5, 4), (2, 3, 5, 4), (2, 6, 5, 4)))
    line, left, right = (torch.empty(shape, device="meta") for shape in ((7,), (2, 3), (3, 7)))
    aten, channels = torch.ops.aten, [torch.empty(3, device="meta") for _ in range(4)]
    taken = [
        (aten.relu.default, (a,)), (aten.relu.default, (a.transpose(2, 3),)), (aten.relu_.default, (a,)),
        (aten.hardtanh.default, (a, 0, 6)), (aten.gelu.default, (a,)), (aten.tanh_.default, (a,)),
        (aten.add.Tensor, (a, b)), (aten.mul.Tensor, (a, b)), (aten.mul.Tensor, (a, 0.5)), (aten.add.Tensor, (a, 1)),
        (aten.cat.default, ([a, wide], 1)), (aten.cat.default, ([a, b],)), (aten.cat.default, ([a, b], -1)),
        (aten.addmm.default, (line, left, right)), (aten._adaptive_avg_pool2d.default, (a, [2, 3])),
        (aten.mean.dim, (a, [2, 3])), (aten.mean.dim, (a, [-1, -2], True)), (aten.mean.dim, (a, [1])),
        (aten.native_batch_norm.default, (a, *channels, True, 0.1, 1e-5)),
        (aten.native_batch_norm.default, (a, None, None, *channels[:2], False, 0.1, 1e-5)),
    ]  # fmt: skip
    for func, args in taken:
        assert same(known(func, args), func(*args)), func
    left_alone = [
        (aten.add.Tensor, (a, wide[:1])), (aten.add.Tensor, (a, 1j)), (aten.add.Tensor, (a, b.half())),
        (aten.add.Tensor, (a.long(), 0.5)), (aten.tanh.default, (a.long(),)), (aten.relu.default, (torch.ones(2),)),
        (aten.cat.default, ([a, wide], 0)), (aten.cat.default, ([a, b.half()], 1)), (aten.softplus.default, (a,)),
        (aten.addmm.default, (line, right, left)),
        (aten.native_batch_norm.default, (wide, *channels, True, 0.1, 1e-5)),
    ]  # fmt: skip
    assert [known(func, args) for func, args in left_alone] == [None] * len(left_alone)


def test_shortcuts_of_windows_give_what_torch_gives():
    """Legal or not: where torch refuses a convolution or a pool, it is left to torch to say why."""
    aten, chance, taken = torch.ops.aten, random.Random(6), 0
    for _ in range(600):
        axes = chance.choice((1, 2, 2, 3))
        x = torch.empty((2, chance.choice((4, 6)), *(chance.randint(1, 9) for _ in range(axes))), device="meta")
        kernel, stride, padding, dilation = ([chance.randint(low, 3) for _ in range(axes)] for low in (1, 1, 0, 1))
        groups = chance.choice((1, 2, 3))
        weight = torch.empty((chance.choice((6, 12)), x.shape[1] // groups, *kernel), device="meta")
        bias = chance.choice((None, torch.empty(6, device="meta")))
        calls = [(aten.convolution.default, (x, weight, bias, stride, padding, dilation, False, [0] * axes, groups))]
        if axes == 2:
            ceil_mode = chance.random() < 0.5
            calls.append((aten.max_pool2d_with_indices.default, (x, kernel, stride, padding, dilation, ceil_mode)))
            calls.append((aten.avg_pool2d.default, (x, kernel, stride, padding, ceil_mode)))
        for func, args in calls:
            ours = known(func, args)
            if ours is not None:
                taken += 1
                assert same(ours, func(*args)), (func, x.shape, args[1:])
    assert taken > 300


def test_the_usual_layers_load_no_algebra_and_no_compiler():
    """They would take most of the first call's time and memory."""
    names = ["lenet5", "vgg16", "googlenet", "resnet50", "densenet121", "mobilenet_v2", "squeezenet1_1"]
    code = f"import sys\nfrom cnnviz.measure import cost_table\nfor name in {names}: cost_table(name)\n"
    code += "print(sorted({'sympy', 'torch._dynamo'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
