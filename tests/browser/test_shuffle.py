"""The channel shuffle between two grouped layers, as a hand finds it in JupyterLab."""

from collections.abc import Callable

import pytest

from tests.browser.kernel_view import KernelView
from tests.browser.lab import LabPage

pytestmark = pytest.mark.browser
GROUPED = "in_channels=12, filters=12, groups=3, kernel_size=1, height=2, width=2"


def wait_said(view: KernelView, words: str) -> None:
    view.root.locator(".sk-description", has_text=words).wait_for(state="attached", timeout=5000)


def test_ink_in_one_channel_with_and_without_the_shuffle(lab: LabPage, show: Callable[..., KernelView]) -> None:
    view = show(GROUPED)
    assert "ink" not in view.sliders()
    one_layer = view.picture()
    view.switch("shuffle")
    assert view.picture() != one_layer
    wait_said(view, "click a channel: a drop of ink")
    view.click("channel", 0, 5)
    wait_said(view, "ink in channel 5 reaches 4 of 12 outputs")
    lab.wait_python("w.shuffle == 'off' and w.ink == 5")
    apart = view.picture()
    view.switch("shuffled")
    wait_said(view, "ink in channel 5 reaches all 12 outputs")
    assert view.picture() != apart
    lab.wait_python("w.shuffle == 'on' and 'reaches all 12' in repr(w)")


def test_the_slider_of_the_ink_the_groups_and_undo(lab: LabPage, show: Callable[..., KernelView]) -> None:
    view = show(f"{GROUPED}, shuffle=True")
    view.drag("ink", 11)
    wait_said(view, "ink in channel 11 reaches all 12 outputs")
    view.drag("groups", view.bounds("groups")[1])  # 12: every channel for itself, and no shuffle mixes anything
    wait_said(view, "ink in channel 11 reaches 1 of 12 outputs")
    view.press("undo")
    wait_said(view, "reaches all 12 outputs")
    view.click("channel", 0, 11)  # the same channel again: the ink is taken away
    wait_said(view, "click a channel")
    view.press("undo")
    view.click("place", 0, 3)
    wait_said(view, "ink in channel 11 reaches 4 of 12 outputs")
    assert not view.root.locator("input[data-name='shuffled']").is_checked()
    view.switch("shuffle", on=False)
    wait_said(view, "ink in channel 11 reaches 4 of 12 maps")
    view.press("reset")
    wait_said(view, "click a channel")
    lab.wait_python("w.shuffle == 'on' and w.ink == -1")
    view.level(2)
    assert "ink" not in view.sliders()


def test_a_pool_has_no_second_layer(lab: LabPage, show: Callable[..., KernelView]) -> None:
    view = show(f"{GROUPED}, shuffle=True, ink=0")
    view.choose("op", "max_pool")
    wait_said(view, "ink in channel 0 reaches 1 of 12 maps")
    lab.wait_python("w.op == 'max_pool'")
    assert "ink" not in view.sliders()
    assert view.message() == ""
