"""The exercises of notebooks 11, 12, 16 and 18; `cnnviz.exercises` lists them with the others."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from cnnviz.exercises._grading import ONE_NUMBER, Question, Unreadable, numbers

PROBE = (2, 8, 6, 6)  # pictures, channels, height, width of the maps on which a block is tried
IDENTITY, RECTIFIED, NOTHING, DOUBLED, OTHER, USELESS = range(6)  # what a block does when its weights are 0


def _at_zero_weights(block: Any, form: str) -> np.ndarray:
    """Set the weights of a copy of the block to 0, run it on maps of both signs, and name what it does to them."""
    import torch
    from torch import nn

    if not isinstance(block, nn.Module):
        raise Unreadable(f"Give {form}, made by calling its class with a number of channels.")
    maps = torch.linspace(-1, 1, int(np.prod(PROBE))).reshape(PROBE)
    with torch.no_grad():
        try:
            twin = deepcopy(block).eval()
            with_weights = twin(maps)
            for weight in twin.parameters():
                weight.zero_()
            made = twin(maps)
        except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
            raise Unreadable(f"The block does not run on maps with 8 channels: {str(error)[:120]}") from None
        if getattr(made, "shape", None) != maps.shape:
            came = tuple(getattr(made, "shape", ()))
            raise Unreadable(f"Maps of the shape {PROBE} came back as {came}: the shape has to stay.")
        if torch.allclose(with_weights, made):
            return np.array(USELESS)
        candidates = {IDENTITY: maps, RECTIFIED: maps.relu(), NOTHING: maps * 0, DOUBLED: 2 * maps}
        same = [kind for kind, wanted in candidates.items() if torch.allclose(made, wanted, atol=1e-6)]
        return np.array(same[0] if same else OTHER)


def _network(answer: Any, form: str) -> np.ndarray:
    """Read the name of a network with published weights as (billion MACs, million parameters, top-1 accuracy)."""
    from cnnviz import models
    from cnnviz.measure import cost_table

    known = models.published()
    if not isinstance(answer, str) or answer.strip() not in known:
        raise Unreadable(f"{str(answer)[:40]!r} is not {form}, such as 'resnet18'.")
    total = cost_table(answer.strip()).total
    return np.array([total.macs / 1e9, total.params / 1e6, known[answer.strip()].top1])


def _billions(answer: Any, form: str) -> np.ndarray:
    """Read a number of billions, written as 8.18 or as 8180000000, to two decimals."""
    value = numbers(answer, form)
    return np.round(np.where(abs(value) >= 1e6, value / 1e9, value), 2)


QUESTIONS = {
    "11-identity": Question(
        right=IDENTITY,
        because="At zero weights the branch adds 0 and the shortcut hands on what came in, negative numbers included.",
        form="a block",
        read=_at_zero_weights,
        mistakes=[
            (
                RECTIFIED,
                "Positive numbers pass, but negative ones become 0: a ReLU stands behind the addition. Move it.",
            ),
            (NOTHING, "Nothing comes out at zero weights: the input has to be added to what the layers make of it."),
            (DOUBLED, "The input comes out twice: it is added twice."),
            (USELESS, "The output is the same whatever the weights are: the layers must take part in it."),
        ],
        otherwise="The output should be the input plus what the layers make of it, with nothing behind the addition.",
    ),
    "11-bottleneck": Question(
        right=[69632, 1179648],
        because="256·64 + 64·64·9 + 64·256 weights, against 2·256·256·9: seventeen times fewer.",
        form="two whole numbers: the bottleneck, the two 3x3",
        mistakes=[
            ([1179648, 69632], "Both are right, in the other order: first the bottleneck."),
            ([69632, 589824], "The bottleneck is right. The other block has two convolutions of 3x3."),
            ([36864, 1179648], "36,864 is the 3x3 alone. The bottleneck has two 1x1 convolutions too."),
            ([53248, 1179648], "Down and 3x3 are counted. The 1x1 that goes up to 256 again is missing."),
            (
                [622592, 1179648],
                "The 3x3 of a bottleneck goes from 64 to 64 channels: both ends are narrow.",
            ),
            ([70016, 1180160], "Those have biases. With batch norm behind them the convolutions have none."),
            (
                lambda pair: pair.shape == (2,) and pair[1] == 1179648,
                "The two 3x3 are right. The bottleneck is 1x1 from 256 to 64, 3x3 from 64 to 64, 1x1 from 64 to 256.",
            ),
            (
                lambda pair: pair.shape == (2,) and pair[0] == 69632,
                "The bottleneck is right. Each 3x3 of the other block goes from 256 to 256 channels.",
            ),
        ],
        otherwise="Weights of a convolution are channels in, times channels out, times kernel height and width.",
    ),
    "12-inputs": Question(
        right=224,
        because="64 maps from the stem and 32 from each of the five layers before it: 64 + 5·32.",
        form=ONE_NUMBER,
        mistakes=[
            (256, "256 is what comes out of the block: layer 6 does not read its own 32 maps."),
            (192, "192 is what layer 5 reads: there are five layers before the sixth."),
            (160, "These are the maps of the five layers before. The block's own input is read as well."),
            (96, "64 + 32 is what layer 2 reads. Layer 6 reads the maps of all five layers before it."),
            (32, "32 maps come out of each layer. What goes into layer 6 is everything made so far."),
            (64, "64 go into the block, so into layer 1. Each layer adds 32 to them."),
            (128, "128 = 4·32 is the width of a layer's bottleneck, which is behind its input."),
        ],
        otherwise="Count the maps that exist before layer 6: those of the stem, and 32 from each layer so far.",
    ),
    "12-growth-rate": Question(
        right=16,
        because="(256 − 64) / 12 = 16: each of the 12 layers adds k maps to the 64.",
        form=ONE_NUMBER,
        mistakes=[
            (192, "192 maps have to be added in all. They come from 12 layers."),
            (256 / 12, "The 64 that are there already need not be grown."),
            (21, "The 64 that are there already need not be grown."),
            (17, "Did you count 11 layers? All 12 add their maps."),
            (20, "Each of the 12 layers adds k maps to the 64: 64 + 12·20 would be 304."),
            (32, "32 takes 64 to 64 + 12·32 = 448."),
        ],
        otherwise="64 + 12·k should be 256.",
    ),
    "16-budget": Question(
        right=[0.300774272, 3.504872, 71.878],
        because="MobileNet v2: 71.9 % with 0.30 billion MACs and 3.5 million parameters.",
        form="the name of a network with published weights",
        read=_network,
        mistakes=[
            (lambda net: net[0] > 1 and net[1] > 5, "This one is over both budgets: 1 billion MACs, 5M parameters."),
            (lambda net: net[1] > 5, "The work is inside the budget. The parameters are not: look at its area."),
            (lambda net: net[2] < 71, "This one stays inside both budgets. Another survivor is more accurate."),
        ],
        otherwise="Set both sliders, and take the highest point that is left.",
    ),
    "16-flops": Question(
        right=8.18,
        because="A multiply-add is a multiplication and an addition: 2 · 4.09 = 8.18 billion FLOPs.",
        form="one number, in billions",
        read=_billions,
        mistakes=[
            (4.09, "This is the number of multiply-adds. Each is two operations."),
            (lambda value: value.shape == () and 2.04 <= value <= 2.05, "The other way round: FLOPs are more."),
            (4.12, "This counts batch norm and the rest as MACs. Here only the multiply-adds are asked for."),
        ],
        otherwise="1 MAC = 2 FLOPs.",
    ),
    "18-bottleneck": Question(
        right=16,
        because="28·28 · 1·1·192 · 16 = 2,408,448, and with the 5x5 behind it 12,443,648.",
        form=ONE_NUMBER,
        mistakes=[
            (32, "With 32 the product is 4,816,896, not 2.4M. The 32 are the filters of the 5x5 behind it."),
            (2408448, "This is the product. Asked is the number in the brackets."),
            (192, "192 are the channels that come in. How many go out?"),
            (8, "With 8 it would be 1.2M. Is it multiply-adds that you halved?"),
        ],
        otherwise="28·28·192 = 150,528. How often does it fit into 2.4 million?",
    ),
    "18-smiley": Question(
        right=[1, 0, 0, 2, 1],
        because="The window in the middle lies on none of the lit pixels with a weight, so the third number is 0.",
        form="five numbers",
        mistakes=[
            ([1, 0, 1, 2, 1], "This is the row of the slide. Its third number counts a pixel that no weight lies on."),
            (
                lambda row: row.shape == (5, 5),
                "This is a whole map. Asked is its third row.",
            ),
            (
                lambda row: row.shape == (5,) and (row[[0, 1, 3, 4]] == [1, 0, 2, 1]).all(),
                "Four of them are right. Put the window into the middle column and count once more.",
            ),
        ],
        otherwise="For each place count the lit pixels under the four weights that are 1.",
    ),
}
