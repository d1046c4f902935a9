"""The exercises of notebook 07: right answers, the mistakes people make, and the network as the authority."""

from types import SimpleNamespace

import numpy as np
import torch

from cnnviz import check
from cnnviz.data import load
from cnnviz.models import bundled
from cnnviz.widgets.occluder import Occluder


def left(share: float) -> SimpleNamespace:
    """An occluder of which so much is left where its square is, and nothing at the best place."""
    probabilities = np.array([share, 1 - share])
    return SimpleNamespace(
        heat=np.array([[1.0, 0.0]]), place=(0, 1), uncovered=np.array([1.0, 0.0]), probabilities=probabilities
    )


def zero(position: tuple[int, int] = (0, 0)) -> Occluder:
    return Occluder(bundled.load("lenet5-digits"), load("digits").test_x[26], sizes=[6], position=position)


DRAWN = torch.randperm(32, generator=torch.Generator().manual_seed(7))[:3]  # those that the notebook switches off
RIGHT = {
    "07-dead-channels": [[3, 11, 15], (15, 3, 11), torch.tensor([11, 3, 15]), {3, 11, 15}, DRAWN],
    "07-occluder": [zero(zero().lowest)],
}
UNTRIED = {"07-occluder": [zero()]}  # a square that nobody moved
WRONG = {
    "07-dead-channels": [
        ([4, 12, 16], "counted from 0"),
        ([3, 11], "look for the rest"),
        ([3, 11, 15, 20], "silent on one picture"),
        ([3, 11, 20], "Some are right"),
        ([1, 2, 5], "feature_maps"),
        (3, "three channel numbers"),
        ("abc", "three channel numbers"),
    ],
    "07-occluder": [
        (left(0.95), "hardly anything"),
        (left(0.5), "another piece"),
        (left(0.1), "Nearly"),
        ((9, 16), "widget itself"),
    ],
}


def test_the_place_that_costs_most_is_right_and_few_others_are() -> None:
    square, right = zero(), []
    for row in range(27):
        for column in range(27):
            square.position = row, column
            right += [(row, column)] if check("07-occluder", square) else []
    assert square.lowest in right
    assert len(right) < 5
