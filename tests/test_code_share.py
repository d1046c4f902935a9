import base64
import json
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnnviz import SlidingKernel
from cnnviz.widgets.sliding_kernel.code import format_code, parse_code
from cnnviz.widgets.sliding_kernel.settings import DEFAULTS
from cnnviz.widgets.sliding_kernel.share import decode_state, encode_state


def share_string(text: str) -> str:
    body = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return f"k1.{body}.{zlib.adler32(body.encode()):08x}"


# ---- code ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "nn.Conv2d(1, 1, kernel_size=3)"),
        ({"stride": 2, "padding": 1}, "nn.Conv2d(1, 1, kernel_size=3, stride=2, padding=1)"),
        ({"kernel_size": (3, 5), "padding": "same"}, 'nn.Conv2d(1, 1, kernel_size=(3, 5), padding="same")'),
        ({"op": "convolve"}, "nn.Conv2d(1, 1, kernel_size=3)  # weight flipped in both axes"),
        ({"op": "depthwise", "in_channels": 3}, "nn.Conv2d(3, 3, kernel_size=3, groups=3)"),
        ({"op": "max_pool"}, "nn.MaxPool2d(kernel_size=3, stride=3)"),
        ({"op": "avg_pool", "stride": 1, "count_include_pad": False, "divisor_override": 2},
         "nn.AvgPool2d(kernel_size=3, stride=1, count_include_pad=False, divisor_override=2)"),
        ({"op": "transposed", "stride": 2, "output_padding": 1, "dilation": 2},
         "nn.ConvTranspose2d(1, 1, kernel_size=3, stride=2, output_padding=1, dilation=2)"),
        ({"ceil_mode": True, "output_padding": 1}, "nn.Conv2d(1, 1, kernel_size=3)"),  # a convolution has neither
    ],
)  # fmt: skip
def test_the_line_says_what_differs_from_torchs_defaults(given, line):
    assert SlidingKernel(**given).code == line


LINES = [
    "nn.Conv2d(2, 4, 3, 2, 1, 1, 2)",
    "torch.nn.Conv2d(1, 1, kernel_size=(3, 5), padding='same', bias=False)",
    "self.conv1 = nn.Conv2d(3, 6, 5)  # first layer",
    "Conv2d(3, 6, kernel_size=(5, 5), stride=(1, 1))",
    "nn.ConvTranspose2d(2, 4, 3, 2, 1, 1, 2, True, 1)",
    "nn.MaxPool2d(2)",
    "nn.MaxPool2d(3, 2, 1, 1, False, True)",
    "nn.MaxPool2d(kernel_size=3, stride=None)",
    "nn.AvgPool2d((2, 3), ceil_mode=True, divisor_override=None)",
]


@pytest.mark.parametrize("line", LINES)
def test_a_line_means_what_it_means_to_torch(line):
    w = SlidingKernel(height=9, width=9)
    w.code = line
    call = line.split("#")[0].rpartition("= nn.")[2] if line.startswith("self") else line
    layer = eval(call, {"torch": torch, "nn": torch.nn, **vars(torch.nn)})
    channels = getattr(layer, "in_channels", 1)
    with torch.no_grad():
        shape = layer(torch.zeros(1, channels, 9, 9)).shape
    assert w.output.shape == tuple(shape[1:])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hello", "is not one layer: use a line such as nn.Conv2d"),
        ("nn.Linear(3, 4)", '"nn.Linear" is not known: use Conv2d, ConvTranspose2d, MaxPool2d, AvgPool2d'),
        ("nn.Conv2d(1, 1)", "needs kernel_size"),
        ("nn.Conv2d(1, 1, k)", "kernel_size=k is not understood"),
        ("nn.Conv2d(1, 1, 3, foo=1)", 'no argument "foo": use in_channels'),
        ("nn.Conv2d(1, 1, 3, padding_mode='reflect')", "padding_mode"),
        ("nn.Conv2d(1, 1, 3, kernel_size=3)", "kernel_size twice"),
        ("nn.Conv2d(1, 1, 0)", "kernel_size 0 is not a whole number"),
        ("nn.Conv2d(1, 1, 9)", "spans 9 rows"),
        ("nn.Conv2d(1, 1, 3); import os", "is not one layer"),
        ("nn.Conv2d(1, 1, 3" + " " * 2000 + ")", "is not a line of code"),
        ("(" * 900, "is not one layer"),
        ("\0", "is not one layer"),
        (None, "None is not a line of code"),
    ],
)
def test_a_line_that_is_no_layer_is_refused_and_nothing_changes(line, words):
    w = SlidingKernel(padding=1)
    with pytest.raises(ValueError, match=r"(?s).+") as refusal:
        w.code = line
    assert words in str(refusal.value)
    assert w.code == "nn.Conv2d(1, 1, kernel_size=3, padding=1)"


def test_a_line_is_never_evaluated(tmp_path):
    trap = tmp_path / "trap"
    for line in (
        f"nn.Conv2d(1, 1, open({str(trap)!r}, 'w'))",
        f"open({str(trap)!r}, 'w')",
        f"nn.Conv2d(1, 1, kernel_size=(lambda: open({str(trap)!r}, 'w'))())",
        f"[open({str(trap)!r}, 'w') for nn in (1,)][0].Conv2d(1, 1, 3)",
    ):
        with pytest.raises(ValueError, match="is not"):
            parse_code(line)
    assert not trap.exists()


# ---- share strings -------------------------------------------------------------------------------------------------


def test_a_share_string_brings_everything_back():
    w = SlidingKernel(
        "counting2", np.arange(16).reshape(2, 2, 2, 2) / 3, bias=[0.5, -1], relu=True, position=3, level=1
    )
    other = SlidingKernel(op="max_pool")
    other.state = w.state
    assert np.array_equal(other.output, w.output)
    assert (other.op, other.bias, other.relu, other.position, other.level) == ("conv", [0.5, -1], True, 3, 1)


def test_what_a_share_string_leaves_out_is_at_its_default():
    w = SlidingKernel(kernel_size=5, padding=3, heatmap=True)
    w.state = SlidingKernel(stride=2).state
    assert (w.kernel_size, w.padding, w.stride, w.heatmap) == (3, 0, 2, False)


def test_a_picture_too_large_for_a_string_stays_the_one_on_the_page():
    w = SlidingKernel(np.eye(20), kernel="box")
    assert len(w.state) < 200
    other = SlidingKernel(np.ones((20, 20)))
    other.state = w.state
    assert other.kernel_name == "box"
    assert other.image.min() == 1


def test_playback_and_the_bound_keys_are_not_shared():
    w = SlidingKernel()
    w.bind(1, "dilation")
    w.set(playing=True, guess="12")
    assert w.state == SlidingKernel().state
    w.state = SlidingKernel(stride=2).state
    assert list(w.states) == ["1"]


@given(cut=st.integers(0, 60), letter=st.sampled_from("aA0-_.é "))
def test_a_string_that_was_cut_or_mistyped_is_refused(cut, letter):
    text = encode_state({"kernel_size": 5, "stride": 2, "padding": 2})
    for damaged in (text[: min(cut, len(text) - 1)], text[:cut] + letter + text[cut + 1 :]):
        if damaged.strip() not in (text, f"#{text}"):
            with pytest.raises(ValueError, match="share string"):
                decode_state(damaged)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a share string"),
        (None, "None is not a share string"),
        ("k2.abc.00000000", "is not a share string"),
        (share_string("[]"), "holds no settings"),
        (share_string("{"), "holds no settings"),
        (share_string("[" * 5000), "holds no settings"),
        (share_string('{"angle":NaN}'), "holds no settings"),
        (share_string('{"colour":1}'), 'holds the setting "colour"'),
        (share_string('{"states":{}}'), 'holds the setting "states"'),
        (share_string('{"op":3}'), "sets op to something"),
        (share_string('{"image":{"shape":[1,2,2],"values":[1,2,3]}}'), "sets image to something"),
        (share_string('{"kernel_size":[3]}'), "sets kernel_size to something"),
        (share_string('{"op":"nope"}'), 'op "nope" is not known'),
        (share_string('{"kernel_size":99}'), "kernel_size 99 spans"),
        (share_string('{"height":100000}'), "height 100000"),
    ],
)
def test_a_string_that_holds_no_layer_is_refused_and_nothing_changes(text, words):
    w = SlidingKernel(stride=2)
    with pytest.raises(ValueError, match=r"(?s).+") as refusal:
        w.state = text
    assert words in str(refusal.value)
    assert (w.stride, w.kernel_size) == (2, 3)


def test_numbers_are_written_as_javascript_writes_them():
    values = [3.0, 1e-7, 1.5e-5, 1e20, 1e21, -0.0, 0.1, -2.5, 123456789012345680000.0, 5e-324, 1.7976931348623157e308]
    text = encode_state({"bias": values})
    body = text.split(".")[1]
    written = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
    expected = (
        "3,1e-7,0.000015,100000000000000000000,1e+21,0,0.1,-2.5,123456789012345680000,5e-324,1.7976931348623157e+308"
    )
    assert written == f'{{"bias":[{expected}]}}'


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_survives_the_string(value):
    assert decode_state(encode_state({"bias": [value]}))["bias"] == [value]


def test_the_default_state_is_the_shortest_string():
    assert encode_state(DEFAULTS) == share_string(json.dumps({}))
    assert format_code(DEFAULTS) == "nn.Conv2d(1, 1, kernel_size=3)"
