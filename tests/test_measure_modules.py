"""Bills of any module that a user brings: counted right, left as it was, refused in words where it must be."""

# ruff: noqa: NPY002 - the old global generator is one of the things that must be left as it was
from __future__ import annotations

import copy
import random
import threading
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.prune import random_unstructured

from cnnviz import models
from cnnviz.cost import Cost
from cnnviz.measure import ForwardFailed, cost_table


class Odd(nn.Module):
    """Makes tensors on the CPU, looks at values, prints, draws random numbers, and changes itself."""

    def __init__(self, look=False, lock=False):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.look, self.seen, self.calls = look, [], 0
        self.lock = threading.Lock() if lock else None
        self.register_buffer("steps", torch.zeros(2))

    def forward(self, x):
        print("forward")
        self.calls += 1
        self.steps.add_(1)
        self.extra = nn.Linear(2, 2)
        self.seen.append(1)
        y = self.norm(self.conv(x)) + torch.randn(4, 1, 1, device="cpu")
        random.random()
        np.random.rand()
        with torch.no_grad():
            self.conv.weight.mul_(float("nan") if self.look and y.sum() < 1e30 else 1)
        return y


@pytest.mark.parametrize(
    ("look", "lock", "how"), [(False, False, "fake"), (True, False, "real"), (False, True, "fake")]
)
@pytest.mark.parametrize("training", [True, False])
def test_an_odd_module_is_counted_and_left_as_it_was(look, lock, how, training, capsys):
    net = Odd(look, lock).train(not training)
    net.conv.eval()
    called = []
    net.conv.register_forward_hook(lambda *_: called.append(1))
    modes = [part.training for part in net.modules()]
    state = copy.deepcopy(net.state_dict())
    names = [set(vars(part)) for part in net.modules()]
    torch.manual_seed(1)
    random.seed(2)
    np.random.seed(3)
    draws = torch.get_rng_state(), random.getstate(), np.random.get_state()[2]
    bill = cost_table(net, (3, 8, 8), training=training)
    assert bill.how == how
    assert bill.total.params == 120
    assert bill.total.macs == 3_888
    assert (net.calls, net.training, list(net.conv._forward_pre_hooks)) == (0, not training, [])
    assert len(net.conv._forward_hooks) == 1
    assert [part.training for part in net.modules()] == modes
    assert [set(vars(part)) for part in net.modules()] == names
    for key, value in net.state_dict().items():
        assert value.device.type == "cpu"
        assert torch.equal(value, state[key]), key
    assert torch.equal(torch.get_rng_state(), draws[0])
    assert (random.getstate(), np.random.get_state()[2]) == draws[1:]
    assert torch.get_default_device() == torch.device("cpu")
    assert torch.empty(1).device.type == "cpu"
    if not lock:
        assert (called, net.seen) == ([], [])


def test_several_inputs_functional_weights_and_tied_ones():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = nn.Embedding(50, 8), nn.Linear(8, 50, bias=False)
            self.head.weight = self.embed.weight
            self.weight, self.idle = nn.Parameter(torch.ones(5, 8)), nn.Linear(3, 3)

        def forward(self, words, scale):
            return F.linear(self.head(self.embed(words)) @ torch.ones(50, 8), self.weight * scale)

    bill = cost_table(Net(), (torch.zeros(1, 6, dtype=torch.int64), torch.ones(1)))
    assert bill.total == Cost(400 + 40 + 12, 6 * (8 * 50 + 50 * 8 + 8 * 5), bill.total.activations)
    rows = {row.name: row for row in bill}
    assert (rows["embed"].params, rows["head"].params) == (400, 0)
    assert (rows["idle"].call, rows["idle"].params) == (0, 12)


def test_a_network_written_in_functions_alone_has_a_row_for_each():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel, self.matrix = nn.Parameter(torch.zeros(4, 3, 3, 3)), nn.Parameter(torch.zeros(10, 64))

        def forward(self, x):
            x = F.max_pool2d(F.relu(F.conv2d(x, self.kernel, padding=1)), 2)
            return F.linear(x.flatten(1), self.matrix)

    bill = cost_table(Net(), (3, 8, 8))
    assert [(row.name, row.params, row.macs, row.activations) for row in bill] == [
        ("conv2d", 4 * 27, 64 * 4 * 27, 256), ("relu", 0, 0, 256), ("max_pool2d", 0, 0, 64), ("linear", 640, 640, 10),
    ]  # fmt: skip


def test_a_size_may_be_an_array_and_is_refused_in_words_when_no_memory_could_hold_it():
    layer = nn.Conv2d(3, 4, 3)
    assert cost_table(layer, np.array([3, 8, 8])) == cost_table(layer, (3, 8, 8))
    with pytest.raises(ValueError, match=r"input_size \(3, 1000000000, 1000000000\) is too large for any memory"):
        cost_table(nn.Sequential(layer), (3, 10**9, 10**9))


def test_attention_and_recurrent_layers_by_hand():
    tokens, width, hidden = 7, 16, 32
    layer = nn.TransformerEncoderLayer(width, 4, hidden, batch_first=True)
    bill = cost_table(layer, (tokens, width))
    assert bill.total.macs == tokens * (4 * width**2 + 2 * width * hidden) + 2 * tokens**2 * width
    assert bill.total.params == sum(p.numel() for p in layer.parameters())
    assert cost_table(nn.LSTM(4, 5, batch_first=True), (7, 4)).total == Cost(220, 7 * 20 * 9, 7 * 5 + 5 + 5)


@pytest.mark.parametrize(("layer", "size"), [
    (nn.Conv1d, (3, 12)), (nn.Conv2d, (3, 9, 12)), (nn.ConvTranspose2d, (3, 9, 12)), (nn.Conv3d, (3, 4, 5, 6)),
])  # fmt: skip
@pytest.mark.parametrize("bias", [False, True])
def test_a_complex_number_counts_once_and_so_does_a_product_of_two(layer, size, bias):
    real = cost_table(nn.Sequential(layer(3, 4, 3, bias=bias)), size)
    of_complex = cost_table(nn.Sequential(layer(3, 4, 3, bias=bias, dtype=torch.complex64)), size)
    for ours, theirs in zip(of_complex, real, strict=True):
        assert (ours.cost, ours.other) == (theirs.cost, theirs.other)
    assert of_complex.sizes.value == 8  # bytes
    assert cost_table(nn.Linear(5, 4, dtype=torch.complex64), (5,)).total == Cost(24, 20, 4)


@pytest.mark.filterwarnings("ignore:.*torch.(ao.quantization is|quantize_per_tensor).* deprecated")
def test_a_quantised_layer_is_refused_in_words():
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 10))
    packed = torch.ao.quantization.quantize_dynamic(net, {nn.Linear})
    with pytest.raises(ValueError, match=r"^1 is a quantised Linear, whose weights .* before it is quantised"):
        cost_table(packed, (3, 4, 4))


def test_views_and_layers_in_place_write_nothing():
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Dropout(), nn.Identity(), nn.Flatten(), nn.Linear(8, 3)
    )
    assert [row.activations for row in cost_table(net, (1, 4, 4))] == [8, 0, 0, 0, 0, 3]


def test_peak_memory_of_a_chain_and_of_a_skip():
    chain = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1), nn.Conv2d(8, 2, 3, padding=1))
    memory = cost_table(chain, (1, 10, 10)).memory()
    assert memory.activations == 4 * 100 * (1 + 4 + 8)  # the input is held by the caller
    assert memory.parameters == 4 * sum(p.numel() for p in chain.parameters())
    held = cost_table("vgg16").memory("adam", batch_size=2)
    assert held.optimizer_state == 2 * held.gradients == 8 * 138_357_544


def test_half_precision_and_compiled_and_pruned_modules():
    assert cost_table(nn.Conv2d(3, 4, 3).half(), (3, 8, 8)).memory().parameters == 224
    pruned = random_unstructured(nn.Conv2d(3, 4, 3), "weight", 0.5)
    assert cost_table(nn.Sequential(pruned), (3, 8, 8)).total == Cost(112, 3_888, 144)
    assert cost_table(torch.compile(nn.Conv2d(3, 4, 3), backend="eager"), (3, 8, 8)).total == Cost(112, 3_888, 144)


def test_inference_mode_inside_and_outside():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 3))
    usual = cost_table(net, (3, 8, 8))
    with torch.inference_mode():
        assert cost_table(net, (3, 8, 8)).rows == usual.rows

    class Inside(nn.Sequential):
        @torch.inference_mode()
        def forward(self, x):
            return super().forward(x)

    assert cost_table(Inside(*net), (3, 8, 8)).total == usual.total


def test_a_forward_that_needs_values_and_is_too_large_is_refused_quickly():
    class Looks(nn.Linear):
        def forward(self, x):
            return super().forward(x) if x.sum() > 0 else x

    with torch.device("meta"):
        net = Looks(4000, 4000)
    with pytest.raises(ForwardFailed):
        cost_table(net, (4000,))
    assert cost_table(Looks(40, 40), (40,)).total.macs == 1600


def test_training_mode_runs_the_auxiliary_heads_of_a_batch_of_two():
    with torch.device("meta"):
        net = models.create("googlenet", aux_logits=True)
    plain, trained = cost_table(net), cost_table(net, training=True)
    assert plain.total.params == trained.total.params == 13_004_888  # B18
    assert trained.total.macs == plain.total.macs + sum(trained.part(head).total.macs for head in ("aux1", "aux2"))
    assert sum(row.params for row in plain if row.call) == 6_624_904


def test_two_hundred_tables_while_another_net_trains():
    stop = threading.Event()
    steps = []

    class Foreign(nn.Linear):
        pass

    def train():
        net = nn.Sequential(Foreign(5, 11), nn.Tanh(), Foreign(11, 1))
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        while not stop.is_set():
            optimizer.zero_grad()
            net(torch.ones(3, 5)).sum().backward()
            optimizer.step()
            steps.append(net[0].weight.device.type)

    own = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 3)))
    alone = cost_table(own, (3, 9, 9))
    thread = threading.Thread(target=train)
    thread.start()
    try:
        assert all(cost_table(own, (3, 9, 9)).rows == alone.rows for _ in range(200))
    finally:
        stop.set()
        thread.join()
    assert len(steps) > 10
    assert set(steps) == {"cpu"}


def test_a_module_that_trains_at_the_same_time_is_not_disturbed():
    net, failures, stop = nn.Sequential(nn.Linear(5, 5), nn.ReLU()), [], threading.Event()

    def train():
        while not stop.is_set():
            try:
                net(torch.ones(3, 5)).sum().backward()
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    for _ in range(50):
        cost_table(net, (5,))
    stop.set()
    thread.join()
    assert failures == []


# Bad input


def test_a_failing_forward_shows_the_rows_so_far_and_the_shapes_that_met():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(8, 4, 3)))
    with pytest.raises(ForwardFailed) as caught:
        cost_table(net, (3, 8, 8))
    assert [row.name for row in caught.value.table] == ["0", "1"]
    text = str(caught.value)
    assert "fails at 2.0 (Conv2d), which was given (1, 4, 6, 6)" in text
    assert "(1, 4, 6, 6) with (4, 8, 3, 3)" in text
    assert "Up to there:" in text
    assert "ReLU" in text
    assert len(net[0]._forward_hooks) == len(net[0]._forward_pre_hooks) == 0


def test_too_small_a_picture_is_said_with_the_layer():
    with pytest.raises(ForwardFailed, match=r"features\.30"):
        cost_table("vgg16", (3, 16, 16))
    with pytest.raises(ForwardFailed, match=r"AuxLogits\.conv1"):
        cost_table("inception_v3", (3, 224, 224), training=True)


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


@pytest.mark.parametrize(
    ("model", "size", "error", "message"),
    [
        (
            Two(),
            (3, 8, 8),
            ValueError,
            r"Two takes 2 inputs \(x, y\), but input_size names 1: give a tuple of 2 shapes",
        ),
        ("resnet5", None, ValueError, "did you mean"),
        (nn.ReLU, None, TypeError, r"create it first, Net\(\)"),
        (None, None, TypeError, "model is 'None', not a torch.nn.Module"),
        (nn.LazyLinear(3), (4,), ValueError, "is lazy and has no shape yet: run the module once"),
        (nn.ReLU(), (3, 0, 5), ValueError, "is not a shape of whole numbers of at least 1"),
        (nn.ReLU(), (3, True), ValueError, "is not a shape"),
        (nn.ReLU(), (3, 2.0), ValueError, "is not a shape"),
        (nn.ReLU(), "3, 4", ValueError, "is not a shape"),
        (nn.ReLU(), (), ValueError, "is not a shape"),
        (nn.ReLU(), ((3, 4), (0,)), ValueError, "is not a shape"),
        (nn.Linear(4, 2), (5,), ValueError, r"Linear fails at Linear|cannot be multiplied|Linear fails"),
    ],
)
def test_bad_input_is_named(model, size, error, message):
    with pytest.raises(error, match=message):
        cost_table(model, size)


def test_it_is_quick_enough_to_feel_immediate():
    cost_table("vgg16")
    times = []
    for _ in range(5):
        start = time.perf_counter()
        cost_table("vgg16")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.5  # the bar of 50 ms is the benchmark's: machines differ
