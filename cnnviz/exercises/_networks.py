"""The exercises of notebooks 05, 08, 09 and 10: LeNet, AlexNet, VGG, Inception."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnviz.exercises._grading import ONE_NUMBER, Question, Unreadable, numbers

STARTS = ("he", "xavier", "torch", "paper")  # of models.create("alexnet_2012", init=...)
ALSO = {"kaiming": "he", "glorot": "xavier", "pytorch": "torch", "default": "torch"}


def _weights_and_biases(layer: Any, form: str) -> np.ndarray:
    """Read a 1x1 convolution of 3 channels and 2 filters as its six weights and two biases."""
    if not hasattr(layer, "weight") or not hasattr(layer, "bias"):
        raise Unreadable(f"Give {form}.")
    weight = numbers(layer.weight, form)
    if weight.shape == (2, 3):
        raise Unreadable("This is a dense layer. A convolution's weights have four axes: (2, 3, 1, 1).")
    if weight.shape != (2, 3, 1, 1):
        raise Unreadable(f"The weights have the shape {weight.shape}; nn.Conv2d(3, 2, kernel_size=1) has (2, 3, 1, 1).")
    bias = np.zeros(2) if layer.bias is None else numbers(layer.bias, form)
    return np.array([*weight.ravel(), *bias.ravel()])


def _initialisation(answer: Any, form: str) -> np.ndarray:
    """Read the name of an initialisation as its place in the list of them."""
    word = str(answer).strip().lower()
    if not isinstance(answer, str) or ALSO.get(word, word) not in STARTS:
        raise Unreadable(f"{str(answer)[:40]!r} is not {form}: {', '.join(STARTS)}.")
    return np.array(STARTS.index(ALSO.get(word, word)))


QUESTIONS = {
    "05-mnist-padding": Question(
        right=2,
        because="28 + 2·2 = 32, the size that LeNet was made for.",
        form=ONE_NUMBER,
        mistakes=[
            (0, "Without padding the last maps are 4x4, and the window of C5 is 5x5."),
            (1, "30 gives maps of 26, 13, 9 and 4: still too small for the window of 5x5."),
            (3, "3 runs too: 30, 15, 11, 5, 1. But it is not the smallest, and the second pool leaves a row unread."),
            (4, "4 pixels are missing in all. Padding is counted on each side."),
            (5, "5 is the size of the window. How many pixels are missing on each side?"),
        ],
        otherwise="LeNet was made for 32x32. How many pixels are missing on each side of a picture of 28x28?",
    ),
    "05-connections": Question(
        right=122304,
        because="Each of 6·28·28 outputs has 25 weights and a bias: 4,704·26.",
        form=ONE_NUMBER,
        mistakes=[
            (117600, "These are the multiply-adds. The paper counts the wire to the bias too: 26 an output."),
            (156, "These are the parameters. Each is used again at every place of its map."),
            (4704, "This is the number of outputs. Each of them has 26 connections."),
            (20384, "This is one map. There are six."),
            (19600, "This is one map without its biases. There are six maps, and each output has a bias."),
            (159744, "C1 has no padding, so its maps are 28x28, not 32x32."),
            (153600, "C1 has no padding, so its maps are 28x28, not 32x32. And each output has a bias."),
            (117606, "Here the bias counts once a filter. Each output has a connection to it."),
        ],
        otherwise="Count the outputs of C1 first; each has one connection a weight of its filter, and one to the bias.",
    ),
    "08-group-weights": Question(
        right=307200,
        because="5·5·96·256 = 614,400 without groups; with two, each filter sees 48 channels: 307,200 are saved.",
        form=ONE_NUMBER,
        mistakes=[
            (614400, "This is the whole layer without groups. How many of these stay?"),
            (307456, "This is what the layer has with two groups, biases too. Weights saved: the biases stay."),
            (614656, "This is the whole layer without groups, with its biases. How many weights go?"),
            (153600, "Only the channels that a filter sees are halved. All 256 filters stay."),
            (460800, "Only the channels that a filter sees are halved. All 256 filters stay."),
            (223948800, "These are the multiply-adds saved. Weights are shared by all 27·27 places."),
            (2, "Half of the weights; how many is that?"),
            (0.5, "Half of the weights; how many is that?"),
        ],
        otherwise="Without groups a filter of conv2 has 5·5·96 weights. And with half of the channels?",
    ),
    "08-initialisation": Question(
        right=STARTS.index("he"),
        because="A ReLU throws half of the signal's square away. He's weights, of variance 2 / inputs, make up for it.",
        form="the name of an initialisation",
        read=_initialisation,
        mistakes=[
            (
                STARTS.index("xavier"),
                "Xavier's weights keep a signal through tanh. ReLU halves its square in every layer.",
            ),
            (
                STARTS.index("torch"),
                "PyTorch's own weights are 2.4 times too small here: layer by layer, less arrives.",
            ),
            (
                STARTS.index("paper"),
                "0.01 for every layer was made for far wider layers, a million pictures and 90 passes.",
            ),
        ],
    ),
    "09-stack-of-threes": Question(
        right=5,
        because="Each layer adds 2 pixels: 3, 5, 7, 9, 11.",
        form=ONE_NUMBER,
        mistakes=[
            (4, "Four see 9: 3, 5, 7, 9."),
            (6, "Six see 13: 3, 5, 7, 9, 11, 13."),
            (3, "Three see 7. The views overlap, so they do not add up to 3 + 3 + 3."),
            (10, "Each layer adds a pixel on both sides, so 2, not 1."),
            (9, "9 is the number of weights of one window. Each layer adds 2 pixels to the view."),
            (lambda n: n.shape == () and 3.5 < n < 4, "The views overlap, so dividing 11 by 3 does not help."),
        ],
        otherwise="One layer sees 3 pixels, two see 5. What does each further layer add?",
    ),
    "09-conv5-3": Question(
        right=196,
        because="Four pools double the step, so the groups add 4, 8, 24, 48 and 96, the pools 1, 2, 4, 8.",
        form=ONE_NUMBER,
        mistakes=[
            (212, "This is what the pool behind conv5_3 sees."),
            (164, "This is conv5_2. One more layer adds 2 steps of 16 pixels."),
            (132, "This is conv5_1. Two more layers follow, each adding 2 steps of 16 pixels."),
            (27, "Thirteen layers of 3x3 without pools see 27. Behind a pool each step is twice as long."),
            (31, "The pools do more than add their own pixel: behind each, every step is twice as long."),
            (181, "The pools see a little too: each adds one step of its own place, 1 + 2 + 4 + 8."),
            (224, "This is the picture. conv5_3 sees a little less."),
            (14, "This is the size of the map. How many pixels of the picture reach one of its values?"),
            (3, "This is its own window, on the maps of conv5_2. How many pixels of the picture is that?"),
        ],
        otherwise="Go forward from the picture: a 3x3 adds 2 steps, a 2x2 pool adds 1 step and doubles the step.",
    ),
    "10-bottleneck": Question(
        right=154,
        because="Each channel costs (192 + 25·32)·784 = 777,728 MACs; 154 of them 119.8 million, 155 already 120.5.",
        form=ONE_NUMBER,
        mistakes=[
            (155, "155 costs 120,547,840: more than 120,422,400. One fewer."),
            (lambda n: n.shape == () and 154 < n < 155, "The line is crossed here. A bottleneck has whole channels."),
            (16, "16 is the width that GoogLeNet uses. How wide may it be until nothing is saved?"),
            (192, "192 wide is no bottleneck: the 5x5 costs what it did, and the 1x1 comes on top."),
            (191, "The 1x1 costs something too, so the line lies well below 192."),
            (32, "32 is the number of maps that come out. The bottleneck may be wider than that."),
            (153, "153 saves, and so does one more."),
        ],
        otherwise="Write the cost for a width w: 784·(192·w + 25·w·32). For which w is it 120,422,400?",
    ),
    "10-linear": Question(
        right=[1, 2, 3, 4, 5, 6, 7, 8],
        because="The same weights with two axes of length 1 behind: a dense layer at every pixel.",
        form="the layer nn.Conv2d(3, 2, kernel_size=1) itself",
        read=_weights_and_biases,
        mistakes=[
            ([1, 4, 2, 5, 3, 6, 7, 8], "Rows and columns are swapped: the filters come first, as in the dense layer."),
            ([1, 2, 3, 4, 5, 6, 0, 0], "The weights are right. The biases 7 and 8 are missing."),
            ([1, 2, 3, 4, 5, 6, 8, 7], "The weights are right. The two biases are swapped."),
            (lambda seen: np.array_equal(seen[:6], np.arange(1, 7)), "The weights are right; the biases are not yet."),
            (lambda seen: np.array_equal(seen[6:], [7, 8]), "The biases are right; the weights are not yet."),
        ],
        otherwise="Copy weight and bias of the dense layer. The weight needs two more axes, of length 1.",
    ),
}
