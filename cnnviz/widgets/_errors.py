"""What the widgets refuse, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anywidget
from traitlets import TraitError

from cnnviz._checks import _short


class IllegalLayer(ValueError, TraitError):
    """A setting that no layer can have, or settings that do not go together; the widget keeps its last good state.

    A `ValueError` for those who set it, and a `TraitError` so that traitlets undoes what else was set with it.
    """


def refused(read: Callable[[Any], Any], value: Any) -> Any:
    """Read `value`, with a refusal of the widgets' own kind."""
    try:
        return read(value)
    except IllegalLayer:
        raise
    except ValueError as refusal:
        raise IllegalLayer(str(refusal)) from None


def check_names(widget: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse a keyword that is neither the widget's own nor one of every widget, such as `layout`."""
    unknown = given.keys() - {*known, *anywidget.AnyWidget.class_trait_names()}
    if unknown:
        raise TypeError(f"{widget} has no argument {_short(min(unknown))}: use {', '.join(known)}")


def class_names(classes: Any, least: int = 0, most: int = 10**6) -> list[str]:
    """Return the names of classes, or say what a list of names is."""
    if not isinstance(classes, (list, tuple)) or not least <= len(classes) <= most:
        raise ValueError(f'classes {_short(classes)} is no list of names: use ["cat", "dog"]')
    return [str(name) for name in classes]
