"""The draw pad in Python: strokes become scans, any network is asked and none is touched."""

import copy
import re

import numpy as np
import pytest
import torch
import traitlets
from sklearn.datasets import load_digits
from torch import nn

from cnnviz import models
from cnnviz.data import load
from cnnviz.models import bundled
from cnnviz.widgets.draw_pad import DrawPad
from cnnviz.widgets.draw_pad.examples import EXAMPLES
from cnnviz.widgets.draw_pad.strokes import INK, scan
from tests.drawings import LEARNED, drawing

SEVEN = [[(0.2, 0.15), (0.8, 0.15), (0.4, 0.9)], [(0.35, 0.5), (0.75, 0.5)]]


def drawings(count: int = 3) -> list:
    rng = np.random.default_rng(2)
    return [(digit, drawing(way, digit, rng)) for digit in LEARNED for way in LEARNED[digit] for _ in range(count)]


# ---- strokes --------------------------------------------------------------------------------------------------------


def test_where_and_how_large_a_digit_is_drawn_does_not_matter():
    for _, strokes in drawings(1):
        points = np.concatenate(strokes)
        low, span = points.min(axis=0), np.ptp(points, axis=0).max()
        small = [(0.5 + 0.3 * (np.array(stroke) - low) / span).tolist() for stroke in strokes]
        assert np.abs(scan(small) - scan(strokes)).max() < 0.01


def test_drawings_have_the_ink_and_the_columns_of_the_scans():
    real, ours = load_digits().images, np.array([scan(strokes) for _, strokes in drawings()])
    assert abs(np.median(ours.sum(axis=(1, 2))) - np.median(real.sum(axis=(1, 2)))) < 15
    assert abs(np.median(ours.sum(axis=(1, 2))) - INK) < 5
    used = [(pictures > 0).any(axis=1).mean(axis=0) for pictures in (real, ours)]
    assert np.abs(used[0] - used[1])[[0, 2, 3, 4, 5]].max() < 0.05  # nearly nothing left, everything in the middle
    assert (ours.max(axis=(1, 2)) > 14).all()
    assert ours.max() <= 16


@pytest.mark.parametrize("stroke", [[(0.5, 0.5)], [(0.5, 0.5), (0.5, 0.5)], [(0, 0), (1, 1)], [(0, 0.5), (1, 0.5)]])
def test_dots_and_lines_are_drawings_too(stroke):
    ink = scan([stroke])
    assert np.isfinite(ink).all()
    assert 60 < ink.sum() < 400
    assert np.allclose(ink, np.rot90(ink, 2), atol=0.01)  # in the middle


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"strokes": [[(2, 3)]]}, "(2.0, 3.0) is not a list of strokes: use [[(0.2, 0.1)"),
        ({"strokes": [[(float("nan"), 0)]]}, "(nan, 0.0) is not a list of strokes"),
        ({"strokes": [[]]}, "a stroke without a point is not"),
        ({"strokes": 7}, "7 is not a list of strokes"),
        ({"strokes": [[(0, 0)] * 5001]}, "a drawing of 5,001 points has more than 5,000: clear the paper"),
        ({"example": 10}, "example 10 is not a whole number from 0 to 9"),
        ({"size": 7}, "size 7 is not a whole number from 8 to 256"),
        ({"shift": 7}, "shift 7 is not a whole number from −6 to 6"),
    ],
)
def test_what_is_no_drawing_is_refused(given, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        DrawPad(**given)
    pad = DrawPad(example=4)
    if "size" not in given:
        with pytest.raises(traitlets.TraitError):
            pad.set_trait(*next(iter(given.items())))
    assert pad.answer == "4"


def test_an_unknown_argument_is_refused():
    with pytest.raises(TypeError, match='DrawPad has no argument "digit": use model, size'):
        DrawPad(digit=3)


# ---- pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [28, 32])
def test_the_examples_are_pictures_of_the_test_set(size):
    data = load("digits", size)
    for label in range(10):
        assert any(
            torch.equal(DrawPad(size=size, example=label).picture, x) for x in data.test_x[data.test_y == label]
        ), label
    assert EXAMPLES.shape == (10, 8, 8)


def test_a_shift_moves_the_picture_and_wraps_nothing_around():
    middle, right = DrawPad(example=3).picture, DrawPad(example=3, shift=6).picture
    assert torch.equal(right[..., 6:], middle[..., :-6])
    assert not right[..., :6].any()
    assert torch.equal(DrawPad(example=3, shift=-2).picture[..., :-2], middle[..., 2:])


# ---- the network ----------------------------------------------------------------------------------------------------


def test_the_probabilities_are_those_of_the_model():
    pad = DrawPad(strokes=SEVEN)
    net = bundled.load("lenet5-digits")
    assert np.allclose(pad.probabilities, net(pad.picture[None]).softmax(1).detach()[0], atol=1e-6)
    assert pad.answer == "7"
    pad.clear()
    assert pad.answer == ""
    pad.example = 2
    assert pad.answer == "2"


def test_maps_are_shown_where_their_shape_changes():
    pad = DrawPad(example=8)
    net, x = pad.model, pad.picture[None]
    maps = list(pad.maps.values())
    assert [*pad.maps][:3] == ["1 Conv2d, Tanh", "2 AvgPool2d", "3 Conv2d, Tanh"]
    for depth, shown in zip((2, 3, 5, 6), maps, strict=False):  # after tanh, after the pool, ...
        assert np.allclose(shown, net.features[:depth](x)[0].detach(), atol=1e-6)
    assert [shown.shape for shown in maps[4:]] == [(1, 1, 120), (1, 1, 84), (1, 1, 10)]
    assert np.allclose(maps[-1].ravel(), net(x)[0].detach(), atol=1e-6)


@pytest.mark.parametrize("name", ["vgg11_bn", "resnet18", "mobilenet_v2", "resnet56_cifar", "lenet5_1998"])
def test_any_network_fits_on_the_page(name):
    own = {"small": True} if "small" in models.options(name) else {}
    pad = DrawPad(models.create(name, num_classes=12, **own), example=1, classes=[*"abcdefghijkl"])
    assert 3 <= len(pad.maps) <= 8
    assert all(
        shown.shape[0] <= 16 and max(shown.shape[1:2]) <= 32 and shown.size <= 16 * 1024 for shown in pad.maps.values()
    )
    assert len(pad._fresh()["probabilities"]) == 10  # the ten most probable of twelve
    assert pad._fresh()["error"] == ""


def test_a_training_is_not_disturbed_by_questions_in_between():
    def trained(asked: bool) -> dict:
        torch.manual_seed(3)
        net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(3600, 10))
        pad, optimizer = DrawPad(net, example=6), torch.optim.SGD(net.parameters(), 0.01)
        for _ in range(5):
            nn.functional.cross_entropy(net(torch.rand(8, 1, 32, 32)), torch.arange(8)).backward()
            optimizer.step()
            if asked:
                assert abs(pad.probabilities.sum() - 1) < 1e-9
                assert pad._fresh()["learning"]
                assert net.training
        return copy.deepcopy(net.state_dict())

    with_questions, without = trained(True), trained(False)
    assert all(torch.equal(with_questions[key], without[key]) for key in without)


def test_each_answer_is_that_of_the_weights_as_they_are():
    net = models.create("lenet5")
    pad = DrawPad(net, example=5)
    before = pad.probabilities
    net.load_state_dict(bundled.load("lenet5-digits").state_dict())
    assert not np.allclose(before, pad.probabilities)
    assert pad.answer == "5"
    pad.model = nn.Sequential(nn.Flatten(), nn.Linear(1024, 3))
    assert pad.probabilities.shape == (3,)


def exploded() -> nn.Module:
    net = models.create("lenet5")
    nn.init.constant_(net.classifier[-1].bias, float("nan"))
    return net


class Broken(nn.Module):
    def forward(self, x):
        raise KeyError("layer7")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Linear(3, 4), "Linear cannot take a picture of 1×32×32: mat1"),
        (nn.Conv2d(1, 3, 3), "Conv2d answers with (1, 3, 30, 30): the pad needs one score a class"),
        (exploded(), "LeNet5 answers with numbers that are not finite"),
        (Broken(), "KeyError: 'layer7'"),
    ],
)
def test_what_a_model_cannot_do_is_said_and_no_traceback(model, words):
    pad = DrawPad(model, example=0)
    assert words in pad._fresh()["error"]
    assert words.removeprefix("KeyError: ") in pad._repr_mimebundle_()[0]["text/plain"]


# ---- the page -------------------------------------------------------------------------------------------------------


def test_the_still_picture_is_deterministic_and_says_the_geometry():
    first, second = (DrawPad(strokes=SEVEN)._repr_mimebundle_()[0] for _ in range(2))
    assert first["image/svg+xml"] == second["image/svg+xml"]
    assert "the network says 7" in first["image/svg+xml"]
    text = first["text/plain"].splitlines()
    assert text[:3] == [
        "DrawPad, 2 strokes, input 32×32",
        "Conv2d, Tanh: 6 maps of 28×28",
        "AvgPool2d: 6 maps of 14×14",
    ]
    assert re.fullmatch(r"probabilities: 0 0 %, .*, 7 (>99|\d\d) %, 8 0 %, 9 0 %", text[-1])
    assert len(first["image/svg+xml"]) < 30_000
    assert "clean paper" in repr(DrawPad())


def test_names_of_classes_are_text_and_nothing_else():
    svg = DrawPad(example=1, classes=["<b>x</b>"] * 10)._repr_mimebundle_()[0]["image/svg+xml"]
    assert "<b>" not in svg


def test_what_the_view_sends_is_answered_once_and_under_its_number(monkeypatch):
    pad, asked = DrawPad(), []
    pad.open()
    _ = pad.model_id  # shown
    monkeypatch.setattr(type(pad), "_fresh", lambda self: asked.append(self.strokes) or {"asked": self._asked})
    pad.set_state({"strokes": SEVEN, "example": None, "_asked": 5})
    assert len(asked) == 1
    assert pad._answer == {"asked": 5}
    pad.set_state({"strokes": SEVEN, "example": 3, "_asked": 6})  # the same strokes, and a scan over them
    assert pad._answer == {"asked": 6}
    pad._told(pad, {"kind": "again"}, [])
    assert len(asked) == 3
    pad.set_state({"strokes": [[[0, 7]]], "_asked": 7})  # refused as a whole
    assert len(asked) == 3
    assert len(pad.strokes) == 2


def test_no_page_is_saved_that_could_not_answer(tmp_path):
    with pytest.raises(ValueError, match=r"use \.png or \.svg"):
        DrawPad().save(tmp_path / "pad.html")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"model": "lenet5"}, 'model "lenet5" is not a network'),
        ({"model": nn.Linear}, "is not a network"),
        ({"classes": 3}, "classes 3 is no list of names"),
        ({"classes": "ab"}, 'classes "ab" is no list of names'),
    ],
)
def test_what_is_no_network_or_no_names_is_refused(given, text):
    with pytest.raises(ValueError, match=text):
        DrawPad(**given)
