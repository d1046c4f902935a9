"""The channel shuffle between two grouped layers: its order, where ink arrives, and what the widget says of both."""

import re
from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cnnviz import SlidingKernel, Window, trace
from cnnviz.geometry import read_layer
from cnnviz.models.shufflenet import ChannelShuffle
from cnnviz.widgets.sliding_kernel.wires import shuffle_order, wires_of

CASES = [(c, f, g) for c, f, g in product((2, 4, 6, 12), (2, 4, 6, 12), (1, 2, 3, 4, 6, 12)) if c % g == f % g == 0]


@pytest.mark.parametrize("shuffle", [nn.ChannelShuffle, ChannelShuffle])
@pytest.mark.parametrize(("channels", "groups"), [(6, 2), (6, 3), (12, 3), (12, 4), (8, 8), (5, 1), (240, 3)])
def test_the_order_is_torchs(shuffle, channels, groups):
    numbered = torch.arange(float(channels)).view(1, channels, 1, 1)
    assert shuffle_order(channels, groups) == shuffle(groups)(numbered).flatten().int().tolist()


def reached_in_torch(channels, filters, groups, shuffle, ink):
    """Which channels of two grouped layers with positive weights differ from 0 when one channel does."""
    picture = torch.zeros(1, channels, 3, 3)
    picture[0, ink] = 1
    first, second = (nn.Conv2d(n, filters, 1, groups=groups, bias=False) for n in (channels, filters))
    for weight in (first.weight, second.weight):
        nn.init.ones_(weight)
    maps = first(picture)
    dealt = nn.ChannelShuffle(groups)(maps) if shuffle == "on" else maps
    rows = (picture, maps, dealt, second(dealt)) if shuffle else (picture, maps)
    return tuple(set(row.flatten(2).any(2)[0].nonzero()[:, 0].tolist()) for row in rows)


@pytest.mark.parametrize("shuffle", ["", "off", "on"])
def test_ink_arrives_where_torchs_numbers_do(shuffle):
    assert len(CASES) > 30
    for channels, filters, groups in CASES:
        layer = read_layer({"kernel_size": 1, "in_channels": channels, "filters": filters, "groups": groups})
        for ink in range(channels):
            found = wires_of(layer, shuffle, ink).inked
            assert found == reached_in_torch(channels, filters, groups, shuffle, ink), (channels, filters, groups, ink)


def test_the_references_second_layer_reads_what_the_widget_says():
    """The same in NumPy: the reference's grouped correlation, its maps dealt out in the widget's order."""
    ink = np.zeros((12, 2, 2))
    ink[5] = 1
    ones = np.ones((12, 4, 1, 1))
    maps = trace.correlate(ink, ones, Window(1), groups=3).output
    assert np.flatnonzero(trace.correlate(maps, ones, Window(1), groups=3).output.any((1, 2))).tolist() == [4, 5, 6, 7]
    dealt = maps[shuffle_order(12, 3)]
    assert trace.correlate(dealt, ones, Window(1), groups=3).output.all()


def widget(**more):
    return SlidingKernel(kernel_size=1, in_channels=12, filters=12, groups=3, height=2, width=2, **more)


def last_lines(kernel, count):
    return repr(kernel).splitlines()[-count:]


def test_the_text_says_what_stands_behind_and_where_the_ink_is():
    assert last_lines(widget(shuffle=True, ink=1), 3) == [
        "behind it: nn.ChannelShuffle(3), then a second layer of 12 filters in 3 groups",
        "it reads the maps in the order 0 4 8 1 5 9 2 6 10 3 7 11",
        "ink in channel 1 reaches all 12 outputs",
    ]
    assert last_lines(widget(shuffle=False, ink=1), 2) == [
        "behind it: no shuffle, a second layer of 12 filters in 3 groups",
        "ink in channel 1 reaches 4 of 12 outputs",
    ]
    assert last_lines(widget(ink=1), 1) == ["ink in channel 1 reaches 4 of 12 maps"]
    for plain in (widget(), widget(shuffle=True, level=2), SlidingKernel(op="max_pool", in_channels=2, shuffle=True)):
        assert "ink" not in repr(plain)
        assert "behind" not in repr(plain)


@pytest.mark.parametrize(("given", "kept"), [(None, ""), (False, "off"), (True, "on"), ("on", "on"), ("", "")])
def test_shuffle_is_on_off_or_not_there(given, kept):
    assert widget(shuffle=given).shuffle == kept


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": 5}, "groups 5 does not divide 12 in_channels and 12 filters: use 1, 2, 3, 4, 6 or 12"),
        ({"shuffle": "maybe"}, 'shuffle "maybe" is not known: use True, False, or None for a single layer'),
        ({"shuffle": 1}, "shuffle 1 is not known: use True, False, or None for a single layer"),
        ({"ink": 12}, "ink 12 is not a channel: use 0 to 11, or None"),
        ({"ink": -2}, "ink -2 is not a whole number from −1 to 511"),
        ({"ink": 0.5}, "ink 0.5 is not a whole number from −1 to 511"),
    ],
)
def test_bad_input_is_repeated_with_what_works(changes, message):
    kernel = widget(shuffle=True)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        kernel.set(**changes)
    assert kernel.shuffle == "on"


@pytest.mark.parametrize(("channels", "groups"), [(12, 5), (12, 0), (12, 24), (12, 3.0), (0, 1)])
def test_an_order_needs_groups_that_divide(channels, groups):
    with pytest.raises(ValueError, match=r"use|whole number"):
        shuffle_order(channels, groups)


def test_ink_stays_within_the_channels():
    kernel = widget(shuffle=True, ink=11)
    kernel.set(in_channels=6)
    assert kernel.ink == 5


def test_a_share_string_keeps_shuffle_and_ink():
    other = SlidingKernel()
    other.state = widget(shuffle=True, ink=7).state
    assert (other.shuffle, other.ink, other.groups) == ("on", 7, 3)


def test_still_pictures_show_the_wires(tmp_path):
    def drawn(**more):
        return widget(**more)._still()

    grey = {line[4] for line in drawn().lines}
    coloured = [line for line in drawn(shuffle=True).lines if line[4] not in grey]
    assert len(coloured) == 48 + 12 + 48
    assert len({line[4] for line in coloured}) == 3
    assert len(drawn(shuffle=True, level=2).lines) == len(drawn(level=2).lines)
    inked = [line for line in drawn(shuffle=False, ink=1).lines if line[4] == "#00796b"]
    assert len(inked) == 4 + 4 + 16  # from its channel, straight on, and within its group
    for name in ("w.svg", "w.png", "w.html", "w.gif"):
        assert widget(shuffle=True, ink=1).save(tmp_path / name).stat().st_size > 3000
    assert "shuffled" in (tmp_path / "w.svg").read_text(encoding="utf-8")
    with Image.open(tmp_path / "w.png") as picture:
        assert picture.height > 600


def test_more_channels_than_boxes_are_counted():
    drawing = SlidingKernel(kernel_size=1, in_channels=24, filters=24, groups=3, shuffle=True, ink=20)._still()
    assert sum(word.text == "+ 8" for word in drawing.words) == 4
    assert "ink in channel 20 reaches all 24 outputs" in [word.text for word in drawing.words]


def test_ink_follows_when_channels_go():
    w = SlidingKernel(in_channels=12, ink=11)
    w.set(in_channels=4)
    assert w.ink == 3
