"""Optimisers by the names of the lectures, how the learning rate moves during a run, and averages. Private."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

KEPT_AVERAGE = 0.995  # share of the old average kept at each step, once there are many

# Fused: one pass over the weights, on a CPU as well; RMSprop has none.
OPTIMISERS: dict[str, Callable[..., optim.Optimizer]] = {
    "sgd": partial(optim.SGD, fused=True),
    "momentum": partial(optim.SGD, momentum=0.9, fused=True),
    "nesterov": partial(optim.SGD, momentum=0.9, nesterov=True, fused=True),
    "adagrad": partial(optim.Adagrad, fused=True),
    "rmsprop": optim.RMSprop,
    "adam": partial(optim.Adam, fused=True),
    "adamw": partial(optim.AdamW, fused=True),
    "lbfgs": partial(optim.LBFGS, max_iter=10, line_search_fn="strong_wolfe"),  # plain L-BFGS runs off to NaN
}


def make_optimiser(name: str, groups: Iterable[dict[str, Any]], lr: float, weight_decay: float) -> optim.Optimizer:
    """Return torch's optimiser of that name for groups of weights; L-BFGS alone knows no weight decay."""
    further = {} if name == "lbfgs" else {"weight_decay": weight_decay}
    return OPTIMISERS[name](groups, lr=lr, **further)


def rate_on(device: torch.device, optimiser: optim.Optimizer) -> None:
    """Keep the learning rate where a recorded step reads it: a number would be recorded for good."""
    for group in optimiser.param_groups:
        group["lr"] = torch.tensor(float(group["lr"]), device=device)


def set_rate(group: dict[str, Any], rate: float) -> None:
    """Set a group's learning rate, wherever it is kept."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def _step(done: float) -> float:
    return 0.1 ** ((done >= 1 / 2) + (done >= 3 / 4))  # ResNet on CIFAR-10: at 32k and 48k of 64k steps


def _cosine(done: float) -> float:
    return (1 + math.cos(math.pi * done)) / 2


def _one_cycle(done: float) -> float:
    """Up from a 25th for 30 % of the way, then down to almost nothing (Smith and Topin, arXiv 1708.07120)."""
    if done < 0.3:
        return 1 / 25 + (1 - 1 / 25) * (1 - math.cos(math.pi * done / 0.3)) / 2
    return max(1e-4, _cosine((done - 0.3) / 0.7))


# share of the planned steps done -> share of the peak rate
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "step": _step,
    "cosine": _cosine,
    "one-cycle": _one_cycle,
}


def averaged(model: nn.Module) -> AveragedModel:
    """A twin whose weights are the running average of the model's (Polyak)."""
    return AveragedModel(model, multi_avg_fn=_running_average, use_buffers=True)


def _running_average(old: Sequence[Tensor], new: Sequence[Tensor], steps: Tensor) -> None:
    """Keep less of the old while there are few steps, or the weights of the start outweigh a short run's.

    The same ramp as TensorFlow's ``ExponentialMovingAverage(num_updates=...)``.
    """
    count = int(steps)
    get_ema_multi_avg_fn(min(KEPT_AVERAGE, (1 + count) / (10 + count)))(old, new, steps)
