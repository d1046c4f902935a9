"""What a widget costs the kernel, and the heartbeat: in a kernel of its own, spoken to as JupyterLab does."""

import gc
import subprocess
import sys
import threading
import time
import weakref

import pytest
from ipywidgets import HBox
from ipywidgets.widgets.widget import _instances
from jupyter_client.manager import start_new_kernel

from cnnviz import SlidingKernel

REGISTERED = "from ipywidgets.widgets.widget import _instances; print(len(_instances))"


class Kernel:
    """A kernel that is told which cell it runs."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel()

    def run(self, code: str, cell: str = "") -> list[dict]:
        metadata = {"cellId": cell} if cell else {}
        request = self.client.session.msg("execute_request", {"code": code, "silent": False}, metadata=metadata)
        self.client.shell_channel.send(request)
        messages = []
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            messages.append(message)
            if message["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                assert message["msg_type"] != "error", message["content"]
                if message["content"].get("execution_state") == "idle":
                    return messages

    def says(self, code: str) -> str:
        return "".join(message["content"]["text"] for message in self.run(code) if message["msg_type"] == "stream")

    def registered(self) -> int:
        return int(self.says(REGISTERED))


@pytest.fixture(scope="module")
def kernel():
    kernel = Kernel()
    kernel.run("from cnnviz import SlidingKernel")
    yield kernel
    kernel.client.stop_channels()
    kernel.manager.shutdown_kernel(now=True)


def beats(messages: list[dict]) -> list[dict]:
    found = [message for message in messages if message["msg_type"] == "comm_msg"]
    return [one for one in found if one["content"]["data"].get("content") == {"kind": "alive"}]


@pytest.mark.parametrize(
    "cells", [("SlidingKernel()",), ("w = SlidingKernel()", "w"), ("display(SlidingKernel()); 1",)]
)
def test_cells_that_run_again_leave_nothing_behind(kernel, cells):
    counts = []
    for _ in range(5):
        for number, code in enumerate(cells):
            kernel.run(code, cell=f"{cells[0]} {number}")
        counts.append(kernel.registered())
    assert counts[0] == counts[-1]


def test_a_widget_shown_in_two_cells_stays_when_one_of_them_moves_on(kernel):
    kernel.run("kept = SlidingKernel()\nkept", cell="one")
    kernel.run("kept", cell="two")
    kernel.run("1", cell="one")
    assert kernel.says("print(kept.comm is not None)") == "True\n"
    kernel.run("1", cell="two")


def test_a_widget_at_rest_keeps_its_state_and_can_be_shown_again(kernel):
    kernel.run("old = SlidingKernel(stride=2)\nold", cell="first")
    name = kernel.says("print(old.model_id)")
    kernel.run("1", cell="first")
    assert kernel.says("print(old.comm, old.stride)") == "None 2\n"
    kernel.run("old.padding = 1")  # nobody listens, nothing breaks
    shown = kernel.run("old", cell="second")
    assert [message["msg_type"] for message in shown].count("comm_open") == 2  # it and its layout
    assert kernel.says("print(old.model_id)") == name
    assert kernel.says("print(old.comm is not None, old.padding)") == "True 1\n"


def test_the_kernel_beats_while_a_cell_is_running_and_no_cell_gets_an_output(kernel):
    kernel.run("beating = SlidingKernel()\nbeating", cell="beating")
    messages = kernel.run("import time; time.sleep(5)")
    name = kernel.says("print(beating.model_id)").strip()
    own = [one for one in beats(messages) if one["content"]["comm_id"] == name]
    assert len(own) >= 2
    assert all(one["parent_header"] == {} for one in own)
    assert not [message for message in messages if message["msg_type"] in ("stream", "display_data", "error")]
    threads = "import threading; print([t.name for t in threading.enumerate()].count('cnnviz heartbeat'))"
    assert kernel.says(threads) == "1\n"
    kernel.run("beating.close()")
    after = kernel.run("time.sleep(3)")
    assert not [one for one in beats(after) if one["content"]["comm_id"] == name]


def test_each_cell_that_awaits_is_told_to_have_ended_whatever_a_widget_says_meanwhile(kernel):
    """What JupyterLab waits for; without it a cell shows [*] for ever."""
    kernel.run("import asyncio\ntalking = SlidingKernel()\ntalking")
    widget = kernel.says("print(talking.model_id)").strip()
    session, channel = kernel.client.session, kernel.client.shell_channel
    cells = [kernel.client.execute("await asyncio.sleep(0.03)") for _ in range(20)]
    ended, latest = [], time.monotonic() + 20
    while not set(cells) <= set(ended) and time.monotonic() < latest:
        channel.send(session.msg("comm_msg", {"comm_id": widget, "data": {"method": "custom", "content": {}}}))
        time.sleep(0.001)
        while kernel.client.iopub_channel.msg_ready():
            message = kernel.client.get_iopub_msg(timeout=60)
            if message["content"].get("execution_state") == "idle":
                ended.append(message["parent_header"]["msg_id"])
    assert [one for one in ended if one in cells] == cells


# ---- without a kernel ----------------------------------------------------------------------------------------------


def test_a_widget_that_nobody_shows_is_not_registered_and_can_be_forgotten():
    gc.collect()
    before = len(_instances)
    w = SlidingKernel()
    w.set(stride=2)
    reference = weakref.ref(w)
    assert len(_instances) == before
    del w
    gc.collect()
    assert reference() is None


def test_a_shown_widget_is_registered_until_it_is_closed():
    gc.collect()
    before = len(_instances)
    w = SlidingKernel()
    box = HBox([w])
    assert w.get_view_spec()["model_id"] == w.model_id
    assert w.model_id in _instances
    w.close()
    box.close()
    w.layout.close()
    box.layout.close()
    assert len(_instances) == before
    assert w._repr_mimebundle_ is None


def test_a_layout_that_is_shared_stays_when_a_widget_rests():
    first = SlidingKernel(layout={"width": "300px"})
    second = SlidingKernel(layout=first.layout)
    assert first.model_id != second.model_id
    first.rest()
    assert second.layout.comm is not None
    assert first.comm is None
    second.close()


def test_without_a_kernel_there_is_no_heartbeat():
    SlidingKernel()._repr_mimebundle_()
    assert "cnnviz heartbeat" not in {thread.name for thread in threading.enumerate()}


def test_making_and_saving_a_widget_loads_no_torch_plotly_or_matplotlib(tmp_path):
    code = "import sys; from cnnviz import SlidingKernel; w = SlidingKernel(); repr(w); w.save(sys.argv[1] + '/w.gif');"
    code += "print({'torch', 'plotly', 'matplotlib', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code, tmp_path], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"
