"""Time and size of the exported page and animation, against matplotlib's own writers of an equivalent one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.benchmarks.rows import Row


def best_of(repeats: int, act: Callable[[], object]) -> float:
    """Milliseconds of the fastest of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def equivalent_animation(image: np.ndarray, window: int, output: np.ndarray) -> object:
    """The same story told by matplotlib: a window moves over the picture, and the output fills in."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.animation import FuncAnimation
    from matplotlib.patches import Rectangle

    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 4))
    left.imshow(image, cmap="gray")
    frame = left.add_patch(Rectangle((-0.5, -0.5), window, window, fill=False, color="red", lw=3))
    filled = np.full(output.shape, np.nan)
    drawn = right.imshow(filled, cmap="RdBu", vmin=output.min(), vmax=output.max())
    for axis, values in ((left, image), (right, output)):
        if values.size <= 36:
            for (i, j), value in np.ndenumerate(values):
                axis.text(j, i, f"{value:g}", ha="center", va="center")

    def step(number: int) -> tuple:
        i, j = divmod(number, output.shape[1])
        frame.set_xy((j - 0.5, i - 0.5))
        filled[i, j] = output[i, j]
        drawn.set_data(filled)
        return frame, drawn

    animation = FuncAnimation(figure, step, frames=output.size, init_func=lambda: ())
    plt.close(figure)
    return animation


def measure(quick: bool = False) -> list[Row]:
    """Rows for page and GIF."""
    from cnnviz import MacOdometer, SlidingKernel

    picture = np.arange(256.0).reshape(16, 16) % 7
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = page_rows("5x5 with 3x3", SlidingKernel(), 10, folder / "x.html")
        if not quick:
            rows += page_rows("16x16 with 3x3, 196 steps", SlidingKernel(picture), 20, folder / "x.html")
        rows += odometer_rows(MacOdometer(), folder)
        return rows + gif_rows(SlidingKernel(padding=1), folder / "x.gif")


def page_rows(title: str, widget: object, bar: float, path: Path) -> list[Row]:
    widget.save(path)  # the first one also reads the modules
    rows = [Row(f"save('x.html'), {title}", best_of(5, lambda: widget.save(path)), "ms", bar)]
    rows.append(Row("  its size", path.stat().st_size / 1000, "kB", 120))
    animation, pages = equivalent_animation(widget.input[0], 3, widget.output[0]), []
    rows.append(Row("  matplotlib's to_jshtml", best_of(1, lambda: pages.append(animation.to_jshtml()))))
    rows.append(Row("  its size", len(pages[0]) / 1000, "kB"))
    return rows


def odometer_rows(odometer: object, folder: Path) -> list[Row]:
    rows = []
    for ending, bar in ((".html", 120), (".gif", None)):
        path = folder / f"odometer{ending}"
        rows.append(Row(f"MacOdometer, save('x{ending}')", best_of(1, lambda path=path: odometer.save(path))))
        rows.append(Row("  its size", path.stat().st_size / 1000, "kB", bar))
    return rows


def gif_rows(widget: object, path: Path) -> list[Row]:
    rows = [Row("save('x.gif'), 25 steps", best_of(1, lambda: widget.save(path)), "ms", 2000)]
    rows.append(Row("  its size", path.stat().st_size / 1000, "kB"))
    animation = equivalent_animation(np.pad(widget.input[0], 1), 3, widget.output[0])
    rows.append(Row("  matplotlib's Pillow writer", best_of(1, lambda: animation.save(path, writer="pillow"))))
    rows.append(Row("  its size", path.stat().st_size / 1000, "kB"))
    return rows
