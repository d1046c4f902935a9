"""ZFNet: AlexNet with a finer first layer (7x7 with stride 2), found by looking at what its filters had learnt.

Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014 (arXiv 1311.2901), figure 3.
"""

from __future__ import annotations

from cnnviz.geometry import Window
from cnnviz.models._parts import choose
from cnnviz.models._registry import register
from cnnviz.models.alexnet_2012 import AlexNet2012, Convolution, small_stem

# Channels of the last three convolutions. The figure in the paper keeps AlexNet's; the wider ones, which lectures give,
# belong to its experiments on model size (its table 3).
FORMS = {"paper": (384, 384, 256), "lecture": (512, 1024, 512)}


@register
def zfnet(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, form: str = "paper", dropout: float = 0.5,
    init: str = "he", width_mult: float = 1.0,
) -> AlexNet2012:  # fmt: skip
    """Return ZFNet, for 224x224.

    Parameters
    ----------
    small
        For 32x32: the first convolution is 3x3 with stride 1, the second has stride 1. The last maps are 4x4.
    form
        "paper" (384, 384, 256 channels at the end: 62,357,608 parameters) or "lecture" (512, 1024, 512: 107,627,624).
    dropout, init, width_mult
        As for ``alexnet_2012``.
    """
    third, fourth, fifth = choose("form", form, FORMS)
    layers = [
        Convolution(96, 7, 2, 1, normalised=True, pooled=True),  # 224 -> 110 -> 55
        Convolution(256, 5, 2, 0, normalised=True, pooled=True),  # 55 -> 26 -> 13
        Convolution(third, 3, 1, 1),  # 13
        Convolution(fourth, 3, 1, 1),  # 13
        Convolution(fifth, 3, 1, 1, pooled=True),  # 13 -> 6
    ]
    if small:
        layers = small_stem(layers)  # 32 -> 16
        layers[1] = layers[1]._replace(stride=1, padding=2)  # 16 -> 8, then -> 4
    pool = Window(kernel_size=3, stride=2, ceil_mode=True)  # 110 -> 55: the last window hangs over the edge
    picture = 32 if small else 224
    return AlexNet2012(layers, pool, picture, num_classes, in_channels, "relu", dropout, init, width_mult)
