"""The exercises of notebooks 05, 08, 09 and 10: right answers, the mistakes people make, and torch as the authority."""

import numpy as np
import pytest
import torch
from torch import nn

from cnnviz import cost_table, models
from cnnviz.exercises._networks import QUESTIONS


def layer(weight, bias=(7, 8)) -> nn.Conv2d:
    """Return a 1x1 convolution with these numbers."""
    weight = torch.tensor(weight, dtype=torch.float32)
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=bias is not None)
    conv.weight.data = weight[:, :, None, None]
    if bias is not None:
        conv.bias.data = torch.tensor(bias, dtype=torch.float32)
    return conv


LINEAR = ([[1, 2, 3], [4, 5, 6]], [7, 8])  # weights and biases of the notebook's dense layer, which is to be copied
COPIED = LINEAR[0]
RIGHT = {
    "05-mnist-padding": [2, "2"],
    "05-connections": [122304, np.int64(122304)],
    "08-group-weights": [307200],
    "08-initialisation": ["he", " He", "kaiming"],
    "09-stack-of-threes": [5],
    "09-conv5-3": [196],
    "10-bottleneck": [154],
    "10-linear": [layer(*LINEAR)],
}
# answer -> words of the hint that belongs to this mistake
WRONG = {
    "05-mnist-padding": [
        (0, "4x4"),
        (1, "26, 13, 9"),
        (3, "not the smallest"),
        (4, "each side"),
        (5, "size of the window"),
        (32, "made for"),
    ],
    "05-connections": [
        (117600, "multiply-adds"),
        (156, "parameters"),
        (4704, "26 connections"),
        (20384, "There are six."),
        (19600, "six maps"),
        (159744, "not 32x32."),
        (153600, "And each output"),
        (117606, "once a filter"),
        (1, "Count the outputs"),
    ],
    "08-group-weights": [
        (614400, "whole layer without groups. How"),
        (307456, "biases stay"),
        (614656, "with its biases"),
        (153600, "256 filters"),
        (460800, "256 filters"),
        (223948800, "multiply-adds"),
        (2, "how many is that"),
        (0.5, "how many is that"),
        (1, "half of the channels?"),
    ],
    "08-initialisation": [
        ("xavier", "keep a signal through tanh"),
        ("torch", "2.4 times too small"),
        ("paper", "far wider layers"),
        ("zeros", "is not the name of an initialisation: he, xavier, torch, paper"),
        (2, "is not the name of an initialisation"),
    ],
    "09-stack-of-threes": [
        (4, "see 9"),
        (6, "see 13"),
        (3, "overlap"),
        (10, "both sides"),
        (9, "weights of one window"),
        (11 / 3, "dividing"),
        (25, "further layer"),
    ],
    "09-conv5-3": [
        (212, "behind conv5_3"),
        (164, "conv5_2"),
        (132, "conv5_1"),
        (27, "without pools"),
        (31, "twice as long"),
        (181, "1 + 2 + 4 + 8"),
        (224, "a little less"),
        (14, "size of the map"),
        (3, "own window"),
        (100, "Go forward"),
    ],
    "10-bottleneck": [
        (155, "One fewer"),
        (154.84, "whole channels"),
        (16, "GoogLeNet"),
        (192, "no bottleneck"),
        (191, "well below"),
        (32, "come out"),
        (153, "one more"),
        (100, "784"),
    ],
    "10-linear": [
        (layer([[1, 4, 2], [5, 3, 6]]), "swapped"),
        (layer(COPIED, bias=None), "missing"),
        (layer(COPIED, bias=(0, 0)), "missing"),
        (layer(COPIED, bias=(8, 7)), "two biases"),
        (layer(COPIED, bias=(1, 1)), "biases are not yet"),
        (layer([[0, 0, 0], [0, 0, 0]]), "weights are not yet"),
        (layer([[0, 0, 0], [0, 0, 0]], bias=(0, 0)), "two more axes"),
        (layer([[1, 4], [2, 5], [3, 6]]), "(3, 2, 1, 1)"),
        (nn.Linear(3, 2), "four axes"),
        (COPIED, "itself"),
    ],
}


# The answers themselves, held to torch and to the networks.


def test_the_padding_is_the_smallest_with_which_lenet_takes_mnist() -> None:
    picture = torch.zeros(1, 1, 28, 28)
    right = QUESTIONS["05-mnist-padding"].right
    assert models.create("lenet5", padding=right)(picture).shape == (1, 10)
    for padding in range(right):
        with pytest.raises(ValueError, match=r"features\.6"):
            models.create("lenet5", padding=padding)(picture)
    assert models.create("lenet5", padding=3)(picture).shape == (1, 10)  # as the hint says


def test_connections_are_the_products_and_biases_of_every_output() -> None:
    conv = nn.Conv2d(1, 6, 5)
    nn.init.ones_(conv.weight)
    nn.init.ones_(conv.bias)
    assert int(conv(torch.ones(1, 1, 32, 32)).sum().item()) == QUESTIONS["05-connections"].right


def test_two_groups_save_half_of_the_weights() -> None:
    whole, halved = nn.Conv2d(96, 256, 5, padding=2), nn.Conv2d(96, 256, 5, padding=2, groups=2)
    assert whole.weight.numel() - halved.weight.numel() == QUESTIONS["08-group-weights"].right
    conv2 = cost_table("alexnet_2012").rows[4]
    assert conv2.params == sum(p.numel() for p in halved.parameters()) == 307456
    assert (whole.weight.numel() - halved.weight.numel()) * 27 * 27 == 223948800  # as the hint says


def seen_by(layers: nn.Module, size: int) -> int:
    """Return how many rows of the picture change the middle output, by gradients."""
    picture = torch.zeros(1, 1, size, 1, requires_grad=True)
    out = layers(picture)
    out[0, 0, out.shape[2] // 2, 0].backward()
    return int((picture.grad != 0).sum())


def stack(*counts: int) -> nn.Sequential:
    """Return columns of 3x1 convolutions of ones, a 2x1 mean between two counts."""
    layers = nn.Sequential()
    for group, count in enumerate(counts):
        if group:
            layers.append(nn.AvgPool2d((2, 1)))
        for _ in range(count):
            conv = nn.Conv2d(1, 1, (3, 1), padding=(1, 0), bias=False)
            nn.init.constant_(conv.weight, 1 / 3)
            layers.append(conv)
    return layers


def test_what_a_stack_sees_is_what_gradients_reach() -> None:
    assert seen_by(stack(QUESTIONS["09-stack-of-threes"].right), 41) == 11
    assert seen_by(stack(2, 2, 3, 3, 3), 512) == QUESTIONS["09-conv5-3"].right
    assert [row.receptive_field for row in cost_table("vgg16") if row.kind == "Conv2d"][-1] == (196, 196)


def test_the_bottleneck_is_the_widest_that_saves() -> None:
    def macs(width: int) -> int:
        layers = nn.Sequential(nn.Conv2d(192, width, 1), nn.Conv2d(width, 32, 5, padding=2))
        return cost_table(layers, (192, 28, 28)).total.macs

    direct = cost_table(nn.Conv2d(192, 32, 5, padding=2), (192, 28, 28)).total.macs
    right = QUESTIONS["10-bottleneck"].right
    assert macs(right) < direct < macs(right + 1)
    assert (direct, macs(16), macs(155)) == (120422400, 12443648, 120547840)


def test_the_convolution_is_the_dense_layer_at_every_pixel() -> None:
    dense = nn.Linear(3, 2)
    dense.weight.data, dense.bias.data = (torch.tensor(values, dtype=torch.float32) for values in LINEAR)
    picture = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    by_pixel = dense(picture.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    assert torch.allclose(layer(*LINEAR)(picture), by_pixel, atol=1e-5)


@pytest.mark.parametrize(("init", "kept"), [("he", 1), ("xavier", 1 / 2), ("torch", 1 / 6)])
def test_what_each_initialisation_keeps_of_a_signals_square_behind_a_relu(init: str, kept: float) -> None:
    torch.manual_seed(0)
    layer = models.create("alexnet_2012", init=init, groups=1, small=True, width_mult=0.5).features[10]
    assert (layer.in_channels, layer.out_channels) == (192, 192)
    variance = layer.weight.var().item() * 9 * 192  # of a sum, times the mean square of its inputs
    assert variance / 2 == pytest.approx(kept, rel=0.05)  # half of the sums are negative
