"""The one error of the moving kernel."""

from traitlets import TraitError


class IllegalLayer(ValueError, TraitError):
    """A setting that no layer can have, or settings that do not go together; the widget keeps its last good state.

    A `ValueError` for those who set it, and a `TraitError` so that traitlets undoes what else was set with it.
    """
