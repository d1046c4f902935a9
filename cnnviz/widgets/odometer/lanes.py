"""The four convolutions of the odometer: what each step reads and costs, and how far it is (twin: lanes.js)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from cnnviz._checks import _number, _whole
from cnnviz.cost import conv_cost
from cnnviz.geometry import check_groups

LARGEST = {"in_channels": 512, "filters": 512, "kernel_size": 11, "map_size": 256}


class Step(NamedTuple):
    """A convolution with "same" padding: `maps` outputs, in groups, from `reads` inputs of ``size x size``."""

    reads: int
    maps: int
    kernel: int
    groups: int
    size: int

    @property
    def macs(self) -> int:
        """Multiply-adds of the whole step."""
        return conv_cost(self.reads, self.maps, self.kernel, self.size, self.groups).macs

    @property
    def values(self) -> int:
        """Output values of the whole step."""
        return self.maps * self.size**2

    @property
    def each(self) -> int:
        """Multiply-adds of one output value."""
        return self.macs // self.values

    def group(self, channel: int) -> int:
        """Return the group that an output map belongs to."""
        return channel * self.groups // self.maps


class Lane(NamedTuple):
    """One of the four: its steps, and whether its maps are shuffled at the end."""

    name: str
    steps: tuple[Step, ...]
    shuffled: bool = False

    @property
    def macs(self) -> int:
        """Multiply-adds of all steps."""
        return sum(step.macs for step in self.steps)

    def values(self, macs: int) -> list[int]:
        """How many output values of each step are finished after so many multiply-adds."""
        done = []
        for step in self.steps:
            done.append(min(max(macs, 0) // step.each, step.values))
            macs -= step.macs
        return done


def lanes(sizes: Mapping[str, int]) -> tuple[Lane, ...]:
    """Return the four convolutions of a map; `sizes` are those that `read` returns."""
    channels, filters, kernel, size, groups = sizes.values()
    grouped = (Step(channels, filters, kernel, groups, size),)
    separable = Step(channels, channels, kernel, channels, size), Step(channels, filters, 1, 1, size)
    return (
        Lane("standard", (Step(channels, filters, kernel, 1, size),)),
        Lane("depthwise + pointwise", separable),
        Lane("grouped", grouped),
        Lane("grouped + shuffled", grouped, shuffled=True),
    )


def read(given: Mapping[str, Any]) -> dict[str, int]:
    """Check the sizes together.

    >>> read({"in_channels": 8, "filters": 12, "kernel_size": 3, "map_size": 8, "groups": 8})
    Traceback (most recent call last):
    ValueError: groups 8 does not divide 8 in_channels and 12 filters: use 1, 2 or 4
    """
    sizes = {name: _whole(name, given[name], 1, most) for name, most in LARGEST.items()}
    return sizes | {"groups": check_groups(given["groups"], sizes["in_channels"], sizes["filters"])}


def share(name: str, value: Any) -> float:
    """Check a share of the whole."""
    number = _number(name, value, least=0)
    if number > 1:
        raise ValueError(f"{name} {number:g} is more than 1: use 0 for the start, 1 for the end")
    return number


def reading(four: tuple[Lane, ...], progress: float) -> int:
    """Return the multiply-adds that each of the lanes was given: a share of those of the longest."""
    return math.floor(progress * max(lane.macs for lane in four) + 0.5)


def place(step: Step, channel: int) -> int:
    """Return where a shuffle puts a map: the first of each group, then the second of each, and so on.

    >>> [place(Step(4, 6, 3, 2, 8), channel) for channel in range(6)]
    [0, 2, 4, 1, 3, 5]
    """
    group, inside = divmod(channel, step.maps // step.groups)
    return inside * step.groups + group
