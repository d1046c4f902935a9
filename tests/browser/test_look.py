"""What a reader sees: themes, a narrow window, no missed frame, the stage; and text that stays text."""

from collections.abc import Callable

import pytest

from tests.browser.kernel_view import KernelView
from tests.browser.lab import LabPage

Show = Callable[..., KernelView]
MARKUP = "<img src='data:,' onerror='window.broken = (window.broken || 0) + 1'>"

# Looks at every frame of a drag, after it was composed: was there a picture, and was each input answered by a paint
# within the two frames that follow it?
WATCH_FRAMES = """root => {
  const canvas = root.querySelector("canvas.sk-scene"), context = canvas.getContext("2d");
  const seen = root.seen = { frames: 0, blank: 0, inputs: 0, late: 0 };
  let waiting = 0, painted = false;
  root.addEventListener("input", () => { seen.inputs++; waiting = 1; });
  root.addEventListener("cnnviz-painted", () => { painted = true; });
  const look = () => {
    const { x, y } = root.locate("input", 0, 0), box = canvas.getBoundingClientRect();
    const cell = context.getImageData(x - box.left - 8, y - box.top - 8, 16, 16).data;
    if (!cell.some(byte => byte !== 0)) seen.blank++;
    if (painted) waiting = 0;
    else if (waiting && ++waiting > 2) { seen.late++; waiting = 0; }
    painted = false;
  };
  const frame = () => {
    seen.frames++;
    const after = new MessageChannel();
    after.port1.onmessage = look;
    after.port2.postMessage(0);
    if (!seen.stopped) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}"""

OVERFLOWS = """root => {
  const right = root.getBoundingClientRect().right + 1, wide = [];
  for (const part of root.querySelectorAll("*")) {
    const box = part.getBoundingClientRect(), style = getComputedStyle(part);
    const seen = box.width > 1 && style.visibility !== "hidden" && !part.closest("svg, .sk-description");
    if (seen && box.right > right) wide.push(part.tagName + "." + part.className);
  }
  if (root.scrollWidth > root.clientWidth + 1) wide.push("the whole");
  return wide;
}"""

# Contrast of every visible text with what is behind it (WCAG); the canvas is judged by eye, on screenshots.
CONTRAST = """root => {
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = color => {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = color;
    probe.fillRect(0, 0, 1, 1);
    return Array.from(probe.getImageData(0, 0, 1, 1).data);
  };
  const light = color => {
    const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = color.slice(0, 3).map(v => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = node => {
    for (let at = node; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] > 200) return color;
    }
    return [255, 255, 255, 255];
  };
  const poor = [];
  for (const part of root.querySelectorAll("*")) {
    const own = Array.from(part.childNodes).some(node => node.nodeType === 3 && node.data.trim());
    const box = part.getBoundingClientRect(), style = getComputedStyle(part);
    if (!own || box.width < 2 || box.height < 2 || part.closest(":disabled, option, .sk-description")) continue;
    const [a, b] = [light(rgba(style.color)), light(behind(part))].sort((one, other) => other - one);
    const ratio = (a + 0.05) / (b + 0.05);
    const name = `${part.tagName}.${part.className} "${part.textContent.slice(0, 20)}"`;
    if (ratio < 4.5) poor.push(`${name}: ${ratio.toFixed(2)}`);
    if (parseFloat(style.fontSize) < 14) poor.push(`${name}: ${style.fontSize}`);
  }
  return poor;
}"""


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_it_follows_the_theme_and_can_be_read(theme: str, lab: LabPage, show: Show) -> None:
    view = show("level=3, in_channels=2, filters=2")
    view.unfold()
    before = view.picture()
    lab.theme(theme)
    try:
        assert view.root.evaluate(CONTRAST) == []
        assert (view.picture() == before) == (theme == "Light")
        lab.screenshot(f"theme-{theme}")
    finally:
        lab.theme("Light")


@pytest.mark.parametrize("arguments", ["level=3, in_channels=2, filters=2", "'china', filters=3, level=3"])
def test_a_change_of_theme_leaves_nothing_of_the_other(arguments: str, lab: LabPage, show: Show) -> None:
    changed = show(arguments)
    changed.picture()
    lab.theme("Dark")
    try:
        lab.page.wait_for_timeout(600)
        assert changed.settled().picture() == show(arguments).settled().picture()
    finally:
        lab.theme("Light")


def cut_off(view: KernelView) -> list[str]:
    """Panels whose last cell lies outside the canvas."""
    rows, cols = (int(size) for size in view.layer().split("x")[-2:])
    kernel = int(view.value("kernel_size"))
    corners = {"output": (rows - 1, cols - 1), "kernel": (kernel - 1, kernel - 1), "products": (kernel - 1, kernel - 1)}
    found = []
    for panel, corner in corners.items():
        x, y = view.point(panel, *corner)
        box = view.root.locator("canvas.sk-scene").bounding_box()
        if x > box["x"] + box["width"] or y > box["y"] + box["height"]:
            found.append(panel)
    return found


# Texts of a canvas, drawn once more: what they say, whether they end inside, how large they are, and where they stand.
DRAWN_TEXTS = """async root => {
  const pen = CanvasRenderingContext2D.prototype, whole = pen.fillText, drawn = [];
  pen.fillText = function (text, x, y, ...rest) {
    const { actualBoundingBoxLeft, actualBoundingBoxRight } = this.measureText(text);
    const [left, right] = [x - actualBoundingBoxLeft, x + actualBoundingBoxRight];
    const inside = this.textAlign !== "left" || right <= this.canvas.clientWidth;
    drawn.push({ text, inside, left, right, y, size: parseFloat(this.font.match(/[\\d.]+px/)[0]) });
    whole.call(this, text, x, y, ...rest);
  };
  const painted = new Promise((go) => root.addEventListener("cnnviz-painted", go, { once: true }));
  document.body.classList.toggle("another-theme");
  await painted;
  pen.fillText = whole;
  return drawn;
}"""

NARROW = [
    "",
    "np.ones((16, 16)), padding=2",
    "level=3, in_channels=4, filters=8",
    "'china'",
    "in_channels=4, filters=4, height=3, width=3",
]


@pytest.mark.parametrize("arguments", NARROW)
def test_it_fits_600_pixels(arguments: str, lab: LabPage, show: Show) -> None:
    view = show(arguments)
    view.unfold()
    lab.page.set_viewport_size({"width": 600, "height": 900})
    lab.command("application:toggle-left-area")  # the list of files
    try:
        lab.page.wait_for_timeout(300)
        assert view.settled().root.evaluate("root => root.clientWidth") <= 600
        assert view.root.evaluate(OVERFLOWS) == []
        assert cut_off(view) == []
        assert [one["text"] for one in view.root.evaluate(DRAWN_TEXTS) if not one["inside"]] == []
        lab.screenshot(f"narrow-{NARROW.index(arguments)}")
    finally:
        lab.command("application:toggle-left-area")
        lab.page.set_viewport_size({"width": 1280, "height": 900})


def test_small_cells_that_could_only_say_nearly_zero_say_nothing(show: Show) -> None:
    small = show("np.ones((32, 32)), kernel=np.full((11, 11), 0.0101), level=1")
    assert small.root.evaluate("root => root.locate('kernel', 0, 1).x - root.locate('kernel', 0, 0).x") < 24
    assert "~0" not in [one["text"] for one in small.root.evaluate(DRAWN_TEXTS)]
    large = show("np.ones((5, 5)), kernel=np.full((3, 3), 0.0101)")
    assert ".01" in [one["text"] for one in large.root.evaluate(DRAWN_TEXTS)]


# The words above the input, as pixels; the last rows are left to the window's own frame.
TITLE = """root => {
  const canvas = root.querySelector("canvas.sk-scene"), box = canvas.getBoundingClientRect();
  const high = Math.floor(root.locate("input", 0, 0).y - box.top) - 4;
  return canvas.getContext("2d").getImageData(0, 0, 80, high).data.join();
}"""


def test_the_circle_that_finds_the_window_leaves_the_title_free(lab: LabPage, show: Show) -> None:
    view = show("'china', position=20000")
    apart = view.root.evaluate(TITLE)
    assert len(set(apart.split(","))) > 2
    lab.ask("w.position = 0")
    lab.page.wait_for_timeout(300)  # the window glides
    assert view.text("sum").startswith("output (0, 0)")
    assert view.root.evaluate(TITLE) == apart


def test_no_frame_of_a_drag_is_blank_or_missed(lab: LabPage, show: Show) -> None:
    view = show("np.arange(256.0).reshape(16, 16) % 7")
    view.root.evaluate(WATCH_FRAMES)
    for name, value in (("kernel_size", 9), ("kernel_size", 2), ("padding", 6), ("height", 5), ("stride", 3)):
        view.drag(name, value, steps=25)
    seen = view.root.evaluate("root => { root.seen.stopped = true; return root.seen; }")
    assert seen["inputs"] >= 15
    assert seen["frames"] > 25
    assert (seen["blank"], seen["late"]) == (0, 0)


def test_a_big_picture_is_coarse_only_while_it_is_dragged(lab: LabPage, show: Show) -> None:
    view = show("'china', kernel_name='edge', kernel_size=7, filters=8")
    view.count_paints()
    mouse = lab.page.mouse
    mouse.move(*view.thumb("angle"))
    mouse.down()
    mouse.move(*view.point_on_slider("angle", 60), steps=8)
    view.settled()
    dragged = view.paints()
    mouse.up()
    lab.page.wait_for_timeout(400)
    assert view.paints()[-1]["coarse"] is False
    assert len(dragged) >= 3


def test_stage_mode(lab: LabPage, show: Show) -> None:
    view = show()
    view.press("stage")
    view.page.wait_for_selector(".cnnviz-sk.sk-staged")
    lab.page.wait_for_timeout(200)
    assert not view.field("code").is_visible()
    size = view.root.locator(".sk-sum").evaluate("node => parseFloat(getComputedStyle(node).fontSize)")
    assert size >= 28
    lab.screenshot("stage")
    view.drag("kernel_size", 2)
    assert view.layer().endswith("1x4x4")
    view.page.keyboard.press("Escape")
    view.press("stage") if view.root.evaluate("root => root.classList.contains('sk-staged')") else None
    view.page.wait_for_selector(".cnnviz-sk:not(.sk-staged)")


@pytest.mark.parametrize("arguments", ["", "level=3, in_channels=2, filters=3", "'china', kernel='sobel_y', level=1"])
def test_everything_on_the_stage_is_large_and_stands_apart(arguments: str, lab: LabPage, show: Show) -> None:
    view = show(arguments)
    view.press("stage")
    lab.page.wait_for_timeout(300)
    texts = view.root.evaluate(DRAWN_TEXTS)
    view.press("stage")
    assert len(texts) > 20
    assert min(one["size"] for one in texts) >= 20  # numbers in cells; words are larger
    words = [one for one in texts if any(letter.isalpha() for letter in one["text"])]
    assert min(one["size"] for one in words) >= 28
    for one in words:
        beside = [other for other in words if other["y"] == one["y"] and one["left"] < other["left"] < one["right"]]
        assert beside == [], one["text"]


def test_control_markup_does_execute_where_html_is_meant(lab: LabPage) -> None:
    lab.page.evaluate("() => { window.broken = 0; }")
    lab.ask(f"markup = {MARKUP!r}")
    lab.run_cell("ipywidgets.HTML(markup)")
    lab.page.wait_for_function("() => window.broken > 0")


# Choices of lists that are wider than the list; 18 pixels are for its arrow.
CLIPPED = """root => Array.from(root.querySelectorAll("select")).flatMap((list) => {
  const style = getComputedStyle(list), pen = document.createElement("canvas").getContext("2d");
  pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  const room = list.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 18;
  return Array.from(list.options, (option) => option.text).filter((text) => pen.measureText(text).width > room);
})"""


@pytest.mark.parametrize("widget", ["SlidingKernel(level=3)", "ReceptiveField()", "NetworkBuilder('lenet5')"])
def test_every_choice_of_a_list_can_be_read(widget: str, lab: LabPage) -> None:
    name = widget.split("(")[0]
    cell = lab.run_cell(f"from cnnviz import {name}\n{widget}")
    root = cell.locator(".cnnviz-sk")
    root.locator("select").first.wait_for()
    root.evaluate("root => root.querySelectorAll('details').forEach(part => { part.open = true; })")
    assert root.evaluate(CLIPPED) == []


def test_markup_in_a_users_text_stays_text(lab: LabPage, show: Show) -> None:
    lab.page.evaluate("() => { window.broken = 0; }")
    view = show()
    view.unfold()
    view.type_in("code", f"nn.Conv2d(1, 1, {MARKUP!r})")
    assert "onerror" in view.message()
    view.type_in("state", MARKUP)
    assert view.is_red()
    view.choose("predict", "shape")
    view.field("guess").fill(MARKUP)
    view.press("predict")
    assert "onerror" in view.message()
    lab.ask(f"t = ipywidgets.Text()\nlink = ipywidgets.jslink((t, 'value'), (w, 'kernel_name'))\nt.value = {MARKUP!r}")
    lab.page.wait_for_timeout(300)
    for wrong in ("w.kernel_name", "w.op", "w.code"):
        lab.ask(f"try:\n    {wrong} = {MARKUP!r}\nexcept ValueError:\n    pass")
    lab.ask(f"w.states = {{'1': {MARKUP!r}}}")
    view.root.focus()
    lab.page.keyboard.press("Digit1")
    view.settled()
    assert view.root.locator("img").count() == 0
    assert lab.page.evaluate("() => window.broken") == 0


BREAK_DRAWING = """() => {
  const pen = CanvasRenderingContext2D.prototype;
  pen.wholeFillText = pen.fillText;
  pen.fillText = () => { throw new Error("out of ink"); };
}"""
MEND_DRAWING = "() => { const pen = CanvasRenderingContext2D.prototype; pen.fillText = pen.wholeFillText; }"


FAILING_CALLBACK = """def fail(change):
    if change.new == 2:
        raise RuntimeError("mine failed")
w.observe(fail, "kernel_size")"""


def test_an_error_in_the_view_is_shown_and_the_next_move_recovers(lab: LabPage, show: Show) -> None:
    view = show()
    lab.page.evaluate(BREAK_DRAWING)
    try:
        view.move("kernel_size", 2)
        assert "out of ink" in view.wait_message("out of ink")
        assert view.is_red()
    finally:
        lab.page.evaluate(MEND_DRAWING)
    view.move("kernel_size", 1)
    assert view.layer().endswith("1x5x5")
    assert view.message() == ""


def test_an_error_in_a_users_callback_is_shown_and_the_next_move_recovers(lab: LabPage, show: Show) -> None:
    view = show()
    lab.ask(FAILING_CALLBACK)
    view.move("kernel_size", 2)
    assert "mine failed" in view.wait_message("mine failed")
    view.move("kernel_size", 1)
    lab.wait_python("w.kernel_size == 1")
    assert view.message() == ""


def test_a_screen_reader_finds_names_and_roles(show: Show) -> None:
    view = show("level=3, in_channels=2, filters=2")
    view.unfold()
    nameless = view.root.locator("input:visible, select:visible, button:visible").evaluate_all(
        "all => all.filter(one => !one.getAttribute('aria-label') && !one.closest('label')"
        " && !one.textContent.trim()).map(one => one.outerHTML)"
    )
    assert nameless == []
    view.output()
    assert view.root.locator("canvas.sk-scene").get_attribute("aria-label") == view.text("description")
    assert view.root.locator(".sk-message").get_attribute("role") == "alert"


def test_cells_that_a_wild_drag_made_small_are_large_again_after_it(show: Show) -> None:
    view = show()
    side = "root => root.locate('input', 0, 1).x - root.locate('input', 0, 0).x"
    before = view.root.evaluate(side)
    view.drag("padding", 10)
    assert view.root.evaluate(side) < before / 2
    view.drag("padding", 0)
    assert view.settled().root.evaluate(side) == before
    view.drag("kernel_size", 5)  # a small change moves nothing
    assert view.root.evaluate(side) == before
