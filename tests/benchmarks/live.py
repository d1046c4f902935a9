"""The live view of training in real JupyterLab: what it costs in time, bytes and memory, and how soon it obeys.

Times added are ratios of paired runs in one kernel, with the browser on the same cores. The other two ways draw inside
the loop, as their documentation shows, whenever 0.25 s have passed since the last drawing.
"""

from __future__ import annotations

import importlib.util
import inspect
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from playwright.sync_api import Locator

from tests.benchmarks.rows import Row, spread
from tests.browser.lab import LabPage, lab_alone, notebook_of
from tests.test_live_plot import FakeRun

SETUP = """import gc, time, psutil, torch
from torch import nn
from IPython.display import clear_output, display
from cnnviz import History, fit, load, models
from cnnviz.history import Record, Step
data = load("digits")
def start(epochs=24):
    torch.manual_seed(0)
    return fit(models.create("lenet5"), data, epochs=epochs, lr=0.05)
def megabytes():
    gc.collect()
    return psutil.Process().memory_info().rss / 1e6
def loop(draw=None, epochs=8):
    torch.manual_seed(0)
    net, numbers = models.create("lenet5"), [[], [], [], []]
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    begin = drawn = time.perf_counter()
    for _ in range(epochs):
        for x, y in zip(data.train_x.split(64), data.train_y.split(64)):
            scores = net(x)
            loss = nn.functional.cross_entropy(scores, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            accuracy = (scores.argmax(1) == y).float().mean().item()
            for column, value in zip(numbers, (loss.item(), accuracy, loss.item() / 2, accuracy / 2)):
                column.append(value)
            if draw and time.perf_counter() - drawn > 0.25:
                draw(numbers)
                drawn = time.perf_counter()
    return time.perf_counter() - begin
"""
WAYS = {
    "livelossplot": """from livelossplot import PlotLosses
plots = PlotLosses()
def draw(numbers):
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    plots.update({name: column[-1] for name, column in zip(names, numbers)})
    plots.send()""",
    "redraw and clear_output": """import matplotlib.pyplot as plt
def draw(numbers):
    figure, axes = plt.subplots(1, 2, figsize=(9, 3))
    for axis, columns in zip(axes, (numbers[::2], numbers[1::2])):
        for column in columns:
            axis.plot(column)
    display(figure)
    clear_output(wait=True)
    plt.close(figure)""",
}
ONE_RUN = """begin = time.perf_counter()
run = start()
{show}
await run
taken = time.perf_counter() - begin"""
STATE = "([root, state]) => root.tracks?.at(-1).state === state"
RATE = "([root, lr]) => Math.abs(root.tracks?.at(-1).lr / lr - 1) < 0.03"


@contextmanager
def opened() -> Iterator[LabPage]:
    with lab_alone() as lab:
        lab.received = 0  # bytes that came through the kernel's socket
        lab.page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: count(lab, frame)))
        lab.open(lab.server.add(notebook_of("")))
        lab.ask(SETUP + inspect.getsource(FakeRun))
        yield lab


def count(lab: LabPage, frame: str | bytes) -> None:
    lab.received += len(frame)


def measure(quick: bool = False) -> list[Row]:
    """Rows for cost, bytes, memory and obedience."""
    with opened() as lab:
        rows = cost_rows(lab, 2 if quick else 9) + byte_rows(lab) + obedience_rows(lab, 3 if quick else 20)
        return rows + memory_rows(lab, 10 if quick else 100)


# ---- time ----------------------------------------------------------------------------------------------------------


def taken(lab: LabPage, source: str) -> tuple[float, float]:
    """Seconds by the clock, and of processor time: kernel, server and browser together."""
    lab.clear()
    before = processor_seconds()
    lab.run_cell(source)
    return float(lab.ask("print(taken)")), processor_seconds() - before


def processor_seconds() -> float:
    times = [process.cpu_times() for process in psutil.Process().children(recursive=True)]
    return sum(one.user + one.system for one in times)


def added(lab: LabPage, bare: str, watched: str, pairs: int) -> tuple[list[float], list[float]]:
    """Percent of time added by the clock and in processor time, pair by pair, each order in turn."""
    for source in (bare, watched):
        taken(lab, source)  # warm
    clock, work = [], []
    for pair in range(pairs):
        order = (bare, watched) if pair % 2 else (watched, bare)
        times = {source: taken(lab, source) for source in order}
        for found, at in ((clock, 0), (work, 1)):
            found.append(100 * (times[watched][at] / times[bare][at] - 1))
    return clock, work


def cost_rows(lab: LabPage, pairs: int) -> list[Row]:
    bare, shown = ONE_RUN.format(show=""), ONE_RUN.format(show="display(run.show())")
    clock, work = added(lab, bare, shown, pairs)
    ours = statistics.median(clock)
    note = f"{pairs} pairs, {min(clock):.1f} to {max(clock):.1f} %; processor time {statistics.median(work):.1f} %"
    rows = [Row("time added by the live view, median", ours, "%", 3, note=note)]
    for name, source in WAYS.items():
        if name == "livelossplot" and not importlib.util.find_spec(name):
            rows.append(Row(f"not installed, so left out: {name}", 0, ""))
            continue
        lab.ask(source)
        clock, work = added(lab, "taken = loop()", "taken = loop(draw)", min(pairs, 3))
        theirs, note = statistics.median(clock), f"processor time {statistics.median(work):.0f} %"
        rows.append(Row(f"time added by {name}, as often", theirs, "%", note=note))
        rows.append(Row("  times what the live view adds (1 % at least)", theirs / max(ours, 1), "x", 10, more=True))
    return rows


# ---- bytes ---------------------------------------------------------------------------------------------------------


def byte_rows(lab: LabPage) -> list[Row]:
    """Everything that came through the kernel's socket, Jupyter's envelopes and the view's own code counted."""
    lab.clear()
    lab.ask("run = FakeRun(epochs=40, size=25, layers=['conv1', 'conv2', 'fc1', 'fc2', 'fc3'])")
    lab.received = 0
    root = view_in(lab.run_cell("plot = run.show()\nplot"))
    lab.ask("for _ in range(200):\n    run.advance(5)\n    plot._flush()")
    wait(root, STATE, "finished")
    return [Row("bytes to the browser: 200 updates of 4 curves, first paint", lab.received / 1000, "kB", 300)]


def view_in(cell: Locator) -> Locator:
    root = cell.locator(".cnnviz-lp").first
    root.wait_for()
    return root


def wait(root: Locator, condition: str, value: object) -> float:
    """Milliseconds until it is true in the page."""
    begin = time.perf_counter()
    root.page.wait_for_function(condition, arg=[root.element_handle(), value], timeout=60_000, polling=10)
    return 1000 * (time.perf_counter() - begin)


# ---- controls ------------------------------------------------------------------------------------------------------


def obedience_rows(lab: LabPage, times: int) -> list[Row]:
    """From the key or the click until the page has heard from Python that it was done, while LeNet trains."""
    rates, stops = [], []
    lab.clear()
    root = view_in(lab.run_cell("run = start(5000)\nrun.show()"))
    wait(root, STATE, "running")
    lab.start_cell("await run")
    slider, pause = root.locator("input[data-name=lr]"), root.locator("[data-action=pause]")
    for take in range(times):
        lr = (0.03, 0.06)[take % 2]
        slider.evaluate("(input, lr) => { input.value = Math.log10(lr); input.dispatchEvent(new Event('input')); }", lr)
        rates.append(wait(root, RATE, lr))
        for state in ("paused", "running"):
            pause.click()
            stops.append(wait(root, STATE, state))
    root.locator("[data-action=stop]").click()
    stops.append(wait(root, STATE, "stopped"))
    lab.wait_idle()
    rows = spread("learning rate moved: heard and answered", rates, 1000)
    return rows + spread("pause, resume, stop: done and answered", stops, 1000)


# ---- memory --------------------------------------------------------------------------------------------------------


def heap(lab: LabPage) -> float:
    """Megabytes of JavaScript objects in the page."""
    session = lab.page.context.new_cdp_session(lab.page)
    session.send("HeapProfiler.collectGarbage")
    return session.send("Runtime.getHeapUsage")["usedSize"] / 1e6


def memory_rows(lab: LabPage, times: int) -> list[Row]:
    lab.clear()
    lab.run_cell("run = start(1)\nrun.show()")
    lab.run_again(1, 40)  # until each of the allocator's arenas has been some training's: the same without a view
    kernel, page = float(lab.ask("print(megabytes())")), heap(lab)
    lab.run_again(1, times)
    return [
        Row(
            f"kernel's memory, {times} runs of the cell later", float(lab.ask("print(megabytes())")) - kernel, "MB", 20
        ),
        Row(f"page's memory, {times} runs of the cell later", heap(lab) - page, "MB", 20),
    ]


if __name__ == "__main__":
    import sys

    from tests.benchmarks.rows import machine, show

    print(machine())
    show("The live view of training, in JupyterLab", measure("--quick" in sys.argv))
