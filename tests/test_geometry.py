"""Sizes and tables held to PyTorch, which also says what is legal."""

import re
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from cnnviz.geometry import Window, check_pool, read_layer, receptive_field

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"),
    pytest.mark.usefixtures("one_thread"),
]
many = settings(max_examples=800, deadline=None, derandomize=True, database=None)


def pairs(low, high):
    number = st.integers(low, high)
    return st.one_of(number, st.tuples(number, number))


sizes = st.tuples(st.integers(1, 10), st.integers(1, 10))
kernels, strides, dilations, paddings = pairs(1, 5), pairs(1, 4), pairs(1, 3), pairs(0, 4)


def both(value):
    return value if isinstance(value, tuple) else (value, value)


def answer(compute):
    """A result, or None for what is refused."""
    try:
        return compute()
    except (ValueError, RuntimeError):
        return None


def pixels(size):
    return torch.ones(1, 1, *size, dtype=torch.float64, requires_grad=True)


def shape_and_reads(layer, image):
    """Output size, and how often each pixel is read: the gradient of the sum, all weights being one."""
    output = layer(image)
    output.sum().backward()
    return tuple(output.shape[2:]), image.grad[0, 0].numpy()


@many
@given(sizes, kernels, strides, st.one_of(paddings, st.sampled_from(["same", "valid"])), dilations)
def test_convolution_has_torchs_size_and_reads_what_torch_reads(size, kernel, stride, padding, dilation):
    weight = torch.ones(1, 1, *both(kernel), dtype=torch.float64)
    image = pixels(size)
    theirs = answer(lambda: shape_and_reads(lambda x: F.conv2d(x, weight, None, stride, padding, dilation), image))
    window = answer(lambda: Window(kernel, stride, padding, dilation))
    ours = window and answer(lambda: window.output_size(size))
    assert ours == (theirs and theirs[0])
    if ours:
        np.testing.assert_array_equal(window.reads(size), theirs[1])
        rows, cols = window.unused(size)
        never = np.zeros(size, dtype=bool)
        never[list(rows)] = never[:, list(cols)] = True
        np.testing.assert_array_equal(never, theirs[1] == 0)


@many
@given(sizes, kernels, strides, paddings, dilations, pairs(0, 4))
def test_transposed_convolution_has_torchs_size_and_reads_what_torch_reads(
    size, kernel, stride, padding, dilation, more
):
    weight = torch.ones(1, 1, *both(kernel), dtype=torch.float64)
    image = pixels(size)
    theirs = answer(
        lambda: shape_and_reads(
            lambda x: F.conv_transpose2d(x, weight, None, stride, padding, more, dilation=dilation), image
        )
    )
    window = Window(kernel, stride, padding, dilation)
    ours = answer(lambda: window.transposed_output_size(size, more))
    assert ours == (theirs and theirs[0])
    if ours:
        tables = window.transposed_rows(size[0], more), window.transposed_cols(size[1], more)
        reads = [np.bincount(table[table >= 0], minlength=n) for table, n in zip(tables, size, strict=True)]
        np.testing.assert_array_equal(np.outer(*reads), theirs[1])
        assert tables[0].shape == (ours[0], window.kernel_size[0])


@many
@given(sizes, kernels, strides, paddings, dilations, st.booleans())
def test_max_pool_has_torchs_size(size, kernel, stride, padding, dilation, ceil_mode):
    theirs = answer(lambda: F.max_pool2d(pixels(size), kernel, stride, padding, dilation, ceil_mode).shape[2:])
    window = Window(kernel, stride, padding, dilation, ceil_mode)
    ours = answer(lambda: check_pool(window) or window.output_size(size))
    assert ours == (theirs and tuple(theirs))


@many
@given(sizes, kernels, strides, paddings, st.booleans(), st.booleans())
def test_average_pool_has_torchs_size_and_reads_what_torch_reads(size, kernel, stride, padding, ceil_mode, include):
    image = pixels(size)
    theirs = answer(
        lambda: shape_and_reads(lambda x: F.avg_pool2d(x, kernel, stride, padding, ceil_mode, include, 1), image)
    )
    window = Window(kernel, stride, padding, 1, ceil_mode)
    ours = answer(lambda: check_pool(window, "avg_pool") or window.output_size(size))
    assert ours == (theirs and theirs[0])
    if ours:
        np.testing.assert_array_equal(window.reads(size), theirs[1])


@given(sizes, st.integers(1, 3), st.integers(1, 2))
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_the_modules_agree_with_the_functions(size, kernel, stride):
    image, window = torch.zeros(1, 1, *size), Window(kernel, stride)
    for module in (
        torch.nn.Conv2d(1, 1, kernel, stride),
        torch.nn.MaxPool2d(kernel, stride),
        torch.nn.AvgPool2d(kernel, stride),
    ):
        expected = answer(lambda module=module: tuple(module(image).shape[2:]))
        assert answer(lambda: window.output_size(size)) == expected
    module = torch.nn.ConvTranspose2d(1, 1, kernel, stride)
    assert window.transposed_output_size(size) == tuple(module(image).shape[2:])


def test_tables_say_which_input_each_tap_reads():
    window = Window((3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 3))
    assert window.rows(4).tolist() == [[-1, 0, 1], [1, 2, 3]]
    assert window.cols(5).tolist() == [[0, 3], [1, 4]]


def test_ceil_mode_reaches_past_the_input_but_never_starts_there():
    assert Window(2, stride=2, ceil_mode=True).rows(5).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert Window(2, stride=3, padding=1, ceil_mode=True).output_size((5, 5)) == (
        2,
        2,
    )  # a third would start in the padding


def test_alexnets_first_layer_by_the_corrected_formula():
    assert Window(11, stride=4).output_size((227, 227)) == (55, 55)  # FACTS A9; A10's form gives 54.25
    assert Window(11, stride=4).formula((227, 227)) == "⌊(227 − 11 + 2·0) / 4⌋ + 1 = 55"


def test_what_does_not_fit_is_never_read():
    sizes = [Window(3, stride=stride).output_size((7, 7)) for stride in (1, 2, 3)]
    assert sizes == [(5, 5), (3, 3), (2, 2)]  # FACTS A12
    assert Window(3, stride=3).unused((7, 7)) == ((6,), (6,))
    assert Window(3, stride=2).unused((7, 7)) == ((), ())


def layers_until(size, target, kernel):
    count = 0
    while size > target:
        size, count = Window(kernel).output_size((size, size))[0], count + 1
    return size, count


def test_how_many_layers_shrink_a_picture_to_four_pixels():
    assert layers_until(32, 28, 5) == (28, 1)  # FACTS A13
    assert layers_until(32, 4, 5) == (4, 7)
    assert layers_until(224, 4, 5) == (4, 55)  # the lecture says 44


@pytest.mark.parametrize(("depth", "seen"), [(1, 3), (2, 5), (3, 7)])
def test_stacks_of_three_by_three_see_five_then_seven(depth, seen):
    assert receptive_field([Window(3)] * depth).size == (seen, seen)  # FACTS A19


def vgg16_to_conv5_3():
    pool = Window(2, stride=2)
    for convs in (2, 2, 3, 3):
        yield from [Window(3, padding=1)] * convs
        yield pool
    yield from [Window(3, padding=1)] * 3


def test_conv5_3_of_vgg16_sees_196_pixels():
    field = receptive_field(vgg16_to_conv5_3())
    assert field == ((196, 196), (16, 16), (-90, -90))  # Araujo et al., Distill 2019, table of architectures


@given(
    st.lists(st.builds(Window, st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2)), max_size=3)
)
@settings(max_examples=100, deadline=None, derandomize=True, database=None)
def test_receptive_field_is_what_the_gradient_reaches(windows):
    n = 64
    image = torch.ones(1, 1, n, 1, dtype=torch.float64, requires_grad=True)
    line = image
    for window in windows:
        k, s, p, d = (pair[0] for pair in (window.kernel_size, window.stride, window.padding, window.dilation))
        line = F.conv2d(line, torch.ones(1, 1, k, 1, dtype=torch.float64), None, (s, 1), (p, 0), (d, 1))
    field = receptive_field(windows)
    centre = line.shape[2] // 2
    line[0, 0, centre].sum().backward()
    reached = np.flatnonzero(image.grad[0, 0, :, 0])
    first = field.start[0] + centre * field.jump[0]
    assert (reached[0], reached[-1]) == (first, first + field.size[0] - 1)


@pytest.mark.parametrize(
    ("window", "axis", "options", "text"),
    [
        (Window(3, 2, 1), 0, {}, "⌊(7 − 3 + 2·1) / 2⌋ + 1 = 4"),
        (Window(3, 2, 1, dilation=2), 0, {}, "⌊(7 − (2·(3 − 1) + 1) + 2·1) / 2⌋ + 1 = 3"),
        (Window(4, padding="same"), 1, {}, "⌊(7 − 4 + 1 + 2) / 1⌋ + 1 = 7"),
        (Window(2, 2, ceil_mode=True), 0, {"op": "max_pool"}, "⌈(7 − 2 + 2·0) / 2⌉ + 1 = 4"),
        (Window(2, 4, 1, ceil_mode=True), 0, {"op": "max_pool"}, "⌈(7 − 2 + 2·1) / 4⌉ + 1 − 1 = 2"),
        (Window(3, 2, 1), 0, {"op": "transposed"}, "(7 − 1)·2 − 2·1 + (3 − 1) + 0 + 1 = 13"),
        (Window(3, 2, 1, 2), 0, {"op": "transposed", "output_padding": 1}, "(7 − 1)·2 − 2·1 + 2·(3 − 1) + 1 + 1 = 16"),
    ],
)
def test_formulas_show_their_numbers(window, axis, options, text):
    assert window.formula((7, 7), axis, **options) == text


def value_of(formula):
    """The two sides of a formula, computed by Python."""
    left, right = formula.rsplit(" = ", 1)
    plain = left.replace("−", "-").replace("·", "*")
    plain = plain.replace("⌊", "floor(").replace("⌈", "ceil(").replace("⌋", ")").replace("⌉", ")")
    return eval(plain, {"floor": np.floor, "ceil": np.ceil}), int(right)


@given(sizes, kernels, strides, paddings, dilations, st.booleans(), st.sampled_from(["conv", "transposed"]))
@settings(max_examples=500, deadline=None, derandomize=True, database=None)
def test_formulas_are_true(size, kernel, stride, padding, dilation, ceil_mode, op):
    window = Window(kernel, stride, padding, dilation, ceil_mode and op == "conv")
    for axis in (0, 1):
        formula = answer(lambda axis=axis: window.formula(size, axis, op))
        if formula:
            left, right = value_of(formula)
            assert left == right


BAD = [True, 3.0, "3", None, 0, -1, 10**6, (3,), (3, 3, 3), (3, 0), float("nan"), [], {}]


@pytest.mark.parametrize("name", ["kernel_size", "stride", "padding", "dilation"])
@pytest.mark.parametrize("value", BAD, ids=repr)
def test_bad_settings_are_named_and_the_text_says_what_works(name, value):
    if name == "padding" and value in (0, (3, 0)) and value is not False:
        assert Window(**{name: value}).padding == both(value)
        return
    start = time.perf_counter()
    with pytest.raises(ValueError, match=rf"^{name} .* is not a whole number from [01] to 9999"):
        Window(**{name: value})
    assert time.perf_counter() - start < 0.2


@pytest.mark.parametrize(
    ("window", "text"),
    [
        (
            lambda: Window(5, dilation=2, padding=(0, 9)).output_size((7, 7)),
            "kernel_size 5 with dilation 2 spans 9 rows, but the padded input has 7: "
            "use padding >= 1 or a smaller kernel",
        ),
        (
            lambda: Window((3, 9)).output_size((7, 7)),
            "kernel_size 9 spans 9 columns, but the padded input has 7: use padding >= 1 or a smaller kernel",
        ),
        (
            lambda: Window(2, padding=2).transposed_output_size((2, 2)),
            "padding 2 leaves no output row: (2 − 1)·1 − 2·2 + (2 − 1) + 0 + 1 = −1; "
            "use padding <= 1 or a larger kernel",
        ),
        (
            lambda: Window(3, stride=2, padding="same"),
            'padding "same" needs stride 1, but stride is 2: use stride 1 or a number for padding',
        ),
        (
            lambda: Window(3, padding="same").transposed_output_size((5, 5)),
            'padding "same" is not defined for transposed: use a number or a pair',
        ),
        (
            lambda: Window(3, stride=2).transposed_output_size((5, 5), 2),
            "output_padding 2 is not smaller than stride 2 or dilation 1: use at most 1",
        ),
        (
            lambda: check_pool(Window(3, padding=2)),
            "padding 2 is more than half of kernel_size 3: a pool takes at most 1",
        ),
        (
            lambda: Window(padding="full"),
            'padding "full" is not a whole number from 0 to 9999, a pair of them, "same" or "valid"',
        ),
        (lambda: Window(ceil_mode=1), "ceil_mode 1 is not True or False"),
        (
            lambda: Window().output_size((0, 5)),
            "input size (0, 5) is not a pair (rows, columns) of whole numbers of at least 1",
        ),
    ],
)
def test_errors_repeat_what_was_given(window, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        window()


def test_what_the_text_advises_works():
    assert Window(5, dilation=2, padding=1).output_size((7, 7)) == (1, 1)
    assert Window(2, padding=1).transposed_output_size((2, 2)) == (1, 1)


def test_huge_tables_are_refused_at_once():
    with pytest.raises(ValueError, match="use smaller numbers"):
        Window(1, padding=9999).rows(10**9)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"op": "median"}, 'op "median" is not known: use conv, convolve, transposed, max_pool or avg_pool'),
        ({"height": 257}, "height 257 is not a whole number from 1 to 256"),
        (
            {"in_channels": 4, "filters": 6, "groups": 3},
            "groups 3 does not divide 4 in_channels and 6 filters: use 1 or 2",
        ),
        ({"groups": True}, "groups True is not a whole number from 1 to 9999"),
        ({"op": "avg_pool", "divisor_override": 0.5}, "divisor_override 0.5 is not a whole number from −9999 to 9999"),
        (
            {"op": "transposed", "width": 256, "stride": 8},
            "the output would have 2043 columns, and at most 1024 are drawn: use a smaller picture, padding or stride",
        ),
    ],
)
def test_states_that_are_no_layer_are_refused(state, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        read_layer(state)


def test_a_state_is_read_with_the_settings_that_its_operation_has():
    layer = read_layer(
        {"op": "avg_pool", "in_channels": 3, "filters": 8, "groups": 5, "dilation": 99, "kernel_size": 2}
    )
    assert (layer.filters, layer.groups, layer.output_shape, layer.weight_shape) == (3, 1, (3, 4, 4), ())
    layer = read_layer(
        {"op": "transposed", "in_channels": 2, "filters": 4, "groups": 2, "stride": 2, "output_padding": 1}
    )
    assert (layer.output_shape, layer.weight_shape) == ((4, 12, 12), (2, 2, 3, 3))
