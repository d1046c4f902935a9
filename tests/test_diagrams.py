"""Pictures of networks: their connections, what they say on hovering, that they are whole, escaped and repeatable."""

from __future__ import annotations

import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from cnnviz import models
from cnnviz.cost import CostRow, CostTable
from cnnviz.diagrams import _grouped, _placed, _short, draw
from cnnviz.measure import cost_table

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def table():
    """Tables of named networks, each made once."""
    made = {}
    return lambda name: made.setdefault(name, cost_table(name))


def boxes_of(diagram):
    """Hover texts of the boxes, the first line without its kind as key."""
    root = ElementTree.fromstring(diagram.svg)
    titles = [title.text for group in root.iter(f"{SVG}g") for title in group.findall(f"{SVG}title")]
    return {title.split("\n")[0].split(" (")[0]: title for title in titles}


@pytest.mark.parametrize(
    "name", ["lenet5", "vgg16", "googlenet", "resnet18", "resnet50", "densenet121", "fractalnet", "fpn"]
)
@pytest.mark.parametrize("color", ["params", "macs", "activations"])
def test_every_network_fits_and_every_box_has_its_own_place(name, color, table):
    diagram = draw(table(name), color)
    assert diagram.boxes <= 64
    root = ElementTree.fromstring(diagram.svg)
    width, height = float(root.get("width")), float(root.get("height"))
    drawn = [rect for group in root.iter(f"{SVG}g") for rect in group.findall(f"{SVG}rect")]
    assert len(drawn) == diagram.boxes
    corners = [tuple(float(rect.get(key)) for key in ("x", "y", "width", "height")) for rect in drawn]
    for x, y, w, h in corners:
        assert x >= 0
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
    for n, (x, y, w, h) in enumerate(corners):
        for x2, y2, w2, h2 in corners[n + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    assert len(list(root.iter(f"{SVG}path"))) == diagram.connections


def test_costs_of_the_boxes_are_those_of_the_table(table):
    for name in ("googlenet", "resnet50", "densenet121"):
        boxes = _grouped(table(name), 2)
        assert sum(box.cost.macs for box in boxes) == table(name).total.macs
        assert sum(box.cost.params for box in boxes) == table(name).total.params


def test_a_plain_network_is_a_chain(table):
    diagram = draw(table("vgg16"))
    assert (diagram.boxes, diagram.connections) == (23, 22)  # input, 13 convolutions, 5 pools, 1 average, 3 dense


def test_residual_blocks_add_what_goes_around_them(table):
    boxes = _placed(_grouped(table("resnet18"), 9))
    adds = [box for box in boxes if box.kind == "add"]
    assert [len(box.reads) for box in adds] == [2] * 8
    around = [box for box in adds if max(box.column - boxes[n].column for n in box.reads) == 3]
    assert len(around) == 5  # the other three have a 1x1 convolution in the shortcut


def test_inception_modules_have_four_branches_that_meet(table):
    boxes = _placed(_grouped(table("googlenet"), 2))
    meets = [box for box in boxes if box.kind == "cat"]
    assert len(meets) == 9
    for box in meets:
        assert len({boxes[n].lane for n in box.reads}) == len(box.reads) == 4


def test_a_dense_block_of_l_layers_has_l_times_l_plus_1_halves_connections(table):
    parts = dict(draw(table("densenet121")).parts)
    layers = {heading.split(":")[0]: part.connections for heading, part in parts.items() if "denseblock" in heading}
    assert list(layers.values()) == [length * (length + 1) // 2 for length in (6, 12, 24, 16)]  # FACTS A26


def test_boxes_follow_the_size_of_the_maps(table):
    boxes = _placed(_grouped(table("vgg16"), 2))
    first, last = boxes[1], next(box for box in boxes if box.name == "features.28")
    assert first.height > last.height
    assert first.width < last.width
    assert all(boxes[n].column < box.column for box in boxes for n in box.reads)


def test_hovering_tells_the_numbers(table):
    title = boxes_of(draw(table("vgg16")))["features.0"]
    assert title.split("\n") == [
        "features.0 (Conv2d)",
        "Conv2d, ReLU",
        "output 64×224×224",
        "1,792 parameters",
        "86,704,128 MACs",
        "6,422,528 activation values",
    ]


def test_colour_follows_the_chosen_cost(table):
    def fills(color):
        return re.findall(r'fill="(#[0-9a-f]{6})" stroke="#344054"/><text', draw(table("vgg16"), color).svg)

    params, macs = fills("params"), fills("macs")
    assert params != macs
    dark = "#0b4f9e"
    assert params.index(dark) == 18 + 1  # the first dense layer, behind 13 convolutions, 5 pools and the average
    assert macs.index(dark) < 13


def test_modules_fold_and_alike_ones_are_drawn_once(table):
    parts = dict(draw(table("resnet50")).parts)
    assert [heading.split(":")[0] for heading in parts] == ["layer1.0", "layer1.1"]
    assert any("and alike layer1.2, layer2.1" in heading for heading in parts)
    page = draw(table("resnet50"))._repr_mimebundle_()["text/html"]
    assert page.count("<details") == page.count("</details>") == 2
    whole = draw(table("resnet50"), depth=1)
    assert whole.boxes == 1 + 2 + 4 + 2


def test_it_is_the_same_text_every_time():
    code = "from cnnviz.diagrams import draw; print(draw('shufflenet_v2_x1_0').svg)"
    run = subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": "7"}, capture_output=True, check=True)
    assert run.stdout.decode() == draw("shufflenet_v2_x1_0").svg + "\n"


def test_names_are_escaped_and_short():
    rows = (
        CostRow('<script>alert("1")</script>', "A&B", (3, 4, 4), 1, 1, 48, None, inputs=(-1,)),
        CostRow("x.<i>.1", "Conv2d", (3, 4, 4), 1, 2, 48, None, inputs=(0,)),
        CostRow("x.<i>.2", "Conv2d", (3, 4, 4), 1, 2, 48, None, inputs=(1,)),
    )
    bundle = draw(CostTable("</title><b>", rows, {"x": "<u>"}), depth=1)._repr_mimebundle_()
    for kind in ("image/svg+xml", "text/html"):
        assert not re.search(r"<(script|b|i|u)>", bundle[kind])
    ElementTree.fromstring(bundle["image/svg+xml"])
    assert _short("denselayer24") == "denselay…r24"[:7] + "…r24"


def test_functions_shared_layers_and_second_calls_are_drawn():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return x + self.conv(torch.relu(self.conv(x)))

    diagram = draw(Net(), input_size=(3, 8, 8))
    assert (diagram.boxes, diagram.connections) == (4, 4)  # input, twice the convolution, the sum


def test_saved_and_shown(tmp_path):
    diagram = draw(nn.Conv2d(3, 4, 3), input_size=(3, 8, 8))
    assert diagram.save(tmp_path / "net.svg").read_text(encoding="utf-8") == diagram.svg
    assert repr(diagram) == "Conv2d: 2 boxes, 1 connections"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw("vgg16", color="red"), "color 'red' is not known: use one of params, macs, activations"),
        (lambda: draw("vgg16", depth=0), "depth 0 is not a whole number of at least 1"),
        (lambda: draw(CostTable("Empty", ())), "Empty has no layer that ran: nothing to draw"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message


def test_every_name_can_be_drawn():
    for name in ("lenet5_1998", "odenet", "inception_resnet_v2", "mobilenet_v2"):
        assert name in models.names()
        assert draw(name).boxes > 3
