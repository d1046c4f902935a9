"""Shapes of the commonest operations on meta tensors, without the detours that torch takes to them. Private.

Torch works these out in Python: each takes 0.3 to 1 ms, the first convolution or pool loads its symbolic algebra (0.3 s
and 40 MB), the first dense layer its compiler (1.5 s).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from cnnviz.measure._fields import last, pool_arguments

aten = torch.ops.aten


def bare(tensor: torch.Tensor, device: Any = "meta") -> torch.Tensor:
    """A tensor of the same shape, strides and type, without values; 20 times quicker than ``empty_like`` on meta."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device)


def known(func: Any, args: tuple) -> Any:
    """The result of the commonest operations on meta tensors, if nothing is wrong with them; else None."""
    first = args[0]
    if func is aten.cat.default:
        return _joined(first, args[1] if len(args) > 1 else 0)
    if type(first) not in (torch.Tensor, nn.Parameter) or not first.is_meta:
        return None
    if func in _IN_PLACE:
        return first
    if func in _VALUE_BY_VALUE and first.is_floating_point():
        return bare(first)
    others = [t for t in args[1:5] if isinstance(t, torch.Tensor)]
    if first.is_contiguous() and all(t.is_meta and t.dtype == first.dtype for t in others) and func in _KNOWN:
        return _KNOWN[func](*args)
    return None


def _empty(like: torch.Tensor, shape: Iterable[int], dtype: torch.dtype | None = None) -> torch.Tensor:
    return torch.empty((*shape,), dtype=dtype or like.dtype, device="meta")


def _paired(x: torch.Tensor, other: Any) -> torch.Tensor | None:
    if isinstance(other, torch.Tensor):
        return bare(x) if other.shape == x.shape and other.is_contiguous() else None
    return bare(x) if x.is_floating_point() and isinstance(other, (int, float)) else None


def _convolved(
    x: torch.Tensor, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, back: bool, _: Any, groups: int
) -> torch.Tensor | None:
    axes, channels = x.dim() - 2, weight.shape[0]
    fits = weight.dim() == x.dim() > 2 and weight.shape[1] * groups == x.shape[1] and channels % groups == 0
    if back or not fits or (bias is not None and bias.shape != (channels,)):
        return None
    sizes = _slid(x.shape[2:], weight.shape[2:], *(last(values, axes) for values in (stride, padding, dilation)))
    return _empty(x, (x.shape[0], channels, *sizes)) if sizes else None


def _max_pooled(x: torch.Tensor, *args: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
    out = _pooled("max_pool2d", x, args, len(args) > 4 and args[4])
    return None if out is None else (out, _empty(out, out.shape, torch.int64))


def _average_pooled(x: torch.Tensor, *args: Any) -> torch.Tensor | None:
    return _pooled("avg_pool2d", x, args, len(args) > 3 and args[3])


def _pooled(name: str, x: torch.Tensor, args: tuple, ceil_mode: bool) -> torch.Tensor | None:
    kernel, stride, padding, dilation = pool_arguments(name, (x, *args), 2)
    if x.dim() != 4 or any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        return None
    sizes = _slid(x.shape[2:], kernel, stride, padding, dilation, ceil_mode)
    return _empty(x, (*x.shape[:2], *sizes)) if sizes else None


def _slid(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool = False) -> tuple:
    """Places of a window that slides over these axes; nothing where it does not fit."""
    places = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        way = n + 2 * p - d * (k - 1) - 1
        if way < 0 or min(n, k, s, d) < 1 or p < 0:
            return ()
        count = (way + (s - 1) * ceil_mode) // s + 1
        places.append(count - (ceil_mode and (count - 1) * s >= n + p))  # the last window must start on the picture
    return tuple(places)


def _spread(x: torch.Tensor, size: Any) -> torch.Tensor | None:
    return _empty(x, (*x.shape[:2], *size)) if x.dim() == 4 and len(size) == 2 else None


def _normed(x: torch.Tensor, *args: Any) -> tuple[torch.Tensor, ...] | None:
    if x.dim() < 2 or any(t is not None and t.shape != x.shape[1:2] for t in args[:4]):
        return None
    return bare(x), _empty(x, x.shape[1:2]), _empty(x, x.shape[1:2])


def _dense(bias: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor | None:
    fits = x.shape[1] == weight.shape[0] and bias.shape == weight.shape[1:]
    return _empty(x, (x.shape[0], weight.shape[1])) if fits else None


def _mean(x: torch.Tensor, axes: Any, keep: bool = False) -> torch.Tensor | None:
    if not axes or not x.is_floating_point():
        return None
    over = {axis % x.dim() for axis in axes}
    return _empty(x, (1 if n in over else size for n, size in enumerate(x.shape) if keep or n not in over))


def _joined(tensors: Any, axis: int) -> torch.Tensor | None:
    x = tensors[0]
    if not all(t.is_meta and t.dtype == x.dtype and t.dim() == x.dim() > 1 and t.is_contiguous() for t in tensors):
        return None
    axis %= x.dim()
    if len({(*t.shape[:axis], *t.shape[axis + 1 :]) for t in tensors}) > 1:
        return None
    return _empty(x, (*x.shape[:axis], sum(t.shape[axis] for t in tensors), *x.shape[axis + 1 :]))


_FUNCTIONS = ("relu", "tanh", "sigmoid", "hardtanh", "silu", "gelu", "elu", "leaky_relu", "hardswish", "hardsigmoid")
_VALUE_BY_VALUE = {getattr(aten, name).default for name in _FUNCTIONS}
_IN_PLACE = {getattr(aten, f"{name}_").default for name in _FUNCTIONS if name != "gelu"}
_KNOWN = {
    aten.add.Tensor: _paired, aten.mul.Tensor: _paired, aten.convolution.default: _convolved,
    aten.max_pool2d_with_indices.default: _max_pooled, aten.avg_pool2d.default: _average_pooled,
    aten._adaptive_avg_pool2d.default: _spread, aten.native_batch_norm.default: _normed,
    aten.addmm.default: _dense, aten.mean.dim: _mean,
}  # fmt: skip
