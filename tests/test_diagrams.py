"""Pictures of networks: their connections, what they say on hovering, that they are whole, escaped and repeatable."""

from __future__ import annotations

import re
import subprocess
import sys
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

from cnnviz import models
from cnnviz._boxes import _short, placed
from cnnviz.cost import CostRow, CostTable
from cnnviz.diagrams import _grouped, draw
from cnnviz.measure import cost_table

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def table():
    """Tables of named networks, each made once."""
    made = {}
    return lambda name: made.setdefault(name, cost_table(name))


def net_of(diagram):
    """The group that holds the lines and, directly, all boxes that are shown."""
    return ElementTree.fromstring(diagram.svg).find(f"{SVG}g")


def boxes_of(diagram):
    """Hover texts of the boxes that are shown, the first line without its kind as key."""
    titles = [title.text for title in net_of(diagram).findall(f"{SVG}g/{SVG}title")]
    return {title.split("\n")[0].split(" (")[0]: title for title in titles}


def inside(diagram, name):
    """The network that unfolds from the pile of this name."""
    for box in net_of(diagram).iter(f"{SVG}g"):
        title = box.find(f"{SVG}title")
        if title is not None and title.text.startswith(f"{name} ("):
            return box.find(f"{SVG}g[@class='inside']/{SVG}g")
    raise AssertionError(name)


@pytest.mark.parametrize(
    "name", ["lenet5", "vgg16", "googlenet", "resnet18", "resnet50", "densenet121", "fractalnet", "fpn"]
)
@pytest.mark.parametrize("color", ["params", "macs", "activations"])
def test_every_network_fits_and_every_box_has_its_own_place(name, color, table):
    diagram = draw(table(name), color)
    assert diagram.boxes <= 64
    root = ElementTree.fromstring(diagram.svg)
    lines, *groups = net_of(diagram)
    assert (len(groups), len(lines)) == (diagram.boxes, diagram.connections)
    corners = []
    for group in groups:
        x, y = map(int, re.fullmatch(r"translate\((\d+) (\d+)\)", group.get("transform")).groups())
        _, _, w, h = map(int, group.get("data-p").split())
        corners.append((x - w / 2, y - h / 2, w, h))
    for n, (x, y, w, h) in enumerate(corners):
        assert 0 <= x < x + w <= float(root.get("width"))
        assert 0 <= y < y + h <= float(root.get("height"))
        for x2, y2, w2, h2 in corners[n + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y


def test_costs_of_the_boxes_are_those_of_the_table(table):
    for name in ("googlenet", "resnet50", "densenet121"):
        boxes = _grouped(table(name), 2)
        assert sum(box.cost.macs for box in boxes) == table(name).total.macs
        assert sum(box.cost.params for box in boxes) == table(name).total.params


def test_a_plain_network_is_a_chain(table):
    diagram = draw(table("vgg16"))
    assert (diagram.boxes, diagram.connections) == (23, 22)  # input, 13 convolutions, 5 pools, 1 average, 3 dense


def test_residual_blocks_add_what_goes_around_them(table):
    boxes = placed(_grouped(table("resnet18"), 9))
    adds = [box for box in boxes if box.kind == "add"]
    assert [len(box.reads) for box in adds] == [2] * 8
    around = [box for box in adds if max(box.column - boxes[n].column for n in box.reads) == 3]
    assert len(around) == 5  # the other three have a 1x1 convolution in the shortcut


def test_inception_modules_have_four_branches_that_meet(table):
    boxes = placed(_grouped(table("googlenet"), 2))
    meets = [box for box in boxes if box.kind == "cat"]
    assert len(meets) == 9
    for box in meets:
        assert len({boxes[n].lane for n in box.reads}) == len(box.reads) == 4


def test_a_dense_block_of_l_layers_has_l_times_l_plus_1_halves_connections(table):
    diagram = draw(table("densenet121"))
    blocks = [inside(diagram, f"features.denseblock{n}") for n in (1, 2, 3, 4)]
    way_out = 1  # from the last layer
    lines = [len(block.find(f"{SVG}g[@class='lines']")) - way_out for block in blocks]
    assert lines == [length * (length + 1) // 2 for length in (6, 12, 24, 16)]  # FACTS A26


def test_boxes_follow_the_size_of_the_maps(table):
    boxes = placed(_grouped(table("vgg16"), 2))
    first, last = boxes[1], next(box for box in boxes if box.name == "features.28")
    assert first.size[0] < last.size[0]
    assert first.size[1] > last.size[1]
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
        return re.findall(r"rx='3' fill='(#[0-9a-f]{6})'", draw(table("vgg16"), color).svg)

    params, macs = fills("params"), fills("macs")
    assert params != macs
    dark = "#0b4f9e"
    assert params.index(dark) == 18 + 1  # the first dense layer, behind 13 convolutions, 5 pools and the average
    assert macs.index(dark) < 13


def test_modules_fold_and_hold_all_that_is_inside_them(table):
    diagram = draw(table("resnet50"))
    first, second = inside(diagram, "layer1.0"), inside(diagram, "layer1.1")
    lines = [path.get("data-e") for path in second.find(f"{SVG}g[@class='lines']")]
    assert lines == [
        "0 1 -1",
        "1 2 -1",
        "2 3 -1",
        "3 4 -1",
        "0 4 0",
        "4 5 -1",
    ]  # in, three convolutions, sum, out; a skip
    assert len(first.findall(f"{SVG}g[@class='box']")) == len(second.findall(f"{SVG}g[@class='box']")) + 1
    whole = draw(table("resnet50"), depth=1)
    assert whole.boxes == 1 + 2 + 4 + 2
    assert "layer3.5.conv2 (Conv2d)" in whole.svg  # a pile in a pile
    assert whole.svg.count("<title>") > diagram.boxes


def test_a_pile_that_would_show_a_single_box_is_none():
    wrapped = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()), nn.Sequential(nn.Identity(), nn.Conv2d(3, 3, 1))
    )
    diagram = draw(wrapped, depth=1, input_size=(3, 8, 8))
    assert diagram.boxes == 3
    assert " pile" not in diagram.still


def test_a_page_holds_the_picture_as_an_image_too(table):
    """What Jupyter strips from a stranger's notebook is the script; the image stays."""
    diagram = draw(table("lenet5"))
    page = diagram._repr_mimebundle_()["text/html"]
    (address,) = re.findall(r'<img [^>]*src="data:image/svg\+xml,([^"#&\n]*)"', page)
    assert unquote(address) == diagram.still
    assert "<script" not in diagram.still
    assert diagram.svg.count("<script>") == page.count("<script>") == 1


def test_it_is_the_same_text_every_time():
    code = "from cnnviz.diagrams import draw; print(draw('shufflenet_v2_x1_0').svg)"
    run = subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": "7"}, capture_output=True, check=True)
    assert run.stdout.decode() == draw("shufflenet_v2_x1_0").svg + "\n"


def test_names_are_escaped_and_short():
    rows = (
        CostRow('<script>alert("1")</script>', "A&B", (3, 4, 4), 1, 1, 48, None, inputs=(-1,)),
        CostRow("x.<i>.1", "Conv2d", (3, 4, 4), 1, 2, 48, None, inputs=(0,)),
        CostRow("x.<i>'\"--&%2.2", "Conv2d", (3, 4, 4), 1, 2, 48, None, inputs=(1,)),
    )
    diagram = draw(CostTable("</title><b>", rows, {"x": "<u>"}), depth=1)
    assert not re.search(r"<(script|b|i|u)>", diagram.still)
    page = diagram._repr_mimebundle_()["text/html"]
    image, script = page.split("><script>")
    assert image.count('"') == 2 * image.count('="')
    assert "alert" not in script
    ElementTree.fromstring(diagram.svg)
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
        (lambda: draw("vgg16", color="red"), 'color "red" is not known: use params, macs or activations'),
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
