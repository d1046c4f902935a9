"""The networks by name: family files register their factories here, ``cnnviz.models`` looks them up.

A family file lies in this folder and is found by itself (a file whose name starts with an underscore is none).
In it, either a function a network::

    @register
    def lenet(num_classes: int = 10, in_channels: int = 1) -> nn.Module: ...

or one function for a table of networks, which gets the table's row as its first argument::

    @register_each({"resnet18": Stages(...), "resnet34": Stages(...)})
    def resnet(stages: Stages, num_classes: int = 1000, in_channels: int = 3, small: bool = False) -> ResNet: ...

What stands in the signature are the options of ``models.create``, with their defaults.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

Factory = TypeVar("Factory", bound=Callable[..., Any])

FACTORIES: dict[str, Callable[..., Any]] = {}  # network name -> function of num_classes, in_channels and own options
_OPTIONS: dict[str, dict[str, Any]] = {}  # network name -> what its function takes, with the defaults


def register(factory: Factory) -> Factory:
    """Let ``models.create`` find this function under its own name; its signature states the options."""
    _add(factory.__name__, factory)
    return factory


def register_each(table: Mapping[str, Any]) -> Callable[[Factory], Factory]:
    """Register one function under every name in the table, with the name's row as its first argument."""

    def decorate(factory: Factory) -> Factory:
        for name, row in table.items():
            _add(name, partial(factory, row))
        return factory

    return decorate


def options(name: str) -> dict[str, Any]:
    """Return the options of a network and their defaults, in the order of its signature."""
    return dict(_OPTIONS[name])


def _add(name: str, factory: Callable[..., Any]) -> None:
    if name in FACTORIES:
        raise ValueError(f"two networks are called {name!r}: rename one")
    options = {parameter.name: parameter.default for parameter in inspect.signature(factory).parameters.values()}
    open_ended = [key for key, default in options.items() if default is inspect.Parameter.empty]
    if open_ended or not {"num_classes", "in_channels"} <= options.keys():
        raise ValueError(f"{name} needs num_classes and in_channels, and a default for every option")
    FACTORIES[name], _OPTIONS[name] = factory, options
