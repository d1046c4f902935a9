"""Chance of one's own: what a network draws in its forward pass comes from a generator of its run. Private.

Dropout and `torch.rand` draw from one generator that the whole process shares. A run that trains beside a notebook
would change what the notebook draws, be changed by it, and two runs would change each other. Torch keeps one stack of
function modes a thread, so a mode can hand the run's own generator to the calls made in its thread that take one, and
the shared generator is not touched. Rarer calls take none: for them its state is swapped, for that call, under a lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_TAKES_GENERATOR = frozenset({
    torch.rand, torch.randn, torch.randint, torch.randperm, torch.bernoulli, torch.normal, torch.multinomial,
    Tensor.bernoulli, Tensor.multinomial,
    Tensor.bernoulli_, Tensor.uniform_, Tensor.normal_, Tensor.exponential_, Tensor.random_,
})  # fmt: skip
_WHOLE_CHANNELS = frozenset({functional.dropout1d, functional.dropout2d, functional.dropout3d})
_SWAPPED = frozenset({  # draw from the shared generator only: its state is swapped for the time of the call
    "rand_like", "randn_like", "randint_like", "dropout", "dropout_", "native_dropout", "feature_dropout",
    "feature_dropout_", "alpha_dropout", "alpha_dropout_", "feature_alpha_dropout", "feature_alpha_dropout_",
    "rrelu", "rrelu_", "fractional_max_pool2d", "fractional_max_pool3d", "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d_with_indices", "scaled_dot_product_attention", "multi_head_attention_forward",
    "gumbel_softmax", "poisson", "binomial", "log_normal_", "cauchy_", "geometric_", "_sample_dirichlet",
    "_standard_gamma", "uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_",
    "kaiming_uniform_", "kaiming_normal_", "orthogonal_", "sparse_",
})  # fmt: skip
_swapping = threading.Lock()


class OwnRandomness(TorchFunctionMode):
    """While entered, random calls of this thread draw from generators of its own.

    >>> with OwnRandomness(seed=0):
    ...     first = torch.rand(3)
    >>> with OwnRandomness(seed=0):
    ...     torch.equal(torch.rand(3), first)
    True
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.generators: dict[torch.device, torch.Generator] = {}
        self.swapped = False  # whether a call has needed the shared generator

    def on(self, device: torch.device | str | None) -> torch.Generator:
        """The generator for a device: a network on a GPU may still toss its coins on the CPU."""
        device = torch.device(device or "cpu")
        if device.type != "cpu" and device.index is None:
            device = torch.empty(0, device=device).device  # "cuda" is "cuda:0" to its tensors
        if device not in self.generators:
            self.generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self.generators[device]

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is functional.dropout or func in _WHOLE_CHANNELS:
            return self._dropout(func in _WHOLE_CHANNELS, *args, **kwargs)
        if func in _TAKES_GENERATOR:
            device = args[0].device if args and isinstance(args[0], Tensor) else kwargs.get("device")
            return func(*args, **{"generator": self.on(device), **kwargs})
        if getattr(func, "__name__", "") in _SWAPPED:
            return self._with_state_swapped(func, args, kwargs)
        return func(*args, **kwargs)

    def _with_state_swapped(self, func: Callable, args: tuple, kwargs: dict) -> Any:
        device = next((value.device for value in args if isinstance(value, Tensor)), torch.device("cpu"))
        own, self.swapped = self.on(device), True
        shared = torch.default_generator if device.type == "cpu" else torch.cuda.default_generators[device.index or 0]
        with _swapping:
            before = shared.get_state()
            shared.set_state(own.get_state())
            try:
                return func(*args, **kwargs)
            finally:
                own.set_state(shared.get_state())
                shared.set_state(before)

    def _dropout(
        self, channels: bool, input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> Tensor:
        if not training or p == 0:
            return input
        shape = (*input.shape[:2], *[1] * (input.dim() - 2)) if channels else input.shape
        kept = torch.empty(shape, dtype=input.dtype, device=input.device).bernoulli_(
            1 - p, generator=self.on(input.device)
        )
        kept = kept / (1 - p) if p < 1 else kept
        return input.mul_(kept) if inplace else input * kept
