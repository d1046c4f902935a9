"""The exercises of notebooks 11, 12, 16 and 18: their answers computed, and the hint for each typical mistake."""

import torch
from torch import Tensor, nn

from cnnviz import Window, check, conv_cost, cost_table, images, models, trace


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


SIXTH = models.create("densenet121", small=True).features.denseblock1.denselayer6
SMILEY = trace.correlate(images.grid("smiley"), [[0, 0, 1], [1, 0, 0], [0, 1, 1]], Window(3)).output[0]
RIGHT = {
    "11-identity": [Residual(lambda x, branch: x + branch)],
    "11-bottleneck": [[weights(256, 64, 1) + weights(64, 64, 3) + weights(64, 256, 1), 2 * weights(256, 256, 3)]],
    "12-inputs": [SIXTH.conv1.in_channels],
    "12-growth-rate": [(256 - 64) / 12],
    "16-budget": ["mobilenet_v2"],
    "16-flops": [2 * 4.09, 8_178_368_512],  # also written out
    "18-bottleneck": [2_408_448 / (28 * 28 * 192)],
    "18-smiley": [SMILEY[2]],
}
WRONG = {
    "11-identity": [
        (Residual(lambda x, branch: (x + branch).relu()), "ReLU stands behind the addition"),
        (Residual(lambda x, branch: branch), "Nothing comes out"),
        (Residual(lambda x, branch: 2 * x + branch), "added twice"),
        (Residual(lambda x, branch: x - 1 + branch), "nothing behind the addition"),
        (nn.Identity(), "whatever the weights are"),
        (Residual, "calling its class"),
        (nn.Conv2d(3, 3, 1), "does not run on maps with 8 channels"),
        (nn.Conv2d(8, 4, 1), "the shape has to stay"),
    ],
    "11-bottleneck": [
        ([1_179_648, 69_632], "in the other order"),
        ([69_632, weights(256, 256, 3)], "two convolutions of 3x3"),
        ([69_632, 5], "The bottleneck is right"),
        ([5, 1_179_648], "The two 3x3 are right"),
        ([weights(256, 64, 1) + weights(64, 64, 3), 1_179_648], "goes up to 256 again"),
        ([70_016, 1_180_160], "biases"),
        ([weights(64, 64, 3), 1_179_648], "the 3x3 alone"),
        ([weights(256, 64, 1) + weights(256, 256, 3) + weights(64, 256, 1), 1_179_648], "both ends are narrow"),
    ],
    "12-inputs": [
        (256, "does not read its own"),
        (160, "own input is read as well"),
        (192, "what layer 5 reads"),
        (96, "what layer 2 reads"),
        (32, "come out of each layer"),
        (64, "Each layer adds 32"),
        (128, "a layer's bottleneck"),
    ],
    "12-growth-rate": [
        (192, "12 layers"),
        (32, "448"),
        (256 / 12, "need not be grown"),
        (17, "11 layers"),
        (20, "would be 304"),
    ],
    "16-budget": [
        ("resnet50", "over both budgets"),
        ("densenet121", "over both budgets"),
        ("squeezenet1_1", "more accurate"),
        ("alexnet", "The parameters are not"),
        ("lenet5", "is not the name of a network"),
        (5, "is not the name of a network"),
    ],
    "16-flops": [
        (4.09, "two operations"),
        (2.045, "other way round"),
        (4.12, "batch norm and the rest"),
    ],
    "18-bottleneck": [
        (32, "4,816,896"),
        (2_408_448, "This is the product"),
        (192, "channels that come in"),
        (8, "multiply-adds that you halved"),
    ],
    "18-smiley": [
        ([1, 0, 1, 2, 1], "row of the slide"),
        ([1, 0, 5, 2, 1], "Four of them are right"),
        (SMILEY, "This is a whole map"),
    ],
}


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
