"""What one tensor operation is and does: how it is shown, its multiply-adds, its other work. Private."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch.utils.flop_counter import bmm_flop, conv_flop_count, flop_registry, sdpa_flop

from cnnviz.cost import Other
from cnnviz.measure import _fields, _meta

aten = torch.ops.aten
ACTIVATIONS = {
    "relu", "hardtanh", "sigmoid", "tanh", "gelu", "silu", "elu", "leaky_relu", "_prelu_kernel", "hardswish",
    "hardsigmoid", "mish", "softplus", "log_sigmoid_forward", "rrelu_with_noise", "celu", "selu", "clamp_min",
}  # fmt: skip
# operations that are not MACs, and which count of `Other` their values go to
TOUCHED = {
    "bias": {"addmm", "convolution"},
    "norm": _fields.NORMS,
    "activation": ACTIVATIONS | {f"{name}_" for name in ACTIVATIONS},
    "pooling": _fields.POOLS | _fields.ADAPTIVE | {"mean"},
}
NOTHING = Other()
# What a function called in a forward is shown as; others by their own name without underscores.
SHOWN = {
    "addmm": "linear", "mm": "linear", "bmm": "matmul", "baddbmm": "matmul", "mv": "matmul", "dot": "matmul",
    "native_batch_norm": "batch_norm", "native_layer_norm": "layer_norm", "native_group_norm": "group_norm",
    "max_pool2d_with_indices": "max_pool2d", "max_pool3d_with_indices": "max_pool3d", "native_dropout": "dropout",
}  # fmt: skip


def _conv_flop(x: Any, weight: Any, *rest: Any, out_val: Any) -> int:
    return conv_flop_count([*x.shape], [*weight.shape], [*out_val.shape], transposed=rest[4])


def _trilinear_flop(a: Any, weight: Any, b: Any, *_: Any, out_val: Any = None, **__: Any) -> int:
    return 2 * a.shape[0] * weight.shape[0] * b.shape[-1] * (a.shape[-1] + 1)  # x1 W first, then times x2


# Torch's own formula of a convolution, without what its table wraps around it (0.1 ms a call). And products that its
# table leaves out: a vector on one side, and attention as a CPU computes it.
MORE_FLOPS: dict[Any, Callable[..., int]] = {
    aten.convolution: _conv_flop,
    aten.mv: lambda a, b, **_: 2 * a.numel(),
    aten.addmv: lambda c, a, b, **_: 2 * a.numel(),
    aten.dot: lambda a, b, **_: 2 * a.numel(),
    aten.vdot: lambda a, b, **_: 2 * a.numel(),
    aten.addbmm: lambda c, a, b, **_: bmm_flop(a, b),
    aten._scaled_dot_product_flash_attention_for_cpu: sdpa_flop,
    aten._trilinear: _trilinear_flop,
}


class Facts(NamedTuple):
    """What is the same for every call of an operation."""

    packet: Any  # the operation, whatever the types of its arguments
    formula: Callable[..., int] | None  # of its FLOPs, if it is one of ours
    rule: _meta.Rule | None  # of its result on meta tensors, if that is known
    name: str
    composite: bool  # made of others; reaches a dispatch mode whole under torch.inference_mode
    mutates: bool
    draws: bool  # random numbers
    borrows_shape: bool  # of its argument, not its values
    keeps_places: bool  # a value is made of those at its own place
    touches: str | None  # which count of `Other` it adds to


@lru_cache(maxsize=4096)
def facts(func: Any) -> Facts:
    """What holds for every call of ``func``."""
    packet = getattr(func, "_overloadpacket", func)
    name = packet.__name__
    return Facts(
        packet,
        MORE_FLOPS.get(packet),
        _meta.RULES.get(func),
        name,
        _composite(func),
        mutates=func._schema.is_mutable if hasattr(func, "_schema") else False,
        draws=torch.Tag.nondeterministic_seeded in getattr(func, "tags", ()),
        borrows_shape=name.endswith("_like") or name.startswith("new_"),
        keeps_places=_fields.keeps_places(func, name),
        touches=next((touched for touched, names in TOUCHED.items() if name in names), None),
    )


def _composite(func: Any) -> bool:
    if not hasattr(func, "decompose") or getattr(func, "_overloadpacket", None) in flop_registry:
        return False
    try:
        return torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd")
    except RuntimeError:  # prim::device and the like, known to Python only
        return False


def flops(told: Facts, args: tuple, kwargs: dict, out: Any) -> int:
    """Twice the multiply-adds of a call."""
    formula = told.formula or flop_registry.get(told.packet)
    return int(formula(*args, **kwargs, out_val=out)) if formula else 0


def shown(func: Any, args: tuple) -> str:
    """What a function called in a forward is called in the table."""
    name = facts(func).name
    if name == "convolution":
        return f"conv{'_transpose' if args[6] else ''}{args[1].dim() - 2}d"
    return SHOWN.get(name, name.strip("_"))


def more(other: Other, told: Facts, args: tuple, source: torch.Tensor | None, out: torch.Tensor) -> Other:
    """What was done besides MACs, added to what was done before; ``source`` is the first tensor of the arguments."""
    touched = told.touches
    if touched is None or (told.name == "convolution" and args[2] is None):
        return other
    count = (source if touched == "pooling" else out).numel()
    if other is NOTHING:
        return Other(**{touched: count})
    return other._replace(**{touched: getattr(other, touched) + count})
