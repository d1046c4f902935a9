"""Shapes of the commonest operations on meta tensors, without the detours that torch takes to them. Private.

Torch works these out in Python: each takes 0.3 to 1 ms, the first convolution or pool loads its symbolic algebra (0.3 s
and 40 MB), the first dense layer its compiler (1.5 s).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import nn

from cnnviz.measure._fields import last, pool_arguments

aten = torch.ops.aten
_META = torch.device("meta")
Of = tuple[tuple[int, ...], torch.dtype | None]  # shape and type of a new tensor; None: the first argument's type
# Of the arguments of an operation: what it makes, or the tensor itself that it makes or changes; None: torch must say.
Rule = Callable[..., list[Of] | torch.Tensor | None]
TENSORS = {torch.Tensor, nn.Parameter}
_NO_TENSORS = {int, float, bool, tuple, list, type(None)}  # asking these whether they are tensors takes a while


def bare(tensor: torch.Tensor, device: Any = "meta") -> torch.Tensor:
    """A tensor of the same shape, strides and type, without values; 20 times quicker than ``empty_like`` on meta."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device)


def known(func: Any, args: tuple) -> Any:
    """The result of the commonest operations on meta tensors, if nothing is wrong with them; else None."""
    rule = RULES.get(func)
    return rule and result(rule, args)


def result(rule: Rule, args: tuple) -> Any:
    """The result that a rule states; None where something is wrong with the arguments."""
    found = rule(*args)
    if found is None or isinstance(found, torch.Tensor):
        return found
    made = tuple(_made(args[0], of) for of in found)
    return made if len(made) > 1 else made[0]


def foremost(rule: Rule, args: tuple) -> tuple[torch.Tensor | None, int]:
    """The first tensor of that result, and how many bytes the others would take."""
    found = rule(*args)
    if found is None or isinstance(found, torch.Tensor):
        return found, 0
    x, beside = args[0], 0
    for shape, dtype in found[1:]:
        beside += prod(shape) * (dtype.itemsize if dtype else x.element_size())
    return _made(x, found[0]), beside


def _made(x: Any, of: Of) -> torch.Tensor:
    like = x if isinstance(x, torch.Tensor) else x[0]
    return torch.empty(of[0], dtype=of[1] or like.dtype, device=_META)


def _in_place(x: Any, *_: Any) -> torch.Tensor | None:
    return x if _plain(x) else None


def _value_by_value(x: Any, *_: Any) -> torch.Tensor | None:
    return bare(x) if _plain(x) and x.is_floating_point() else None


def _plain(x: Any) -> bool:
    return type(x) in TENSORS and x.is_meta


def _dense_in_memory(rule: Callable[..., list[Of] | None]) -> Callable[..., list[Of] | None]:
    """The rule, for arguments that are meta tensors of one type, the first of them without gaps; else None."""

    def asked(x: Any, *args: Any) -> list[Of] | None:
        if type(x) not in TENSORS or not x.is_meta or not x.is_contiguous():
            return None
        dtype = x.dtype
        for other in args[:4]:
            if type(other) in _NO_TENSORS or not isinstance(other, torch.Tensor):
                continue
            if not other.is_meta or other.dtype != dtype:
                return None
        return rule(x, *args)

    return asked


def _paired(x: torch.Tensor, other: Any) -> list[Of] | None:
    if isinstance(other, torch.Tensor):
        return [(x.shape, None)] if other.shape == x.shape and other.is_contiguous() else None
    return [(x.shape, None)] if x.is_floating_point() and isinstance(other, (int, float)) else None


def _convolved(
    x: torch.Tensor, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, back: bool, _: Any, groups: int
) -> list[Of] | None:
    axes = x.dim() - 2
    if axes < 1 or weight.dim() != axes + 2:
        return None
    (n, depth, *sides), (channels, part, *kernel) = x.shape, weight.shape
    fits = part * groups == depth and channels % groups == 0
    if back or not fits or (bias is not None and bias.shape != (channels,)):
        return None
    places = _slid(sides, kernel, last(stride, axes), last(padding, axes), last(dilation, axes))
    return [((n, channels, *places), None)] if places else None


def _max_pooled(x: torch.Tensor, *args: Any) -> list[Of] | None:
    out = _pooled("max_pool2d", x, args, len(args) > 4 and args[4])
    return out and [*out, (out[0][0], torch.int64)]


def _average_pooled(x: torch.Tensor, *args: Any) -> list[Of] | None:
    return _pooled("avg_pool2d", x, args, len(args) > 3 and args[3])


def _pooled(name: str, x: torch.Tensor, args: tuple, ceil_mode: bool) -> list[Of] | None:
    kernel, stride, padding, dilation = pool_arguments(name, (x, *args), 2)
    if x.dim() != 4 or any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        return None
    n, channels, *sides = x.shape
    places = _slid(sides, kernel, stride, padding, dilation, ceil_mode)
    return [((n, channels, *places), None)] if places else None


def _slid(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool = False) -> tuple:
    """Places of a window that slides over these axes; nothing where it does not fit."""
    places = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        way = n + 2 * p - d * (k - 1) - 1
        if way < 0 or p < 0 or n < 1 or k < 1 or s < 1 or d < 1:
            return ()
        count = way // s + 1
        if ceil_mode and way % s and count * s < n + p:  # one more, if it starts on the picture
            count += 1
        places.append(count)
    return tuple(places)


def _spread(x: torch.Tensor, size: Any) -> list[Of] | None:
    return [((*x.shape[:2], *size), None)] if x.dim() == 4 and len(size) == 2 else None


def _normed(x: torch.Tensor, *args: Any) -> list[Of] | None:
    if x.dim() < 2:
        return None
    channels = x.shape[1]
    for tensor in args[:4]:
        if tensor is not None and (tensor.dim() != 1 or tensor.numel() != channels):
            return None
    return [(x.shape, None), ((channels,), None), ((channels,), None)]


def _dense(bias: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> list[Of] | None:
    fits = x.shape[1] == weight.shape[0] and bias.shape == weight.shape[1:]
    return [((x.shape[0], weight.shape[1]), None)] if fits else None


def _mean(x: torch.Tensor, axes: Any, keep: bool = False) -> list[Of] | None:
    if not axes or not x.is_floating_point():
        return None
    over = {axis % x.dim() for axis in axes}
    return [(tuple(1 if n in over else size for n, size in enumerate(x.shape) if keep or n not in over), None)]


def _joined(tensors: Any, axis: int = 0) -> list[Of] | None:
    x = tensors[0]
    joined = list(x.shape)
    if len(joined) < 2:
        return None
    joined[axis] = 0
    for t in tensors:
        shape = list(t.shape)
        if not (t.is_meta and t.dtype == x.dtype and len(shape) == len(joined) and t.is_contiguous()):
            return None
        total, joined[axis] = joined[axis] + shape[axis], shape[axis]
        if shape != joined:
            return None
        joined[axis] = total
    return [(tuple(joined), None)]


_FUNCTIONS = ("relu", "tanh", "sigmoid", "hardtanh", "silu", "gelu", "elu", "leaky_relu", "hardswish", "hardsigmoid")
RULES: dict[Any, Rule] = {
    **{getattr(aten, name).default: _value_by_value for name in _FUNCTIONS},
    **{getattr(aten, f"{name}_").default: _in_place for name in _FUNCTIONS if name != "gelu"},
    aten.cat.default: _joined,
    **{func: _dense_in_memory(rule) for func, rule in {
        aten.add.Tensor: _paired, aten.mul.Tensor: _paired, aten.convolution.default: _convolved,
        aten.max_pool2d_with_indices.default: _max_pooled, aten.avg_pool2d.default: _average_pooled,
        aten._adaptive_avg_pool2d.default: _spread, aten.native_batch_norm.default: _normed,
        aten.addmm.default: _dense, aten.mean.dim: _mean,
    }.items()},
}  # fmt: skip
