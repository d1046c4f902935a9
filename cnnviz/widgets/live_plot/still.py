"""What a saved plot shows where no script runs: the filters of the snapshots, before and after."""

from __future__ import annotations

from cnnviz.inside._pictures import Group, painted
from cnnviz.widgets._drawing import Drawing, Words
from cnnviz.widgets.live_plot.tracks import MAPS, Track, filters_of

TILE, LEFT, LINE = 48, 16, 26


def draw(title: str, tracks: list[Track]) -> Drawing:
    """Draw the filters of the first and of the last snapshot of each run, on one scale, below what the run reached."""
    drawing = Drawing(LEFT + MAPS * (TILE + 4) + LEFT, LINE, title, title)
    for track in tracks:
        _words(drawing, f"{track.name}: {track.history!r}", bold=True)
        shots = track.history.snapshots
        ends = [shots[0], shots[-1]] if shots else []
        filters = [list(shot["filters"][:MAPS]) for _, shot in ends]
        tiles = [one if len(one) == 3 else one[0] for several in filters for one in several]
        pixels = iter(painted(Group(tiles)) if tiles else [])
        for (epoch, _), several in zip(ends, filters, strict=True):
            _words(drawing, f"{filters_of(track.history)}, epoch {epoch}")
            for column, _ in enumerate(several):
                drawing.pictures.append((LEFT + column * (TILE + 4), drawing.height, TILE, TILE, next(pixels)))
            drawing.height += TILE + LINE // 2
    return drawing


def _words(drawing: Drawing, text: str, bold: bool = False) -> None:
    drawing.height += LINE
    drawing.words.append(Words(LEFT, drawing.height - 8, text[:100], bold=bold))
