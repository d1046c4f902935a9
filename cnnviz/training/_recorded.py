"""A step of training on a GPU as two CUDA graphs, each one launch where Python would make a hundred. Private.

A small network leaves a GPU waiting for Python. A CUDA graph is a list of kernels and of the addresses they work on:
it is recorded from calls once and then replayed. So batches are copied to fixed places, the learning rate is a tensor
on the GPU, and whatever Python decides is decided for good: only a network that decides nothing may be recorded. The
loop looks at the loss between the two graphs, as it does without them.

No GPU was at hand while this was written: it is tested with recordings of the CPU's calls in the place of CUDA graphs.
What cannot be recorded is trained as ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from cnnviz.training._randomness import OwnRandomness

Result = TypeVar("Result")

KNOWN = ("torch.nn.modules.", "cnnviz.models.")  # their forward passes are known to do the same at each step ...
RECORDABLE = frozenset({"sgd", "momentum", "nesterov", "adam", "adamw"})  # keep all that changes on the GPU
DEVICES = frozenset({"cuda"})
_one_at_a_time = threading.Lock()  # in a process, says torch


class RecordedStep:
    """The gradient of a batch and the update of the weights, for batches of one form: shapes and types.

    Parameters
    ----------
    x, y
        One of them: the places that others are copied to are made like it.
    gradient
        ``(x, y) -> (figures, gradients)``, all of them tensors.
    update
        Moves the weights by the gradients.
    optimiser
        The one that ``update`` calls, after its first step: by then it has made the tensors that it keeps.
    randomness
        What the network's chance comes from.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        gradient: Callable[[Tensor, Tensor], tuple[Tensor, list[Tensor]]],
        update: Callable[[], None],
        optimiser: torch.optim.Optimizer,
        randomness: OwnRandomness,
    ) -> None:
        self.x, self.y = x.clone(), y.clone()
        generator = randomness.generators.get(x.device)
        (self.figures, self.gradients), self._replay_gradient = record(
            lambda: gradient(self.x, self.y), x.device, generator
        )
        for group in optimiser.param_groups:
            group["capturable"] = True  # Adam asks for this while it is recorded, and warns of it at other times
        try:
            _, self._replay_update = record(update, x.device)
        finally:
            for group in optimiser.param_groups:
                group["capturable"] = False

    def gradient(self, x: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Figures and gradients of a batch."""
        self.x.copy_(x)
        self.y.copy_(y)
        self._replay_gradient()
        return self.figures, self.gradients

    def update(self) -> None:
        """Move the weights."""
        self._replay_update()


def recordable(device: torch.device, optimizer: str) -> bool:
    """Whether steps there, of such an optimiser, can be recorded at all."""
    return device.type in DEVICES and optimizer in RECORDABLE


def may_be_recorded(model: nn.Module, optimizer: str, device: torch.device, randomness: OwnRandomness) -> bool:
    """Whether each step makes the same calls; asked after some steps: chance drawn elsewhere decides in Python."""
    drawn_here = not randomness.swapped and all(place == device for place in randomness.generators)
    return recordable(device, optimizer) and drawn_here and all(_does_the_same(module) for module in model.modules())


def _does_the_same(module: nn.Module) -> bool:
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)  # replaying calls none
    cumulative = isinstance(module, nn.modules.batchnorm._NormBase) and module.momentum is None  # counts in Python
    return type(module).__module__.startswith(KNOWN) and not any(hooks) and not cumulative


def record(
    work: Callable[[], Result], device: torch.device, generator: torch.Generator | None = None
) -> tuple[Result, Callable[[], Any]]:
    """Record the kernels that work launches, without running them: what it returned, and the replay that fills it."""
    graph = torch.cuda.CUDAGraph()
    if generator is not None:
        graph.register_generator_state(generator)
    # thread_local: what the notebook does on the GPU meanwhile is its own affair
    recording = torch.cuda.graph(graph, stream=torch.cuda.Stream(device), capture_error_mode="thread_local")
    with _one_at_a_time, torch.cuda.device(device), recording:
        result = work()
    return result, graph.replay
