"""Networks without values in their weights, built quickly: a bill needs their shapes only. Private.

Torch takes 0.06 ms to construct a convolution and 0.1 ms for a batch norm even where there is nothing to fill: for a
DenseNet-201, which has 200 of each, longer than all the rest of its bill. So :func:`conv2d`, :func:`batch_norm2d` and
:func:`relu` have torch construct one layer of each form, and make those of a network alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

META = torch.device("meta")
_forms: ContextVar[dict[tuple, _Form] | None] = ContextVar("_forms", default=None)


class MetaByDefault(TorchFunctionMode):
    """Tensors are made on the meta device where no other is asked for.

    `with torch.device("meta")` does the same but also sets a variable of the whole process, where a thread that does
    the same may leave it wrong.
    """

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func in _CONSTRUCTORS and kwargs.get("device") is None:
            kwargs["device"] = META
        return func(*args, **kwargs)


class _Unfilled(MetaByDefault):
    """And they are not filled: a tensor on the meta device has no values, yet torch takes its time."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func in _FILLS:
            filled = args[0] if args else kwargs["tensor"]
            if filled.is_meta:
                return filled
        return super().__torch_function__(func, types, args, kwargs)


_CONSTRUCTORS = frozenset(_device_constructors())
_FILLS = frozenset({nn.init.kaiming_uniform_, Tensor.uniform_, Tensor.normal_, Tensor.zero_, Tensor.fill_})


@contextmanager
def unfilled() -> Iterator[None]:
    """Build networks without memory; another thread builds them as ever."""
    token = _forms.set({})
    try:
        with _Unfilled():
            yield
    finally:
        _forms.reset(token)


def conv2d(in_channels: int, out_channels: int, *window: Any, groups: int = 1, bias: bool = True) -> nn.Conv2d:
    """Make an ``nn.Conv2d``; ``window`` is kernel_size and then, if need be, stride and padding.

    >>> conv2d(8, 16, 3, 2, 1, bias=False)
    Conv2d(8, 16, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)
    """

    def make() -> nn.Conv2d:
        return nn.Conv2d(in_channels, out_channels, *window, groups=groups, bias=bias)

    if _forms.get() is None or groups != 1:  # whether groups divide the channels is torch's to say
        return make()
    form = _form(("conv2d", window, bias), make)
    kernel_size = form.layer.kernel_size
    shapes = {"weight": (out_channels, in_channels, *kernel_size), "bias": (out_channels,)}
    return form.alike(shapes, in_channels=in_channels, out_channels=out_channels)


def batch_norm2d(num_features: int, eps: float = 1e-5) -> nn.BatchNorm2d:
    """Make an ``nn.BatchNorm2d``.

    >>> batch_norm2d(8, eps=0.001).eps
    0.001
    """
    if _forms.get() is None:
        return nn.BatchNorm2d(num_features, eps)
    form = _form(("batch_norm2d", eps), lambda: nn.BatchNorm2d(num_features, eps))
    shapes = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (num_features,))
    return form.alike(shapes, num_features=num_features)


def relu() -> nn.ReLU:
    """Make an ``nn.ReLU``.

    >>> relu()
    ReLU()
    """
    return nn.ReLU() if _forms.get() is None else _form(("relu",), nn.ReLU).alike({})


class _Form:
    """A layer to make others like, which differ in their numbers of channels; it is in no network itself."""

    def __init__(self, layer: nn.Module) -> None:
        self.layer = layer
        self.held = [name for name, value in vars(layer).items() if isinstance(value, (dict, list, set))]

    def alike(self, shapes: dict[str, tuple[int, ...]], **numbers: int) -> Any:
        """Make one with tensors of these shapes and with these numbers."""
        layer = object.__new__(type(self.layer))
        own = vars(layer)
        own.update(vars(self.layer), **numbers)
        for name in self.held:
            own[name] = own[name].copy() if own[name] else type(own[name])()
        with torch._C.DisableTorchFunction():  # the mode above would be asked about each tensor
            for name, old in own["_parameters"].items():
                if old is not None:
                    own["_parameters"][name] = nn.Parameter(_empty(shapes[name], old))
            for name, old in own["_buffers"].items():
                own["_buffers"][name] = _empty(shapes.get(name, ()), old)
        return layer


def _empty(shape: tuple[int, ...], like: Tensor) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=META)


def _form(key: tuple, make: Callable[[], nn.Module]) -> _Form:
    forms = _forms.get()
    if key not in forms:
        forms[key] = _Form(make())
    return forms[key]
