"""Multiply-adds counted while four convolutions of one map fill their outputs; its clock runs in the browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import traitlets

from cnnviz._checks import _either, _flag, _number, _short
from cnnviz.cost import Cost, conv_cost, separable_cost
from cnnviz.widgets import _animation
from cnnviz.widgets._drawing import WINDOW, Drawing
from cnnviz.widgets._errors import IllegalLayer, check_names, refused
from cnnviz.widgets._shown import ShownWidget
from cnnviz.widgets.odometer import lanes, picture

_SIZES = (*lanes.LARGEST, "groups")
_NAMES = (*_SIZES, "seconds", "progress", "playing")


class MacOdometer(ShownWidget):
    """Four convolutions of the same map, side by side, at the same number of multiply-adds (MACs) a second.

    Standard, depthwise + pointwise, grouped, and grouped with its maps shuffled afterwards; each with stride 1 and
    "same" padding, so that the outputs are as large as the map. It plays in the browser; `save` writes a page
    (.html), the picture as it stands (.png, .svg) or the whole work in 100 steps (.gif).

    Parameters
    ----------
    in_channels, filters, kernel_size, groups
        As in PyTorch; filters is torch's out_channels, and groups must divide both.
    map_size
        Rows and columns of the map.
    seconds
        How long the longest of the four takes; all four then do `speed` multiply-adds a second.
    progress
        How far they are: the share of the longest one's multiply-adds that each was given, 0 to 1.
    playing
        Whether they are at work.
    **look
        `layout`.

    Raises
    ------
    IllegalLayer
        A `ValueError` that names what is wrong and what would work; nothing is changed.

    Examples
    --------
    >>> w = MacOdometer(in_channels=3, filters=256, kernel_size=5, map_size=8, groups=1)
    >>> {name: cost.macs for name, cost in w.costs.items()}["depthwise + pointwise"]
    53952
    >>> w.progress = 0.25
    >>> w.done["standard"], w.done["depthwise + pointwise"]
    (307200, 53952)
    """

    _folder = Path(__file__).parent
    in_channels = traitlets.TraitType(8).tag(sync=True)
    filters = traitlets.TraitType(16).tag(sync=True)
    kernel_size = traitlets.TraitType(3).tag(sync=True)
    map_size = traitlets.TraitType(8).tag(sync=True)
    groups = traitlets.TraitType(4).tag(sync=True)
    seconds = traitlets.TraitType(12.0).tag(sync=True)
    progress = traitlets.TraitType(0.0).tag(sync=True)
    playing = traitlets.TraitType(False).tag(sync=True)

    def __init__(
        self,
        in_channels: int = 8,
        filters: int = 16,
        kernel_size: int = 3,
        map_size: int = 8,
        groups: int = 4,
        *,
        seconds: float = 12,
        progress: float = 0,
        playing: bool = False,
        **look: Any,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in _NAMES}
        check_names("MacOdometer", look, _NAMES)
        super().__init__(**given, **look)

    @traitlets.validate(*_SIZES)
    def _fits(self, proposal: Any) -> int:
        sizes = {**self._sizes, proposal.trait.name: proposal.value}
        return refused(lambda name: lanes.read(sizes)[name], proposal.trait.name)

    @traitlets.validate("seconds", "progress", "playing")
    def _may_be(self, proposal: Any) -> float | bool:
        name = proposal.trait.name
        return refused(lambda value: _READ[name](name, value), proposal.value)

    @property
    def _sizes(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _SIZES}

    def set(self, **changes: Any) -> None:
        """Change several settings at once: all of them, or none with the reason.

        Raises
        ------
        IllegalLayer
            A `ValueError`: a size that cannot be, groups that do not divide, or a name that is not known.

        >>> w = MacOdometer()
        >>> w.set(in_channels=6, filters=9, groups=3)
        >>> w.groups = 2
        Traceback (most recent call last):
        cnnviz.widgets._errors.IllegalLayer: groups 2 does not divide 6 in_channels and 9 filters: use 1 or 3
        """
        unknown = changes.keys() - set(_NAMES)
        if unknown:
            raise IllegalLayer(f"setting {_short(min(unknown))} is not known: use {_either(_NAMES)}")
        with self.hold_sync(), self.hold_trait_notifications():
            for name, value in changes.items():
                setattr(self, name, value)

    # ---- what it counts --------------------------------------------------------------------------------------------

    @property
    def _lanes(self) -> tuple[lanes.Lane, ...]:
        return lanes.lanes(self._sizes)

    @property
    def costs(self) -> dict[str, Cost]:
        """What each of the four costs, by `cnnviz.conv_cost` and `cnnviz.separable_cost`, without biases.

        A shuffle moves maps and calculates nothing, so the last two cost the same.
        """
        channels, filters, kernel, size, groups = self._sizes.values()
        grouped = conv_cost(channels, filters, kernel, size, groups, bias=False)
        standard = conv_cost(channels, filters, kernel, size, bias=False)
        separable = separable_cost(channels, filters, kernel, size, bias=False)
        return dict(zip(_ORDER, (standard, separable, grouped, grouped), strict=True))

    @property
    def done(self) -> dict[str, int]:
        """The multiply-adds that each has done so far."""
        given = lanes.reading(self._lanes, self.progress)
        return {lane.name: min(given, lane.macs) for lane in self._lanes}

    @property
    def speed(self) -> float:
        """Multiply-adds a second, the same for all four."""
        return max(lane.macs for lane in self._lanes) / self.seconds

    # ---- what a page shows -----------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return picture.text(self._lanes, lanes.reading(self._lanes, self.progress))

    def _still(self) -> Drawing:
        return self._still_at(self.progress)

    def _still_at(self, progress: float) -> Drawing:
        given = lanes.reading(self._lanes, progress)
        return picture.draw(self._lanes, given, picture.text(self._lanes, given))

    def _writers(self) -> dict[str, Callable[[Path], Any]]:
        html, *others = super()._writers().items()
        return dict([html, (".gif", self._animate), *others])

    def _animate(self, target: Path) -> None:
        drawings = [self._still_at(at / _FRAMES) for at in range(_FRAMES + 1)]
        _animation.write(drawings, 1000 * self.seconds / _FRAMES, [WINDOW], target)

    def _page_state(self) -> dict[str, Any]:
        return {**super()._page_state(), "playing": False}


_FRAMES = 100  # of an animation
_ORDER = ("standard", "depthwise + pointwise", "grouped", "grouped + shuffled")
_READ: dict[str, Callable[[str, Any], Any]] = {
    "seconds": lambda name, value: _number(name, value, above=0),
    "progress": lanes.share,
    "playing": _flag,
}
