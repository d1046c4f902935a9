"""The keyboard belongs to the widget while it has the focus, and to JupyterLab again afterwards."""

from collections.abc import Callable

import pytest

from tests.browser.kernel_view import KernelView
from tests.browser.lab import LabPage

Show = Callable[..., KernelView]


@pytest.fixture
def focused(lab: LabPage, show: Show) -> KernelView:
    view = show()
    view.root.focus()
    return view


def test_arrows_move_the_window_and_not_the_notebook(lab: LabPage, focused: KernelView) -> None:
    before = lab.active_cell()
    moves = {"ArrowRight": 1, "ArrowDown": 4, "ArrowLeft": 3, "ArrowUp": 0, "End": 8, "Home": 0}
    for key, position in moves.items():
        lab.page.keyboard.press(key)
        lab.wait_python(f"w.position == {position}")
    assert lab.active_cell() == before


def test_space_plays_and_pauses(lab: LabPage, focused: KernelView) -> None:
    lab.page.keyboard.press("Space")
    lab.wait_python("w.playing")
    lab.page.keyboard.press("Space")
    lab.wait_python("not w.playing")


def test_digits_keep_and_open_states(lab: LabPage, focused: KernelView) -> None:
    before, cells = lab.active_cell(), lab.cells()
    lab.page.keyboard.press("Digit1")
    assert "Shift+1" in focused.wait_message("nothing is kept")
    focused.move("stride", 2)
    focused.root.focus()
    lab.page.keyboard.press("Shift+Digit1")
    lab.wait_python("'1' in w.states")
    focused.move("stride", 1)
    focused.root.focus()
    lab.page.keyboard.press("Digit1")
    lab.wait_python("w.stride == 2")
    assert (lab.active_cell(), lab.cells()) == (before, cells)  # 1 would have made a heading of the cell


def test_keys_bound_in_python_open_their_state(lab: LabPage, focused: KernelView) -> None:
    lab.ask("w.states = {'3': SlidingKernel(padding=2).state}")
    focused.root.focus()
    lab.page.keyboard.press("Digit3")
    focused.wait_layer("1x7x7")
    lab.wait_python("w.padding == 2")


def test_no_letter_reaches_the_notebook(lab: LabPage, focused: KernelView) -> None:
    before, cells = lab.active_cell(), lab.cells()
    for key in ("a", "b", "m", "y", "x", "c", "v", "d", "d", "0", "1", "j", "k"):
        lab.page.keyboard.press(key)
    assert (lab.active_cell(), lab.cells()) == (before, cells)


@pytest.mark.parametrize("key", ["ArrowRight", "ArrowDown", "Digit1", "KeyB", "Space"])
def test_a_focused_slider_keeps_its_keys(key: str, lab: LabPage, show: Show) -> None:
    view = show("padding=1")
    before, cells = lab.active_cell(), lab.cells()
    view.slider("padding").focus()
    lab.page.keyboard.press(key)
    view.settled()
    assert (lab.active_cell(), lab.cells()) == (before, cells)
    expected = {"ArrowRight": 2, "ArrowDown": 0}.get(key, 1)
    lab.wait_python(f"w.padding == {expected}")


@pytest.mark.parametrize("control", ["select[data-name=op]", "[data-action=play]", "input[data-name=relu]", "summary"])
def test_other_controls_keep_their_keys(control: str, lab: LabPage, show: Show) -> None:
    view = show()
    before, cells = lab.active_cell(), lab.cells()
    view.root.locator(control).focus()
    for key in ("ArrowDown", "Digit2", "KeyB"):
        lab.page.keyboard.press(key)
    view.settled()
    assert (lab.active_cell(), lab.cells()) == (before, cells)


def test_typing_in_a_field_is_only_typing(lab: LabPage, show: Show) -> None:
    view = show()
    before, cells = lab.active_cell(), lab.cells()
    view.field("code").fill("")
    view.field("code").press_sequentially("nn.Conv2d(1, 1, 2) b1")
    assert view.field("code").input_value() == "nn.Conv2d(1, 1, 2) b1"
    assert (lab.active_cell(), lab.cells()) == (before, cells)


def test_everything_is_reached_with_tab(lab: LabPage, focused: KernelView) -> None:
    reached = set()
    for _ in range(60):
        lab.page.keyboard.press("Tab")
        inside = "() => document.activeElement.closest('.cnnviz-sk') ? document.activeElement.dataset : null"
        data = lab.page.evaluate(inside)
        if data is None:
            break
        reached |= {data.get("name"), data.get("action")}
    assert {"kernel_size", "stride", "padding", "op", "play", "code", "undo", "reset"} <= reached


def test_enter_edits_the_pinned_number(lab: LabPage, show: Show) -> None:
    view = show()
    view.click("input", 0, 0)
    view.root.focus()
    lab.page.keyboard.press("Enter")
    editor = view.root.locator("input.sk-editor")
    editor.wait_for()
    lab.page.keyboard.type("7")
    lab.page.keyboard.press("Enter")
    lab.wait_python("w.image[0, 0, 0] == 7")
    view.click("kernel", 1, 1)
    view.root.focus()
    lab.page.keyboard.press("Enter")
    editor.wait_for()
    lab.page.keyboard.type("5")
    lab.page.keyboard.press("Escape")
    assert editor.count() == 0
    assert lab.ask("print(w.kernel[0, 0, 1, 1])") == "2.0"
