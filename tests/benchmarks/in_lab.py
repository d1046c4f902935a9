"""Key or drag to painted picture, in a real JupyterLab: `SlidingKernel`, and the same picture drawn by Python."""

from __future__ import annotations

import statistics
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

from playwright.sync_api import Locator

from tests.benchmarks.rows import Row, spread
from tests.browser.kernel_view import KernelView, WidgetView
from tests.browser.lab import LabPage, lab_alone, notebook_of

PAUSE = 60  # ms between two samples: a hand does not move faster, and the page comes to rest

# A sample starts with the time stamp of the key or pointer event and ends when the browser has composed the first frame
# that holds the new picture: the frame whose callbacks painted it, or, for a picture that came between two frames, the
# next one. `work` is what the widget says it computed and drew in, in ms.
PROBE = """() => {
  const probe = window.probe = { samples: [], start: null, inFrame: false };
  const afterFrame = action => {
    const channel = new MessageChannel();
    channel.port1.onmessage = action;
    channel.port2.postMessage(0);
  };
  probe.begin = event => {
    probe.start = event.timeStamp;
    requestAnimationFrame(() => {
      probe.inFrame = true;
      afterFrame(() => { probe.inFrame = false; });
    });
  };
  probe.seen = (detail = {}) => {
    if (probe.start === null) return;
    const start = probe.start;
    probe.start = null;
    const end = () => {
      const total = performance.now() - start;
      probe.samples.push({ total, work: detail.work ?? null, coarse: Boolean(detail.coarse) });
    };
    if (probe.inFrame) afterFrame(end);
    else requestAnimationFrame(() => afterFrame(end));
  };
  window.addEventListener("keydown", probe.begin, true);
  let moved = null;
  window.addEventListener("pointermove", event => { moved = event; }, true);
  window.addEventListener("input", () => { if (moved && probe.dragging) probe.begin(moved); }, true);
}"""
WATCH_WIDGET = "root => root.addEventListener('cnnviz-painted', event => window.probe.seen(event.detail))"
WATCH_IMAGE = """area => new MutationObserver(changes => {
  for (const change of changes) for (const node of change.addedNodes) {
    const image = node.matches?.("img") ? node : node.querySelector?.("img");
    if (image) image.decode().then(() => window.probe.seen());
  }
}).observe(area, { childList: true, subtree: true })"""
WATCH_PLOTLY = "graph => graph.on('plotly_afterplot', () => window.probe.seen())"

# The widget writes the numbers into the cells of a 16x16 grid, so these two do as well.
WITH_MATPLOTLIB = """import ipywidgets, matplotlib.pyplot as plt, numpy as np
from cnnviz import Window, kernels, trace
image = np.arange(256.0).reshape(16, 16) % 7
def picture(kernel_size=3):
    kernel = kernels.named("edge", kernel_size)
    output = trace.correlate(image, kernel, Window(kernel_size)).output[0]
    figure, axes = plt.subplots(1, 3, figsize=(9, 3))
    for axis, values, colors in zip(axes, (image, kernel, output), ("gray", "RdBu", "RdBu")):
        axis.imshow(values, cmap=colors)
        axis.set_axis_off()
        for (i, j), value in np.ndenumerate(values):
            axis.text(j, i, f"{value:g}", ha="center", va="center", fontsize=6)
    plt.show()
_ = ipywidgets.interact(picture, kernel_size=(1, 7))"""
WITH_PLOTLY = """import ipywidgets, numpy as np, plotly.graph_objects as go
from plotly.subplots import make_subplots
from IPython.display import display
from cnnviz import Window, kernels, trace
image = np.arange(256.0).reshape(16, 16) % 7
def parts(kernel_size):
    kernel = kernels.named("edge", kernel_size)
    return image, kernel, trace.correlate(image, kernel, Window(kernel_size)).output[0]
figure = go.FigureWidget(make_subplots(1, 3))
for column, values in enumerate(parts(3), 1):
    figure.add_trace(go.Heatmap(z=values, texttemplate="%{z}", showscale=False), 1, column)
slider = ipywidgets.IntSlider(3, 1, 7, description="kernel_size")
def follow(change):
    with figure.batch_update():
        for trace_, values in zip(figure.data, parts(change.new)):
            trace_.z = values
slider.observe(follow, "value")
display(slider, figure)"""
GRID = """import numpy as np
from cnnviz import SlidingKernel
w = SlidingKernel(np.arange(256.0).reshape(16, 16) % 7, kernel_name="edge", kernel_size=3)
w"""
PHOTOGRAPH = """import numpy as np
from cnnviz import SlidingKernel, images
w = SlidingKernel(images.photo("china", size=336)[:, :224, :224], kernel_name="edge", kernel_size=7, filters={filters})
w"""
BUILDER = """
from cnnviz import NetworkBuilder
b = NetworkBuilder([*[{"kind": "conv", "padding": 1}, "batch_norm", "relu"] * 6, "flatten", "linear"], (3, 32, 32))
b"""
EXPLORER = """import torch
from cnnviz import inside, models
torch.manual_seed(0)
{network}
e = inside.explore(net, pictures)
e"""
EXPLORED = {  # name -> what is looked into, and where among its layers a hand leafs to and fro
    "LeNet-5, 32x32": ("net, pictures = models.create('lenet5'), torch.rand(24, 1, 32, 32)", (1, 2, 3, 4, 5)),
    "ResNet-18, 64x64": ("net, pictures = models.create('resnet18'), torch.rand(24, 3, 64, 64)", (8, 15, 22, 29, 36)),
}
WATCH_EXPLORER = """root => root.addEventListener('cnnviz-painted', event => {
  if (!event.detail.waiting) window.probe.seen(event.detail);
})"""
ODOMETER = """from cnnviz import MacOdometer
w = MacOdometer({sizes})
w"""
FRAME = 1000 / 60
BUSY = "import time\nend = time.monotonic() + 120\nwhile time.monotonic() < end:\n    pass"


@dataclass
class Samples:
    """Times in ms from the event to the frame, and what of it was the widget's own work."""

    total: list[float]
    work: list[float]
    coarse: int


def collect(lab: LabPage, act: Generator[None, None, None], count: int) -> Samples:
    """Take `count` samples, one for each step of `act`, after three that warm everything up."""
    page = lab.page
    with closing(act):
        for _ in range(3):
            next(act)
            page.wait_for_timeout(4 * PAUSE)
        page.evaluate("() => { window.probe.samples.length = 0; window.probe.start = null; }")
        for taken in range(1, count + 1):
            next(act)
            page.wait_for_function("n => window.probe.samples.length >= n", arg=taken, timeout=20_000, polling=5)
            page.wait_for_timeout(PAUSE)
    samples = page.evaluate("() => window.probe.samples")[:count]
    work = [sample["work"] for sample in samples if sample["work"] is not None]
    return Samples([sample["total"] for sample in samples], work, sum(sample["coarse"] for sample in samples))


def keys(slider: Locator) -> Generator[None, None, None]:
    """Press the right and the left arrow in turn on a slider."""
    slider.focus()
    while True:
        for key in ("ArrowRight", "ArrowLeft"):
            slider.page.keyboard.press(key)
            yield


def drag(view: WidgetView, name: str, values: tuple[int, ...]) -> Generator[None, None, None]:
    """Hold the thumb of a slider and take it from value to value, there and back."""
    mouse = view.page.mouse
    mouse.move(*view.thumb(name))
    mouse.down()
    view.page.evaluate("() => { window.probe.dragging = true; }")
    try:
        while True:
            for value in (*values[1:], *reversed(values[:-1])):  # the slider stands at the first one
                mouse.move(*view.point_on_slider(name, value))
                yield
    finally:
        mouse.up()
        view.page.evaluate("() => { window.probe.dragging = false; }")


def shown(lab: LabPage, source: str) -> KernelView:
    """A `SlidingKernel` in a new cell, watched by the probe."""
    lab.clear()
    view = KernelView.in_cell(lab.run_cell(source))
    view.root.evaluate(WATCH_WIDGET)
    return view


def measure(quick: bool = False) -> list[Row]:
    """Rows for the widget, then rows that compare it with other ways to draw the same picture."""
    count = 10 if quick else 60
    with lab_alone() as lab:
        lab.open(lab.server.add(notebook_of("")))
        lab.page.evaluate(PROBE)
        grid, medians = grid_rows(lab, count)
        others = photograph_rows(lab, count) + builder_rows(lab, count) + explorer_rows(lab, count)
        others += odometer_rows(lab, count)
        return grid + others + comparison_rows(lab, count, medians)


def grid_rows(lab: LabPage, count: int) -> tuple[list[Row], dict[str, float]]:
    """16x16 with 3x3: keys, a drag, and keys while the kernel is busy in a long cell."""
    rows, medians = [], {}
    view = shown(lab, GRID)
    runs = {"key, kernel idle": lambda: keys(view.slider("kernel_size"))}
    runs["drag, kernel idle"] = lambda: drag(view, "kernel_size", (3, 4, 5, 6, 7))
    for name, act in runs.items():
        samples = collect(lab, act(), count)
        rows += widget_rows(f"16x16, {name}", samples, 8, 33)
        medians[name] = statistics.median(samples.total)
    lab.start_cell(BUSY)
    samples = collect(lab, keys(view.slider("kernel_size")), count)
    rows += widget_rows("16x16, key, kernel busy", samples, 8, 33)
    lab.interrupt()
    return rows, medians


def photograph_rows(lab: LabPage, count: int) -> list[Row]:
    """224x224 in colour with 7x7: one filter and eight, turned by the slider that rotates the kernel."""
    rows = []
    for filters, bar in ((1, 25), (8, None)):
        view = shown(lab, PHOTOGRAPH.format(filters=filters))
        name = f"224x224x3 with 7x7, {filters} filter{'s' if filters > 1 else ''}, drag"
        rows += widget_rows(name, collect(lab, drag(view, "angle", (0, 30, 60, 90, 120)), count), bar, None)
    return rows


def builder_rows(lab: LabPage, count: int) -> list[Row]:
    """A `NetworkBuilder` of 20 layers: the first one's kernel is dragged, and every number below it follows."""
    lab.clear()
    root = lab.run_cell(BUILDER).locator(".cnnviz-nb")
    root.evaluate(WATCH_WIDGET)
    samples = collect(lab, drag(WidgetView(root), "kernel_size", (3, 4, 5, 6, 7)), count)
    return widget_rows("NetworkBuilder, 20 layers, drag", samples, 8, 33)


def explorer_rows(lab: LabPage, count: int) -> list[Row]:
    """A drag over layers, which Python is asked for, over channels, and over pictures, on which the network is run."""
    rows = []
    for name, (network, layers) in EXPLORED.items():
        lab.clear()
        root = lab.run_cell(EXPLORER.format(network=network)).locator(".cnnviz-ex")
        root.locator(".ex-all").wait_for()
        root.evaluate(WATCH_EXPLORER)
        view = WidgetView(root)
        for slider, values, bar in (
            ("depth", layers, 150),
            ("channel", (0, 1, 2, 3, 4), 150),
            ("picture", (0, 1, 2, 3, 4), None),
        ):
            view.move(slider, values[0])
            samples = collect(lab, drag(view, slider, values), count)
            what = {"depth": "layer"}.get(slider, slider)
            rows += spread(f"explorer, {name}, drag over {what}s: event to frame", samples.total, bar)
    return rows


def odometer_rows(lab: LabPage, count: int) -> list[Row]:
    """`MacOdometer`: a slider is dragged, and its own clock ticks; with few maps and with the most it takes."""
    rows = []
    for name, sizes in (("8 maps to 16", ""), ("512 maps to 512", "512, 512, 11, 256, 8")):
        lab.clear()
        root = lab.run_cell(ODOMETER.format(sizes=sizes)).locator(".cnnviz-od")
        root.evaluate(WATCH_WIDGET)
        view = WidgetView(root)
        places = range(int(view.value("map_size")), 0, -2)
        samples = collect(lab, drag(view, "map_size", tuple(places)), count)
        rows += widget_rows(f"MacOdometer, {name}, drag", samples, FRAME, 33)
        rows += spread(f"MacOdometer, {name}, playing: work a frame", played(root, count), FRAME)
    return rows


def played(root: Locator, count: int) -> list[float]:
    """What the widget says it drew in, in ms, for so many frames of its own clock."""
    return root.evaluate(
        """(root, count) => new Promise(done => {
          const work = [];
          root.addEventListener("cnnviz-painted", event => {
            work.push(event.detail.work);
            if (work.length === count) done(work);
          });
          root.querySelector("[data-action=play]").click();
        })""",
        count,
    )


def widget_rows(name: str, samples: Samples, work_bar: float | None, total_bar: float | None) -> list[Row]:
    note = f"{len(samples.work)} samples" + (f", {samples.coarse} of them coarse" if samples.coarse else "")
    return spread(f"{name}: work", samples.work, work_bar, note) + spread(
        f"{name}: event to frame", samples.total, total_bar
    )


def comparison_rows(lab: LabPage, count: int, medians: dict[str, float]) -> list[Row]:
    """The same 16x16 picture and the same key, with the picture drawn by Python."""
    rows, ours = [], medians["key, kernel idle"]
    cases = (
        ("interact + matplotlib", WITH_MATPLOTLIB, ".jp-OutputArea-output .widget-output", WATCH_IMAGE, 8),
        ("plotly FigureWidget", WITH_PLOTLY, ".js-plotly-plot", WATCH_PLOTLY, 3),
    )
    for name, source, target, watch, bar in cases:
        lab.clear()
        cell = lab.run_cell(source)
        cell.locator(target).first.wait_for()
        lab.page.wait_for_timeout(1000)
        cell.locator(target).first.evaluate(watch)
        samples = collect(lab, keys(cell.locator(".noUi-handle").first), max(10, count // 3))
        rows += spread(f"16x16, key, {name}: event to frame", samples.total)
        rows.append(
            Row(
                f"  SlidingKernel is ahead by (ratio of medians, {name})",
                statistics.median(samples.total) / ours,
                "x",
                bar,
                more=True,
            )
        )
    return rows
