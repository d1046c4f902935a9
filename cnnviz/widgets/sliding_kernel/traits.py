"""The traits of the moving kernel, which change together or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import traitlets

from cnnviz.widgets._shown import ShownWidget
from cnnviz.widgets.sliding_kernel import arrays, settings


class Setting(traitlets.TraitType):
    """A trait that travels to the view and takes what `settings.read` takes."""

    def __init__(self, name: str) -> None:
        super().__init__(default_value=settings.DEFAULTS[name])
        self.tag(sync=True)

    def validate(self, obj: traitlets.HasTraits, value: Any) -> Any:  # noqa: D102
        return settings.read(self.name, value)


class ArraySetting(Setting):
    """A picture or a kernel: compared by its numbers, sent as a list or as bytes."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.tag(to_json=lambda array, _: arrays.to_wire(array))

    def set(self, obj: traitlets.HasTraits, value: Any) -> None:  # noqa: D102
        new, old = self._validate(obj, value), self.get(obj)
        if not np.array_equal(old, new):
            obj._trait_values[self.name] = new
            obj._notify_trait(self.name, old, new)


class SettingsWidget(ShownWidget):
    """An anywidget whose settings are traits; whichever way they change, the result is a legal layer."""

    _open = False  # not yet: what the constructor sets was checked as a whole
    _folder = Path(__file__).parent

    for _name in settings.DEFAULTS:
        locals()[_name] = (ArraySetting if _name in ("image", "kernel") else Setting)(_name)
    del _name

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._open = True

    def set(self, **changes: Any) -> None:
        """Change several settings at once: all of them, or none with the reason.

        Raises
        ------
        IllegalLayer
            A `ValueError`: a setting that no layer can have, or settings that do not go together.

        >>> w = SettingsWidget()
        >>> w.set(kernel_size=5, padding=2)
        >>> w.kernel_size, w.padding
        (5, 2)
        """
        new = settings.changed(self._now(), changes)
        if not self._cross_validation_lock:  # within hold_trait_notifications the whole is checked at the end
            new = settings.settled(new)
        self._take(new)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in settings.DEFAULTS and self._open:
            self.set(**{name: value})
        else:
            super().__setattr__(name, value)

    def _now(self) -> settings.State:
        return {name: getattr(self, name) for name in settings.DEFAULTS}

    def _take(self, new: Mapping[str, Any]) -> None:
        with self.hold_sync(), self.hold_trait_notifications():
            for name, value in new.items():
                if value is not getattr(self, name):
                    self.set_trait(name, value)

    @traitlets.validate(*settings.DEFAULTS)
    def _goes_together(self, proposal: dict) -> Any:
        if self._open:
            settings.layer_of({**self._now(), proposal["trait"].name: proposal["value"]})
        return proposal["value"]

    def _receive(self, sync_data: dict[str, Any]) -> None:
        super()._receive(sync_data)
        self._take(settings.settled(self._now()))
