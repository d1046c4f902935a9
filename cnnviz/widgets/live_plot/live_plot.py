"""The live view of training: one thread sends what is new, and the controls of the view reach the run."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnnviz._checks import _short
from cnnviz.widgets import _heartbeat, _notebook, _saved, _shown
from cnnviz.widgets.live_plot import still
from cnnviz.widgets.live_plot.tracks import Track

_SECONDS = 0.25  # between two sendings at least: each costs 11 ms of processor time, most of it in the browser
_GHOSTS = 4
_MOST_RUNS = 6  # as many colours as can be told apart
_open: list[LivePlot] = []  # on some page at this moment
_cells: dict[str, tuple[str, list[LivePlot], list[LivePlot]]] = {}  # cell -> its last run, plots in it, plots before it


class LivePlot(_shown.ShownWidget):
    """Loss, accuracy and gradient norms of a run while it trains, with its learning rate, pause and stop.

    `Run.show` makes one. The curves of earlier runs of the same cell stay behind the new ones. When the cell is run
    again, or the plot is closed, the run ends. (Cells are told apart by the id that JupyterLab, Notebook 7 and VS Code
    send; elsewhere say `run.stop()` before you train again.)

    ``save("run.html")`` writes what was recorded as a page that needs neither kernel nor network: curves, and if the
    run took snapshots the first filters and their maps, to be looked back on.

    Parameters
    ----------
    source
        A `Run`; a `History`, for instance of `History.from_csv`, to be looked at or played again; or a mapping of names
        to runs and histories (see `compare_runs`), whose runs go on when the plot is closed.
    layout
        The widget's `ipywidgets.Layout`, or its settings.

    Raises
    ------
    TypeError
        For anything else.

    Examples
    --------
    >>> from cnnviz import History  # doctest: +SKIP
    >>> LivePlot(History.from_csv("run.csv"))  # doctest: +SKIP
    LivePlot of recorded run: 10 epochs
    """

    _folder = Path(__file__).parent

    def __init__(self, source: Any, layout: Any = None) -> None:
        self._owns = not isinstance(source, Mapping)
        named = {"": source} if self._owns else source
        if not 1 <= len(named) <= _MOST_RUNS:
            raise ValueError(f"{len(named)} runs do not fit into one plot: give 1 to {_MOST_RUNS}")
        for name, one in named.items():
            if isinstance(one, type) or not hasattr(getattr(one, "history", one), "since"):
                of = f"run {_short(name)}: " if name else ""
                raise TypeError(f"{of}{_short(one)} is neither a Run nor a History: use what fit or from_csv returns")
        self._tracks = [Track(one, str(name)) for name, one in named.items()]
        self._ghosts: list[Track] = []
        self._lock = threading.Lock()  # what is sent stays in order
        self._thread: threading.Thread | None = None
        self._sent = self._answered = 0
        super().__init__(**({} if layout is None else {"layout": layout}))
        self.on_msg(self._told)

    @property
    def runs(self) -> list[Any]:
        """The runs on the plot; empty once it is closed."""
        return [track.run for track in self._tracks if track.run is not None]

    def _writers(self) -> dict[str, Any]:
        return {".html": super()._writers()[".html"]}

    def _page(self) -> str:
        tracks = self._recorded()
        content, buffers = self._packed(tracks, [track.news(whole=True) for track in tracks], whole=True)
        state = {"_recorded": {"content": content, "buffers": buffers}}
        return _saved.page(still.draw(repr(self), tracks), self._css, state, self._folder / "view.js")

    def _recorded(self) -> list[Track]:
        """Return what is known so far, as of runs that are over."""
        tracks = [Track(track.history, track.name) for track in self._tracks if track.history is not None]
        if not tracks:
            raise ValueError("the plot was closed and its runs are gone: save it before, or show the run again")
        return tracks

    def __repr__(self) -> str:
        tracks = [f"{track.name}: {track.epochs_planned} epochs" for track in self._tracks]
        return "LivePlot of " + "; ".join(tracks)  # nothing that depends on how far the training is

    # ---- from Python to the view -----------------------------------------------------------------------------------

    def _flush(self, whole: bool = False) -> None:
        """Send what the view does not have: to a new view, everything."""
        with self._lock:
            tracks = self._ghosts + self._tracks
            news = [track.news(whole) for track in tracks]
            if not any(news):
                return
            self._sent += 1
            self.send(*self._packed(tracks, news, whole))

    def _packed(self, tracks: list[Track], news: list, whole: bool) -> tuple[dict[str, Any], list[bytes]]:
        """Return what is new of tracks as one message and its buffers."""
        last = not any(track.going for track in tracks)
        words = [one and one[0] for one in news]
        points = np.array([value for one in news if one for value in one[1]], dtype="<f4").tobytes()
        pixels = b"".join(one[2] for one in news if one)
        content = {"kind": "whole" if whole else "more", "number": self._sent, "last": last, "tracks": words}
        return content, [points, pixels]

    def _publish(self) -> None:
        """Send at most four times a second until the plot is closed; the last news until the view has answered."""
        tries = 0
        while self.comm is not None:
            try:
                self._flush()
                going = any(track.going for track in self._tracks)
                time.sleep(_SECONDS if going else 1)
                if going:
                    tries = 0
                elif self._answered < self._sent and tries < 3:
                    tries += 1
                    self._flush(whole=True)
            except Exception as error:  # a thread's exception would show nowhere
                self.refuse(f"{type(error).__name__}: {error}")
                time.sleep(1)

    # ---- from the view to the runs ---------------------------------------------------------------------------------

    def _told(self, _: Any, content: Any, __: Any) -> None:
        try:
            self._obey(content)
        except Exception as error:  # it would show nowhere
            self.refuse(f"{type(error).__name__}: {error}")

    def _obey(self, content: dict[str, Any]) -> None:
        kind = content.get("kind")
        if kind == "heard":
            self._answered = max(self._answered, int(content["number"]))
            return
        going = [track.run for track in self._tracks if track.run is not None and track.going]
        for run in going:
            if kind == "lr":
                run.lr = float(content["value"])
            elif kind in ("stop", "pause", "resume"):
                getattr(run, kind)()
        if kind != "lr":  # a dragged slider sends sixty a second: the publisher answers it
            self._flush(whole=kind == "hello")

    # ---- its life --------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Announce the widget to the browser, once somebody asks for it, and begin to send."""
        super().open()
        if self.comm is None or _heartbeat.running_kernel() is None or self in _open:
            return
        _open.append(self)
        self._thread = threading.Thread(target=self._publish, name="cnnviz live plot", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the plot off its pages; a run that no other plot shows ends after its step."""
        super().close()
        if self in _open:
            _open.remove(self)
            self._let_go()

    def _let_go(self) -> None:
        """End the runs, and keep their curves alone: `Out` would hold networks and data for ever."""
        watched = [run for plot in _open if plot is not self for run in plot.runs]
        for run in self.runs if self._owns else []:
            if run not in watched:
                run.stop()
        with self._lock:
            for track in self._tracks:
                track.end()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        kernel = _heartbeat.running_kernel()
        if kernel is not None and self._owns:
            self._follow(*_notebook.running_cell(kernel))
        return bundle

    def _follow(self, cell: str, run: str) -> None:
        """Take over the curves of the plot that this cell showed the last time, in the same place."""
        if not cell:
            return
        last, plots, before = _cells.get(cell, ("", [], []))
        if last != run:
            plots, before = [], plots
        if self not in plots:
            plots.append(self)
            place = len(plots) - 1
            old = before[place] if place < len(before) else self
            if old is not self and set(_shown._shown.get(old, ())) <= {cell}:  # nobody looks at it elsewhere
                same = old.runs == self.runs
                old._let_go()  # it is taken off the page when the cell has ended
                self._ghosts = [*old._ghosts, *([] if same else old._tracks)][-_GHOSTS:]
        _cells[cell] = (run, plots, before)


def compare_runs(runs: Mapping[str, Any], layout: Any = None) -> LivePlot:
    """Show several runs on one plot, while they train or afterwards.

    Parameters
    ----------
    runs
        Names for the legend, and the `Run` or `History` of each; at most 6.
    layout
        The widget's `ipywidgets.Layout`, or its settings.

    Examples
    --------
    >>> compare_runs({"plain": run1, "residual": run2})  # doctest: +SKIP
    LivePlot of plain: 5 epochs; residual: 5 epochs
    """
    if not isinstance(runs, Mapping):
        raise TypeError(f'{_short(runs)} is not a mapping of names to runs: write compare_runs({{"plain": run}})')
    return LivePlot(runs, layout)
