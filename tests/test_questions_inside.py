"""The exercises of notebook 07: right answers, the mistakes people make, and the network as the authority."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cnnviz.data import load
from cnnviz.exercises._inside import QUESTIONS
from cnnviz.models import bundled
from cnnviz.widgets.occluder import Occluder


def judge(name: str, answer: object):
    return QUESTIONS[name].judge(name, answer)


@pytest.fixture(scope="module")
def zero() -> Occluder:
    return Occluder(bundled.load("lenet5-digits"), load("digits").test_x[26], sizes=[6])


def left(share: float) -> SimpleNamespace:
    """An occluder of which so much is left where its square is, and nothing at the best place."""
    probabilities = np.array([share, 1 - share])
    return SimpleNamespace(
        heat=np.array([[1.0, 0.0]]), place=(0, 1), uncovered=np.array([1.0, 0.0]), probabilities=probabilities
    )


@pytest.mark.parametrize("answer", [[3, 11, 15], (15, 3, 11), torch.tensor([11, 3, 15]), {3, 11, 15}])
def test_the_dead_channels_in_any_order_are_right(answer) -> None:
    assert judge("07-dead-channels", answer).status == "right"


def test_they_are_those_that_the_notebook_switches_off() -> None:
    drawn = torch.randperm(32, generator=torch.Generator().manual_seed(7))[:3]
    assert judge("07-dead-channels", drawn)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([4, 12, 16], "counted from 0"),
        ([3, 11], "look for the rest"),
        ([3, 11, 15, 20], "silent on one picture"),
        ([3, 11, 20], "Some are right"),
        ([1, 2, 5], "feature_maps"),
        (3, "three channel numbers"),
        ("abc", "three channel numbers"),
    ],
)
def test_other_channels_get_their_hint(answer, words) -> None:
    verdict = judge("07-dead-channels", answer)
    assert verdict.status == "not yet"
    assert words in verdict.message


def test_the_place_that_costs_most_is_right_and_no_other_is(zero: Occluder) -> None:
    right = []
    for row in range(27):
        for column in range(27):
            zero.position = row, column
            right += [(row, column)] if judge("07-occluder", zero) else []
    assert zero.lowest in right
    assert len(right) < 5


@pytest.mark.parametrize(
    ("answer", "words"),
    [(left(0.95), "hardly anything"), (left(0.5), "another piece"), (left(0.1), "Nearly"), ((9, 16), "widget itself")],
)
def test_other_places_get_their_hint(answer, words) -> None:
    verdict = judge("07-occluder", answer)
    assert verdict.status == "not yet"
    assert words in verdict.message


def test_a_square_that_nobody_moved_is_not_attempted(zero: Occluder) -> None:
    zero.position = 0, 0
    assert judge("07-occluder", zero).status == judge("07-occluder", ...).status == "not attempted"
    assert judge("07-dead-channels", ...).status == "not attempted"


def test_no_hint_is_out_of_reach() -> None:
    tried = [[4, 12, 16], [3, 11], [3, 11, 15, 20], [3, 11, 20]]
    given = {judge("07-dead-channels", answer).message for answer in tried}
    given |= {judge("07-occluder", left(share)).message for share in (0.95, 0.5, 0.1)}
    assert {hint for question in QUESTIONS.values() for _, hint in question.mistakes} == given
