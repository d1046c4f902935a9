"""The exercise of notebook 00 with the draw pad: a seven that the network is sure of."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnviz.exercises._grading import NotAttempted, Question, Unreadable

SURE = 0.9


def _seen_as(pad: Any, form: str) -> np.ndarray:
    """Read what a `DrawPad` shows as (most probable digit, whether a seven has a probability above 0.9)."""
    if not all(hasattr(pad, name) for name in ("strokes", "example", "probabilities")):
        raise Unreadable(f"Give the widget itself, {form}.")
    if pad.example is not None:
        raise Unreadable("That is a scan, somebody else's. Press Clear and draw your own.")
    if not pad.strokes:
        raise NotAttempted("The paper is clean. Draw a 7 on it, then run this cell again.")
    probabilities = pad.probabilities
    return np.array([probabilities.argmax(), probabilities[7] > SURE], dtype=float)


def _taken_for(*digits: int) -> Any:
    return lambda seen: seen[0] in digits


QUESTIONS = {
    "00-seven": Question(
        right=[7, 1],
        because="A bar on top, a slanted stroke down: that is what its kernels look for in a 7.",
        form="the pad that you drew the 7 on",
        read=_seen_as,
        mistakes=[
            ([7, 0], "It says 7, but it is not sure. Draw the slanted stroke in one go, or cross it."),
            (_taken_for(1), "It sees a 1. Make the bar on top longer: as long as half of the height."),
            (_taken_for(9, 4), "It sees a closed loop. Leave the 7 open: one bar, one slanted stroke."),
            (
                _taken_for(2, 3, 5),
                "It sees another line at the bottom or a bend. End the slanted stroke below, straight.",
            ),
        ],
        otherwise="Draw large, in two lines: a bar on top from left to right, then slanted down to the left.",
    ),
}
