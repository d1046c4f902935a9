"""Widgets that cost the kernel something only while somebody can see them.

ipywidgets keeps every widget ever made until it is closed, with its copy in the browser: a cell that makes one and is
run fifty times leaves fifty. Here a widget is announced to the browser when it is first shown, and rests when the only
cell that showed it was run again without showing it. At rest it keeps its state; shown once more, it is announced anew.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import anywidget
import traitlets

from cnnviz.widgets import _heartbeat

_shown: WeakKeyDictionary[ShownWidget, dict[str, str]] = WeakKeyDictionary()  # widget -> cell -> the run that showed it
_watching: Any = None  # the shell whose cells are watched


class ShownWidget(anywidget.AnyWidget):
    """An anywidget that exists in the browser from its first view on, and hears the kernel's heartbeat there."""

    _wanted = False
    _own_layout = True

    @traitlets.observe("layout")
    def _other_layout(self, _: Any) -> None:
        self._own_layout = False  # given by the user, who may have given it to other widgets too

    def open(self) -> None:
        """Announce the widget to the browser, once somebody asks for it."""
        if self._wanted:
            if self.layout.comm is None:
                self.layout.open()
            super().open()
            _heartbeat.start(self)

    @property
    def model_id(self) -> str:
        """The widget's name in the browser; asking for it announces the widget."""
        self._wanted = True
        self.open()
        return super().model_id

    def get_view_spec(self) -> dict[str, Any]:
        """Return what a page with embedded widgets needs to show this one."""
        return {**super().get_view_spec(), "model_id": self.model_id}

    def rest(self) -> None:
        """Take the widget off the browser's list until it is shown again."""
        if self.comm is not None:
            self.close()
            del self._repr_mimebundle_  # what close() puts there so that a closed widget shows nothing
            if self._own_layout:
                self.layout.close()
                del self.layout._repr_mimebundle_
        self._wanted = False

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        _note(self)
        return bundle


def _note(widget: ShownWidget) -> None:
    """Remember the cell that shows a widget, where the front end tells which it is (JupyterLab and VS Code do)."""
    global _watching
    kernel = _heartbeat.running_kernel()
    if kernel is None:
        return
    cell, run = _running_cell(kernel)
    _shown.setdefault(widget, {})[cell] = run
    if _watching is not kernel.shell:
        _watching = kernel.shell
        _watching.events.register("post_run_cell", _after_cell)


def _after_cell(*_: Any) -> None:
    """Let the widgets rest that this cell showed the last time and that nothing shows now."""
    cell, run = _running_cell(_heartbeat.running_kernel())
    for widget, cells in list(_shown.items()):
        if cell and set(cells) == {cell} and cells[cell] != run:
            del _shown[widget]
            widget.rest()


def _running_cell(kernel: Any) -> tuple[str, str]:
    """Return the cell's name ("" when it has none) and that of its run."""
    parent = kernel.get_parent() or {}
    return parent.get("metadata", {}).get("cellId") or "", parent.get("header", {}).get("msg_id", "")
