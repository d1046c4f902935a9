"""The page of a `SlidingKernel`: the one place that knows its elements (the names in CONTRACT are data attributes)."""

from __future__ import annotations

import re

import numpy as np
from playwright.sync_api import Locator, Page

ROOT = ".cnnviz-sk"
THUMB = 16  # width of a range input's thumb in Chromium, in pixels


class WidgetView:
    """The sliders of one view of any of our widgets, driven as a hand would drive them."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.page: Page = root.page

    def settled(self) -> WidgetView:
        """Wait for two frames: what was asked for before is painted then."""
        frames = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
        self.page.evaluate(frames)
        return self

    def slider(self, name: str) -> Locator:
        return self.root.locator(f"input[type=range][data-name='{name}']:visible")

    def sliders(self) -> list[str]:
        """Names of the sliders that can be moved now."""
        found = self.root.locator("input[type=range]:visible:enabled").all()
        return [slider.get_attribute("data-name") for slider in found]

    def value(self, name: str) -> float:
        return float(self.slider(name).input_value())

    def bounds(self, name: str) -> tuple[float, float]:
        slider = self.slider(name)
        return float(slider.get_attribute("min") or 0), float(slider.get_attribute("max") or 100)

    def move(self, name: str, value: float) -> None:
        """Set a slider as a hand would: from where it is, with the events of a drag."""
        self.slider(name).fill(f"{value:g}")
        self.settled()

    def point_on_slider(self, name: str, value: float) -> tuple[float, float]:
        """Where the middle of the thumb is for this value."""
        box = self.slider(name).bounding_box()
        low, high = self.bounds(name)
        share = (value - low) / (high - low)
        return box["x"] + THUMB / 2 + share * (box["width"] - THUMB), box["y"] + box["height"] / 2

    def thumb(self, name: str) -> tuple[float, float]:
        self.slider(name).scroll_into_view_if_needed()
        return self.point_on_slider(name, self.value(name))

    def drag(self, name: str, value: float, steps: int = 6) -> None:
        """Take the thumb with the mouse and let it go at a value."""
        self.page.mouse.move(*self.thumb(name))
        self.page.mouse.down()
        self.page.mouse.move(*self.point_on_slider(name, value), steps=steps)
        self.page.mouse.up()
        self.settled()


class KernelView(WidgetView):
    """One view of a `SlidingKernel`."""

    def __init__(self, root: Locator) -> None:
        super().__init__(root)
        root.locator("canvas.sk-scene").wait_for()

    @classmethod
    def in_cell(cls, cell: Locator) -> KernelView:
        """The first view under a cell of a notebook."""
        return cls(cell.locator(ROOT).first)

    # ---- what it shows ---------------------------------------------------------------------------------------------

    def layer(self) -> str:
        """Such as ``conv 1x5x5 -> 1x3x3``."""
        return self.settled().root.evaluate("root => root.layerText")

    def wait_layer(self, text: str, seconds: float = 5) -> None:
        """Wait until the layer's text is, or ends in, this."""
        script = "([root, text]) => root.layerText.endsWith(text)"
        self.page.wait_for_function(script, arg=[self.root.element_handle(), text], timeout=1000 * seconds)

    def text(self, part: str) -> str:
        """The words in one part: sum, formula, status, message, description."""
        return self.settled().root.locator(f".sk-{part}").first.text_content() or ""

    def message(self) -> str:
        return self.text("message")

    def wait_message(self, words: str, seconds: float = 3) -> str:
        self.root.locator(".sk-message", has_text=re.compile(re.escape(words))).wait_for(timeout=1000 * seconds)
        return self.message()

    def wait_no_message(self, seconds: float = 3) -> None:
        self.root.locator(".sk-message", has_text=re.compile("^$")).wait_for(state="attached", timeout=1000 * seconds)

    def is_red(self) -> bool:
        """Whether the message is an error."""
        return self.root.locator(".sk-message.sk-error").count() == 1

    def output(self) -> np.ndarray:
        """The shown filter's output map, read from the text that a screen reader speaks."""
        self.page.wait_for_function(
            "root => root.querySelector('.sk-description').textContent.startsWith(root.layerText)",
            arg=self.root.element_handle(),
        )
        rows = self.text("description").split(": ", 1)[1].replace("\u2212", "-").split(" / ")
        return np.array([[float(number) for number in row.split()] for row in rows])

    def picture(self) -> str:
        """The canvas as it is, to be compared."""
        return self.settled().root.evaluate("root => root.querySelector('canvas.sk-scene').toDataURL()")

    def code(self) -> str:
        return self.settled().field("code").input_value()

    # ---- its controls ----------------------------------------------------------------------------------------------

    def value_text(self, name: str) -> str:
        return self.root.locator(f"output[data-for='{name}']:visible").text_content() or ""

    def field(self, name: str) -> Locator:
        """A text field: code, state, guess."""
        return self.root.locator(f"input[type=text][data-name='{name}']")

    def choose(self, name: str, value: str) -> None:
        self.root.locator(f"select[data-name='{name}']").select_option(value)
        self.settled()

    def switch(self, name: str, on: bool = True) -> None:
        self.root.locator(f"input[type=checkbox][data-name='{name}']").set_checked(on)
        self.settled()

    def press(self, action: str) -> None:
        """Click a button."""
        self.root.locator(f"[data-action='{action}']").click()
        self.settled()

    def level(self, level: int) -> None:
        self.root.locator(f"[data-level='{level}']").click()
        self.settled()

    def unfold(self) -> None:
        """Open the folded part with the rare controls."""
        if not self.root.locator("details").evaluate("details => details.open"):
            self.root.locator("summary").click()

    def type_in(self, name: str, text: str) -> None:
        """Replace the text in a field and press Enter."""
        self.field(name).fill(text)
        self.field(name).press("Enter")
        self.settled()

    # ---- the mouse -------------------------------------------------------------------------------------------------

    def point(self, panel: str, row: int, col: int, channel: int | None = None) -> tuple[float, float]:
        """Where a cell of the panels input, kernel, products, output is on the screen."""
        self.root.locator("canvas.sk-scene").scroll_into_view_if_needed()
        place = [panel, row, col] + ([] if channel is None else [channel])
        spot = self.settled().root.evaluate("(root, place) => root.locate(...place) ?? null", place)
        if spot is None:
            raise LookupError(f"the view shows no {panel} cell ({row}, {col})")
        return spot["x"], spot["y"]

    def hover(self, panel: str, row: int, col: int) -> None:
        self.page.mouse.move(*self.point(panel, row, col), steps=2)
        self.settled()

    def click(self, panel: str, row: int, col: int) -> None:
        self.page.mouse.click(*self.point(panel, row, col))
        self.settled()

    def leave(self) -> None:
        """Take the mouse off the picture."""
        box = self.root.bounding_box()
        self.page.mouse.move(box["x"] + 2, max(2, box["y"] - 8))
        self.settled()

    def edit(self, panel: str, row: int, col: int, text: str) -> None:
        """Type a new number over one on the canvas."""
        self.page.mouse.dblclick(*self.point(panel, row, col))
        editor = self.root.locator("input.sk-editor")
        editor.wait_for()
        editor.fill(text)
        editor.press("Enter")
        self.settled()

    # ---- painting --------------------------------------------------------------------------------------------------

    def count_paints(self) -> None:
        """Begin to keep the details of every paint of this view."""
        self.root.evaluate(
            """root => {
              root.paints = [];
              root.addEventListener("cnnviz-painted", event => root.paints.push(event.detail));
            }"""
        )

    def paints(self) -> list[dict]:
        return self.root.evaluate("root => root.paints")
