"""The exercise with the draw pad: a seven is confirmed, anything else gets its hint."""

from types import SimpleNamespace

import numpy as np
import pytest

from cnnviz.exercises._drawing import QUESTIONS
from cnnviz.widgets.draw_pad import DrawPad

QUESTION = QUESTIONS["00-seven"]
SEVEN = [[(0.2, 0.15), (0.8, 0.15), (0.4, 0.9)]]
CROSSED = [*SEVEN, [(0.35, 0.5), (0.75, 0.5)]]


def judged(pad):
    return QUESTION.judge("00-seven", pad)


def pad_that_says(digit: int, probability: float) -> SimpleNamespace:
    probabilities = np.full(10, (1 - probability) / 9)
    probabilities[digit] = probability
    return SimpleNamespace(strokes=SEVEN, example=None, probabilities=probabilities)


@pytest.mark.parametrize("strokes", [SEVEN, CROSSED])
def test_a_seven_drawn_either_way_is_right(strokes):
    assert judged(DrawPad(strokes=strokes)).status == "right"


@pytest.mark.parametrize(
    ("pad", "words"),
    [
        (pad_that_says(7, 0.8), "not sure"),
        (pad_that_says(1, 0.9), "bar on top longer"),
        (pad_that_says(9, 0.9), "open"),
        (pad_that_says(2, 0.9), "at the bottom"),
        (pad_that_says(0, 0.9), "Draw large"),
        (DrawPad(example=7), "somebody else's"),
        (DrawPad(strokes=[[(0.5, 0.1), (0.5, 0.9)]]), "It sees a 1"),
        (7, "Give the widget itself"),
    ],
)
def test_anything_else_gets_its_hint(pad, words):
    verdict = judged(pad)
    assert verdict.status == "not yet"
    assert words in verdict.message


@pytest.mark.parametrize("untouched", [DrawPad(), ..., None])
def test_clean_paper_is_not_attempted(untouched):
    assert judged(untouched).status == "not attempted"
