"""Widgets that cost the kernel something only while somebody can see them.

ipywidgets keeps every widget ever made until it is closed, with its copy in the browser: a cell that makes one and is
run fifty times leaves fifty. Here a widget is announced to the browser when it is first shown, and rests when the only
cell that showed it was run again without showing it. At rest it keeps its state; shown once more, it is announced anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import anywidget
import traitlets

from cnnviz.widgets import _bundle, _heartbeat, _notebook, _saved
from cnnviz.widgets._drawing import Drawing, to_base64, to_image, to_svg
from cnnviz.widgets._errors import IllegalLayer

_shown: WeakKeyDictionary[ShownWidget, dict[str, str]] = WeakKeyDictionary()  # widget -> cell -> the run that showed it


class ShownWidget(anywidget.AnyWidget):
    """An anywidget that exists in the browser from its first view on, and hears the kernel's heartbeat there.

    A widget names its `_folder`, in which view.js and a style sheet of the folder's name lie, and may draw itself in
    `_still`: that picture, with its description as text, is what pages without a script show.
    """

    _folder: ClassVar[Path]
    _wanted = False
    _own_layout = True
    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)

    @traitlets.default("_esm")
    def _default_esm(self) -> str:
        return _bundle.join(self._folder / "view.js")

    @traitlets.default("_css")
    def _default_css(self) -> str:
        return _bundle.style(self._folder / f"{self._folder.name}.css")

    def _still(self) -> Drawing:
        """Draw what is shown, with its words."""
        raise NotImplementedError

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
        """Add a picture and a text to the live view: what GitHub shows and strict nbval compares."""
        bundle = super()._repr_mimebundle_(**kwargs)
        _note(self)
        if bundle is None:
            return None
        data, metadata = bundle
        if type(self)._still is ShownWidget._still:  # nothing of it stands still: its repr has to do
            return bundle
        drawing = self._still()
        still = {"text/plain": drawing.description, "image/svg+xml": to_svg(drawing)}
        if os.environ.get("CNNVIZ_NOTEBOOK_PNG") == "1":  # for notebooks as committed: an untrusted one shows no SVG
            still["image/png"] = to_base64(drawing)
        return {**data, **still}, metadata

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the widget to a file, and return its path.

        Parameters
        ----------
        path
            The ending says what is written: .html, one page with live controls that needs neither kernel nor network;
            .png or .svg, the picture as it stands.

        Raises
        ------
        ValueError
            For another ending.
        FileNotFoundError
            When the folder does not exist.
        """
        return _saved.save(path, self._writers())

    def _writers(self) -> dict[str, Callable[[Path], Any]]:
        return {
            ".html": lambda target: target.write_text(self._page(), encoding="utf-8"),
            ".png": lambda target: to_image(self._still()).save(target),
            ".svg": lambda target: target.write_text(to_svg(self._still()), encoding="utf-8"),
        }

    def _page(self) -> str:
        return _saved.page(self._still(), self._css, self._page_state(), self._folder / "view.js")

    def _page_state(self) -> dict[str, Any]:
        """Return the traits of the view as they travel."""
        not_ours = {"_esm", "_css", "_anywidget_id", *anywidget.AnyWidget.class_trait_names()}
        return self.get_state([name for name in self.keys if name not in not_ours])

    # ---- what the view says ----------------------------------------------------------------------------------------

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what the view changed; refuse it as a whole, and say so there, when it cannot be.

        An error in somebody's observer would show nowhere in a notebook: the change stands, and the view tells it.
        """
        try:
            self._receive(sync_data)
        except IllegalLayer as refusal:  # a jslink can bypass the sliders' bounds
            self.send_state([name for name in sync_data if name in self.keys])
            self.refuse(refusal)
        except Exception as error:
            self.refuse(f"a callback failed, {type(error).__name__}: {error}")
            raise

    def _receive(self, sync_data: dict[str, Any]) -> None:
        super().set_state(sync_data)

    def refuse(self, why: Any) -> None:
        """Say in the view why what it sent was not taken; this stays until the reader's next change."""
        self.send({"kind": "refused", "message": str(why)})


def _note(widget: ShownWidget) -> None:
    """Remember the cell that shows a widget, where the front end tells which it is (JupyterLab and VS Code do)."""
    kernel = _heartbeat.running_kernel()
    if kernel is None:
        return
    cell, run = _notebook.running_cell(kernel)
    _shown.setdefault(widget, {})[cell] = run
    _notebook.watch(kernel, _after_cell)


def _after_cell(kernel: Any) -> None:
    """Let the widgets rest that this cell showed the last time and that nothing shows now."""
    cell, run = _notebook.running_cell(kernel)
    for widget, cells in list(_shown.items()):
        if cell and set(cells) == {cell} and cells[cell] != run:
            del _shown[widget]
            widget.rest()
