import io
import time

import ipywidgets
import numpy as np
import pytest
import torch
import traitlets
from PIL import Image

from cnnviz import SlidingKernel, images, kernels
from cnnviz.widgets.sliding_kernel import IllegalLayer
from cnnviz.widgets.sliding_kernel.settings import DEFAULTS

A1 = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]


# ---- opening -------------------------------------------------------------------------------------------------------


def test_without_arguments_it_opens_on_the_lectures_example():
    w = SlidingKernel()
    assert w.image.tolist() == [A1]
    assert w.kernel.tolist() == [[[[0, 1, 2], [2, 2, 0], [0, 1, 2]]]]
    assert w.output.tolist() == [[[12, 12, 17], [10, 17, 19], [9, 6, 14]]]


def test_every_setting_is_a_synced_trait_that_opens_at_its_default():
    w = SlidingKernel()
    for name, default in DEFAULTS.items():
        assert w.trait_metadata(name, "sync"), name
        assert np.array_equal(getattr(w, name), default), name


@pytest.mark.parametrize(("op", "stride"), [("conv", 1), ("transposed", 1), ("max_pool", 3), ("avg_pool", 3)])
def test_the_stride_that_is_not_given_is_torchs(op, stride):
    assert SlidingKernel(op=op).stride == stride


def test_the_level_is_the_least_that_shows_everything():
    assert SlidingKernel().level == 2
    assert SlidingKernel("counting2").level == 3
    assert SlidingKernel(filters=2).level == 3
    assert SlidingKernel(filters=2, level=1).level == 1


@pytest.mark.parametrize(
    "picture",
    [
        A1,
        np.array(A1, dtype=np.uint8),
        np.array([A1]),
        np.array([[A1]]),
        torch.tensor(A1),
        torch.tensor([A1], dtype=torch.bfloat16, requires_grad=True),
        "arithmetic",
    ],
)
def test_a_picture_may_come_in_many_forms(picture):
    assert SlidingKernel(picture).output[0, 0, 0] == 12


def test_a_picture_may_be_a_pillow_image_a_path_or_the_bytes_of_a_file(tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    image, buffer = Image.fromarray(pixels), io.BytesIO()
    image.save(buffer, "PNG")
    (tmp_path / "four.png").write_bytes(buffer.getvalue())
    for given in (image, tmp_path / "four.png", str(tmp_path / "four.png"), buffer.getvalue()):
        w = SlidingKernel(given)
        assert np.array_equal(w.image, np.moveaxis(pixels, -1, 0) / 255)
    assert SlidingKernel(image.convert("L")).image.shape == (1, 4, 4)


def test_a_kernel_of_two_axes_serves_every_filter_and_channel():
    w = SlidingKernel(np.ones((3, 6, 6)), kernel=[[1, 2], [3, 4]], filters=2)
    assert w.weights.tolist() == [[[[1, 2], [3, 4]]] * 3] * 2
    w.kernel = [[1, 0, 0]]
    assert (w.kernel_size, w.weights.shape) == ((1, 3), (2, 3, 1, 3))


def test_depthwise_means_as_many_groups_as_channels():
    w = SlidingKernel(np.ones((3, 5, 5)), kernel="box", op="depthwise")
    assert (w.op, w.groups, w.filters, w.weights.shape) == ("conv", 3, 3, (3, 1, 3, 3))
    w = SlidingKernel(in_channels=2, filters=4, op="depthwise")
    assert (w.groups, w.filters) == (2, 4)


def test_a_named_kernel_follows_its_size():
    w = SlidingKernel(kernel="gaussian", height=8, width=8)
    w.kernel_size = 5
    assert np.array_equal(w.weights[0, 0], kernels.named("gaussian", 5))
    w.kernel = np.ones((2, 2))
    assert (w.kernel_name, w.weights.max()) == ("", 1)


def test_an_unknown_setting_is_named_with_those_that_exist():
    with pytest.raises(TypeError, match=r"no setting 'kernal_size': use image, kernel, op.*"):
        SlidingKernel(kernal_size=3)


# ---- changing ------------------------------------------------------------------------------------------------------


def test_an_illegal_assignment_changes_nothing_and_says_what_would_work():
    w = SlidingKernel()
    with pytest.raises(IllegalLayer, match="kernel_size 6 spans 6 rows, but the padded input has 5: use padding >= 1"):
        w.kernel_size = 6
    assert w.kernel_size == 3
    assert issubclass(IllegalLayer, ValueError)
    assert issubclass(IllegalLayer, traitlets.TraitError)


def test_several_settings_change_together_or_not_at_all():
    w = SlidingKernel()
    w.set(kernel_size=7, padding=1)
    before = w.state
    with pytest.raises(IllegalLayer):
        w.set(padding=0, stride=2, heatmap=True)
    assert w.state == before


def test_traits_held_together_are_checked_at_the_end():
    w = SlidingKernel()
    with w.hold_trait_notifications():
        w.kernel_size = 7
        w.padding = 1
    assert w.output.shape == (1, 1, 1)
    with w.hold_trait_notifications():
        w.kernel = np.ones((9, 9))
        w.padding = 2
    assert w.output.shape == (1, 1, 1)
    with pytest.raises(IllegalLayer), w.hold_trait_notifications():  # noqa: PT012
        w.stride = 2
        w.padding = 0
    assert (w.stride, w.padding) == (1, 2)


def test_observers_hear_of_one_set_once_and_see_a_legal_layer():
    w, heard = SlidingKernel(), []
    w.observe(lambda change: heard.append((change.name, w.output.shape)), names=["kernel_size", "padding"])
    w.set(kernel_size=7, padding=2)
    assert sorted(heard) == [("kernel_size", (1, 3, 3)), ("padding", (1, 3, 3))]


def test_a_new_picture_brings_its_size_and_channels_unless_they_are_given():
    w = SlidingKernel()
    w.image = np.ones((2, 6, 8))
    assert (w.height, w.width, w.in_channels) == (6, 8, 2)
    w.set(image=np.ones((3, 3)), height=4, width=4)
    assert (w.input.shape, w.in_channels) == ((1, 4, 4), 1)


def test_a_new_kernel_brings_its_size_filters_and_channels():
    w = SlidingKernel()
    w.kernel = np.ones((4, 2, 3, 2))
    assert (w.kernel_size, w.filters, w.in_channels) == ((3, 2), 4, 2)
    w.set(op="transposed", kernel=np.ones((2, 3, 2, 2)))
    assert (w.kernel_size, w.filters, w.in_channels) == (2, 3, 2)


def test_a_pool_has_as_many_filters_as_channels():
    w = SlidingKernel("counting2", filters=4, kernel_size=2, groups=2)
    w.op = "max_pool"
    assert (w.filters, w.groups, w.output.shape) == (2, 1, (2, 2, 2))
    w.op = "conv"
    assert w.output.shape == (2, 2, 2)


def test_position_and_filter_stay_inside_the_output():
    w = SlidingKernel(filters=3, position=8, filter=2)
    w.set(kernel_size=5, filters=2)
    assert (w.position, w.filter) == (0, 1)
    w.position = 10**6
    assert w.position == 0
    w.set(kernel_size=3, position=-4)
    assert w.position == 0


def test_arrays_cannot_be_changed_behind_the_views_back():
    w = SlidingKernel()
    with pytest.raises(ValueError, match="read-only"):
        w.image[0, 0, 0] = 9


def test_a_picture_with_the_same_numbers_is_no_change():
    w, heard = SlidingKernel(), []
    w.observe(heard.append, names="image")
    w.image = A1
    assert heard == []
    w.image = np.array(A1) + 1
    assert len(heard) == 1


def test_reset_goes_back_to_what_it_was_opened_on():
    w = SlidingKernel("counting", kernel_size=2)
    opened = w.state
    w.set(image="smiley", kernel="edge", padding=2, relu=True)
    w.bind(3, "dilation")
    w.reset()
    assert w.state == opened
    assert list(w.states) == ["3"]


# ---- from the view -------------------------------------------------------------------------------------------------


def test_what_the_view_sends_together_is_checked_together():
    w = SlidingKernel()
    w.set_state({"kernel_size": 7, "padding": 1, "position": 0})
    assert (w.kernel_size, w.padding) == (7, 1)
    w.set_state({"image": {"shape": [1, 2, 2], "values": [1, 2, 3, 4]}})  # the size shown is the view's to choose
    assert (w.image.shape, w.height) == ((1, 2, 2), 5)
    w.set_state({"kernel_size": [3, 2], "padding": 0})
    assert (w.kernel_size, w.output.shape) == ((3, 2), (1, 3, 4))


def test_what_the_view_may_not_set_is_answered_and_not_raised():
    w, sent = SlidingKernel(), []
    w.send_state = lambda key=None: sent.append(key)
    w.send = lambda content, buffers=None: sent.append(content)
    for wrong in ({"kernel_size": 9, "stride": 2}, {"padding": "x"}, {"image": {"shape": [1, 9], "values": []}}):
        w.set_state(wrong)
        answer, message = sent[-2:]
        assert answer == list(wrong)
        assert message["kind"] == "refused"
        assert message["message"]
    assert (w.kernel_size, w.stride, w.padding) == (3, 1, 0)


def test_a_smaller_output_moves_the_views_window_inside():
    w = SlidingKernel(position=8)
    w.set_state({"kernel_size": 5})
    assert w.position == 0


@pytest.mark.parametrize("size", [5, 32, 33])
@pytest.mark.parametrize("photo", [True, False])
def test_what_travels_to_the_view_can_travel_back(size, photo):
    values = np.random.default_rng(0).integers(0, 256, (1, size, size)) / 255 - (0 if photo else 0.25)
    w = SlidingKernel(values)
    wire = w.get_state("image")["image"]
    assert list(wire) == ["shape", "values" if size < 33 else "u8" if photo else "f32"]
    other = SlidingKernel()
    other.set_state({"image": wire})
    assert np.allclose(other.image, values, atol=0 if size < 33 or photo else 1e-7)


@pytest.mark.parametrize("name", ["kernel_size", "stride", "padding", "dilation", "position", "height", "filters"])
def test_traits_link_to_a_slider_both_ways(name):
    w, slider = SlidingKernel(height=16, width=16, padding=3), ipywidgets.IntSlider(min=0, max=20)
    link = traitlets.link((w, name), (slider, "value"))
    slider.value = 4
    assert getattr(w, name) == 4
    setattr(w, name, 5)
    assert slider.value == 5
    link.unlink()
    ipywidgets.jslink((slider, "value"), (w, name)).close()
    slider.close()
    w.close()


# ---- refusals ------------------------------------------------------------------------------------------------------

NOT_A_WHOLE_NUMBER = [-1, 3.0, 2.5, "3", True, None, float("nan"), 10**6, [1, 2, 3], {}]


@pytest.mark.parametrize("value", [0, *NOT_A_WHOLE_NUMBER, 12])
@pytest.mark.parametrize("name", ["kernel_size", "dilation"])
def test_a_bad_size_is_refused_by_name_and_at_once(name, value):
    w = SlidingKernel()
    start = time.perf_counter()
    with pytest.raises(IllegalLayer, match=name):
        w.set(**{name: value})
    assert time.perf_counter() - start < 0.2
    if value is not None:  # in the constructor: not given
        with pytest.raises(IllegalLayer, match=name):
            SlidingKernel(**{name: value})
    assert getattr(w, name) == DEFAULTS[name]


@pytest.mark.parametrize("value", [0, *(value for value in NOT_A_WHOLE_NUMBER if value is not None)])
@pytest.mark.parametrize("name", ["stride", "groups", "in_channels", "filters", "height"])
def test_bad_numbers_are_refused_by_name(name, value):
    with pytest.raises(IllegalLayer, match=name):
        SlidingKernel(**{name: value})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"padding": -1}, "padding -1"),
        ({"padding": 1.5}, "padding 1.5"),
        ({"padding": "half"}, '"same" or "valid"'),
        ({"padding": "same", "stride": 2}, "use stride 1"),
        ({"op": "max_pool", "padding": 2}, "at most 1"),
        ({"op": "transposed", "output_padding": 1}, "output_padding 1"),
        ({"op": "deconv"}, 'op "deconv" is not known: use conv, convolve'),
        ({"groups": 2}, "groups 2 does not divide 1 in_channels and 1 filters: use 1"),
        ({"in_channels": 4, "filters": 6, "groups": 4}, "use 1 or 2"),
        ({"kernel": "sobel"}, '"sobel" is not known: use identity, edge, sobel_x'),
        ({"kernel": "edge", "kernel_size": 12, "height": 20, "width": 20}, "1 to 11"),
        ({"image": "chine"}, "no picture is called 'chine'"),
        ({"image": "nowhere.png"}, "nowhere.png"),
        ({"image": b"not a picture"}, "cannot be read as a picture"),
        ({"image": [[1, 2], [3]]}, "is ragged"),
        ({"image": [[1, float("nan")]]}, "holds nan: use finite numbers"),
        ({"image": [[1, float("-inf")]]}, "holds -inf"),
        ({"image": [[1e200]]}, "1e+200"),
        ({"image": [["a", "b"]]}, "is not numbers"),
        ({"image": [[1j]]}, "is not numbers"),
        ({"image": []}, "is empty"),
        ({"image": [1, 2, 3]}, "1 axes: use (height, width) or (channels, height, width)"),
        ({"image": np.ones((2, 1, 3, 3))}, "4 axes"),
        ({"image": np.ones((300, 20))}, "300 x 20 pixels: use at most 256 x 256"),
        ({"image": np.ones((600, 2, 2))}, "600 channels"),
        ({"image": np.ones((32, 32, 3))}, "channels last: use image.transpose(2, 0, 1)"),
        ({"image": 5}, "0 axes"),
        ({"image": object()}, "is not numbers"),
        ({"image": Image.new("1", (6000, 6000))}, "25 megapixels"),
        ({"kernel": [1, 2]}, "1 axes"),
        ({"kernel": [[1], [2, 3]]}, "is ragged"),
        ({"kernel": [[float("inf")]]}, "holds inf"),
        ({"kernel": np.ones((2, 3, 1, 1)), "image": np.ones((2, 4, 4))}, "use the shape (2, 2, 1, 1)"),
        ({"bias": [1, 2]}, "bias has 2 numbers for 1 filters"),
        ({"bias": "1"}, 'bias "1"'),
        ({"bias": float("nan")}, "bias nan"),
        ({"bias": []}, "bias has 0 numbers"),
        ({"relu": 1}, "relu 1 is not True or False"),
        ({"ceil_mode": "yes"}, 'ceil_mode "yes"'),
        ({"divisor_override": 1.5, "op": "avg_pool"}, "divisor_override 1.5"),
        ({"angle": "steep"}, 'angle "steep"'),
        ({"speed": 0}, "speed 0"),
        ({"level": 4}, "level 4"),
        ({"reveal": -1}, "reveal -1"),
        ({"predict": "all"}, 'predict "all" is not known: use shape, cell'),
        ({"states": {"0": "k1."}}, "keys '1' to '9'"),
        ({"guess": "x" * 2000}, "at most 1000 characters"),
        ({"in_channels": 512, "filters": 512, "kernel_size": 11, "height": 20, "width": 20}, "weights"),
        ({"filters": 512, "height": 256, "width": 256}, "output values"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_refused_with_the_reason(given, words):
    with pytest.raises(IllegalLayer, match=r"(?s).+") as refusal:
        SlidingKernel(**given)
    assert words in str(refusal.value)
    if not {"in_channels", "kernel_size", "filters"} & given.keys():
        w = SlidingKernel()
        before = w.state
        with pytest.raises(IllegalLayer):
            w.set(**given)
        assert w.state == before


# ---- keys ----------------------------------------------------------------------------------------------------------


def test_states_are_bound_to_keys():
    w = SlidingKernel(stride=2)
    w.bind(1)
    w.bind("2", "dilation")
    w.bind(3, SlidingKernel(op="max_pool").state)
    opened = {}
    for key, text in w.states.items():
        w.state = text
        opened[key] = w.code
    assert opened == {
        "1": "nn.Conv2d(1, 1, kernel_size=3, stride=2)",
        "2": "nn.Conv2d(1, 1, kernel_size=3, dilation=2)",
        "3": "nn.MaxPool2d(kernel_size=3, stride=3)",
    }


@pytest.mark.parametrize("key", [0, 10, "a", True, None, 1.0])
def test_only_the_keys_1_to_9_can_be_bound(key):
    with pytest.raises(IllegalLayer, match="use 1 to 9"):
        SlidingKernel().bind(key)


@pytest.mark.parametrize("state", ["nonsense", "k1.abc.00000000", 5])
def test_only_a_share_string_or_a_preset_can_be_bound(state):
    w = SlidingKernel()
    with pytest.raises(IllegalLayer, match="share string"):
        w.bind(1, state)
    assert w.states == {}


def test_trace_tells_the_terms_before_relu():
    w = SlidingKernel(images.grid("counting"), kernel=[[-1, 0], [0, 0]], relu=True)
    assert w.output.max() == 0
    assert w.trace.explain(0, 1, 1) == "4·(−1) + 5·0 + 7·0 + 8·0 = −4"
