"""Lets a view know that its kernel lives, also while a long cell runs; a view that hears nothing greys itself out.

One thread for all widgets, started by the first that is shown in a kernel. It asks nothing of the (perhaps busy) main
thread: ipykernel hands what a thread sends to the thread that owns the socket. Nothing is printed, ever: a line would
land in whichever cell is running.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any
from weakref import WeakSet

import ipywidgets

SECONDS = 2.0  # a view grows suspicious after five

_widgets: WeakSet[ipywidgets.Widget] = WeakSet()
_lock = threading.Lock()
_thread: threading.Thread | None = None


def running_kernel() -> Any:
    """Return the Jupyter kernel that this is running in, or None."""
    ipython = sys.modules.get("IPython")
    return getattr(ipython.get_ipython(), "kernel", None) if ipython else None


def start(widget: ipywidgets.Widget) -> None:
    """Send beats to the views of a widget until it is closed; without a kernel nothing happens."""
    global _thread
    kernel = running_kernel()
    if kernel is None:
        return
    with _lock:
        _widgets.add(widget)
        if _thread is None or not _thread.is_alive():  # a forked process has no threads
            _thread = threading.Thread(target=_beat, args=(kernel,), name="cnnviz heartbeat", daemon=True)
            _thread.start()


def _beat(kernel: Any) -> None:
    while True:
        time.sleep(SECONDS)
        with _lock:
            comms = [widget.comm for widget in _widgets if widget.comm is not None]
        for comm in comms:
            try:
                send(kernel, comm)
            except Exception:  # the kernel is shutting down: there is nobody left to tell
                return


def send(kernel: Any, comm: Any) -> None:
    """Send one beat, with no parent: it belongs to no cell."""
    content = {"data": {"method": "custom", "content": {"kind": "alive"}}, "comm_id": comm.comm_id}
    kernel.session.send(kernel.iopub_socket, "comm_msg", content, parent=None, ident=getattr(comm, "topic", None))
