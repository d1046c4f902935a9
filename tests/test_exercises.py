"""`check` confirms what is right, says nothing was tried while nothing was, and names the mistake that was made.

For all exercises: tables of answers to the later ones stand in answers_*.py and, beside tests of their own, in
test_questions_*.py.
"""

import json
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz import SlidingKernel, check
from cnnviz.exercises import QUESTIONS, names
from tests import answers_beyond as beyond
from tests import answers_depthwise as depthwise
from tests import answers_drawing as drawing
from tests import answers_groups as groups
from tests import test_questions_inside as inside
from tests import test_questions_learning as learning
from tests import test_questions_modern as modern
from tests import test_questions_networks as networks
from tests import test_questions_reuse as reuse
from tests.test_notebooks import NOTEBOOKS, code_cells, source

SHIFT = [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
FLIPPED = [[18, 20, 19], [10, 9, 17], [11, 8, 14]]
QUARTERS = [[0.25, 0.25], [0.25, 0.25]]


A1_IMAGE = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
A1_KERNEL = [[0, 1, 2], [2, 2, 0], [0, 1, 2]]


def widget(size=(3, 3)) -> SimpleNamespace:
    """Stand in for a `SlidingKernel`: what the exercise reads, and nothing else."""
    return SimpleNamespace(output=np.zeros((1, *size)))


RIGHT = {
    "00-four-by-four": [widget(size=(4, 4))],
    "01-shift-right": [SHIFT, np.array(SHIFT), torch.tensor(SHIFT), [[SHIFT]]],
    "01-true-convolution": [FLIPPED, np.array([FLIPPED])],
    "02-same-padding": [6, 6.0, np.int64(6)],
    "02-unread-rows": [1],
    "03-average-as-convolution": [(QUARTERS, 2), [np.full((1, 1, 2, 2), 0.25), (2, 2)]],
    "03-smallest-shift": [2],
    "04-parameters": [34944, "34944"],
    "04-redness": [(1, -1 / 2, -1 / 2), torch.tensor([1, -0.5, -0.5], requires_grad=True)],
}
# answer -> words of the hint that belongs to this mistake
WRONG = {
    "00-four-by-four": [
        (widget(size=(4, 3)), "two sides differ"),
        (widget(size=(5, 5)), "Padding 1"),
        (widget(size=(2, 2)), "stride of 2"),
        (widget(size=(1, 1)), "covers everything"),
        (widget(size=(7, 7)), "takes one place away"),
        ((4, 4), "the widget itself"),
        (4, "the widget itself"),
    ],
    "01-shift-right": [
        ([[0, 0, 0], [0, 0, 1], [0, 0, 0]], "moves left"),
        ([[0, 1, 0], [0, 0, 0], [0, 0, 0]], "moves down"),
        ([[0, 0, 0], [0, 0, 0], [0, 1, 0]], "moves up"),
        ([[0, 0, 0], [0, 1, 0], [0, 0, 0]], "identity"),
        ([[0, 0, 0], [1, 0, -1], [0, 0, 0]], "one pixel only"),
        ([[0, 0, 0], [2, 0, 0], [0, 0, 0]], "must be 1"),
        ([[1, 0, 0], [0, 0, 0], [0, 0, 0]], "corner"),
        (np.zeros((3, 3)), "Eight weights are 0"),
        ([1, 0, 0], "three rows of three numbers"),
        ([[0, 0], [1]], "three rows of three numbers"),
        ("left", "three rows of three numbers"),
        ([[0, 0, 0], [np.nan, 0, 0], [0, 0, 0]], "finite"),
    ],
    "01-true-convolution": [
        ([[12, 12, 17], [10, 17, 19], [9, 6, 14]], "cross-correlation"),
        ([[14, 6, 9], [19, 17, 10], [17, 12, 12]], "turned the output"),
        ([[17, 15, 20], [11, 13, 19], [8, 6, 12]], "transpose"),
        (np.zeros((3, 3)), "180 degrees"),
        (np.zeros((5, 5)), "shape (5, 5)"),
    ],
    "02-same-padding": [
        (2, "without dilation"),
        (12, "each side"),
        (6.5, "loses 12"),
        (7, "4 gaps"),
        (13, "the span"),
        (4, "steps of 3"),
        (5, "habit"),
        (0, "span of the window first"),
        ([6, 6], "one whole number"),
    ],
    "02-unread-rows": [
        (0, "Rounding down"),
        (2, "size of the output"),
        (6, "how many"),
        (3, "third window"),
        (-1, "rows that each window covers"),
    ],
    "03-average-as-convolution": [
        (([[1, 1], [1, 1]], 2), "add the four"),
        (([[0.5, 0.5], [0.5, 0.5]], 2), "twice the mean"),
        ((QUARTERS, 1), "overlap"),
        (([[1, 0], [0, 0]], 2), "alike"),
        (([[3, 3], [3, 3]], 2), "add up to 1"),
        ((np.full((3, 3), 1 / 9), 2), "2x2 numbers"),
        ((QUARTERS, (2, 1)), "same in both directions"),
        (QUARTERS[0], "2x2 numbers"),
        (0.25, "a pair"),
    ],
    "03-smallest-shift": [(1, "2 and 7"), (3, "closer to the edge"), (4, "width"), (0, "nothing"), (8, "leaving")],
    "04-parameters": [
        (34848, "bias too"),
        (34849, "its own"),
        (34851, "not to the input channels"),
        (363, "one filter"),
        (364, "one filter with its bias"),
        (11712, "all 3 input channels"),
        (3264, "121"),
        (3168, "121"),
        (105415200, "multiply-adds"),
        (105705600, "share"),
        (1, "How many filters"),
    ],
    "04-redness": [
        ((1, -1, -1), "sum of green and blue"),
        ((1, 0.5, 0.5), "signs"),
        ((-1, 0.5, 0.5), "opposite"),
        ((-0.5, -0.5, 1), "blueness"),
        ((-0.5, 1, -0.5), "greenness"),
        ((1, 0, 0), "white"),
        ((2, -1, -1), "times a number"),
        ((1 / 3, 1 / 3, 1 / 3), "Red minus"),
        ((1, -0.5), "three numbers"),
    ],
}


OF_NOTEBOOKS = (drawing, networks, learning, inside, modern, depthwise, groups, reuse, beyond)
for part in OF_NOTEBOOKS:
    RIGHT |= part.RIGHT
    WRONG |= part.WRONG
UNTRIED = {"00-four-by-four": [widget(), SlidingKernel()]}
for part in (drawing, inside, depthwise, reuse):
    UNTRIED |= part.UNTRIED


def each(answers: dict[str, list]) -> list[tuple[str, Any]]:
    return [(name, answer) for name, several in answers.items() for answer in several]


def test_every_exercise_is_tested() -> None:
    assert set(RIGHT) == set(WRONG) == set(names())


@pytest.mark.parametrize(("name", "answer"), each(RIGHT))
def test_a_right_answer_is_confirmed_with_its_reason(name: str, answer: object) -> None:
    verdict = check(name, answer)
    assert verdict
    assert str(verdict) == f"✓ {name}: right. {QUESTIONS[name].because}"


@pytest.mark.parametrize(("name", "answer", "words"), [(name, *given) for name, given in each(WRONG)])
def test_a_wrong_answer_gets_the_hint_for_that_mistake(name: str, answer: object, words: str) -> None:
    verdict = check(name, answer)
    assert not verdict
    assert verdict.status == "not yet"
    assert words in verdict.message
    assert len(str(verdict)) < 250


@pytest.mark.parametrize("name", names())
def test_no_hint_is_out_of_reach(name: str) -> None:
    given = {check(name, answer).message for answer, _ in WRONG[name]}
    assert {hint for _, hint in QUESTIONS[name].mistakes} <= given


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("answer", [None, ..., [..., ...], [[0, None], [0, 0]]])
def test_an_untouched_answer_is_not_attempted(name: str, answer: object) -> None:
    verdict = check(name, answer)
    assert not verdict
    assert verdict.status == "not attempted"


@pytest.mark.parametrize(("name", "answer"), each(UNTRIED))
def test_a_widget_or_a_pair_that_nobody_touched_is_not_attempted(name: str, answer: object) -> None:
    assert check(name, answer).status == "not attempted"


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("answer", ["?", object(), [], {}, np.inf, [[1], [2, 3]], 1j, "x" * 500, True])
def test_nonsense_is_answered_in_words_and_in_one_line(name: str, answer: object) -> None:
    verdict = check(name, answer)
    assert "\n" not in str(verdict)
    assert len(str(verdict)) < 250
    assert bool(verdict) is (name == "02-unread-rows" and answer is True)


def test_every_exercise_is_asked_in_its_notebook_and_every_question_asked_is_known() -> None:
    asked = {
        (path.name[:2], name)
        for path in NOTEBOOKS
        for cell in code_cells(json.loads(path.read_text(encoding="utf-8")))
        for name in re.findall(r"""\bcheck\(\s*["']([^"']+)["']""", source(cell))
    }
    assert asked == {(name[:2], name) for name in names()}


def test_an_unknown_exercise_is_named_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="no exercise is called '02-unread-row': did you mean '02-unread-rows'"):
        check("02-unread-row", 1)
    with pytest.raises(ValueError, match=re.escape("the exercises are 00-four-by-four, 00-seven")):
        check(5, 1)


# The answers themselves, held to torch.


def test_the_shift_moves_a_picture_right_by_one_column() -> None:
    picture = torch.arange(30.0).reshape(1, 1, 5, 6)
    moved = nn.functional.conv2d(picture, torch.tensor([[SHIFT]], dtype=torch.float32), padding=1)
    assert torch.equal(moved[..., 1:], picture[..., :-1])


def test_the_true_convolution_is_the_correlation_with_the_turned_kernel() -> None:
    image, kernel = torch.tensor([[A1_IMAGE]]), torch.tensor([[A1_KERNEL]])
    assert nn.functional.conv2d(image, kernel.flip(2, 3))[0, 0].tolist() == QUESTIONS["01-true-convolution"].right


def test_the_padding_keeps_the_size() -> None:
    padding = QUESTIONS["02-same-padding"].right
    assert nn.Conv2d(1, 1, 5, dilation=3, padding=padding)(torch.zeros(1, 1, 20, 20)).shape[2:] == (20, 20)


def test_one_row_is_not_read() -> None:
    picture = torch.zeros(1, 1, 7, 7, requires_grad=True)
    nn.functional.conv2d(picture, torch.ones(1, 1, 3, 3), stride=3).sum().backward()
    assert int((picture.grad[0, 0].sum(dim=1) == 0).sum()) == QUESTIONS["02-unread-rows"].right


def test_the_convolution_is_the_average_pool() -> None:
    *kernel, stride = QUESTIONS["03-average-as-convolution"].right
    picture = torch.rand(1, 1, 6, 8)
    mean = nn.functional.conv2d(picture, torch.tensor(kernel).reshape(1, 1, 2, 2), stride=int(stride))
    assert torch.allclose(mean, nn.AvgPool2d(2)(picture))


def test_the_shift_is_the_smallest_that_changes_the_max_pool() -> None:
    picture = torch.zeros(1, 4, 12)
    picture[0, 0, [1, 6]] = 1
    pooled = [nn.MaxPool2d(4)(picture.roll(shift, dims=2)) for shift in range(5)]
    assert [torch.equal(pooled[0], other) for other in pooled].index(False) == QUESTIONS["03-smallest-shift"].right


def test_the_layer_has_that_many_parameters() -> None:
    layer = nn.Conv2d(3, 96, 11)
    assert sum(p.numel() for p in layer.parameters()) == QUESTIONS["04-parameters"].right


def test_redness_of_grey_is_nothing() -> None:
    assert np.isclose(np.dot(QUESTIONS["04-redness"].right, [0.3, 0.3, 0.3]), 0)


# The widget itself, in place of the stand-in above.


@pytest.mark.parametrize("opened", [{"kernel_size": 2}, {"height": 6, "width": 6}, {"kernel_size": 4, "padding": 1}])
def test_a_real_widget_with_a_map_of_four_by_four_is_right(opened: dict) -> None:
    assert check("00-four-by-four", SlidingKernel(**opened))


def test_the_weights_of_a_real_widget_are_an_answer() -> None:
    assert check("01-shift-right", SlidingKernel(kernel=SHIFT, padding=1).weights)
