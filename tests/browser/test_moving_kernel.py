"""The moving kernel under a hand in JupyterLab: sliders, pointing, editing, playing, typing."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.browser.kernel_view import KernelView
from tests.browser.lab import LabPage
from tests.browser.torch_says import agrees_with_torch

Show = Callable[..., KernelView]
PATTERN = "np.arange(64.0).reshape(8, 8) % 5"
A1 = [[12, 12, 17], [10, 17, 19], [9, 6, 14]]


def test_it_opens_on_the_first_worked_example(show: Show) -> None:
    view = show()
    assert view.layer() == "conv 1x5x5 -> 1x3x3"
    assert view.output().tolist() == A1
    assert "3·0 + 3·1 + 2·2 + 0·2 + 0·2 + 1·0 + 3·0 + 1·1 + 2·2 = 12" in view.text("sum")
    assert "⌊(5 − 3 + 2·0) / 1⌋ + 1 = 3" in view.text("formula")
    assert view.code() == "nn.Conv2d(1, 1, kernel_size=3)"


def test_every_slider_moves_picture_and_python(lab: LabPage, show: Show) -> None:
    view = show(f"{PATTERN}, in_channels=2, filters=2, level=3")
    view.unfold()
    names = view.sliders()
    for name in ("kernel_size", "stride", "padding", "dilation", "height", "width", "in_channels", "filters"):
        assert name in names
    for name in [*names, "groups"]:
        if name == "speed":
            continue  # nothing plays
        view.press("reset")
        low, high = view.bounds(name)
        target = 90 if name == "angle" else high if view.value(name) < high else low
        before, text = view.picture(), view.value_text(name)
        view.drag(name, target)
        assert view.value(name) == target, name
        assert view.picture() != before, name
        assert view.value_text(name) != text, name
        view.leave()
        if name not in ("position", "in_channels", "filters", "groups"):
            lab.wait_python(f"w.{name} == {view.value(name):g}")
        lab.wait_python("w.position < w.output[0].size")
        agrees_with_torch(lab, view)


def test_no_drag_reaches_an_illegal_layer(lab: LabPage, show: Show) -> None:
    view = show()
    view.drag("kernel_size", view.bounds("kernel_size")[1])
    assert view.layer() == "conv 1x5x5 -> 1x1x1"
    assert view.slider("dilation").is_disabled()
    view.drag("padding", 3)
    assert view.slider("dilation").is_enabled()
    view.drag("dilation", view.bounds("dilation")[1])
    assert view.message() == ""
    assert view.bounds("padding")[0] > 0  # less would not hold the wider kernel


def test_lock_opens_to_unequal_sizes(lab: LabPage, show: Show) -> None:
    view = show()
    view.switch("square", False)
    view.drag("kernel_size.h", 2)
    assert view.layer() == "conv 1x5x5 -> 1x4x3"
    lab.wait_python("tuple(w.kernel_size) == (2, 3)")
    agrees_with_torch(lab, view)


@pytest.mark.parametrize("op", ["conv", "convolve", "transposed", "depthwise", "max_pool", "avg_pool"])
def test_every_operation_shows_torchs_numbers(op: str, lab: LabPage, show: Show) -> None:
    view = show(f"{PATTERN}, in_channels=2, filters=2, stride=2, padding=1, bias=0, kernel_name='sobel_x', level=3")
    view.choose("op", op)
    lab.wait_python(f"w.op == {'conv' if op == 'depthwise' else op!r}")
    if op == "depthwise":
        lab.wait_python("w.groups == w.in_channels == 2")
    assert view.message() == ""
    agrees_with_torch(lab, view)
    view.move("kernel_size", 4)
    agrees_with_torch(lab, view)


def test_pointing_shows_what_is_connected(show: Show) -> None:
    view = show()
    view.leave()
    rest = view.picture()
    view.hover("output", 1, 2)
    assert "output (1, 2)" in view.text("status")
    assert view.text("sum").startswith("output (1, 2)")
    assert view.text("sum").endswith("= 19")
    assert view.picture() != rest
    view.hover("input", 0, 0)
    assert "read by 1 output" in view.text("status")
    view.hover("input", 2, 2)
    assert "read by 9 outputs" in view.text("status")
    view.hover("kernel", 0, 0)
    assert "9 inputs" in view.text("status")
    view.leave()
    assert view.text("status") == ""
    assert view.picture() == rest


def test_a_click_pins_and_a_second_one_lets_go(lab: LabPage, show: Show) -> None:
    view = show()
    view.click("input", 2, 2)
    view.leave()
    assert "read by 9 outputs" in view.text("status")
    view.click("input", 2, 2)
    view.leave()
    assert view.text("status") == ""
    view.click("output", 2, 1)
    lab.wait_python("w.position == 7")
    view.leave()
    assert view.text("sum").endswith("= 6")


def test_numbers_are_edited_in_place(lab: LabPage, show: Show) -> None:
    view = show("padding=1")
    view.edit("input", 1, 1, "-9")
    lab.wait_python("w.image[0, 0, 0] == -9")
    agrees_with_torch(lab, view)
    view.edit("kernel", 1, 1, "0.5")
    lab.wait_python("w.kernel[0, 0, 1, 1] == 0.5")
    agrees_with_torch(lab, view)
    before = view.picture()
    view.edit("kernel", 0, 0, "many")
    assert "many" in view.message()
    assert view.is_red()
    view.leave()
    assert view.picture() == before


def test_padding_is_not_edited(lab: LabPage, show: Show) -> None:
    view = show("padding=1")
    view.page.mouse.dblclick(*view.point("input", 0, 0))
    assert "padding is always zero" in view.message()
    assert view.root.locator("input.sk-editor").count() == 0


def test_named_kernels(lab: LabPage, show: Show) -> None:
    view = show(PATTERN)
    for name in ("identity", "edge", "sobel_x", "sobel_y", "sharpen", "box", "gaussian", "emboss"):
        view.choose("kernel_name", name)
        lab.wait_python(f"w.kernel_name == {name!r}")
        agrees_with_torch(lab, view)


def test_play_and_pause(lab: LabPage, show: Show) -> None:
    view = show("speed=20, padding=3")
    before = view.picture()
    view.press("play")
    lab.wait_python("w.position >= 4")
    assert lab.ask("print(w.fill, w.playing)") == "True True"
    view.press("play")
    lab.wait_python("not w.playing")
    stopped = lab.ask("print(w.position)")
    assert view.picture() != before
    lab.page.wait_for_timeout(200)
    assert lab.ask("print(w.position)") == stopped
    filled = view.picture()
    view.press("step")
    lab.wait_python(f"w.position == {int(stopped) + 1}")
    assert view.picture() != filled  # one more cell is filled in
    view.press("back")
    view.press("back")
    lab.wait_python(f"w.position == {int(stopped) - 1}")


def test_it_stops_at_the_last_cell(lab: LabPage, show: Show) -> None:
    view = show("speed=30, position=5")
    view.press("play")
    lab.wait_python("w.position == 8 and not w.playing")
    lab.ask("w.speed = 2")  # slow enough to be seen on its way
    view.press("play")  # and begins again
    lab.wait_python("0 < w.position < 8")


def test_a_pasted_line_sets_the_sliders(lab: LabPage, show: Show) -> None:
    view = show(PATTERN)
    view.type_in("code", "self.conv1 = nn.Conv2d(1, 1, kernel_size=(3, 2), stride=2, padding=1)  # mine")
    view.wait_layer("1x4x5")
    lab.wait_python("tuple(w.kernel_size) == (3, 2) and w.stride == 2 and w.padding == 1")
    agrees_with_torch(lab, view)
    view.type_in("code", "torch.nn.MaxPool2d(2)")
    view.wait_layer("max_pool 1x8x8 -> 1x4x4")
    agrees_with_torch(lab, view)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nn.Linear(3, 4)", "Linear"),
        ("nn.Conv2d(1, 1, kernel_size=9)", "9"),
        ("nn.Conv2d(1, 1, kernel_size=3, stride=0)", "stride"),
        ("nn.Conv2d(1, 1, kernel_size=3", ""),
        ("__import__('os').system('true')", ""),
        ("nn.Conv2d(1, 1, kernel_size=3, padding_mode='reflect')", "reflect"),
        ("", ""),
    ],
)
def test_a_line_that_is_no_layer_changes_nothing(line: str, words: str, lab: LabPage, show: Show) -> None:
    view = show()
    before = view.picture()
    view.type_in("code", line)
    assert words in view.message()
    assert len(view.message()) > 10
    assert view.is_red()
    assert view.picture() == before
    assert lab.ask("print(w.code)") == "nn.Conv2d(1, 1, kernel_size=3)"
    view.move("stride", 2)  # and the next move is answered
    assert view.layer() == "conv 1x5x5 -> 1x2x2"
    assert view.message() == ""


def test_a_state_travels_as_a_short_string(lab: LabPage, show: Show) -> None:
    view = show("stride=2, padding=1")
    view.unfold()
    view.settled()
    text = view.field("state").input_value()
    assert text == lab.ask("print(w.state)")
    view.move("kernel_size", 2)
    assert view.field("state").input_value() != text
    view.type_in("state", text)
    lab.wait_python("w.kernel_size == 3 and w.stride == 2")
    before = view.picture()
    view.type_in("state", text[:-3])
    assert view.is_red()
    assert view.message()
    assert view.picture() == before


def test_undo_and_reset(lab: LabPage, show: Show) -> None:
    view = show()
    view.drag("padding", 2)
    lab.page.wait_for_timeout(900)  # two gestures, not one
    view.drag("kernel_size", 2)
    view.press("undo")
    lab.wait_python("w.kernel_size == 3 and w.padding == 2")
    assert view.layer() == "conv 1x5x5 -> 1x7x7"
    view.press("reset")
    lab.wait_python("w.padding == 0")
    assert view.output().tolist() == A1


def test_predict_then_reveal(lab: LabPage, show: Show) -> None:
    view = show()
    view.choose("predict", "shape")
    assert "3x3" not in view.text("description")
    assert "= 3" not in view.text("formula")
    view.field("guess").fill("4x4")
    view.press("predict")
    assert "You said 4x4: it is 3 x 3" in view.wait_message("it is")
    lab.wait_python("w.guess == '4x4' and w.predict == ''")
    view.choose("predict", "cell")
    assert "12" not in view.text("sum")
    view.field("guess").fill("12")
    view.press("predict")
    assert "Right" in view.wait_message("it is 12")


def test_staged_reveal(show: Show) -> None:
    view = show()
    pictures = [view.picture()]
    for _ in range(3):
        view.press("reveal")
        pictures.append(view.picture())
    assert len(set(pictures)) == 4 - 1  # the sum is a line of text, the others are on the canvas
    view.press("reveal")
    assert view.picture() == pictures[0]


def test_levels(lab: LabPage, show: Show) -> None:
    view = show()
    view.level(1)
    assert "stride" not in view.sliders()
    assert not view.field("code").is_visible()
    view.level(3)
    assert "in_channels" in view.sliders()
    without_wires = view.picture()
    view.drag("in_channels", view.bounds("in_channels")[1])
    view.drag("filters", 3)
    assert view.picture() != without_wires
    wires = view.picture()
    view.drag("groups", view.bounds("groups")[1])
    assert view.picture() != wires
    lab.wait_python("w.groups == 4")
    agrees_with_torch(lab, view)


def test_how_often_each_pixel_is_read(show: Show) -> None:
    view = show()
    before = view.picture()
    view.switch("heatmap")
    assert view.picture() != before


def test_every_preset_opens_and_shows_torchs_numbers(lab: LabPage, show: Show) -> None:
    view = show("level=3")
    for name in lab.ask("print(*SlidingKernel.presets())").split():
        lab.ask(f"w.state = SlidingKernel.preset({name!r}).state")
        view.wait_layer(lab.ask("print('x'.join(map(str, w.output.shape)))"))
        assert view.message() == ""
        agrees_with_torch(lab, view)


@pytest.mark.parametrize(
    "layer",
    [
        "Conv2d(3, 6, (3, 5), stride=2, padding=(1, 2), groups=3)",
        "Conv2d(3, 4, 3, padding='same')",
        "ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1)",
        "MaxPool2d(3, 2, 1, ceil_mode=True)",
        "AvgPool2d(2)",
    ],
)
def test_a_users_own_layer(layer: str, lab: LabPage) -> None:
    lab.ask(f"torch.manual_seed(0)\nlayer = torch.nn.{layer}\nx = torch.rand(3, 9, 9)")
    view = KernelView.in_cell(lab.run_cell("w = SlidingKernel.from_layer(layer, x.numpy())\nw"))
    assert view.message() == ""
    lab.ask("y = layer(x[None])[0]")
    view.wait_layer(lab.ask("print('x'.join(map(str, y.shape)))"))
    view.output()
    lab.page.wait_for_timeout(300)
    true = np.array(eval(lab.ask("print(y[0].tolist())"), {}))
    np.testing.assert_allclose(view.output(), true, rtol=1e-3, atol=1e-3)
