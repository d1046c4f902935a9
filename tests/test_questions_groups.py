"""The exercises of notebook 14: their answers computed, and the hint for each typical mistake."""

import pytest
import torch
from torch import nn

from cnnviz import check, models
from cnnviz.exercises._groups import QUESTIONS
from cnnviz.models.squeezenet import Fire


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def dealt(groups: int) -> list[float]:
    return nn.ChannelShuffle(groups)(torch.arange(12.0).view(1, 12, 1, 1)).flatten().tolist()


def test_the_computed_answers_are_right():
    assert check("14-shuffle", dealt(3))
    assert check("14-shuffle", torch.arange(12).view(3, 4).T)
    assert check("14-fire", parameters(models.create("squeezenet1_0").features[3]))
    for name in QUESTIONS:
        assert check(name, ...).status == "not attempted"


def conv(*arguments: int, **options: bool) -> int:
    return parameters(nn.Conv2d(*arguments, **options))


FIRE2 = Fire(96, 16, 64)
WRONG = [
    ("14-shuffle", list(range(12)), "Nothing has moved"),
    ("14-shuffle", dealt(4), "4 apart"),
    ("14-shuffle", [one + 1 for one in dealt(3)], "counted from 0"),
    ("14-shuffle", list(range(11, -1, -1)), "backwards"),
    ("14-shuffle", [8, 9, 10, 11, *range(8)], "Whole groups"),
    ("14-shuffle", [*range(4, 12), 0, 1, 2, 3], "Whole groups"),
    ("14-shuffle", [0, 4, 8] * 4, "once"),
    ("14-shuffle", [0, 4, 8, 5, 1, 9, 2, 6, 10, 3, 7, 11], "begins well"),
    ("14-shuffle", [2, 6, 10, 0, 4, 8, 1, 5, 9, 3, 7, 11], "read the columns"),
    ("14-shuffle", [0, 4, 8], "12 numbers"),
    ("14-shuffle", "0 4 8", "is not 12 numbers"),
    ("14-fire", sum(weight.numel() for weight in FIRE2.parameters() if weight.dim() > 1), "biases"),
    ("14-fire", parameters(FIRE2) - conv(96, 16, 1), "squeeze in front"),
    ("14-fire", parameters(FIRE2) - conv(16, 64, 1), "expansion by 1x1 is missing"),
    ("14-fire", parameters(FIRE2) - conv(16, 64, 3), "expansion by 3x3 is missing"),
    ("14-fire", conv(96, 16, 1) + 2 * conv(16, 64, 1), "nine weights"),
    ("14-fire", conv(96, 16, 1) + conv(96, 64, 1) + conv(96, 64, 3), "not the 96"),
    ("14-fire", conv(96, 128, 3), "what the fire module replaces"),
    ("14-fire", parameters(Fire(96, 16, 128)), "together they make the 128"),
    ("14-fire", conv(96, 16, 1) + 2 * conv(16, 64, 3), "Only one"),
    ("14-fire", 12_000, "Three convolutions"),
]


@pytest.mark.parametrize(("name", "answer", "hint"), WRONG)
def test_a_wrong_answer_gets_its_hint(name, answer, hint):
    verdict = check(name, answer)
    assert not verdict
    assert hint in verdict.message


def test_every_hint_can_be_reached():
    """A mistake that another one in front of it always catches would be dead text."""
    given = {check(name, answer).message for name, answer, _ in WRONG}
    for question in QUESTIONS.values():
        assert {hint for _, hint in question.mistakes} <= given
