"""Which cell of a notebook is running, and what is done when it has ended.

A cell that awaits (`await run`) lets widgets' messages through. If one of them is still being handled when the next
cell begins, ipykernel 7.4 then puts the finished cell back as the one that runs. Should the new one await as well, its
end would be announced as that of the other, and JupyterLab would show it as running for ever. A cell's own context
keeps what is right: it is noted there when the cell begins, and put back before the end is announced.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

_parents: dict[int, tuple[Any, dict]] = {}  # thread (a subshell has its own) -> who asked for its cell, and the request
_watched: Any = None  # the shell whose cells are watched


def running_cell(kernel: Any) -> tuple[str, str]:
    """Return the running cell's name ("" when the front end gives none) and that of its run."""
    parent = kernel.get_parent() or {}
    return parent.get("metadata", {}).get("cellId") or "", parent.get("header", {}).get("msg_id", "")


def watch(kernel: Any, ended: Callable[[Any], None]) -> None:
    """Call ``ended(kernel)`` after each cell from now on; asked again for the same kernel it does nothing."""
    global _watched
    if _watched is kernel.shell:
        return
    _watched = kernel.shell

    def after(*_: Any) -> None:
        _put_back(kernel)
        ended(kernel)

    _watched.events.register("pre_run_cell", lambda *_: _note(kernel))
    _watched.events.register("post_run_cell", after)


def _note(kernel: Any) -> None:
    _parents[threading.get_ident()] = kernel._parent_ident["shell"], kernel.get_parent("shell")


def _put_back(kernel: Any) -> None:
    asked_by, request = _parents.pop(threading.get_ident(), (None, None))
    if request is not None and kernel.get_parent("shell") is not request:
        kernel.set_parent(asked_by, request, "shell")
