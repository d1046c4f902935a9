"""A feature pyramid on a ResNet: coarse maps that know what is there, brought back to where it is.

Lin, Dollár, Girshick, He, Hariharan, Belongie: Feature Pyramid Networks for Object Detection, CVPR 2017 (arXiv
1612.03144), section 3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnnviz._checks import _whole
from cnnviz.models import _registry, resnet
from cnnviz.models._network import Network
from cnnviz.models._parts import choose

LEVELS = ("P2", "P3", "P4", "P5")  # strides 4, 8, 16, 32: 56x56, 28x28, 14x14, 7x7 at 224


class FPN(Network):
    """A ResNet's four stages bottom-up, a 1x1 from each, and a way down that doubles and adds; then a 3x3 a level.

    The pyramid itself is :meth:`pyramid`. The scores are for pictures of one thing: one shared 1x1 classifier on every
    level, averaged.
    """

    def __init__(self, backbone: resnet.ResNet, num_classes: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(backbone.conv1, backbone.bn1, backbone.relu, backbone.maxpool)  # 64, 56, 56
        self.stages = nn.ModuleList([backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4])
        widths = [list(resnet_convolutions(stage))[-1].out_channels for stage in self.stages]
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in widths)
        self.smooth = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in widths)
        self.head = nn.Conv2d(channels, num_classes, 1)

    def pyramid(self, x: Tensor) -> dict[str, Tensor]:
        """Return the maps P2 to P5, all of ``channels`` channels, finest first.

        Examples
        --------
        >>> net = fpn(channels=16).eval()
        >>> {level: tuple(maps.shape[2:]) for level, maps in net.pyramid(torch.zeros(1, 3, 224, 224)).items()}
        {'P2': (56, 56), 'P3': (28, 28), 'P4': (14, 14), 'P5': (7, 7)}
        """
        x, laterals = self.stem(x), []
        for stage, lateral in zip(self.stages, self.lateral, strict=True):
            x = stage(x)
            laterals.append(lateral(x))
        merged = laterals[-1:]
        for finer in reversed(laterals[:-1]):  # the way down: as large as the finer map, by repeating pixels
            merged.insert(0, finer + nn.functional.interpolate(merged[0], size=finer.shape[-2:], mode="nearest"))
        return {level: smooth(maps) for level, smooth, maps in zip(LEVELS, self.smooth, merged, strict=True)}

    def forward(self, x: Tensor) -> Tensor:
        """Return one score a class: the classifier on every level, averaged over places and levels."""
        scores = [self.head(maps).mean(dim=(2, 3)) for maps in self.pyramid(x).values()]
        return torch.stack(scores).mean(dim=0)


def resnet_convolutions(stage: nn.Module) -> list[nn.Conv2d]:
    """Return the convolutions on the way through a stage, without those of the shortcuts."""
    return [m for name, m in stage.named_modules() if isinstance(m, nn.Conv2d) and "downsample" not in name]


@_registry.register
def fpn(
    num_classes: int = 1000, in_channels: int = 3, small: bool = False, backbone: str = "resnet18", channels: int = 256,
    width_mult: float = 1.0,
) -> FPN:  # fmt: skip
    """Return a feature pyramid network on a ResNet.

    Parameters
    ----------
    small
        The backbone's stem for 32x32: levels of 32x32 to 4x4.
    backbone
        A network of ``resnet.py``, such as "resnet18" or "resnet50".
    channels
        Of every level; 256 in the paper.
    width_mult
        Multiplies the channels of the backbone.

    Examples
    --------
    >>> fpn(small=True, channels=16, num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    _whole("channels", channels, 1)
    choose("backbone", backbone, resnet.NETWORKS)
    network = _registry.FACTORIES[backbone](in_channels=in_channels, small=small, width_mult=width_mult)
    return FPN(network, num_classes, channels)
