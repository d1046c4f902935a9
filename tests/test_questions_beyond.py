"""The exercises of notebook 17: their answers computed, and the hint for each typical mistake."""

import pytest
import torch

from cnnviz import check, models
from cnnviz.exercises._beyond import QUESTIONS


def euler(branch, x, steps):
    for _ in range(steps):
        x = x + branch(x) / steps
    return x


def right_answers() -> dict:
    pyramid = models.create("fpn", width_mult=0.125, channels=4).eval().pyramid(torch.zeros(1, 3, 224, 224))
    return {"17-euler-step": euler, "17-levels": [pyramid[level].shape[-1] for level in ("P3", "P4", "P5")]}


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_computed_answer_is_right_and_a_placeholder_is_not_attempted(name):
    assert check(name, right_answers()[name])
    assert check(name, ...).status == "not attempted"


def whole_steps(branch, x, steps):
    for _ in range(steps):
        x = x + branch(x)
    return x


def from_the_start(branch, x, steps):
    start = x
    for _ in range(steps):
        x = x + branch(start) / steps
    return x


def in_place(branch, x, steps):
    for _ in range(steps):
        x += branch(x) / steps
    return x


def bare(branch, x, steps):
    for _ in range(steps):
        x = branch(x) / steps
    return x


WRONG = [
    ("17-euler-step", bare, "add it"),
    ("17-euler-step", whole_steps, "end at time 4"),
    ("17-euler-step", lambda branch, x, steps: x + branch(x) / steps, "Repeat it"),
    ("17-euler-step", lambda branch, x, steps: x + branch(x), "where each step begins"),
    ("17-euler-step", from_the_start, "where each step begins"),
    ("17-euler-step", in_place, "in place"),
    ("17-euler-step", lambda branch, x, steps: x, "goes from x to x + branch(x) / steps"),
    ("17-euler-step", lambda branch, x, steps: x + branch(x) / steps**2, "goes from x to x + branch(x) / steps"),
    ("17-euler-step", lambda branch, x: x, "fails when it is called"),
    ("17-euler-step", lambda branch, x, steps: 3.0, "fails when it is called"),
    ("17-euler-step", lambda branch, x, steps: x[0], "the shape has to stay"),
    ("17-euler-step", torch.ones(3), "not its result"),
    ("17-levels", [7, 14, 28], "other order"),
    ("17-levels", [56, 28, 14], "P2 to P4"),
    ("17-levels", [8, 16, 32], "strides"),
    ("17-levels", [112, 56, 28], "2·2·2 = 8"),
    ("17-levels", [75, 56, 45], "power of two"),
    ("17-levels", [28**2, 14**2, 7**2], "one side"),
    ("17-levels", 28, "three whole numbers"),
    ("17-levels", [28, 14, 8], "32 x 32"),
]


@pytest.mark.parametrize(("name", "answer", "hint"), WRONG)
def test_a_typical_mistake_gets_its_hint(name, answer, hint):
    verdict = check(name, answer)
    assert verdict.status == "not yet"
    assert hint in verdict.message
