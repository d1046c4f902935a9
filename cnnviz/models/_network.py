"""What all networks share: a base class whose errors name the layer, and starting weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cnnviz._checks import _either


class Outputs(NamedTuple):
    """What a network with auxiliary heads returns in training mode: its own scores, then those of each head."""

    logits: Tensor
    auxiliary: tuple[Tensor, ...]


class Network(nn.Module):
    """A module that says at which of its layers a picture was too small, or had the wrong number of channels.

    Raises
    ------
    ValueError
        On a call with such a picture. Every other error of a layer passes unchanged.

    Examples
    --------
    >>> class Tiny(Network):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.conv = nn.Conv2d(1, 4, kernel_size=5)
    ...
    ...     def forward(self, x):
    ...         return self.conv(x)
    >>> Tiny()(torch.zeros(1, 1, 3, 3))
    Traceback (most recent call last):
    ValueError: Tiny: layer conv gets a picture of 3x3, smaller than its window of 5x5: use a larger picture than 3x3
    """

    name = ""  # what `models.create` was asked for, and all of its options
    options: Mapping[str, Any] = MappingProxyType({})

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        try:
            return super().__call__(*inputs, **named)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError) as error:
            reason = _reason(self, error.__traceback__)
            if reason is None:
                raise
            text = f"{self.name or type(self).__name__}: {reason}"
            if inputs and isinstance(inputs[0], Tensor) and "picture of" in reason:
                helps = [f"a larger picture than {_size(inputs[0].shape[-2:])}"]
                helps += ["the network's small=True"] * (self.options.get("small") is False)
                helps += ["aux_logits=False", "eval()"] * reason.startswith("layer AuxLogits")  # both leave it out
                text += f": use {_either(helps)}"
        raise ValueError(text)


def initialise(
    network: nn.Module,
    conv: Callable[[Tensor], Any] | None = None,
    linear: Callable[[Tensor], Any] | None = None,
    zero_biases: bool = True,
) -> None:
    """Fill the weights of convolutions and dense layers in place and set their biases to 0; None leaves them alone.

    On the meta device there is nothing to fill, and torch would load its compiler (a second, 60 MB) to do so.
    """
    if next(network.parameters()).is_meta:
        return
    for layer in network.modules():
        fill = conv if isinstance(layer, nn.Conv2d) else linear if isinstance(layer, nn.Linear) else None
        if fill is not None:
            fill(layer.weight)
            if zero_biases and layer.bias is not None:
                nn.init.zeros_(layer.bias)


def he_normal(weight: Tensor) -> None:
    """Fill with He's normal distribution, scaled so that gradients keep their size (He et al., 2015)."""
    nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")


def _reason(network: nn.Module, trace: TracebackType | None) -> str | None:
    """Say what is wrong with the input of the innermost layer in a traceback; None if nothing known is."""
    layer, received = None, None
    while trace is not None:
        code, values = trace.tb_frame.f_code, trace.tb_frame.f_locals
        if code.co_name == "forward" and code.co_argcount > 1 and isinstance(values.get("self"), nn.Module):
            layer, received = values["self"], values.get(code.co_varnames[1])
        trace = trace.tb_next
    name = next((name for name, module in network.named_modules() if module is layer), None)
    if not name or not isinstance(received, Tensor):
        return None
    fault = _fault(layer, received)
    return None if fault is None else f"layer {name} gets {fault}"


def _fault(layer: nn.Module, x: Tensor) -> str | None:
    channels = {nn.Conv2d: "in_channels", nn.BatchNorm2d: "num_features"}.get(type(layer))
    if channels and x.dim() != 4:
        return f"an input of shape {tuple(x.shape)}, not (N, C, H, W)"
    if not x.is_floating_point() and isinstance(layer, (nn.Conv2d, nn.Linear)):
        return f"numbers of type {x.dtype}: use x.float(), and divide the values of a photo by 255"
    if channels and x.shape[1] != getattr(layer, channels):
        return f"an input of {x.shape[1]} channels, but was built for {getattr(layer, channels)}"
    if isinstance(layer, nn.BatchNorm2d) and layer.training and x.numel() == x.shape[1]:
        return "one value a channel, of which batch norm takes no variance: use a batch of 2 or more, or model.eval()"
    if isinstance(layer, nn.Linear) and x.shape[-1] != layer.in_features:
        return f"{x.shape[-1]} values, but was built for {layer.in_features}: use another size of picture"
    if isinstance(layer, (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)) and not isinstance(layer.padding, str):
        kernel, padding = _pair(layer.kernel_size), _pair(layer.padding)
        dilation = _pair(getattr(layer, "dilation", 1))
        window = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        padded = [size + 2 * p for size, p in zip(x.shape[-2:], padding, strict=True)]
        if any(span > size for span, size in zip(window, padded, strict=True)):
            around = f" with padding {padding[0]}" if any(padding) else ""
            return f"a picture of {_size(x.shape[-2:])}{around}, smaller than its window of {_size(window)}"
    return None


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _size(values: Any) -> str:
    return "x".join(str(int(value)) for value in values)
