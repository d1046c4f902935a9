"""The exercises of notebook 14: answers that test_exercises grades, with words of the hints."""

import torch
from torch import nn

from cnnviz import models
from cnnviz.models.squeezenet import Fire


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def dealt(groups: int) -> list[float]:
    return nn.ChannelShuffle(groups)(torch.arange(12.0).view(1, 12, 1, 1)).flatten().tolist()


def conv(*arguments: int, **options: bool) -> int:
    return parameters(nn.Conv2d(*arguments, **options))


FIRE2 = Fire(96, 16, 64)
RIGHT = {
    "14-shuffle": [dealt(3), torch.arange(12).view(3, 4).T],
    "14-fire": [parameters(models.create("squeezenet1_0").features[3])],
}
WRONG = {
    "14-shuffle": [
        (list(range(12)), "Nothing has moved"),
        (dealt(4), "4 apart"),
        ([one + 1 for one in dealt(3)], "counted from 0"),
        (list(range(11, -1, -1)), "backwards"),
        ([8, 9, 10, 11, *range(8)], "Whole groups"),
        ([*range(4, 12), 0, 1, 2, 3], "Whole groups"),
        ([0, 4, 8] * 4, "once"),
        ([0, 4, 8, 5, 1, 9, 2, 6, 10, 3, 7, 11], "begins well"),
        ([2, 6, 10, 0, 4, 8, 1, 5, 9, 3, 7, 11], "read the columns"),
        ([0, 4, 8], "12 numbers"),
        ("0 4 8", "is not 12 numbers"),
    ],
    "14-fire": [
        (sum(weight.numel() for weight in FIRE2.parameters() if weight.dim() > 1), "biases"),
        (parameters(FIRE2) - conv(96, 16, 1), "squeeze in front"),
        (parameters(FIRE2) - conv(16, 64, 1), "expansion by 1x1 is missing"),
        (parameters(FIRE2) - conv(16, 64, 3), "expansion by 3x3 is missing"),
        (conv(96, 16, 1) + 2 * conv(16, 64, 1), "nine weights"),
        (conv(96, 16, 1) + conv(96, 64, 1) + conv(96, 64, 3), "not the 96"),
        (conv(96, 128, 3), "what the fire module replaces"),
        (parameters(Fire(96, 16, 128)), "together they make the 128"),
        (conv(96, 16, 1) + 2 * conv(16, 64, 3), "Only one"),
        (12_000, "Three convolutions"),
    ],
}
