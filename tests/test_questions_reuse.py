"""The exercises of notebook 15: right answers pass, wrong ones get the hint for their mistake."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from cnnviz.data import Data
from cnnviz.exercises import check
from cnnviz.training import fit

POINTS = torch.linspace(-1, 1, 40)[:, None, None, None]  # pictures of one pixel: negative, positive


def task(a_class=5):
    labels = (POINTS[:, 0, 0, 0] > 0).long()
    chosen = torch.arange(20 - a_class, 20 + a_class)
    return Data(POINTS[chosen], labels[chosen], POINTS, labels, ("down", "up"))


def run(slope, data=None):
    """A network that says "up" where slope * pixel > 0, left by training as it is."""
    network = nn.Sequential(nn.Flatten(), nn.Linear(1, 2))
    with torch.no_grad():
        network[1].weight.copy_(torch.tensor([[-slope], [slope]]))
        network[1].bias.zero_()
    made = fit(network, data or task(), epochs=1, lr=1e-9)
    made.result()
    return made


WRONG = run(-1.0)
RIGHT = run(1.0)


def test_ten_points_more_from_five_a_class():
    assert check("15-beat-scratch", [WRONG, RIGHT])
    repeated = replace(task(), train_x=task().train_x.repeat(8, 1, 1, 1), train_y=task().train_y.repeat(8))
    assert check("15-beat-scratch", (WRONG, run(1.0, repeated)))


@pytest.mark.parametrize(("answer", "hint"), [
    (lambda: [RIGHT, WRONG], "is worse than the first"),
    (lambda: [RIGHT, run(2.0)], "by less than ten points"),
    (lambda: [RIGHT, RIGHT], "one and the same run"),
    (lambda: [WRONG, run(1.0, task(6))], "more than five pictures of a class"),
    (lambda: [WRONG, run(1.0, replace(task(), test_x=POINTS * 2))], "tested with different pictures"),
    (lambda: [WRONG, 0.9], "Give two finished runs"),
    (lambda: RIGHT, "Give two finished runs"),
])  # fmt: skip
def test_other_pairs_get_their_hint(answer, hint):
    verdict = check("15-beat-scratch", answer())
    assert verdict.status == "not yet"
    assert hint in verdict.message


def test_a_run_that_still_goes_is_waited_for():
    going = fit(nn.Sequential(nn.Flatten(), nn.Linear(1, 2)), task(), epochs=10**6)
    assert "still going" in check("15-beat-scratch", [WRONG, going]).message
    going.stop()
    assert check("15-beat-scratch", [WRONG, ...]).status == "not attempted"


@pytest.mark.parametrize(("answer", "hint"), [
    (2560, "a bias too"), (513000, "the old head"), (11689512, "whole network"), (325, "small network"), (1, "A dense"),
])  # fmt: skip
def test_counts_of_parameters(answer, hint):
    assert check("15-trainable", 2565)
    assert hint in check("15-trainable", answer).message
