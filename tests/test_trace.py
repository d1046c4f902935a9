"""Values held to the lectures' examples (errata included) and to PyTorch."""

import random
import re
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cnnviz import images, trace
from cnnviz.geometry import OPS, Window

pytestmark = pytest.mark.usefixtures("one_thread")

COUNTING = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
COUNTING2 = [COUNTING, [[1, 2, 3], [4, 5, 6], [7, 8, 9]]]
SQUARE = [[0, 1], [2, 3]]
SMILEY = [
    [0, 0, 0, 0, 0, 0, 0],
    [0, 1, 0, 0, 0, 1, 0],
    [0, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 1, 0, 0, 0],
    [0, 1, 0, 0, 0, 1, 0],
    [0, 0, 1, 1, 1, 0, 0],
    [0, 0, 0, 0, 0, 0, 0],
]


# ---- the lectures --------------------------------------------------------------------------------------------------


def test_a1_five_by_five():
    image = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
    result = trace.correlate(image, [[0, 1, 2], [2, 2, 0], [0, 1, 2]], Window(3))
    assert result.output.tolist() == [[[12, 12, 17], [10, 17, 19], [9, 6, 14]]]
    assert result.explain(0, 0, 0) == "3·0 + 3·1 + 2·2 + 0·2 + 0·2 + 1·0 + 3·0 + 1·1 + 2·2 = 12"


def test_a2_full_convolution_of_ones():
    w, x, y, z = 2, 30, 500, 7000
    result = trace.correlate(np.ones((3, 3)), [[w, x], [y, z]], Window(2, padding=1))
    everything = w + x + y + z
    assert result.output[0].tolist() == [
        [z, y + z, y + z, y],
        [x + z, everything, everything, w + y],
        [x + z, everything, everything, w + y],
        [x, w + x, w + x, w],
    ]


def test_a3_three_by_three():
    assert trace.correlate(COUNTING, SQUARE, Window(2)).output.tolist() == [[[19, 25], [37, 43]]]


def test_a4_padding_and_an_oblong_stride():
    result = trace.correlate(COUNTING, SQUARE, Window(2, stride=(3, 2), padding=1))
    assert result.output.tolist() == [[[0, 8], [6, 8]]]


def test_a5_two_channels():
    result = trace.correlate(COUNTING2, [[SQUARE, [[1, 2], [3, 4]]]], Window(2))
    assert result.output.tolist() == [[[56, 72], [104, 120]]]
    assert result.explain(0, 0, 0) == "0·0 + 1·1 + 3·2 + 4·3 + 1·1 + 2·2 + 4·3 + 5·4 = 56"


def test_a6_maximum_pool_with_stride_one():
    result = trace.max_pool(COUNTING, Window(2))
    assert result.output.tolist() == [[[4, 5], [7, 8]]]
    assert result.explain(0, 0, 0) == "max(0, 1, 3, 4) = 4"


def test_a7_maximum_and_global_average():
    image = images.grid("pool")
    assert trace.max_pool(image, Window(2, stride=2)).output.tolist() == [[[6, 8], [3, 4]]]
    assert trace.avg_pool(image, Window(4, stride=4)).output.tolist() == [[[3.125]]]  # the lecture rounds to 3.1


def test_a8_the_smiley_whose_third_row_is_misprinted():
    detected = trace.correlate(SMILEY, [[0, 0, 1], [1, 0, 0], [0, 1, 1]], Window(3)).output
    assert detected[0, 2].tolist() == [1, 0, 0, 2, 1]  # ERRATUM: the lecture prints 1 0 1 2 1
    pooled = trace.max_pool(detected, Window(2, stride=2, ceil_mode=True)).output
    assert pooled.tolist() == [[[1, 1, 0], [4, 2, 1], [0, 2, 1]]]


def test_the_lectures_grids_are_the_ones_in_images():
    assert images.grid("smiley").tolist() == SMILEY
    assert images.grid("counting2").tolist() == COUNTING2


def test_a12_a13_output_shapes():
    shapes = [trace.correlate(np.ones((7, 7)), np.ones((3, 3)), Window(3, stride=s)).output.shape for s in (1, 2, 3)]
    assert shapes == [(1, 5, 5), (1, 3, 3), (1, 2, 2)]
    changed = np.ones((7, 7))
    changed[6], changed[:, 6] = 99, 99  # never read
    assert (trace.correlate(changed, np.ones((3, 3)), Window(3, stride=3)).output == 9).all()
    assert trace.correlate(np.ones((32, 32)), np.ones((5, 5)), Window(5)).output.shape == (1, 28, 28)


# ---- PyTorch -------------------------------------------------------------------------------------------------------


def random_case(rng):
    """One random layer with its numbers: (op, image, weight, bias, settings); about half are legal."""
    op = rng.choice(OPS)
    groups = rng.choice([1, 1, 2, 3])
    channels, filters = groups * rng.randint(1, 2), groups * rng.randint(1, 2)
    array = np.random.default_rng(rng.randrange(2**32)).normal
    pair = lambda low, high: (rng.randint(low, high), rng.randint(low, high))  # noqa: E731
    settings = {
        "kernel": pair(1, 4), "stride": pair(1, 3), "padding": pair(0, 2), "groups": groups, "more": pair(0, 2),
        "dilation": pair(1, 3) if rng.random() < 0.4 else (1, 1), "ceil_mode": rng.random() < 0.5,
        "include": rng.random() < 0.5, "divisor": rng.choice([None, None, 3, -2]),
    }  # fmt: skip
    if op in ("conv", "convolve") and rng.random() < 0.2:
        settings["padding"] = rng.choice(["same", "valid"])
    first = (channels, filters // groups) if op == "transposed" else (filters, channels // groups)
    image = array(size=(channels, *pair(1, 9)))
    return op, image, array(size=(*first, *settings["kernel"])), array(size=filters), settings


def by_torch(op, image, weight, bias, s):
    image, weight, bias = torch.tensor(image)[None], torch.tensor(weight), torch.tensor(bias)
    window = s["stride"], s["padding"]
    try:
        if op == "transposed":
            return F.conv_transpose2d(image, weight, bias, *window, s["more"], s["groups"], s["dilation"])[0].numpy()
        if op == "max_pool":
            return F.max_pool2d(image, s["kernel"], *window, s["dilation"], s["ceil_mode"])[0].numpy()
        if op == "avg_pool":
            return F.avg_pool2d(image, s["kernel"], *window, s["ceil_mode"], s["include"], s["divisor"])[0].numpy()
        weight = weight.flip(2, 3) if op == "convolve" else weight
        return F.conv2d(image, weight, bias, *window, s["dilation"], s["groups"])[0].numpy()
    except (RuntimeError, ValueError):
        return None


def by_trace(op, image, weight, bias, s):
    pool = op in ("max_pool", "avg_pool")
    try:
        dilation = (1, 1) if op == "avg_pool" else s["dilation"]
        window = Window(s["kernel"], s["stride"], s["padding"], dilation, s["ceil_mode"] and pool)
        if op == "transposed":
            return trace.transposed(image, weight, window, bias, s["groups"], s["more"])
        if op == "max_pool":
            return trace.max_pool(image, window)
        if op == "avg_pool":
            return trace.avg_pool(image, window, s["include"], s["divisor"])
        slide = trace.convolve if op == "convolve" else trace.correlate
        return slide(image, weight, window, bias, s["groups"])
    except ValueError as error:
        assert re.search(r": .*use |allows|takes", str(error)), f"says what is wrong but not what works: {error}"  # noqa: PT017
        return None


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_thousands_of_random_layers_equal_torch_and_their_own_terms():
    rng, compared = random.Random(2), dict.fromkeys(OPS, 0)
    for _ in range(6000):
        op, image, weight, bias, settings = random_case(rng)
        expected, result = by_torch(op, image, weight, bias, settings), by_trace(op, image, weight, bias, settings)
        assert (result is None) == (expected is None), (op, image.shape, settings)
        if result is None:
            continue
        np.testing.assert_allclose(result.output, expected, rtol=0, atol=1e-9, err_msg=f"{op} {settings}", strict=True)
        at = tuple(rng.randrange(n) for n in result.output.shape)
        np.testing.assert_allclose(from_terms(op, result.terms(*at), bias, at[0]), result.output[at], atol=1e-9)
        compared[op] += 1
    assert sum(compared.values()) >= 2000
    assert min(compared.values()) >= 200, compared


def from_terms(op, terms, bias, channel):
    if op == "max_pool":
        assert all(weight == 1 for _, weight in terms)
        return max((value for value, _ in terms), default=-np.inf)
    return sum(value * weight for value, weight in terms) + (0 if op == "avg_pool" else bias[channel])


def test_every_output_value_is_the_sum_of_its_terms():
    rng = np.random.default_rng(3)
    image, weight = rng.normal(size=(4, 6, 5)), rng.normal(size=(2, 2, 3, 2))
    result = trace.correlate(image, weight, Window((3, 2), 2, 1), bias=[1, -1], groups=2)
    for at in np.ndindex(result.output.shape):
        total = sum(value * weight for value, weight in result.terms(*at)) + (1, -1)[at[0]]
        assert result.output[at] == pytest.approx(total, abs=1e-12)


def test_depthwise_filters_read_their_own_channel():
    image = np.stack([np.full((3, 3), n) for n in (1, 20, 300)])
    result = trace.correlate(image, np.ones((3, 1, 3, 3)), Window(3), groups=3)
    assert result.output.ravel().tolist() == [9, 180, 2700]
    assert {value for value, _ in result.terms(2, 0, 0)} == {300}


# ---- terms and sentences -------------------------------------------------------------------------------------------


def test_true_convolution_lists_the_flipped_weights():
    result = trace.convolve(COUNTING, SQUARE, Window(2))
    assert result.terms(0, 0, 0) == [(0, 3), (1, 2), (3, 1), (4, 0)]


def test_transposed_lists_inserted_zeros_and_flipped_weights():
    result = trace.transposed([[1, 2]], [[1, 10]], Window((1, 2), stride=2))
    assert result.output.tolist() == [[[1, 10, 2, 20]]]
    assert result.terms(0, 0, 1) == [(1, 10), (0, 1)]
    assert result.explain(0, 0, 3) == "2·10 + 0·1 = 20"


def test_padding_is_listed_as_zeros():
    result = trace.correlate(COUNTING, SQUARE, Window(2, padding=1))
    assert result.terms(0, 0, 0) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert result.terms(0, 0, 1) == [(0, 0), (0, 1), (0, 2), (1, 3)]


@pytest.mark.parametrize(
    ("bias", "text"),
    [
        (0, "0·0 + 1·1 + 3·2 + 4·3 = 19"),
        (0.5, "0·0 + 1·1 + 3·2 + 4·3 + 0.5 = 19.5"),
        (-2, "0·0 + 1·1 + 3·2 + 4·3 − 2 = 17"),
    ],
)
def test_bias_ends_the_sum(bias, text):
    assert trace.correlate(COUNTING, SQUARE, Window(2), bias).explain(0, 0, 0) == text


def test_negative_numbers_stand_in_brackets():
    assert trace.correlate([[3, -2]], [[-1, 0.5]], Window((1, 2))).explain(0, 0, 0) == "3·(−1) + (−2)·0.5 = −4"
    assert trace.max_pool([[-1, -2]], Window((1, 2))).explain(0, 0, 0) == "max(−1, −2) = −1"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "(0 + 0 + 0 + 1) / 4 = 0.25"),
        ({"count_include_pad": False}, "(1) / 1 = 1"),
        ({"divisor_override": -8}, "(0 + 0 + 0 + 1) / (−8) = −0.125"),
    ],
)
def test_an_average_says_what_it_divides_by(options, text):
    assert trace.avg_pool([[1, 2], [4, 5]], Window(2, padding=1), **options).explain(0, 0, 0) == text


def test_a_plain_average():
    assert trace.avg_pool([[1, 2], [4, 5]], Window(2)).explain(0, 0, 0) == "(1 + 2 + 4 + 5) / 4 = 3"


def test_what_ceil_mode_adds_behind_the_padding_never_counts():
    result = trace.avg_pool([[1, 2, 6]], Window((1, 2), stride=2, ceil_mode=True))
    assert result.output.tolist() == [[[1.5, 6]]]
    assert result.explain(0, 0, 1) == "(6) / 1 = 6"


def test_a_maximum_over_padding_alone_is_minus_infinity_as_in_torch():
    image, window = [[1.0]], Window(2, padding=1, dilation=2)
    expected = F.max_pool2d(torch.tensor(image)[None, None], 2, 1, 1, 2)
    result = trace.max_pool(image, window)
    assert result.output.shape == tuple(expected.shape[1:])
    assert (result.output == expected[0].numpy()).all()
    assert result.explain(0, 0, 0) == "max() = −∞"


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (-0.0, "0"), (3, "3"), (-3, "−3"), (999999, "999999"), (1e6, "1e6"), (1234567, "1.235e6"),
        (2 / 3, "0.6667"), (-0.5, "−0.5"), (0.1 + 0.2, "0.3"), (2.9999999999999996, "3"), (1.0625, "1.063"),
        (123456.7, "123500"), (0.00012345, "0.0001234"), (0.000012345, "1.234e−5"), (9.99996, "10"),
        (-1.2e-7, "−1.2e−7"), (1e300, "1e300"), (999999.6, "1e6"), (-5.6e-17, "0"),
        (float("inf"), "∞"), (float("-inf"), "−∞"), (float("nan"), "nan"),
    ],
)  # fmt: skip
def test_numbers_are_short_and_keep_four_digits(number, text):
    assert trace.number_text(number) == text


def test_an_output_that_does_not_exist_is_named():
    result = trace.correlate(COUNTING, SQUARE, Window(2))
    with pytest.raises(ValueError, match=re.escape("no output value at (0, 2, 0): the output has shape (1, 2, 2)")):
        result.terms(0, 2, 0)


# ---- tile ----------------------------------------------------------------------------------------------------------


def test_tile_keeps_what_fits():
    base = np.random.default_rng(0).normal(size=(3, 2, 4, 5))
    np.testing.assert_array_equal(trace.tile(base, (2, 1, 3, 5)), base[:2, :1, :3, :5])


def test_tile_grows_by_shifted_copies():
    base = np.arange(2 * 2 * 2 * 3).reshape(2, 2, 2, 3)
    grown = trace.tile(base, (9, 5, 5, 7))
    for i, j, r, s in np.ndindex(grown.shape):
        assert grown[i, j, r, s] == base[i % 2, j % 2, (r + i // 2) % 2, (s + j // 2 + (i // 2) // 2) % 3]


@pytest.mark.parametrize("shape", [(0, 3), (1, 1, 1, 1, 1), (2.0, 2), (True, 2)])
def test_tile_refuses_shapes_that_are_none(shape):
    with pytest.raises(ValueError, match="use up to four numbers of at least 1"):
        trace.tile([[1]], shape)


# ---- bad input and speed -------------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")
BAD_INPUT = {
    "image of shape (2, 2) holds nan at (0, 1): use finite numbers":
        lambda: trace.max_pool([[1, NAN], [1, 1]], Window(1)),
    "kernel of shape (1, 1) holds inf at (0, 0): use finite numbers":
        lambda: trace.correlate([[1]], [[INF]], Window(1)),
    "bias of shape () holds nan at (): use finite numbers": lambda: trace.correlate([[1]], [[1]], Window(1), NAN),
    "image is ragged": lambda: trace.correlate([[1, 2], [3]], [[1]], Window(1)),
    "image is ragged or holds something else than numbers: use rows": lambda: trace.max_pool([["a"]], Window(1)),
    "image of shape (0, 3) is empty: use": lambda: trace.max_pool(np.ones((0, 3)), Window(1)),
    "an image has shape (H, W) or (C, H, W), not (1, 1, 5, 5)":
        lambda: trace.max_pool(np.ones((1, 1, 5, 5)), Window(1)),
    "an image has shape (H, W) or (C, H, W), not ()": lambda: trace.max_pool(5, Window(1)),
    "a kernel has shape (h, w) or (out, in/groups, h, w), not (3,)":
        lambda: trace.correlate([[1]], [1, 2, 3], Window(3)),
    "a kernel of shape (2, 1, 1, 1) with groups 1 reads 1 channels, but the image of shape (3, 4, 4) has 3: "
    "use a kernel of shape (2, 3, 1, 1)": lambda: trace.correlate(np.ones((3, 4, 4)), np.ones((2, 1, 1, 1)), Window(1)),
    "a transposed kernel of shape (2, 1, 1, 1) reads 2 channels, but the image of shape (3, 4, 4) has 3":
        lambda: trace.transposed(np.ones((3, 4, 4)), np.ones((2, 1, 1, 1)), Window(1)),
    "groups 2 does not divide 3 in_channels and 4 filters: use 1":
        lambda: trace.correlate(np.ones((3, 4, 4)), np.ones((4, 1, 1, 1)), Window(1), groups=2),
    "groups 2 does not divide 3 in_channels and 3 filters: use 1 or 3":
        lambda: trace.transposed(np.ones((3, 4, 4)), np.ones((3, 1, 1, 1)), Window(1), groups=2),
    "a kernel of shape (1, 1, 2, 2) does not fit kernel_size (3, 3): use Window(kernel_size=(2, 2))":
        lambda: trace.correlate(COUNTING, SQUARE, Window(3)),
    "bias of shape (3,) does not fit 1 filters: use a number or 1 numbers":
        lambda: trace.correlate(COUNTING, SQUARE, Window(2), bias=[1, 2, 3]),
    "ceil_mode is for pools: use": lambda: trace.correlate(COUNTING, SQUARE, Window(2, ceil_mode=True)),
    "dilation 2 is not defined for avg_pool: use dilation 1": lambda: trace.avg_pool(COUNTING, Window(2, dilation=2)),
    'padding "same" is not defined for max_pool: use': lambda: trace.max_pool(COUNTING, Window(2, padding="same")),
    "divisor_override 0 is not a whole number other than 0, or None":
        lambda: trace.avg_pool(COUNTING, Window(2), divisor_override=0),
    "window 3 is not a Window: use Window(": lambda: trace.correlate(COUNTING, SQUARE, 3),
    "window 2 is not a Window: use Window(": lambda: trace.max_pool(COUNTING, 2),
    "would give an output of shape (1, 20001, 20001), more than 16777216 values: use smaller numbers":
        lambda: trace.correlate(COUNTING, np.ones((1, 1, 1, 1)), Window(1, padding=9999)),
}  # fmt: skip


@pytest.mark.parametrize("text", BAD_INPUT)
def test_bad_input_is_named_at_once(text):
    start = time.perf_counter()
    with pytest.raises(ValueError, match=re.escape(text)):
        BAD_INPUT[text]()
    assert time.perf_counter() - start < 0.2


def test_a_photograph_takes_little_time_and_leaves_its_input_alone():
    image, weight = np.random.default_rng(0).random((3, 224, 224)), np.ones((1, 3, 7, 7))
    before = image.copy()
    start = time.perf_counter()
    trace.correlate(image, weight, Window(7))
    assert time.perf_counter() - start < 1  # 12 ms on two cores
    np.testing.assert_array_equal(image, before)
