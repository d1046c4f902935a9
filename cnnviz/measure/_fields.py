"""Receptive fields carried along with a traced forward pass, operation by operation. Private.

The arithmetic is that of :func:`cnnviz.geometry.receptive_field`, one layer at a time and for any number of axes: a
window widens the field by ``(span - 1) * jump``, multiplies the jump by its stride and moves the start by its padding.
Where branches meet, the field is what all of them see together. Where it is not one box of pixels it is None.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import add, sub
from typing import Any, NamedTuple

import torch

POOLS = {"max_pool1d", "max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool1d", "avg_pool2d", "avg_pool3d"}
ADAPTIVE = {"_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d"}
NORMS = {
    "native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm",
    "_batch_norm_with_update", "_batch_norm_no_update", "native_layer_norm", "native_group_norm", "_fused_rms_norm",
}  # fmt: skip
# Place by place like a pointwise operation, though torch does not tag them so.
KEEPS_PLACES = NORMS | {"clone", "_to_copy", "copy_", "native_dropout", "bernoulli_", "contiguous", "lift_fresh"}
PADS = {"constant_pad_nd"} | {f"{kind}_pad{n}d" for kind in ("reflection", "replication") for n in (1, 2, 3)}


class Field(NamedTuple):
    """What one value sees of the input: size, jump to the neighbour's field, first index; one number an axis."""

    size: tuple[int, ...]
    jump: tuple[int, ...]
    start: tuple[int, ...]

    def then(self, span: Iterable[int], stride: Iterable[int], before: Iterable[int]) -> Field:
        """The field behind a window of this span, stride and leading padding."""
        size, jump, start = self
        return Field(  # lists within: generators take three times as long
            tuple([n + (s - 1) * j for n, s, j in zip(size, span, jump, strict=True)]),
            tuple([j * s for j, s in zip(jump, stride, strict=True)]),
            tuple([a - p * j for a, p, j in zip(start, before, jump, strict=True)]),
        )


def first(axes: int) -> Field:
    """The field of the input itself."""
    return Field((1,) * axes, (1,) * axes, (0,) * axes)


def merged(fields: Sequence[Field | None]) -> Field | None:
    """The smallest box that holds all fields; None if one is not defined or they move at different speeds."""
    together = fields[0] if fields else None
    for field in dict.fromkeys(fields[1:]):  # DenseNet's layers see the same box many times over
        if field is None or together is None or field.jump != together.jump:
            return None
        together = _around(together, field)
    return together


def _around(one: Field, other: Field) -> Field:
    starts = tuple(map(min, one.start, other.start))
    ends = map(max, map(add, one.start, one.size), map(add, other.start, other.size))
    return Field(tuple(map(sub, ends, starts)), one.jump, starts)


def keeps_places(func: Any, name: str) -> bool:
    """Whether each value of the result is made of those of the arguments at its own place."""
    return torch.Tag.pointwise in getattr(func, "tags", ()) or name in KEEPS_PLACES


def after(name: str, args: tuple, field: Field, out: torch.Tensor, alias: bool) -> Field | None:
    """The field of the result of another operation, where ``field`` is that of its traced arguments together."""
    if name in ("convolution", "_convolution", "cudnn_convolution"):
        return _after_convolution(args, field)
    axes = len(field.size)
    if name == "cat":
        rank, axis = args[0][0].dim(), args[1] if len(args) > 1 else 0
        return field if axis % rank < rank - axes else None
    if name in POOLS:
        kernel, stride, padding, dilation = pool_arguments(name, args, axes)
        span = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        return field.then(span, stride, padding)
    source = next((item for item in _flat(args) if isinstance(item, torch.Tensor)), None)
    if source is None:
        return None
    if name in ADAPTIVE:
        return _after_adaptive(source, out, field)
    if name == "mean" and len(args) > 1 and args[1] is not None:
        over = sorted(axis % source.dim() for axis in args[1])
        spatial = list(range(source.dim() - axes, source.dim()))
        return field.then(source.shape[-axes:], (1,) * axes, (0,) * axes) if over == spatial else None
    if name in PADS:
        return field.then((1,) * axes, (1,) * axes, last(args[1][::-2][: len(args[1]) // 2], axes))
    # A view that leaves the last axes as they were: channels split, shuffled, unsqueezed.
    kept = alias and out.shape[-axes:] == source.shape[-axes:] and out.stride()[-axes:] == source.stride()[-axes:]
    return field if kept else None


def _after_convolution(args: tuple, field: Field) -> Field | None:
    _, weight, _, stride, padding, dilation, transposed = args[:7]
    axes = len(field.size)
    if transposed or weight.dim() - 2 != axes:
        return None
    _, _, *kernel = weight.shape
    if max(*kernel, *last(stride, axes)) == 1 and not any(last(padding, axes)):
        return field  # most of a deep network's
    span = [d * (k - 1) + 1 for k, d in zip(kernel, last(dilation, axes), strict=True)]
    return field.then(span, last(stride, axes), last(padding, axes))


def _after_adaptive(source: torch.Tensor, out: torch.Tensor, field: Field) -> Field | None:
    """An adaptive pool is an ordinary one where the output size divides the input size."""
    axes = len(field.size)
    before, behind = source.shape[-axes:], out.shape[-axes:]
    if any(n % m for n, m in zip(before, behind, strict=True)):
        return None
    windows = [n // m for n, m in zip(before, behind, strict=True)]
    return field.then(windows, windows, (0,) * axes)


def pool_arguments(name: str, args: tuple, axes: int) -> list[tuple[int, ...]]:
    """kernel, stride, padding, dilation of a pool, filled up with torch's defaults."""
    kernel = args[1]
    stride = args[2] if len(args) > 2 and args[2] else kernel
    padding = args[3] if len(args) > 3 else 0
    dilation = args[4] if len(args) > 4 and name.startswith("max") else 1
    return [last(values, axes) for values in (kernel, stride, padding, dilation)]


def last(values: Any, axes: int) -> tuple[int, ...]:
    """The numbers of the last ``axes`` axes; a single number is every axis's, a missing leading one is 0."""
    if type(values) is tuple and len(values) == axes:
        return values
    items = [values] if isinstance(values, int) else list(values)
    if len(items) == 1:
        items *= axes
    return tuple(([0] * axes + items)[-axes:])


def _flat(args: Iterable[Any]) -> Iterable[Any]:
    for item in args:
        if isinstance(item, (tuple, list)):
            yield from _flat(item)
        else:
            yield item
