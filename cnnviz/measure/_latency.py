"""The clock: how long a module takes, warmed up, on inputs that no cache holds. Private: `measure` shows it."""

from __future__ import annotations

import copy
import itertools
import math
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.benchmark import Timer

from cnnviz._checks import _count, _either, _flag, _number, _short, _whole
from cnnviz._memory import is_about_memory, keep_freed_memory, within_memory
from cnnviz.measure._counting import module_of, shape_of, size_or_native
from cnnviz.training._arguments import chosen_device

BLOCK = 0.001  # seconds: long enough for reading the clock not to count, and shorter than a busy system's time slice
STEPS = 100  # of the clock, in a block: within 1 %
LONGEST_BLOCK = 1.0  # seconds
LEAST_BLOCKS = 11
CACHE, MOST = 32 << 20, 128 << 20  # bytes of a cache nobody knows; of all the inputs that take turns
MOST_INPUTS = 10_000  # for very small ones, which no cache would notice
DTYPES = {"float32": torch.float32, "float64": torch.float64, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Setting:
    """Where and how something is timed."""

    device: torch.device
    dtype: torch.dtype = torch.float32
    batch: int = 1
    channels_last: bool = False

    @property
    def machine(self) -> str:
        """Device, numbers and layout in words, with nothing that names one person's computer."""
        return f"{device_name(self.device)}, {str(self.dtype)[6:]}{', channels_last' * self.channels_last}"

    def __str__(self) -> str:
        return f"{self.machine}, batch {self.batch}"


@dataclass(frozen=True, repr=False)
class Latency:
    """The time of one run: ``median`` and ``middle_half`` (quartiles) over blocks of ``runs``, in seconds."""

    title: str
    seconds: tuple[float, ...]  # of one run, the mean of each block
    runs: int  # in all blocks together
    setting: Setting

    @property
    def median(self) -> float:
        """Half of the blocks were faster."""
        return statistics.median(self.seconds)

    @property
    def fastest(self) -> float:
        """The time of the fastest block: whatever else a machine does only adds to a time."""
        return min(self.seconds)

    @property
    def middle_half(self) -> tuple[float, float]:
        """Half of the blocks lie between these two."""
        first, _, third = statistics.quantiles(self.seconds, n=4)
        return first, third

    def __repr__(self) -> str:
        low, high = map(in_words, self.middle_half)
        text = f"{self.title}: {in_words(self.median)} (half of {len(self.seconds)} blocks between {low} and {high})"
        return f"{text}, {self.runs:,} runs; {self.setting}"


def latency(
    module: nn.Module | str,
    input_size: Any = None,
    batch: int = 1,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype = "float32",
    channels_last: bool = False,
    seconds: float = 0.5,
) -> Latency:
    """Take the time of a module's forward pass, in evaluation mode and without gradients.

    A copy is timed, so the module stays as it is. After a warm-up, blocks of runs are timed: on a CPU by
    ``torch.utils.benchmark`` with as many threads as torch uses, on an NVIDIA GPU by CUDA events. Several inputs take
    turns, together larger than the last cache, as they would be in a network that has other layers in between.

    Parameters
    ----------
    module
        Any module, or a name of ``cnnviz.models.names()``.
    input_size
        Shape of one example, (C, H, W); ``batch`` of them are one input. By itself the one that a named network was
        published for, and (3, 224, 224) for other modules.
    device
        "cpu", "cuda", "mps" ...; by itself a CUDA GPU if there is one.
    dtype
        "float32", "float64", "float16" or "bfloat16", for the weights and the input.
    channels_last
        Keep the channels of a place side by side in memory, (N, H, W, C).
    seconds
        How long to measure, about; at least eleven blocks.

    Raises
    ------
    ValueError
        For an argument that is none, and an input that the module cannot take.
    torch.OutOfMemoryError
        If it does not fit; smaller batches are suggested.
    RuntimeError
        If the machine's clock is too coarse.

    Examples
    --------
    >>> from torch import nn
    >>> taken = latency(nn.Conv2d(8, 8, 3), (8, 16, 16), seconds=0.01)
    >>> taken.median > 0 and len(taken.seconds) >= 11
    True
    """
    setting = read_setting(batch, device, dtype, channels_last)
    return together([(module, size_or_native(module, input_size))], setting, seconds)[0]


def read_setting(batch: Any, device: Any, dtype: Any, channels_last: Any) -> Setting:
    chosen = DTYPES.get(dtype, dtype) if isinstance(dtype, str) else dtype
    if chosen not in DTYPES.values():
        raise ValueError(f"dtype {_short(dtype)} is not known: use {_either(DTYPES)}")
    last = _flag("channels_last", channels_last)
    return Setting(chosen_device(device), chosen, _whole("batch", batch, 1, 2**20), last)


def together(pairs: Sequence[tuple[nn.Module | str, Any]], setting: Setting, seconds: float) -> list[Latency]:
    """Time several modules in turns, so that whatever else the machine does falls on all of them."""
    _number("seconds", seconds, above=0)

    def work() -> list[Latency]:
        with torch.inference_mode():
            pool: dict[tuple[int, ...], Sequence[Tensor]] = {}
            calls = [_prepared(module, input_size, setting, pool) for module, input_size in pairs]
            found = in_turns(calls, setting.device, seconds)
        titles = [module if isinstance(module, str) else type(module).__name__ for module, _ in pairs]
        return [Latency(title, *one, setting) for title, one in zip(titles, found, strict=True)]

    return within_memory(setting.batch, work, word="batch")


def _prepared(
    module: nn.Module | str, input_size: Any, setting: Setting, pool: dict[tuple[int, ...], Sequence[Tensor]]
) -> Callable[[], Tensor]:
    """A function that runs a copy of the module on the next of several inputs, and has done so once."""
    module = _copied(module)
    layout = torch.channels_last if setting.channels_last else torch.contiguous_format
    shape = (setting.batch, *shape_of(input_size, input_size))
    try:
        module = module.eval().to(setting.device, setting.dtype, memory_format=layout)
        if shape not in pool:
            pool[shape] = _inputs(shape, setting, layout)
        inputs = itertools.cycle(pool[shape])
        module(next(inputs))
    except (RuntimeError, ValueError, TypeError) as error:
        if is_about_memory(error):
            raise
        raise ValueError(f"{type(module).__name__} cannot be timed on an input of {shape}: {error}") from error
    return lambda: module(next(inputs))


def _copied(module: nn.Module | str) -> nn.Module:
    """A copy to be timed; the random values of a network that has none yet are taken from nobody's generator."""
    with torch.random.fork_rng(devices=[]):
        if isinstance(module, str):
            from cnnviz import models

            return models.create(module)
        twin = copy.deepcopy(module_of(module))
        if any(weights.is_meta for weights in twin.parameters()):
            twin = twin.to_empty(device="cpu")
            for weights in twin.parameters():
                nn.init.normal_(weights, std=0.01)
        return twin


def _inputs(shape: tuple[int, ...], setting: Setting, layout: torch.memory_format) -> Sequence[Tensor]:
    """Copies of one random input, together twice as large as the last cache."""
    first = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(setting.device, setting.dtype)
    if first.dim() == 4:
        first = first.contiguous(memory_format=layout)
    number = math.ceil(min(2 * cache(setting.device), MOST) / (first.numel() * first.element_size()))
    if number == 1:
        return (first,)  # so large that a second one might not fit
    every = first.repeat(min(number, MOST_INPUTS), *[1] * (len(shape) - 1))
    return (every.contiguous(memory_format=layout) if every.dim() == 4 else every).split(setting.batch)


def cache(device: torch.device) -> int:
    """Bytes of the largest cache, or a usual number."""
    if device.type == "cuda":
        return getattr(torch.cuda.get_device_properties(device), "L2_cache_size", CACHE)
    found = [path.read_text().strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    return max((int(text[:-1]) << 10 for text in found if text.endswith("K")), default=CACHE)


def in_turns(
    calls: Sequence[Callable[[], Any]], device: torch.device, seconds: float
) -> list[tuple[tuple[float, ...], int]]:
    """Time blocks of each call in turns; for each the seconds of a run, block by block, and how many runs."""
    if device.type == "cpu":
        keep_freed_memory()  # or each run fetches the memory of its output anew
    watches = [stopwatch(call, device) for call in calls]
    sizes = [_block_size(watch) for watch in watches]
    rounds: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(rounds) < LEAST_BLOCKS or time.perf_counter() < end:
        rounds.append([watch(size) / size for watch, size in zip(watches, sizes, strict=True)])
    return [(times, size * len(rounds)) for times, size in zip(zip(*rounds, strict=True), sizes, strict=True)]


def stopwatch(call: Callable[[], Any], device: torch.device) -> Callable[[int], float]:
    """A function that takes the seconds of so many runs."""
    if device.type != "cuda":
        timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
        return lambda runs: runs * timer.timeit(runs).mean

    def watch(runs: int) -> float:
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        with torch.cuda.device(device):
            start.record()
            for _ in range(runs):
                call()
            stop.record()
            stop.synchronize()
        return start.elapsed_time(stop) / 1000  # milliseconds

    return watch


def _block_size(watch: Callable[[int], float]) -> int:
    """As many runs as the clock needs to tell their time to a hundredth."""
    long_enough = max(BLOCK, STEPS * clock_step())
    if long_enough > LONGEST_BLOCK:
        text = f"the clock of this machine moves in steps of {in_words(long_enough / STEPS)}: a single measurement"
        raise RuntimeError(f"{text} would take {in_words(long_enough)} and more, and nothing is timed here")
    watch(2)  # warms up: memory, caches, and what a library tries out when it sees a shape for the first time
    runs = 1
    while (taken := watch(runs)) < long_enough:
        runs = min(10 * runs, math.ceil(1.2 * runs * long_enough / max(taken, 1e-9)))
    return runs


def clock_step() -> float:
    """The smallest step that the clock was seen to make, in seconds."""
    steps = []
    for _ in range(5):
        start = now = time.perf_counter()
        while now == start:
            now = time.perf_counter()
        steps.append(now - start)
    return min(steps)


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type.upper()
    return f"{_processor()}, {_count(torch.get_num_threads(), 'thread')}"


def _processor() -> str:
    """The processor's own name, where the system tells it."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return " ".join((names[0] if names else platform.processor() or "CPU").split())


def in_words(seconds: float) -> str:
    """Three digits and a unit.

    >>> in_words(0.00123)
    '1.23 ms'
    """
    for size, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):  # noqa: B007 (used behind the loop)
        if seconds >= size:
            break
    return f"{seconds / size:.3g} {unit}"
