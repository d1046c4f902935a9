"""What an attendee would notice in an open notebook: the check that good notebooks pass and broken ones do not."""

from __future__ import annotations

import time

from playwright.sync_api import Locator
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.lab import LabPage

SLIDERS = ".jp-OutputArea input[type=range]:visible:enabled, .jp-OutputArea .noUi-handle:visible"
PATIENCE = 3  # seconds in which something has to change after a slider moved
# Sliders that change no picture until something plays, or a paused training goes on.
NOTHING_PAINTED = ("speed", "seconds", "lr")

# A number that changes when anything painted in the notebook's outputs does: canvases, pictures, drawings, words. The
# readouts beside sliders do not count (they change even when nothing follows them), nor do words for screen readers
# (they come later).
_PICTURE = """() => {
  let sum = 5381;
  const add = number => { sum = (Math.imul(sum, 33) ^ number) | 0; };
  const addText = (text, by = 1) => { for (let at = 0; at < text.length; at += by) add(text.charCodeAt(at)); };
  const addCanvas = canvas => {
    const pen = canvas.getContext("2d");
    if (!canvas.width || !pen) return;
    const pixels = new Uint32Array(pen.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    for (let at = 0; at < pixels.length; at += 3) add(pixels[at]);
  };
  for (const area of document.querySelectorAll(".jp-Notebook .jp-OutputArea")) {
    for (const canvas of area.querySelectorAll("canvas")) addCanvas(canvas);
    for (const image of area.querySelectorAll("img")) addText(image.src, 11); // packed: any change moves most letters
    for (const drawing of area.querySelectorAll("svg")) addText(drawing.outerHTML);
    const walker = document.createTreeWalker(area, NodeFilter.SHOW_TEXT);
    while (walker.nextNode())
      if (!walker.currentNode.parentElement.closest("svg, style, output[data-for], .widget-readout, [role=status]"))
        addText(walker.currentNode.data);
  }
  return sum;
}"""

_LIMITS = """element => element.matches("input")
  ? { name: element.dataset.name ?? element.name, low: +element.min, high: +element.max, now: +element.value }
  : { name: element.closest(".widget-slider")?.innerText.trim().split("\\n")[0] ?? "slider",
      low: +element.getAttribute("aria-valuemin"), high: +element.getAttribute("aria-valuemax"),
      now: +element.getAttribute("aria-valuenow") }"""

_UNFOLD = "cell => cell.querySelectorAll('.jp-OutputArea details').forEach(part => { part.open = true; })"


def problems(lab: LabPage) -> list[str]:
    """Everything wrong in the notebook on screen once its cells have run: errors, and sliders that nothing follows."""
    found = lab.cell_errors()
    for index in range(lab.cells()):
        cell = lab.cell(index)
        if cell.locator(".jp-OutputArea").count():
            found += [f"cell {index}: {problem}" for problem in red_messages(cell) + dead_sliders(lab, cell)]
    return found + lab.kernel_errors() + lab.errors


def red_messages(cell: Locator) -> list[str]:
    """What the widgets under a cell say has gone wrong."""
    return [f"the widget says: {text}" for text in cell.locator(".cnnviz-sk .sk-error").all_text_contents() if text]


def sliders(lab: LabPage) -> list[str]:
    """Names of all the sliders that the notebook shows."""
    names = []
    for index in range(lab.cells()):
        cell = lab.cell(index)
        cell.evaluate(_UNFOLD)
        names += [slider.evaluate(_LIMITS)["name"] for slider in cell.locator(SLIDERS).all()]
    return names


def dead_sliders(lab: LabPage, cell: Locator) -> list[str]:
    """Move every slider of a cell by one step and back; returns those after which nothing painted had changed."""
    cell.evaluate(_UNFOLD)
    for question in cell.locator("select[data-name=predict]:visible").all():
        question.select_option("")  # what is to be guessed is hidden, and follows no slider
    found = []
    for slider in cell.locator(SLIDERS).all():
        limits = slider.evaluate(_LIMITS)
        if limits["low"] == limits["high"] or limits["name"] in NOTHING_PAINTED:
            continue
        keys = ("ArrowRight", "ArrowLeft") if limits["now"] < limits["high"] else ("ArrowLeft", "ArrowRight")
        # On a slow machine a late answer to the slider before can undo this step: a dead one stays dead when retried.
        if not followed(lab, slider, *keys) and not followed(lab, slider, *keys):
            found.append(f"nothing followed the slider {limits['name']!r}")
    return found


def followed(lab: LabPage, slider: Locator, there: str, back: str) -> bool:
    """Move a slider by one step and back, each time until the pictures have followed."""
    slider.focus()
    before = at_rest(lab)
    slider.press(there)
    if not changed(lab, before):
        slider.press(back)
        return False
    moved = at_rest(lab)
    slider.press(back)
    changed(lab, moved)
    lab.wait_idle()
    return True


def at_rest(lab: LabPage, seconds: float = 3) -> int:
    """The notebook's pictures once they have stopped changing, as one number."""
    before, now = None, lab.page.evaluate(_PICTURE)
    end = time.monotonic() + seconds
    while now != before and time.monotonic() < end:
        lab.page.wait_for_timeout(30)
        before, now = now, lab.page.evaluate(_PICTURE)
    return now


def changed(lab: LabPage, before: int, seconds: float = PATIENCE) -> bool:
    """Wait until the notebook's pictures differ from `before`."""
    try:
        lab.page.wait_for_function(
            f"before => ({_PICTURE})() !== before", arg=before, timeout=1000 * seconds, polling=50
        )
    except PlaywrightTimeout:
        return False
    return True
