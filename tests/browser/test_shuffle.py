"""The channel shuffle between two grouped layers, as a hand finds it in JupyterLab."""

from collections.abc import Callable

import pytest

from tests.browser.kernel_view import KernelView
from tests.browser.lab import LabPage

pytestmark = pytest.mark.browser
GROUPED = "in_channels=12, filters=12, groups=3, kernel_size=1, height=2, width=2"


def wait_said(view: KernelView, words: str) -> None:
    view.root.locator(".sk-description", has_text=words).wait_for(state="attached", timeout=5000)


def colour_between(view: KernelView, above: tuple[str, int], below: tuple[str, int]) -> list[int]:
    """The canvas halfway between two boxes of the strip: the colour of their wire, if no other crosses there."""
    (x0, y0), (x1, y1) = (view.point(kind, 0, index) for kind, index in (above, below))
    script = """(root, [x, y]) => {
      const canvas = root.querySelector("canvas.sk-scene"), box = canvas.getBoundingClientRect();
      const scale = canvas.width / box.width;
      return Array.from(canvas.getContext("2d").getImageData((x - box.left) * scale, (y - box.top) * scale, 1, 1).data);
    }"""
    return view.root.evaluate(script, [(x0 + x1) / 2, (y0 + y1) / 2])


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
    inky = colour_between(view, ("channel", 5), ("filter", 5))
    assert colour_between(view, ("filter", 5), ("place", 4)) == inky  # 5 is the second of the second group
    assert colour_between(view, ("filter", 6), ("place", 7)) == inky
    assert colour_between(view, ("filter", 0), ("place", 0)) not in (inky, [0, 0, 0, 0])  # a wire, without ink
    assert colour_between(view, ("filter", 4), ("place", 4)) != inky
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
