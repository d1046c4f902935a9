"""Shapes of the commonest operations on meta tensors, without the Python detours that torch takes to them. Private."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

aten = torch.ops.aten


def bare(tensor: torch.Tensor, device: Any = "meta") -> torch.Tensor:
    """A tensor of the same shape, strides and type, without values; 20 times quicker than ``empty_like`` on meta."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device)


def known(func: Any, args: tuple) -> Any:
    """The result of the commonest operations on meta tensors, if nothing is wrong with them; else None.

    Torch works these out in Python: each takes 0.3 to 1 ms, and the first dense layer loads its compiler, 1.5 s.
    """
    first = args[0]
    if func is aten.cat.default:
        return _joined(first, args[1] if len(args) > 1 else 0)
    if type(first) not in (torch.Tensor, nn.Parameter) or not first.is_meta:
        return None
    if func is aten.relu_.default:
        return first
    if func is aten.relu.default:
        return bare(first)
    if func in (aten.add.Tensor, aten.mul.Tensor) and isinstance(args[1], torch.Tensor):
        other = args[1]
        same = other.is_meta and other.dtype == first.dtype and other.shape == first.shape
        return bare(first) if same and first.is_contiguous() and other.is_contiguous() else None
    if func is aten.native_batch_norm.default and first.dim() > 1:
        channels = first.shape[1]
        if all(t is None or t.shape == (channels,) for t in args[1:5]):
            mean, deviation = (torch.empty(channels, dtype=first.dtype, device="meta") for _ in range(2))
            return bare(first), mean, deviation
    if func is aten.addmm.default and len(args) == 3 and all(t.is_meta and t.dtype == first.dtype for t in args):
        (rows, inner), (same, columns) = args[1].shape, args[2].shape
        if inner == same and first.shape == (columns,):
            return torch.empty((rows, columns), dtype=first.dtype, device="meta")
    if func is aten.mean.dim and first.is_floating_point() and len(args) in (2, 3) and args[1]:
        over = {axis % first.dim() for axis in args[1]}
        keep = len(args) > 2 and args[2]
        shape = [1 if n in over else size for n, size in enumerate(first.shape) if keep or n not in over]
        return torch.empty(shape, dtype=first.dtype, device="meta")
    return None


def _joined(tensors: Any, axis: int) -> torch.Tensor | None:
    first = tensors[0]
    if not all(
        t.is_meta and t.dtype == first.dtype and t.dim() == first.dim() > 1 and t.is_contiguous() for t in tensors
    ):
        return None
    axis %= first.dim()
    rests = {(*t.shape[:axis], *t.shape[axis + 1 :]) for t in tensors}
    if len(rests) > 1:
        return None
    shape = (*first.shape[:axis], sum(t.shape[axis] for t in tensors), *first.shape[axis + 1 :])
    return torch.empty(shape, dtype=first.dtype, device="meta")
