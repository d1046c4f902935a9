"""Python and the page hold one state: links, several views, rapid moves, reloads, restarts."""

from collections.abc import Callable
from itertools import pairwise

from tests.browser.kernel_view import KernelView
from tests.browser.lab import KernelError, LabPage, notebook_of

Show = Callable[..., KernelView]

WATCH_PLACES = """root => {
  root.places = [];
  const scrub = root.querySelector("input[data-name=position]");
  root.addEventListener("cnnviz-painted", () => {
    const place = Number(scrub.value), last = root.places.at(-1);
    if (!last || last[1] !== place) root.places.push([performance.now(), place]);
  });
}"""

RAPID_MOVES = """async slider => {
  for (let move = 0; move < 50; move++) {
    slider.value = 1 + (move * 7) % 11;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    if (move % 5 === 4) await new Promise(requestAnimationFrame);
  }
  slider.value = 4;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  slider.dispatchEvent(new Event("change", { bubbles: true }));
}"""


def test_python_sets_what_is_shown(lab: LabPage, show: Show) -> None:
    view = show()
    lab.ask("w.kernel_size = 2")
    view.wait_layer("1x4x4")
    lab.ask("w.set(kernel_size=5, padding=2, stride=2)")
    view.wait_layer("1x3x3")
    assert view.code() == "nn.Conv2d(1, 1, kernel_size=5, stride=2, padding=2)"
    lab.ask("w.image = np.eye(7)")
    view.wait_layer("conv 1x7x7 -> 1x4x4")
    lab.ask("w.code = 'nn.MaxPool2d(2)'")
    view.wait_layer("max_pool 1x7x7 -> 1x3x3")


def test_what_is_illegal_is_refused_and_the_view_stays(lab: LabPage, show: Show) -> None:
    view = show()
    before = view.picture()
    for wrong in ("w.kernel_size = 9", "w.stride = 0", "w.set(padding=-1)", "w.image = [[1, 2], [3]]", "w.op = 'cnov'"):
        try:
            lab.ask(f"try:\n    {wrong}\nexcept ValueError as error:\n    print(error)\nelse:\n    raise SystemError")
        except KernelError as error:
            raise AssertionError(f"{wrong} was taken") from error
        assert view.picture() == before
    assert view.message() == ""


def test_observers_and_links_in_python(lab: LabPage, show: Show) -> None:
    view = show()
    lab.ask("seen = []\nw.observe(lambda change: seen.append(change.new), 'stride')")
    lab.ask("box = ipywidgets.IntText()\nipywidgets.link((w, 'padding'), (box, 'value'))")
    view.drag("stride", 2)
    lab.wait_python("seen == [2]")
    lab.ask("box.value = 1")
    view.wait_layer("1x3x3")


def test_jslink_to_an_instructors_slider(lab: LabPage, show: Show) -> None:
    view = show()
    lab.ask("s = ipywidgets.IntSlider(1, 1, 3)\nlink = ipywidgets.jslink((w, 'stride'), (s, 'value'))")
    lab.ask("s.value = 2")
    view.wait_layer("1x2x2")
    view.move("stride", 1)
    lab.wait_python("s.value == 1")


def test_an_illegal_jslink_keeps_the_last_legal_picture(lab: LabPage, show: Show) -> None:
    view = show()
    lab.ask("s = ipywidgets.IntSlider(3, 1, 20)\nlink = ipywidgets.jslink((w, 'kernel_size'), (s, 'value'))")
    cell = lab.run_cell("s")
    handle = cell.locator(".noUi-handle")
    handle.focus()
    before = view.picture()
    handle.press("End")
    assert "20" in view.wait_message("padding")
    assert view.is_red()
    assert view.picture() == before
    lab.wait_python("w.kernel_size == 3")  # Python refused it too
    handle.press("Home")
    lab.wait_python("w.kernel_size == 1")
    view.wait_layer("1x5x5")
    view.wait_no_message()


def test_fifty_rapid_moves_end_at_the_last_value(lab: LabPage, show: Show) -> None:
    view = show("np.arange(144.0).reshape(12, 12)")
    view.slider("kernel_size").evaluate(RAPID_MOVES)
    view.wait_layer("1x9x9", seconds=1)
    lab.wait_python("w.kernel_size == 4")
    assert view.message() == ""


def test_two_views_follow_each_other_and_share_one_clock(lab: LabPage, show: Show) -> None:
    first = show("speed=8, padding=3")
    second = KernelView.in_cell(lab.run_cell("w"))
    first.drag("kernel_size", 2)
    second.wait_layer("1x10x10")
    second.move("stride", 2)
    first.wait_layer("1x5x5")
    first.move("stride", 1)
    first.root.evaluate(
        WATCH_PLACES
    )  # on the page: on its way to a slow Python the newest position overtakes older ones
    first.press("play")
    lab.wait_python("w.position >= 12", 10)
    second.press("play")
    lab.wait_python("not w.playing")
    times, places = zip(*first.root.evaluate("root => root.places"), strict=True)
    assert {after - before for before, after in pairwise(places)} == {
        1
    }  # two timers would skip cells or go twice as fast
    assert (times[-1] - times[0]) / (len(times) - 1) > 0.8 * 1000 / 8
    assert first.value("position") == second.value("position")


def test_closing_one_view_leaves_the_other_alive(lab: LabPage, show: Show) -> None:
    show()
    second = KernelView.in_cell(lab.run_cell("w"))
    lab.delete_cell(1)
    second.drag("kernel_size", 2)
    assert second.layer().endswith("1x4x4")
    lab.wait_python("w.kernel_size == 2")


def test_the_state_survives_a_reload_of_the_page(fresh_lab: LabPage) -> None:
    source = "from cnnviz import SlidingKernel\nw = SlidingKernel(padding=1)\nw"
    name = fresh_lab.server.add(notebook_of(source), "reload.ipynb")
    fresh_lab.open(name, workspace="reload").run_all()
    view = KernelView.in_cell(fresh_lab.cell(0))
    view.drag("stride", 2)
    view.edit("kernel", 1, 1, "5")
    fresh_lab.wait_python("w.stride == 2 and w.kernel[0, 0, 1, 1] == 5")
    before = view.output()
    fresh_lab.command("docmanager:save")
    fresh_lab.open(name, workspace="reload")
    view = KernelView.in_cell(fresh_lab.cell(0))
    view.wait_layer("1x3x3", 10)
    assert view.output().tolist() == before.tolist()
    view.drag("kernel_size", 1)
    fresh_lab.wait_python("w.kernel_size == 1")


def test_a_stale_view_says_so_after_a_restart_and_after_a_kill(fresh_lab: LabPage) -> None:
    source = "from cnnviz import SlidingKernel\nw = SlidingKernel()\nw"
    name = fresh_lab.server.add(notebook_of(source), "stale.ipynb")
    fresh_lab.open(name, workspace="stale").run_all()
    view = KernelView.in_cell(fresh_lab.cell(0))
    fresh_lab.page.wait_for_timeout(2500)  # it has to hear of its kernel once
    assert "sk-stale" not in view.root.get_attribute("class")
    fresh_lab.restart_kernel()
    fresh_lab.page.wait_for_selector(".cnnviz-sk.sk-stale", timeout=9000)
    assert "run the cell again" in view.message()
    view.move("kernel_size", 2)  # the picture is the browser's own: it still answers
    assert view.layer().endswith("1x4x4")
    fresh_lab.run_all()
    fresh_lab.page.wait_for_selector(".cnnviz-sk:not(.sk-stale)")
    view = KernelView.in_cell(fresh_lab.cell(0))
    view.drag("kernel_size", 1)
    fresh_lab.wait_python("w.kernel_size == 1")
    fresh_lab.page.wait_for_timeout(2500)
    fresh_lab.start_code("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    fresh_lab.page.wait_for_selector(".cnnviz-sk.sk-stale", timeout=9000)


def test_a_kernel_busy_in_a_long_cell_changes_nothing(lab: LabPage, show: Show) -> None:
    view = show("speed=20, padding=3")
    lab.start_cell("import time\ntime.sleep(60)")
    view.drag("kernel_size", 2)
    assert view.layer().endswith("1x10x10")
    view.press("play")
    lab.page.wait_for_timeout(500)
    view.press("play")
    assert view.value("position") >= 3
    assert "sk-stale" not in view.root.get_attribute("class")
    position = view.value("position")
    lab.interrupt()
    lab.wait_python(f"w.kernel_size == 2 and w.position == {position:g}")
