"""Mutations of the widget's JavaScript and of a user's callback: the checks of this folder have to turn red."""

import pytest

from tests.browser.kernel_view import KernelView
from tests.browser.lab import LabPage
from tests.browser.notebook_check import problems
from tests.browser.torch_says import agrees_with_torch

# In the notebook: a moving kernel whose JavaScript differs by one replacement.
BROKEN = """w = SlidingKernel(np.arange(49.0).reshape(7, 7) % 5, kernel_name="sobel_x", stride=2, padding=1)
w._esm = w._esm.replace({old!r}, {new!r}, 1)
w"""
MUTATIONS = {
    "syntax": ("  draw(start) {", "  draw(start) { const = ;"),
    "a missing name while drawing": ("  draw(start) {", "  draw(start) { missing();"),
    "a slider without listeners": ("listenToDrag(", 'if (name !== "stride") listenToDrag('),
    "no frame is ever asked for": ("redraw() {", "redraw() { return;"),
    "changes stay in the view": ("this.model.save_changes();", ""),
    "the stride is ignored": ("const stride = cols.step * step;", "const stride = step;"),
    "the bias is added twice": ("map.fill(biasOf(bias, filter))", "map.fill(1 + biasOf(bias, filter))"),
}


def faults(lab: LabPage, old: str, new: str) -> list[str]:
    """What the checks say about a widget with this replacement in its JavaScript."""
    assert lab.ask(f"print({old!r} in SlidingKernel()._esm)") == "True", f"the widget no longer says {old}"
    lab.page.wait_for_timeout(100)  # for what the widget before this one still has to complain about
    lab.forget_errors()
    cell = lab.run_cell(BROKEN.format(old=old, new=new))
    found = problems(lab)
    if cell.locator("canvas.sk-scene").count():
        try:
            view = KernelView.in_cell(cell)
            view.move("kernel_size", 2)
            lab.wait_python("w.kernel_size == 2", 2)
            agrees_with_torch(lab, view)
        except Exception as error:  # any failed check counts
            found.append(f"{type(error).__name__}: {error}")
    lab.forget_errors()
    return found


def test_control_the_whole_widget_has_no_faults(lab: LabPage) -> None:
    assert faults(lab, "  draw(start) {", "  draw(start) {") == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_broken_javascript_is_noticed(name: str, lab: LabPage) -> None:
    assert faults(lab, *MUTATIONS[name])
