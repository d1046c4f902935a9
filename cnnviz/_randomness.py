"""Chance of one's own: what a network draws in its forward pass comes from a generator of its run. Private.

Dropout and `torch.rand` draw from one generator that the whole process shares. A run that trains beside a notebook
would change what the notebook draws, be changed by it, and two runs would change each other. Torch keeps one stack of
function modes a thread, so a mode can hand the run's own generator to every call made in its thread, and the shared
generator is not touched at all.
"""

from __future__ import annotations

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


class OwnRandomness(TorchFunctionMode):
    """While entered, random calls of this thread draw from generators of its own; `used`: there were such calls.

    >>> with OwnRandomness(seed=0):
    ...     first = torch.rand(3)
    >>> with OwnRandomness(seed=0):
    ...     torch.equal(torch.rand(3), first)
    True
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed, self.used = seed, False
        self.generators: dict[torch.device, torch.Generator] = {}

    def on(self, device: torch.device | str | None) -> torch.Generator:
        """The generator for a device: a network on a GPU may still toss its coins on the CPU."""
        device = torch.device(device or "cpu")
        if device not in self.generators:
            self.generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self.generators[device]

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is functional.dropout or func in _WHOLE_CHANNELS:
            self.used = True
            return self._dropout(func in _WHOLE_CHANNELS, *args, **kwargs)
        if func in _TAKES_GENERATOR:
            self.used = True
            device = args[0].device if args and isinstance(args[0], Tensor) else kwargs.get("device")
            kwargs = {"generator": self.on(device), **kwargs}
        return func(*args, **kwargs)

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
