"""The exercises of notebook 15: right answers pass, wrong ones get the hint for their mistake."""

from dataclasses import replace

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


WORSE, BETTER = run(-1.0), run(1.0)
REPEATED = replace(task(), train_x=task().train_x.repeat(8, 1, 1, 1), train_y=task().train_y.repeat(8))
RIGHT = {"15-beat-scratch": [[WORSE, BETTER], (WORSE, run(1.0, REPEATED))], "15-trainable": [2565]}
UNTRIED = {"15-beat-scratch": [[WORSE, ...]]}
WRONG = {
    "15-beat-scratch": [
        ([BETTER, WORSE], "is worse than the first"),
        ([BETTER, run(2.0)], "by less than ten points"),
        ([BETTER, BETTER], "one and the same run"),
        ([WORSE, run(1.0, task(6))], "more than five pictures of a class"),
        ([WORSE, run(1.0, replace(task(), test_x=POINTS * 2))], "tested with different pictures"),
        ([WORSE, 0.9], "Give two finished runs"),
        (BETTER, "Give two finished runs"),
    ],
    "15-trainable": [
        (2560, "a bias too"),
        (513000, "the old head"),
        (11689512, "whole network"),
        (325, "small network"),
        (11179077, "with the new head"),
        (11176512, "that are frozen"),
        (2561, "not one for all"),
        (3072, "not one for each feature"),
        (1, "A dense"),
    ],
}


def test_a_run_that_still_goes_is_waited_for():
    going = fit(nn.Sequential(nn.Flatten(), nn.Linear(1, 2)), task(), epochs=10**6)
    assert "still going" in check("15-beat-scratch", [WORSE, going]).message
    going.stop()
