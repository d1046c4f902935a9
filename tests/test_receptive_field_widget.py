"""ReceptiveField in Python: its geometry against torch's gradients, its measurements against theory, its refusals."""

import json
import random
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import traitlets
from torch import nn
from torch.nn import functional

from cnnviz import Window, receptive_field
from cnnviz.widgets.receptive_field import ReceptiveField
from cnnviz.widgets.receptive_field.stack import KINDS, boxes, maps, read_stack, ways, window


def random_case(rng: random.Random) -> tuple[list[dict], tuple[int, int], tuple[int, int]] | None:
    """Layers of any geometry, a picture and a unit; None where they do not fit together."""
    layers = []
    for kind in rng.choices(KINDS, weights=(4, 1, 1), k=rng.randint(1, 5)):
        size = [rng.randint(1, 4), rng.randint(1, 4)]
        layer = {"kind": kind, "kernel_size": size, "stride": [rng.randint(1, 2), rng.randint(1, 3)]}
        layer["padding"] = [rng.randint(0, n // 2) for n in size]
        if kind == "conv":
            layer["dilation"] = [rng.randint(1, 3), rng.randint(1, 2)]
            if rng.random() < 0.15:
                layer |= {"padding": "same", "stride": 1}
        else:
            layer["ceil_mode"] = rng.random() < 0.5
        layers.append(layer)
    size = rng.randint(4, 20), rng.randint(4, 20)
    try:
        end = maps(read_stack(layers), size)[-1]
    except ValueError:
        return None
    return layers, size, tuple(rng.randrange(n) for n in end)


def cases(count: int) -> list[tuple[list[dict], tuple[int, int], tuple[int, int]]]:
    rng, found = random.Random(3), []
    while len(found) < count:
        case = random_case(rng)
        found += [case] if case else []
    return found


def ways_by_gradient(layers: list[dict], size: tuple[int, int], unit: tuple[int, int]) -> np.ndarray:
    """Torch's gradient of a unit when every weight is 1: it counts the ways from each pixel."""
    picture = x = torch.zeros(1, 1, *size, dtype=torch.float64, requires_grad=True)
    for layer in read_stack(layers):
        one = window(layer)
        pads = [n for before, after in one.pads[::-1] for n in (before, after)]
        if layer["kind"] == "conv":
            kernel = torch.ones(1, 1, *one.kernel_size, dtype=torch.float64)
            x = functional.conv2d(functional.pad(x, pads), kernel, stride=one.stride, dilation=one.dilation)
        else:  # a max pool looks where an average pool does
            settings = {"stride": one.stride, "padding": one.padding, "ceil_mode": one.ceil_mode}
            x = functional.avg_pool2d(x, one.kernel_size, **settings, divisor_override=1)
    return torch.autograd.grad(x[0, 0, unit[0], unit[1]], picture)[0][0, 0].numpy()


def test_ways_and_frame_are_those_of_torchs_gradient():
    for layers, size, unit in cases(300):
        stack = read_stack(layers)
        found = ways_by_gradient(layers, size, unit)
        rows, cols = ways(stack, maps(stack, size), unit)[0]
        np.testing.assert_array_equal(np.outer(rows, cols), found)
        top, left, height, width = boxes(stack, unit)[0]
        theory = receptive_field([window(layer) for layer in stack])
        assert (height, width) == theory.size
        inside = np.zeros(size, dtype=bool)
        inside[max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)] = True
        assert not found[~inside].any()
        if top >= 0 and left >= 0 and top + height <= size[0] and left + width <= size[1]:  # and it is no larger
            assert all(edge.any() for edge in (found[top], found[top + height - 1], found[:, left + width - 1]))


def test_a_max_pool_hands_gradients_only_to_what_it_may_see():
    layers = [{"kind": "conv"}, {"kind": "max_pool", "kernel_size": 3, "stride": 2, "padding": 1}, {"kind": "conv"}]
    w = ReceptiveField(layers, input_size=15)
    stack = w.stacks[0]
    rows, cols = ways(stack, maps(stack, (15, 15)), w.units[0])[0]
    values = w.measure(samples=200)[0].values
    np.testing.assert_array_equal(values > 0, np.outer(rows, cols) > 0)


def test_random_networks_hang_on_pixels_as_their_ways_say():
    """With random weights the squared gradient is, in the mean, proportional to the ways (Luo et al., section 2)."""
    w = ReceptiveField([Window(3)] * 5, input_size=11)
    found = w.measure(samples=1000, seed=7)[0]
    profile = np.convolve(np.convolve(np.ones(3), np.ones(3)), np.convolve(np.ones(3), np.ones(3)))
    profile = np.convolve(profile, np.ones(3))
    np.testing.assert_allclose(found.values.sum(0), profile / profile.sum(), rtol=0.1)
    assert found.values.sum() == pytest.approx(1)


@pytest.mark.parametrize("seed", [0, 100, 200, 300, 400])
def test_the_middle_of_a_stack_counts_most_and_a_large_window_counts_evenly(seed):
    stacked, single = ReceptiveField("five 3x3 against one 11x11").measure(seed=seed)
    assert stacked.side == (9, 9)
    assert single.side == (11, 11)


def test_named_networks_and_presets_have_the_fields_of_the_lectures():
    assert ReceptiveField("vgg16").fields[0].size == (212, 212)  # with the last pool
    vgg = ReceptiveField("VGG-16")
    assert vgg.fields[0].size == (196, 196)  # conv5_3
    assert vgg.input_size == (224, 224)
    assert ReceptiveField("lenet5").fields[0].size == (32, 32)
    for name in ReceptiveField.presets():
        assert ReceptiveField(name).units
    for name in ReceptiveField.presets()[:3]:
        small, large = ReceptiveField(name).fields
        assert small.size == large.size


class Doubled(nn.Module):
    """Two convolutions with a skip, which no list of layers says."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.drop = nn.BatchNorm2d(4), nn.Dropout()

    def forward(self, x):
        x = self.drop(self.first(x.clamp_(-9, 9)))
        return x + self.second(self.norm(x).relu_())


def test_a_users_model_is_measured_and_left_as_it_was():
    model = Doubled()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.drop.eval()
    w = ReceptiveField([Window(3, padding=1)] * 2, input_size=12, model=model)
    state = torch.random.get_rng_state()
    values = w.measure()[0].values
    assert (torch.random.get_rng_state() == state).all()
    assert values.shape == (12, 12)
    inner = values[4:7, 4:7]
    assert (values > 0).sum() == 25
    assert inner.sum() / 9 > 2 * (values.sum() - inner.sum()) / 16  # the skip looks at the inner 3x3
    assert model.training
    assert model.norm.training
    assert not model.drop.training
    assert all((value == before[name]).all() for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_two_models_of_one_shape_are_measured_each_by_itself():
    even, centred = (nn.Sequential(nn.Conv2d(1, 1, 5, bias=False)) for _ in range(2))
    nn.init.ones_(even[0].weight)
    nn.init.dirac_(centred[0].weight)
    w = ReceptiveField(even, against=centred)
    with torch.no_grad():  # as a notebook may have switched it
        wide, narrow = w.measure(samples=1)
    assert wide.side == (5, 5)
    assert narrow.side == (1, 1)
    w.stacks = [[Window(3)], w.stacks[1]]  # no longer the module's layers: random weights
    assert w.effective[0] is None
    assert w.effective[1] is narrow
    assert (w.measure(samples=1)[0].values > 0).sum() == 9


def test_a_sequential_is_read_up_to_where_its_maps_end():
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 6, 5, dilation=2), nn.BatchNorm2d(6), nn.ReLU(inplace=True)),
        *(nn.MaxPool2d(3, 2, ceil_mode=True), nn.Dropout(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(6, 10)),
    )
    w = ReceptiveField(model, input_size=(20, 24))
    kinds = [(layer["kind"], layer["kernel_size"], layer["stride"]) for layer in w.stacks[0]]
    assert kinds == [("conv", 5, 1), ("max_pool", 3, 2), ("avg_pool", 2, 2)]
    assert w.fields[0].size == (13, 13)
    assert w.measure(samples=3)[0].values.shape == (20, 24)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"layers": []}, "0 layers: use a list of 1 to 64 layers"),
        ({"layers": 7}, "7: use a list"),
        ({"layers": [Window(3), 5]}, "layer 1: 5 is not known: use a Window"),
        ({"layers": [{"kind": "relu"}]}, 'layer 0: "relu" is not known'),
        ({"layers": [{"kind": "conv", "size": 3}]}, 'layer 0: conv has no "size": use kernel_size'),
        ({"layers": [{"kind": "conv", "stride": 0}]}, "layer 0: stride 0 is not a whole number"),
        ({"layers": [{"kind": "max_pool", "padding": 2}]}, "padding 2 is more than half of kernel_size 2"),
        ({"layers": [Window(9)], "input_size": 5}, "layer 0: kernel_size 9 spans 9 rows, but the padded input has 5"),
        ({"layers": [Window(3)], "against": [Window(9)], "input_size": 5}, "kernel_size 9 spans 9 rows"),
        ({"input_size": 1000}, "input_size 1000 is not a whole number from 1 to 256"),
        ({"position": -1}, "position -1 is not a whole number"),
        ({"position": "middle"}, 'position "middle" is not a whole number'),
        ({"layers": "vgg17"}, "vgg16"),
        ({"layers": "resnet18"}, "ResNet is no nn.Sequential"),
        ({"layers": nn.Sequential(nn.ConvTranspose2d(1, 1, 3))}, "ConvTranspose2d is no layer that slides alone"),
        ({"layers": nn.Sequential(nn.Conv2d(1, 1, 3, padding_mode="reflect"))}, 'padding_mode "reflect"'),
        ({"layers": nn.Sequential(nn.Flatten())}, "0 layers"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(arguments, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        ReceptiveField(**arguments)


def test_a_refused_change_changes_nothing():
    w = ReceptiveField()
    before = w.stacks
    for wrong in ([], [[Window(3)]] * 3, [[Window(31)]], "VGG-16", None):
        with pytest.raises(traitlets.TraitError):
            w.stacks = wrong
    with pytest.raises(ValueError, match="layer 1: kernel_size 3 spans 3 rows, but the padded input has 2"):
        w.input_size = 4
    with pytest.raises(TypeError, match='no argument "positon"'):
        ReceptiveField(positon=3)
    with pytest.raises(ValueError, match="samples 0 is not a whole number from 1 to 1000"):
        w.measure(samples=0)
    assert w.stacks is before
    assert w.input_size == (14, 14)


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.MaxPool2d(4), "the model's output (1, 3, 4, 4) is not (1, channels, rows, columns) with a unit (5, 5)"),
        (nn.Flatten(), "the model's output (1, 768)"),
        (Scaled(0), "the gradient of unit (5, 5) is zero"),
        (Scaled(float("nan")), "the gradient of unit (5, 5) is not a number"),
        (nn.Linear(3, 3), "shapes cannot be multiplied"),
    ],
)
def test_a_model_that_cannot_be_measured_says_why_in_the_view_too(model, words, monkeypatch):
    w, sent = ReceptiveField([Window(5)], input_size=16, model=model), []
    monkeypatch.setattr(w, "send", sent.append)
    w._told(w, {"kind": "measure"}, [])
    assert sent[-1]["kind"] == "refused"
    assert words in sent[-1]["message"]
    assert w.effective == (None,)


def test_what_the_view_sends_is_taken_or_refused(monkeypatch):
    w, sent = ReceptiveField("VGG-16"), []
    monkeypatch.setattr(w, "send", sent.append)
    w.set_state({"stacks": [[{"kind": "conv", "kernel_size": 7}]], "input_size": [20, 20], "position": [0, 3]})
    assert w.units == ((0, 3),)
    w._told(w, {"kind": "measure"}, [])
    assert sent == [{"kind": "measured"}]
    assert json.loads(w._measured[0]["of"]) == [[dict(w.stacks[0][0])], [20, 20]]
    w.set_state({"stacks": [[{"kind": "conv", "kernel_size": 70}]]})
    assert "kernel_size 70 spans 70 rows" in sent[-1]["message"]
    assert w.fields[0].size == (7, 7)


def test_the_still_picture_says_everything_and_always_the_same():
    first, second = ReceptiveField("five 3x3 against one 11x11"), ReceptiveField("five 3x3 against one 11x11")
    for w in (first, second):
        w.measure()
    bundles = [w._repr_mimebundle_()[0] for w in (first, second)]
    assert bundles[0]["image/svg+xml"] == bundles[1]["image/svg+xml"]
    text = bundles[0]["text/plain"]
    assert "conv 11x11: 10x10 units, 1x1 pixels apart" in text
    assert "unit (4, 4) sees 11x11 pixels, the first is (4, 4)" in text
    assert "95 % of the squared gradient in the middle 9x9" in text
    vgg = ReceptiveField("VGG-16")._repr_mimebundle_()[0]
    assert len(vgg["image/svg+xml"]) < 100_000


def test_torch_is_loaded_by_measuring_only():
    code = (
        "import sys; from cnnviz.widgets.receptive_field import ReceptiveField; w = ReceptiveField('VGG-16'); repr(w); "
    )
    code += "w._repr_mimebundle_(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
