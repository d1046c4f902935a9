"""The one error of the widgets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from traitlets import TraitError


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
