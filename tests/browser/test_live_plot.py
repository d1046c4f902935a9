"""The live view in real JupyterLab: it follows a run, its controls reach it, and nothing is lost or left behind."""

import inspect
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.lab import LabPage, notebook_of
from tests.browser.test_look import CONTRAST, MARKUP, OVERFLOWS
from tests.test_live_plot import FakeRun

FAKE = "from cnnviz.history import History, Record, Step\n" + inspect.getsource(FakeRun)
FIT = """from cnnviz.training import fit
from cnnviz.data import load
from cnnviz import models
data = load("digits")
def start(epochs=400, **more):
    return fit(models.create("lenet5"), data, epochs=epochs, lr=0.05, **more)"""
TWO_SHOTS = """import numpy as np
for epoch, sign in ((1, 1), (2, -1)):
    filters = sign * np.arange(-12.0, 13).reshape(1, 1, 5, 5)
    run.history.snapshots.append((epoch, {"filters": filters, "maps": np.eye(28)[None]}))"""
WATCH_EPOCHS = """root => {
  root.seen = new Set();
  const words = root.querySelector("output[data-for=back]");
  root.addEventListener("cnnviz-painted", () => root.seen.add(words.textContent));
}"""
Show = Callable[..., Locator]
PATIENCE = 30  # seconds: other programs may have the cores
expect.set_options(timeout=1000 * PATIENCE)


@pytest.fixture
def show(lab: LabPage) -> Show:
    """Show a `FakeRun` with these arguments, called run in Python, in the scratch notebook."""
    lab.ask(FAKE)

    def shown(arguments: str = "", steps: int = 0) -> Locator:
        return view_in(lab.run_cell(f"run = FakeRun({arguments}).advance({steps})\nrun.show()"), steps)

    return shown


def view_in(cell: Locator, steps: int = 0) -> Locator:
    root = cell.locator(".cnnviz-lp").first
    root.wait_for()
    wait_steps(root, steps)
    return root


def wait_steps(root: Locator, steps: int) -> None:
    """Wait until the last track has so many points of training."""
    known = "root => root.tracks?.at(-1).train.loss.length"
    root.page.wait_for_function(f"([root, n]) => ({known})(root) === n", arg=[root.element_handle(), steps])


def click(root: Locator, action: str) -> None:
    root.locator(f"[data-action={action}]").click()


def curve(root: Locator, kind: str = "train", field: str = "loss") -> list[float]:
    return root.evaluate(f"root => root.tracks.at(-1).{kind}.{field}")


def picture(root: Locator, canvas: str = ".lp-curves") -> str:
    """The canvas as text, after what was asked for has been drawn."""
    root.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return root.locator(canvas).evaluate("canvas => canvas.toDataURL()")


# ---- it follows ----------------------------------------------------------------------------------------------------


def test_the_view_follows_the_run_and_answers_its_end(lab: LabPage, show: Show) -> None:
    root = show()
    for steps in (3, 4, 13):
        lab.ask(f"run.advance({steps})")
    wait_steps(root, 20)
    for kind, series in (("train", "loss"), ("test", "test_loss")):
        expected = eval(lab.ask(f"print(run.history.series({series!r}).tolist())"))
        assert curve(root, kind) == pytest.approx(expected, rel=1e-6)
    assert curve(root, "test", "accuracy")[-1] == pytest.approx(0.9)
    expect(root.locator(".lp-headline")).to_have_text("test accuracy 90 %")
    expect(root.locator(".lp-place")).to_have_text("finished, 4 epochs")
    assert root.locator("progress").evaluate("bar => bar.value") == 1
    plot = "[p for p in live_plot._open][-1]"
    lab.ask("from cnnviz.widgets.live_plot import live_plot")
    lab.wait_python(f"{plot}._answered == {plot}._sent > 0", PATIENCE)


def test_epoch_batch_and_time_left(lab: LabPage, show: Show) -> None:
    root = show("epochs=6", 12)
    expect(root.locator(".lp-place")).to_have_text("epoch 3 of 6, batch 2 of 5, 2 s left")
    lab.ask("run.advance(13)")
    expect(root.locator(".lp-place")).to_have_text("epoch 6 of 6, batch 0 of 5, less than 1 s left")


def test_the_value_under_the_pointer(lab: LabPage, show: Show) -> None:
    root = show(steps=20)
    box = root.locator(".lp-curves").bounding_box()
    lab.page.mouse.move(box["x"] + 50 + 4, box["y"] + 100)
    expect(root.locator(".lp-readout")).to_have_text(
        re.compile(r"^epoch 0(\.\d)?, loss: train 1 · test 0\.4$|train 1, test 0\.4$")
    )
    root.focus()
    lab.page.mouse.move(0, 0)
    before = lab.active_cell()
    for _ in range(60):
        lab.page.keyboard.press("ArrowRight")
    expect(root.locator(".lp-readout")).to_have_text("epoch 4, loss: train 0.05, test 0.1")
    assert lab.active_cell() == before


def test_curves_are_switched_on_and_off_and_the_scale_changes(lab: LabPage, show: Show) -> None:
    root = show(steps=20)
    whole = picture(root)
    for name in ("train", "test", "log"):
        box = root.locator(f"input[data-name={name}]")
        box.click()
        assert picture(root) != whole, name
        box.click()
        assert picture(root) == whole, name


def test_a_second_view_and_a_second_plot_are_complete(lab: LabPage, show: Show) -> None:
    show(steps=7)
    second = view_in(lab.run_cell("plot = run.show()\nplot"), 7)
    third = view_in(lab.run_cell("plot"), 7)
    lab.ask("run.advance(5)")
    wait_steps(second, 12)
    wait_steps(third, 12)
    assert curve(second) == curve(third)


def test_a_reload_in_mid_training_redraws_all(fresh_lab: LabPage) -> None:
    name = fresh_lab.server.add(notebook_of("run = FakeRun(epochs=60).advance(30)\nrun.show()"), "live.ipynb")
    fresh_lab.open(name, workspace="live")
    fresh_lab.ask(FAKE)
    fresh_lab.run_all()
    view_in(fresh_lab.cell(0), 30)
    fresh_lab.command("docmanager:save")
    fresh_lab.ask("run.advance(11)")
    fresh_lab.open(name, workspace="live")
    root = view_in(fresh_lab.cell(0), 41)
    fresh_lab.ask("run.advance(1)")
    wait_steps(root, 42)
    assert curve(root) == pytest.approx([1 / n for n in range(1, 43)], rel=1e-6)


def test_a_dead_kernel_greys_the_view_and_a_new_one_does_not_revive_it(fresh_lab: LabPage) -> None:
    name = fresh_lab.server.add(notebook_of("run = FakeRun().advance(7)\nrun.show()"), "dead.ipynb")
    fresh_lab.open(name, workspace="dead")
    fresh_lab.ask(FAKE)
    fresh_lab.run_all()
    root = view_in(fresh_lab.cell(0), 7)
    fresh_lab.page.wait_for_timeout(2500)  # for a first beat
    fresh_lab.restart_kernel()
    expect(root).to_have_class(re.compile("sk-stale"))
    expect(root.locator(".sk-message")).to_contain_text("kernel behind this has stopped")
    expect(root.locator("[data-action=stop]")).to_be_disabled()
    assert len(curve(root)) == 7
    fresh_lab.forget_errors()  # the page's words about a comm that is gone


# ---- it steers -----------------------------------------------------------------------------------------------------


def test_pause_resume_stop_and_the_learning_rate(lab: LabPage, show: Show) -> None:
    root = show(steps=3)
    click(root, "pause")
    expect(root.locator("[data-action=pause]")).to_have_text("Resume")
    expect(root.locator(".lp-place")).to_contain_text("paused at epoch 1 of 4")
    root.focus()
    root.press("Space")
    expect(root.locator("[data-action=pause]")).to_have_text("Pause")
    slider = root.locator("input[data-name=lr]")
    for key, lr in (("End", 100), ("Home", 0.0001)):
        slider.press(key)
        lab.wait_python(f"abs(run.lr - {lr}) < 1e-9", PATIENCE)
        expect(root.locator("output[data-for=lr]")).to_have_text(f"{lr:g}".replace("0.0001", "0.0001"))
    lab.ask("run.lr = 0.5")
    expect(root.locator("output[data-for=lr]")).to_have_text("0.5")
    click(root, "stop")
    expect(root.locator(".lp-place")).to_contain_text("stopped at epoch 1 of 4, batch 3 of 5")
    expect(slider).to_be_disabled()
    assert lab.ask("print(run.asked)") == "['pause', 'resume', 'stop']"


@pytest.mark.parametrize("waiting", ["await run", "import time\nwhile run.state == 'running': time.sleep(0.05)"])
def test_stop_works_while_a_real_training_runs(lab: LabPage, waiting: str) -> None:
    lab.ask(FIT)
    root = view_in_training(lab)
    if waiting.startswith("await"):
        lab.start_cell(waiting)
        click(root, "stop")
        lab.wait_idle()
    else:
        click(root, "stop")
    expect(root.locator(".lp-place")).to_contain_text("stopped at epoch")
    lab.wait_python("run.state == 'stopped'", PATIENCE)
    steps = int(lab.ask("print(len(run.history.steps))"))
    assert 0 < steps < 400 * 23
    lab.wait_python(f"len(run.history.steps) == {steps}", PATIENCE)


def view_in_training(lab: LabPage) -> Locator:
    root = lab.run_cell("run = start()\nrun.show()").locator(".cnnviz-lp").first
    root.page.wait_for_function("root => root.tracks?.[0].train.loss.length > 5", arg=root.element_handle())
    return root


def test_what_failed_says_why_and_text_stays_text(lab: LabPage, show: Show) -> None:
    root = show(f"label={MARKUP!r}, layers=[{MARKUP!r}]", 3)
    lab.ask(f"run.error, run.state = ValueError({MARKUP!r} + ' at step 3'), 'failed'")
    expect(root.locator(".sk-message")).to_have_text(f"{MARKUP} at step 3")
    expect(root.locator(".sk-message")).to_have_class(re.compile("sk-error"))
    assert lab.page.evaluate("() => window.broken ?? 0") == 0


# ---- it looks back -------------------------------------------------------------------------------------------------


def test_the_time_machine_shows_filters_and_maps_as_they_were(lab: LabPage, show: Show) -> None:
    root = show(steps=10)
    assert root.locator(".lp-shots").is_hidden()
    lab.ask(TWO_SHOTS)
    shots = root.locator(".lp-shots")
    expect(shots).to_have_attribute("aria-label", "filters of the first layer and their maps at epoch 2")
    late = picture(root, ".lp-shots")
    back = root.locator("input[data-name=back]")
    back.focus()
    back.press("ArrowLeft")
    expect(root.locator("output[data-for=back]")).to_have_text("epoch 1")
    expect(shots).to_have_attribute("aria-label", "filters of the first layer and their maps at epoch 1")
    early = picture(root, ".lp-shots")
    assert early != late
    lab.ask("run.advance(1)")
    wait_steps(root, 11)
    assert picture(root, ".lp-shots") == early  # what comes in does not pull the slider away
    back.press("End")
    expect(root.locator("output[data-for=back]")).to_have_text("now")


def test_a_recorded_run_is_played_again(lab: LabPage, show: Show) -> None:
    lab.ask("FakeRun().advance(20).history.to_csv('run.csv')")
    root = view_in(
        lab.run_cell("from cnnviz.widgets.live_plot import LivePlot\nLivePlot(History.from_csv('run.csv'))"), 20
    )
    expect(root.locator(".lp-place")).to_have_text("recorded run, 4 epochs")
    whole = picture(root)
    root.evaluate(WATCH_EPOCHS)
    click(root, "replay")
    root.page.wait_for_function("root => root.seen.size > 3 && root.seen.has('now')", arg=root.element_handle())
    expect(root.locator("output[data-for=back]")).to_have_text("now")
    assert picture(root) == whole


# ---- several runs, cells run again ---------------------------------------------------------------------------------


def test_two_runs_on_one_plot(lab: LabPage, show: Show) -> None:
    show()
    cell = lab.run_cell(
        "from cnnviz.widgets.live_plot import compare_runs\n"
        "a, b = FakeRun().advance(5), FakeRun(epochs=8, layers=['1', '2', '3']).advance(9)\n"
        "compare_runs({'plain': a, 'residual': b})"
    )
    root = view_in(cell, 9)
    expect(root.locator(".lp-legend").last).to_contain_text("residual: epoch 2 of 8, test accuracy 60 %")
    assert root.locator("input[data-name=lr]").is_hidden()
    lab.ask("a.advance(15)")
    expect(root.locator(".lp-legend").last).to_contain_text("plain: finished, test accuracy 90 %")
    expect(root.locator(".lp-place")).to_contain_text("1 going on")
    whole = picture(root)
    root.locator("input[data-name=run1]").click()
    assert picture(root) != whole


def test_running_the_cell_again_leaves_a_ghost_and_nothing_else(lab: LabPage, show: Show) -> None:
    lab.ask("import threading\nfrom ipywidgets.widgets import widget as registry\nruns = []")
    lab.run_cell("run = FakeRun(label=f'lr={len(runs)}').advance(7)\nruns.append(run)\nrun.show()")
    threads = "sum(t.name == 'cnnviz live plot' for t in threading.enumerate())"
    root = view_in(lab.cell(1), 7)
    lab.run_again(1, 2)
    widgets, before = int(lab.ask("print(len(registry._instances))")), int(lab.ask(f"print({threads})"))
    lab.run_again(1, 6)
    root = view_in(lab.cell(1), 7)
    legend = root.locator(".lp-legend").last
    expect(legend.locator("label")).to_have_count(5)
    expect(legend).to_contain_text("before: lr=7")
    lab.wait_python(f"len(registry._instances) <= {widgets} and {threads} <= {before}", PATIENCE)
    assert lab.ask("print({run.state for run in runs[:-1]}, run.state)") == "{'stopped'} running"
    assert lab.page.locator(".cnnviz-lp").count() == 1


# ---- it can be read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_it_follows_the_theme_and_fits_600_pixels(lab: LabPage, show: Show, theme: str) -> None:
    lab.theme(theme)
    try:
        root = show("label='lr=0.1, optimizer=adam', layers=[f'features.{i}.weight' for i in range(56)]", 13)
        lab.ask(TWO_SHOTS)
        root.locator(".lp-shots").wait_for()
        for width in (600, 1200):
            root.evaluate("(root, width) => { root.style.width = `${width}px`; }", width)
            picture(root)
            assert root.evaluate(OVERFLOWS) == []
            assert root.evaluate(CONTRAST) == []
            lab.screenshot(f"live-plot-{theme}-{width}")
    finally:
        lab.theme("Light")
