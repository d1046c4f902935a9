"""What the explorer sends to its view, held to `inside`'s own answers, and what it refuses."""

import json
import re

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz import inside, load, models
from cnnviz.widgets._errors import IllegalLayer
from cnnviz.widgets.explorer import Explorer

PICTURES = torch.rand(12, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def net():
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(1, 4, 5), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.Flatten(), nn.Linear(864, 3)
    )


def told(widget, **message):
    widget._told(widget, message, [])
    return widget


def values(seen):
    """The maps as the view reads them."""
    return np.frombuffer(seen["maps"], "<i2").reshape(seen["shape"]) * (seen["scale"] / 32767)


def test_the_view_gets_the_maps_of_the_choice():
    model = net()
    widget = inside.explore(model, PICTURES)
    for layer, picture in (("0", 0), ("1", 3), ("3", 11)):
        widget.set_state({"layer": layer, "picture": picture, "channel": 1})
        expected = inside.feature_maps(model, PICTURES[picture], layer)
        assert widget._seen["of"][:2] == [layer, picture]
        np.testing.assert_allclose(values(widget._seen), expected.values, atol=widget._seen["scale"] / 65000)
        assert (widget._seen["dead"], widget._seen["signed"]) == (expected.dead, bool((expected.values < 0).any()))
        np.testing.assert_array_equal(widget.maps, expected.values)
    assert widget._seen["field"] == [[10, 10], [2, 2], [0, 0]]  # 5, 5 + 1, 6 + 2 * 2


def test_the_pieces_are_those_of_top_patches():
    model = net()
    widget = Explorer(model, PICTURES, layer="3", channel=5)
    expected = inside.top_patches(model, PICTURES, "3", 5)
    told(widget, kind="best")
    assert [number for number, _, _ in expected.places] == widget._best["numbers"]
    assert [strength for _, strength in widget.best] == pytest.approx(expected.strengths)
    pixels = np.frombuffer(widget._best["pixels"], np.uint8).reshape(9, *widget._best["side"], 3)
    piece = expected.values[0, 0]
    shades = 255 * (piece - piece.min()) / (piece.max() - piece.min())
    np.testing.assert_allclose(pixels[0, ..., 0], shades, atol=0.51)


def test_a_network_that_learns_is_shown_as_it_is_now():
    model = net()
    widget = Explorer(model, PICTURES, layer="3")
    before = widget._seen
    assert told(widget, kind="again")._seen is before  # nothing has changed, nothing is sent
    with torch.no_grad():
        model[3].weight.mul_(2)
        model[3].bias.zero_()
    told(widget, kind="again")
    np.testing.assert_allclose(widget.maps, inside.feature_maps(model, PICTURES[0], "3").values)


def test_a_layer_with_fewer_channels_starts_at_its_first():
    widget = Explorer(net(), PICTURES, layer="3", channel=5)
    widget.layer = "1"
    assert (widget.layer, widget.channel) == ("1", 0)
    widget.set_state({"layer": "3", "channel": 5})  # both at once
    assert (widget.layer, widget.channel) == ("3", 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": "5"}, 'layer "5" of Sequential makes no maps (N, C, H, W): use one of 0, 1, 2, 3'),
        ({"layer": "nine"}, 'Sequential has no layer "nine"'),
        ({"layer": 3}, "Sequential has no layer 3"),
        ({"channel": 4}, "channel of layer 0 4 is not a whole number from 0 to 3"),
        ({"picture": -1}, "picture -1 is not a whole number from 0 to 11"),
    ],
)
def test_a_choice_that_is_not_there_is_refused_and_changes_nothing(change, message):
    widget = Explorer(net(), PICTURES)
    said = []
    widget.refuse = lambda why: said.append(str(why))
    widget.set_state(change)
    assert (widget.layer, widget.channel, widget.picture) == ("0", 0, 0)
    assert message in said[0]
    with pytest.raises(IllegalLayer):
        Explorer(net(), PICTURES, **change)


def test_what_is_no_network_and_no_picture_is_refused():
    with pytest.raises(ValueError, match="Linear has no convolution"):
        inside.explore(nn.Linear(2, 2), PICTURES)
    with pytest.raises(ValueError, match="pictures \\(\\) are none"):
        inside.explore(net(), [])


def test_a_failing_network_says_so_and_recovers():
    model = net()
    widget = Explorer(model, PICTURES)
    weight = model[3].weight.data
    model[3].weight.data = torch.zeros(6, 5, 3, 3)
    widget.picture = 1
    assert "RuntimeError" in widget._seen["error"]
    model[3].weight.data = weight
    widget.picture = 2
    assert "error" not in widget._seen


def test_pictures_are_made_to_fit_once_and_that_is_said():
    grey = Explorer(net(), [torch.rand(3, 32, 32), torch.rand(1, 32, 32)])
    assert grey._fixed["said"] == "the first picture was made grey, as Sequential takes it"
    digits = Explorer(models.create("lenet5"), load("digits"))
    assert digits._fixed["said"] == "the first 48 of 355 pictures"
    assert len(digits._fixed["thumbs"]) == 48 * 32 * 32 * 3
    assert re.fullmatch(r"\d \(\d+ %\) or \d \(\d+ %\)", digits._seen["said"])


def test_large_maps_travel_thinned():
    widget = Explorer(nn.Sequential(nn.Conv2d(3, 64, 3, padding=1)), torch.rand(1, 3, 256, 256))
    assert widget._seen["skip"] == 2
    assert widget._seen["shape"] == [64, 128, 128]
    np.testing.assert_allclose(values(widget._seen), widget.maps[:, ::2, ::2], atol=1e-4)


def test_a_saved_page_holds_every_layer_of_the_picture(tmp_path):
    widget = Explorer(net(), PICTURES, layer="3", channel=2, classes=["<script>alert(1)</script>", "b", "c"])
    text = widget.save(tmp_path / "net.html").read_text()
    state = json.loads(re.search(r'type="application/json">(.*?)</script>', text, re.S)[1])
    assert list(state["_of_all"]) == ["0", "1", "2", "3"]
    assert state["_best"]["of"] == ["3", 2]
    assert "<script>alert" not in text


def test_the_still_picture_and_the_text_are_the_same_each_time():
    first, second = (Explorer(net(), PICTURES, layer="3", channel=2)._repr_mimebundle_()[0] for _ in range(2))
    assert first["text/plain"] == (
        "Explorer of Sequential: 4 layers with maps, 12 pictures\n3 (Conv2d) of picture 0: 6 maps of 12 x 12; channel 2"
    )
    assert first["image/svg+xml"] == second["image/svg+xml"]
    assert first["image/svg+xml"].count("<image ") == 2 + 6
