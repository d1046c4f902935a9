"""Layers that are one tensor operation: which, with which arguments. Private.

Torch's way from the call of such a layer to its operation takes most of a count's time. What these layers do is said
here once more, and a test holds the bills that come of it to those of torch's own way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import _C, nn
from torch.nn.modules.module import _has_any_global_hook

aten = torch.ops.aten
Call = tuple[Any, tuple]  # an operation and its arguments
Rule = Callable[[Any, torch.Tensor], Call | None]


def _convolution(layer: nn.Conv2d, x: torch.Tensor) -> Call | None:
    if x.dim() != 4 or not x.is_floating_point():  # a complex one is three real ones
        return None
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        return None
    weight, bias = layer._parameters["weight"], layer._parameters["bias"]
    window = layer.stride, layer.padding, layer.dilation
    return aten.convolution.default, (x, weight, bias, *window, False, (0, 0), layer.groups)


def _batch_norm(layer: nn.BatchNorm2d, x: torch.Tensor) -> Call | None:
    mean, var = layer._buffers["running_mean"], layer._buffers["running_var"]
    if x.dim() != 4 or layer.training or mean is None or var is None:
        return None
    own = layer._parameters
    return aten.native_batch_norm.default, (x, own["weight"], own["bias"], mean, var, False, layer.momentum, layer.eps)


def _relu(layer: nn.ReLU, x: torch.Tensor) -> Call:
    return (aten.relu_ if layer.inplace else aten.relu).default, (x,)


def _relu6(layer: nn.ReLU6, x: torch.Tensor) -> Call:
    return (aten.hardtanh_ if layer.inplace else aten.hardtanh).default, (x, 0.0, 6.0)


def _max_pool(layer: nn.MaxPool2d, x: torch.Tensor) -> Call | None:
    if layer.return_indices:
        return None
    window = layer.kernel_size, layer.stride, layer.padding, layer.dilation
    return aten.max_pool2d_with_indices.default, (x, *window, layer.ceil_mode)


def _average_pool(layer: nn.AvgPool2d, x: torch.Tensor) -> Call:
    return aten.avg_pool2d.default, (x, layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode)


_RULES: dict[type, Rule] = {
    nn.Conv2d: _convolution, nn.BatchNorm2d: _batch_norm, nn.ReLU: _relu, nn.ReLU6: _relu6,
    nn.MaxPool2d: _max_pool, nn.AvgPool2d: _average_pool,
}  # fmt: skip


def rule_of(layer: nn.Module) -> Rule | None:
    """The rule of a layer of exactly a class of torch's, to be asked with an input; None for any other."""
    kind = type(layer)
    rule = _RULES.get(kind)
    if rule and kind.forward.__module__.startswith("torch.nn.") and layer._parameters.keys() <= {"weight", "bias"}:
        return rule
    return None


def untouched(layer: nn.Module) -> bool:
    """Whether a call of the layer would run its class's forward and nothing else, while there are no gradients."""
    own = layer.__dict__
    return not (
        own["_forward_hooks"]
        or own["_forward_pre_hooks"]
        or own["_modules"]
        or "forward" in own
        or "_conv_forward" in own
        or "_check_input_dim" in own
        or _has_any_global_hook()
    )


def surroundings() -> tuple:
    """What decides, beside a layer, which operations its call leads to.

    How many modes are asked about functions and operations; and autograd, inference mode, autocast, vmap, tracing.
    """
    return (
        _C._len_torch_function_stack(),
        _C._len_torch_dispatch_stack(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        _C._is_any_autocast_enabled(),
        _C._functorch.peek_interpreter_stack(),
        _C._get_tracing_state(),
    )


PLAIN = (False, False, False, None, None)  # the last five, where a layer leads to the operation that is said above
