"""The exercises of notebook 07: channels that were switched off, and the place where a square costs most."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnviz.exercises._grading import NotAttempted, Question, Unreadable

DEAD = [3, 11, 15]  # of 32, the first three of torch's permutation with the seed 7
NEARLY = 0.99  # of the most that can be lost


def _channels(answer: Any, form: str) -> np.ndarray:
    """Read channel numbers in any order."""
    try:
        found = sorted(int(number) for number in answer)
    except (TypeError, ValueError):
        raise Unreadable(f"Give {form}, such as [0, 1, 2].") from None
    return np.array(found, dtype=float)


def _lost(occluder: Any, form: str) -> np.ndarray:
    """Read how much the square of an `Occluder` takes away where it is, as a share of the most it could."""
    if not all(hasattr(occluder, name) for name in ("heat", "place", "uncovered", "probabilities")):
        raise Unreadable(f"Give the widget itself, {form}.")
    if occluder.place == (0, 0):
        raise NotAttempted("The square is still in its corner. Drag it over the digit, then run this cell again.")
    before, heat = float(occluder.uncovered.max()), occluder.heat
    now = float(occluder.probabilities[int(occluder.uncovered.argmax())])
    share = (before - now) / (before - float(heat.min()))
    return np.array(1.0 if share >= NEARLY else share)


QUESTIONS = {
    "07-dead-channels": Question(
        right=DEAD,
        because="On no picture do they say anything: their maps are the same number everywhere.",
        form="three channel numbers",
        read=_channels,
        mistakes=[
            ([4, 12, 16], "The right maps, counted from 1. Channels are counted from 0."),
            (
                lambda n: len(n) < 3 and set(n) <= set(DEAD),
                "These are dead. Three were switched off: look for the rest.",
            ),
            (
                lambda n: len(n) > 3 and set(n) >= set(DEAD),
                "Some of these are only silent on one picture. Give `among` more pictures.",
            ),
            (
                lambda n: bool(set(n) & set(DEAD)),
                "Some are right. A dead channel is silent on every picture, so use `among` with many.",
            ),
        ],
        otherwise="inside.feature_maps(patient, picture, layer, among=more_pictures).dead lists them.",
    ),
    "07-occluder": Question(
        right=1,
        because="No other place takes more away: this piece of the stroke is what the answer hangs on.",
        form="the occluder whose square you dragged",
        read=_lost,
        mistakes=[
            (lambda share: share < 0.1, "Here the square costs hardly anything. Cover a stroke, and compare."),
            (lambda share: share < 0.6, "It costs something here. Follow the stroke: another piece costs far more."),
            (
                lambda share: share < 1,
                "Nearly. Move by single pixels with the arrow keys, and watch the lowest so far.",
            ),
        ],
    ),
}
