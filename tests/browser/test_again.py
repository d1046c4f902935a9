"""A cell that is run again and again leaves nothing behind: no widgets, no views, no memory."""

from tests.browser.kernel_view import KernelView
from tests.browser.lab import LabPage

TIMES = 50
COUNT = """import gc, os, threading
import psutil
from ipywidgets.widgets import widget as _registry
def counted():
    gc.collect()
    megabytes = psutil.Process().memory_info().rss / 1e6
    return len(_registry._instances), threading.active_count(), megabytes"""


def test_running_a_widgets_cell_again_leaves_nothing_behind(lab: LabPage) -> None:
    lab.ask(COUNT)
    cell = lab.run_cell("w = SlidingKernel(np.ones((16, 16)), padding=1)\nw")
    KernelView.in_cell(cell)
    lab.run_again(1, 3)
    widgets, threads, before = eval(lab.ask("print(counted())"), {})
    lab.run_again(1, TIMES)
    widgets_after, threads_after, after = eval(lab.ask("print(counted())"), {})
    assert widgets_after <= widgets
    assert threads_after <= threads
    assert after - before < 20
    view = KernelView.in_cell(lab.cell(1))
    view.drag("kernel_size", 2)
    lab.wait_python("w.kernel_size == 2")
    assert lab.page.locator(".cnnviz-sk").count() == 1
