"""The exercise with the draw pad: answers that test_exercises grades, with words of the hints."""

from types import SimpleNamespace

import numpy as np

from cnnviz.widgets.draw_pad import DrawPad

SEVEN = [[(0.2, 0.15), (0.8, 0.15), (0.4, 0.9)]]
CROSSED = [*SEVEN, [(0.35, 0.5), (0.75, 0.5)]]


def pad_that_says(digit: int, probability: float) -> SimpleNamespace:
    probabilities = np.full(10, (1 - probability) / 9)
    probabilities[digit] = probability
    return SimpleNamespace(strokes=SEVEN, example=None, probabilities=probabilities)


RIGHT = {"00-seven": [DrawPad(strokes=SEVEN), DrawPad(strokes=CROSSED)]}
UNTRIED = {"00-seven": [DrawPad()]}
WRONG = {
    "00-seven": [
        (pad_that_says(7, 0.8), "not sure"),
        (pad_that_says(1, 0.9), "bar on top longer"),
        (pad_that_says(9, 0.9), "open"),
        (pad_that_says(2, 0.9), "at the bottom"),
        (pad_that_says(0, 0.9), "Draw large"),
        (DrawPad(example=7), "somebody else's"),
        (DrawPad(strokes=[[(0.5, 0.1), (0.5, 0.9)]]), "It sees a 1"),
        (7, "Give the widget itself"),
    ]
}
