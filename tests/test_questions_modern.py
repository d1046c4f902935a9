"""The exercises of notebooks 11, 12, 16 and 18: their answers computed, and the hint for each typical mistake."""

import pytest
import torch
from torch import Tensor, nn

from cnnviz import Window, check, conv_cost, cost_table, images, models, trace
from cnnviz.exercises._modern import QUESTIONS


class Residual(nn.Module):
    """A block whose join is given, so that each exercise's mistake is one line."""

    def __init__(self, join) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        return self.join(x, self.branch(x))


def weights(in_channels: int, out_channels: int, kernel_size: int) -> int:
    return conv_cost(in_channels, out_channels, kernel_size, 1, bias=False).params


def right_answers() -> dict:
    maps = trace.correlate(images.grid("smiley"), [[0, 0, 1], [1, 0, 0], [0, 1, 1]], Window(3)).output[0]
    sixth = models.create("densenet121", small=True).features.denseblock1.denselayer6
    return {
        "11-identity": Residual(lambda x, branch: x + branch),
        "11-bottleneck": [weights(256, 64, 1) + weights(64, 64, 3) + weights(64, 256, 1), 2 * weights(256, 256, 3)],
        "12-inputs": sixth.conv1.in_channels,
        "12-growth-rate": (256 - 64) / 12,
        "16-budget": "mobilenet_v2",
        "16-flops": 2 * 4.09,
        "18-bottleneck": 2_408_448 / (28 * 28 * 192),
        "18-smiley": maps[2],
    }


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_computed_answer_is_right_and_a_placeholder_is_not_attempted(name):
    assert check(name, right_answers()[name])
    assert check(name, ...).status == "not attempted"


WRONG = [
    ("11-identity", Residual(lambda x, branch: (x + branch).relu()), "ReLU stands behind the addition"),
    ("11-identity", Residual(lambda x, branch: branch), "Nothing comes out"),
    ("11-identity", Residual(lambda x, branch: 2 * x + branch), "added twice"),
    ("11-identity", Residual(lambda x, branch: x - 1 + branch), "nothing behind the addition"),
    ("11-identity", nn.Identity(), "whatever the weights are"),
    ("11-identity", Residual, "calling its class"),
    ("11-identity", nn.Conv2d(3, 3, 1), "does not run on maps with 8 channels"),
    ("11-identity", nn.Conv2d(8, 4, 1), "the shape has to stay"),
    ("11-bottleneck", [1_179_648, 69_632], "in the other order"),
    ("11-bottleneck", [69_632, weights(256, 256, 3)], "two convolutions of 3x3"),
    ("11-bottleneck", [69_632, 5], "The bottleneck is right"),
    ("11-bottleneck", [5, 1_179_648], "The two 3x3 are right"),
    ("11-bottleneck", [weights(256, 64, 1) + weights(64, 64, 3), 1_179_648], "goes up to 256 again"),
    ("11-bottleneck", [70_016, 1_180_160], "biases"),
    ("12-inputs", 256, "does not read its own"),
    ("12-inputs", 160, "own input is read as well"),
    ("12-growth-rate", 192, "12 layers"),
    ("12-growth-rate", 32, "448"),
    ("16-budget", "resnet50", "over both budgets"),
    ("16-budget", "densenet121", "over both budgets"),
    ("16-budget", "squeezenet1_1", "more accurate"),
    ("16-budget", "alexnet", "The parameters are not"),
    ("16-budget", "lenet5", "is not the name of a network"),
    ("16-budget", 5, "is not the name of a network"),
    ("16-flops", 4.09, "two operations"),
    ("16-flops", 2.045, "other way round"),
    ("18-bottleneck", 32, "4,816,896"),
    ("18-bottleneck", 2_408_448, "This is the product"),
    ("18-smiley", [1, 0, 1, 2, 1], "row of the slide"),
    ("18-smiley", [1, 0, 5, 2, 1], "Four of them are right"),
]


@pytest.mark.parametrize(("name", "answer", "hint"), WRONG)
def test_a_typical_mistake_gets_its_hint(name, answer, hint):
    verdict = check(name, answer)
    assert verdict.status == "not yet"
    assert hint in verdict.message


def test_the_answer_leaves_a_block_as_it_was():
    block = Residual(lambda x, branch: x + branch)
    before = [weight.clone() for weight in block.parameters()]
    check("11-identity", block)
    assert block.training
    assert all(torch.equal(a, b) for a, b in zip(before, block.parameters(), strict=True))


def test_no_survivor_of_the_budget_beats_the_answer():
    published = models.published()
    totals = {name: cost_table(name).total for name in published if published[name].gmacs < 1.1}
    survivors = [name for name, total in totals.items() if total.macs < 1e9 and total.params < 5e6]
    assert max(survivors, key=lambda name: published[name].top1) == "mobilenet_v2"
    assert len(survivors) == 4


def test_flops_may_be_written_out():
    assert check("16-flops", 8_178_368_512)
