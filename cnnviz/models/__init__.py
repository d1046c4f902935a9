"""The networks of the lectures by name, each written to be read: one family a file, its architecture as a table.

>>> from cnnviz import models
>>> len(models.names()) > 25
True
>>> models.create("squeezenet1_1", num_classes=10, small=True).classifier[1]
Conv2d(512, 10, kernel_size=(1, 1), stride=(1, 1))

Where torchvision has a network, ours has its name and the names of its parameters, starts from random weights of the
same distribution, and loads its published ImageNet weights with ``weights="imagenet"``.
"""

from __future__ import annotations

import difflib
import functools
import numbers
import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnnviz.models import _registry

if TYPE_CHECKING:
    from torch import nn

__all__ = ["create", "names", "options", "published"]


def names() -> list[str]:
    """Return the names that :func:`create` knows, sorted.

    >>> [name for name in names() if name.startswith("squeezenet")]
    ['squeezenet1_0', 'squeezenet1_1']
    """
    _load_families()
    return sorted(_registry.FACTORIES)


def options(name: str) -> dict[str, Any]:
    """Return what :func:`create` takes for a network beside its name and weights, with the defaults.

    >>> options("vgg16")
    {'num_classes': 1000, 'in_channels': 3, 'small': False, 'dropout': 0.5, 'width_mult': 1.0}
    """
    _load_families()
    if not isinstance(name, str) or name not in _registry.FACTORIES:
        raise ValueError(_unknown(name))
    return _registry.options(name)


def create(
    name: str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    weights: str | None = None,
    **own_options: Any,
) -> nn.Module:
    """Build a network by name, untrained, or with published weights.

    Parameters
    ----------
    name
        One of :func:`names`.
    num_classes
        How many classes the last layer tells apart; by default the network's own number, 1000 for ImageNet nets.
    in_channels
        Channels of a picture; by default the network's own number, mostly 3.
    weights
        None for random weights, ``"imagenet"`` for those that torchvision publishes (downloaded once, hash checked).
    **own_options
        ``small=True`` for a stem that suits 32x32 pictures (every network takes it; those that were made for such
        pictures stay as they are), and what else :func:`options` lists.

    Raises
    ------
    ValueError
        If the name, an option or its value is not known; the text names the nearest ones that are.

    Examples
    --------
    >>> sum(p.numel() for p in create("squeezenet1_0").parameters())
    1248424
    """
    known = options(name)
    unknown = own_options.keys() - known.keys() - {"small"}
    if unknown:
        raise ValueError(f"{name} has no option {', '.join(sorted(unknown))}: its options are {', '.join(known)}")
    asked = {"num_classes": num_classes, "in_channels": in_channels}
    given = {option: value for option, value in asked.items() if value is not None} | own_options
    given = {option: _checked(name, option, value, known.get(option, False)) for option, value in given.items()}
    given = {option: value for option, value in given.items() if option in known}  # for 32x32 anyway: small, or not
    factory = _registry.FACTORIES[name]
    if weights is None:
        network = factory(**given)
    else:
        network = import_module("cnnviz.models._weights").pretrained(name, weights, factory, known, given)
    network.name, network.options = name, known | given
    return network


def published(name: str | None = None) -> Any:
    """Return address, accuracies and preprocessing of a network's ImageNet weights; without a name, of all as a dict.

    >>> published("resnet50").top1
    76.13
    >>> len(published())
    28
    """
    table = import_module("cnnviz.models._weights").PUBLISHED
    if name is None:
        return dict(table)
    options(name)  # refuses an unknown name
    if name not in table:
        raise ValueError(f"{name} has no published weights; these have: {', '.join(sorted(table))}")
    return table[name]


@functools.cache
def _load_families() -> None:
    """Import every family file, so that it registers its networks; torch is loaded here, on first use."""
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            import_module(f"{__name__}.{module.name}")


def _unknown(name: object) -> str:
    known = sorted(_registry.FACTORIES)
    near = difflib.get_close_matches(str(name).lower().replace("-", "_"), known, n=3, cutoff=0.5)
    return f"network {name!r} is not known: " + (f"did you mean {' or '.join(near)}?" if near else f"use {known}")


def _checked(name: str, option: str, value: Any, default: Any) -> Any:
    """Return an option's value, or refuse it by what all networks agree on; a factory checks what is its own."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if option in ("num_classes", "in_channels"):
        if not (number and isinstance(value, numbers.Integral) and value >= 1):
            raise ValueError(f"{name}: {option} {value!r} is not a whole number of at least 1")
        return int(value)
    if isinstance(default, bool) and not isinstance(value, bool):
        raise ValueError(f"{name}: {option} {value!r} is not True or False")
    if option.startswith("dropout") and isinstance(default, float) and not (number and 0 <= value < 1):
        raise ValueError(f"{name}: {option} {value!r} is not a number from 0 to below 1")
    if number and not isinstance(value, (int, float)):  # NumPy's, which torch's layers do not all take
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    return value
