"""Two grouped layers, one behind the other: which channel reaches which output, with a channel shuffle and without.

Whole numbers only. The twin of js/wires.js.
"""

from __future__ import annotations

from typing import NamedTuple

from cnnviz._checks import LARGEST, _whole
from cnnviz.geometry import POOLS, Layer, check_groups

Wire = tuple[int, int]  # box above, box below


def shuffle_order(channels: int, groups: int) -> list[int]:
    """Return which channel stands where after the shuffle: the first of every group, then the second, and so on.

    Zhang et al., "ShuffleNet", arXiv 1707.01083, section 3.1; ``torch.nn.ChannelShuffle`` is the same.

    >>> shuffle_order(6, 2)
    [0, 3, 1, 4, 2, 5]
    """
    channels = _whole("channels", channels, 1, LARGEST)
    each = channels // check_groups(groups, channels, channels)
    return [group * each + member for member in range(each) for group in range(groups)]


class Wires(NamedTuple):
    """Rows of boxes and the wires between them.

    Two rows are channels and maps; with a second layer come the places of the maps, and its outputs.
    """

    counts: tuple[int, ...]  # boxes in each row
    joints: tuple[list[Wire], ...]  # wires from each row to the next
    order: list[int]  # which map stands at each place
    inked: tuple[set[int], ...]  # boxes of each row that the ink has reached

    @property
    def text(self) -> str:
        """Say where the ink is, in one sentence."""
        second = len(self.counts) > 2
        if not self.inked[0]:
            return "click a channel: a drop of ink; the third row: the shuffle" if second else ""
        reached, every = len(self.inked[-1]), self.counts[-1]
        words = f"ink in channel {min(self.inked[0])} reaches {'all' if reached == every else f'{reached} of'} {every}"
        return f"{words} {'outputs' if second else 'maps'}"


def wires_of(layer: Layer, shuffle: str, ink: int) -> Wires:
    """Wire a layer, and behind it a second one of as many groups and filters where `shuffle` is "on" or "off".

    `ink` is the channel that the ink is dropped into, -1 for none.
    """
    filters, pool = layer.filters, layer.op in POOLS
    order = shuffle_order(filters, layer.groups) if shuffle == "on" else list(range(filters))
    counts, joints = [layer.in_channels, filters], [_within(*layer[2:4], filters if pool else layer.groups)]
    if shuffle and not pool:
        counts += [filters, filters]
        joints += [[(source, place) for place, source in enumerate(order)], _within(filters, filters, layer.groups)]
    inked = [{min(ink, layer.in_channels - 1)} if ink >= 0 else set()]
    for joint in joints:
        inked.append({below for above, below in joint if above in inked[-1]})
    return Wires(tuple(counts), tuple(joints), order, tuple(inked))


def _within(above: int, below: int, groups: int) -> list[Wire]:
    """Join every box below to every box above of its group."""
    many, few = above // groups, below // groups
    return [(to // few * many + member, to) for to in range(below) for member in range(many)]
