"""The clock: how long a module takes, warmed up, on inputs that no cache holds. Private: `measure` shows it."""

from __future__ import annotations

import copy
import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from cnnviz._arguments import chosen_device
from cnnviz._checks import _either, _flag, _number, _short, _whole
from cnnviz._counting import module_of, shape_of
from cnnviz._memory import is_about_memory, keep_freed_memory, within_memory

BLOCK = 0.005  # seconds: runs are timed in blocks, so that reading the clock does not count
STEPS = 100  # of the clock, in a block: within 1 %
LONGEST_BLOCK = 1.0  # seconds
LEAST_BLOCKS = 7
CACHE, MOST = 32 << 20, 256 << 20  # bytes of a cache nobody knows; of all the inputs that take turns
DTYPES = {"float32": torch.float32, "float64": torch.float64, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Setting:
    """Where and how something is timed."""

    device: torch.device
    dtype: torch.dtype = torch.float32
    batch: int = 1
    channels_last: bool = False

    @property
    def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' * (threads > 1)}" if device.type == "cpu" else device.type.upper()


def in_words(seconds: float) -> str:
    """Three digits and a unit.

    >>> in_words(0.00123)
    '1.23 ms'
    """
    for size, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):  # noqa: B007 (used behind the loop)
        if seconds >= size:
            break
    return f"{seconds / size:.3g} {unit}"
