"""The roofline of this machine: how fast it computes and copies, measured, and which of the two holds a layer up.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore architectures", 2009.
A layer needs at least the time of its arithmetic, and at least the time in which what it reads and writes can be moved.
Private: `measure` shows it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnnviz._checks import _whole
from cnnviz._memory import is_about_memory
from cnnviz._tables import Line, as_text
from cnnviz.cost import CostRow, CostTable
from cnnviz.measure._counting import cost_table, module_of, shape_of, size_or_native
from cnnviz.measure._latency import Setting, cache, in_turns, in_words, read_setting, stopwatch

# Seconds of a run: enough for whatever a library does before it computes not to count. On a CPU much less than a busy
# system's time slice, or hardly a run would be left in peace.
ENOUGH, ENOUGH_ELSEWHERE = 0.0003, 0.001
DOUBLINGS = 12
STINTS, BETTER = 10, 0.98  # measured again while the best time falls below this share of the one before
KINDS = {"dense": "a matrix product", "pointwise": "a 1x1 convolution", "standard": "a 3x3 convolution"}
COLUMNS = ("kind", "MACs", "bytes", "FLOPs a byte", "held up by", "at least")


class Bound(NamedTuple):
    """What a layer does and moves for a batch, and the least time of both."""

    name: str
    kind: str
    macs: int
    bytes: int
    limit: str  # "arithmetic" or "memory"
    seconds: float

    @property
    def intensity(self) -> float:
        """FLOPs for each byte moved; a MAC is two FLOPs."""
        return 2 * self.macs / self.bytes

    def cells(self) -> tuple[str, ...]:
        """A line of a table, without the name."""
        counts = f"{self.macs:,}", f"{self.bytes:,}", f"{self.intensity:.1f}"
        return self.kind, *counts, self.limit, in_words(self.seconds)


@dataclass(frozen=True, repr=False)
class Prediction:
    """The bounds of a network's layers; ``seconds`` is their sum, the least time of one run."""

    title: str
    rows: tuple[Bound, ...]

    @property
    def seconds(self) -> float:
        """The least time of all layers, one after the other."""
        return sum(row.seconds for row in self.rows)

    def __iter__(self) -> Iterator[Bound]:
        return iter(self.rows)

    def __repr__(self) -> str:
        macs, moved = sum(row.macs for row in self.rows), sum(row.bytes for row in self.rows)
        lines = [Line(0, row.name, row.cells()) for row in self.rows]
        total = Bound("total", self.title, macs, moved, "", self.seconds)
        return as_text("layer", COLUMNS, [*lines, Line(0, total.name, total.cells())])


@dataclass(frozen=True, repr=False)
class Roofline:
    """Measured speeds: ``ceilings`` in FLOPs a second by kind of layer, ``bandwidth`` in bytes a second."""

    ceilings: dict[str, float]
    bandwidth: float
    setting: Setting

    @property
    def peak(self) -> float:
        """The highest of the ceilings, in FLOPs a second."""
        return max(self.ceilings.values())

    @property
    def ridge(self) -> float:
        """FLOPs a byte from which on arithmetic holds a layer up; below, memory does."""
        return self.peak / self.bandwidth

    def predict(self, model: nn.Module | str, input_size: Any = None, batch: int = 1) -> Prediction:
        """The least time of every layer, from its multiply-adds and the bytes that it has to read and write once.

        ``input_size`` is the shape of one example, (C, H, W). Layers that work in place are not seen to move anything.
        """
        input_size = size_or_native(model, input_size)
        table = cost_table(model, input_size)
        module = module_of(model)
        layers = {type(module).__name__: module, **dict(module.named_modules())}
        given, batch = shape_of(input_size, input_size), _whole("batch", batch, 1, 2**20)
        rows = [self._bound(row, table, layers.get(row.name), given, batch) for row in table if _works(row)]
        return Prediction(table.title, tuple(rows))

    def _bound(
        self, row: CostRow, table: CostTable, layer: nn.Module | None, given: tuple[int, ...], batch: int
    ) -> Bound:
        shapes = [table.rows[index].output_shape if index >= 0 else given for index in row.inputs]
        values = sum(map(_size, [*shapes, row.output_shape]))
        moved = self.setting.dtype.itemsize * (batch * values + row.params)
        kind = kind_of(layer) or row.kind
        times = {
            "arithmetic": 2 * batch * row.macs / self.ceilings.get(kind, self.peak),
            "memory": moved / self.bandwidth,
        }
        limit = max(times, key=times.get)
        return Bound(row.name, kind, batch * row.macs, moved, limit, times[limit])

    def __repr__(self) -> str:
        lines = [f"{value / 1e9:,.0f} GFLOPs a second in {KINDS[kind]}" for kind, value in self.ceilings.items()]
        lines.append(f"{self.bandwidth / 1e9:,.1f} GB a second copied")
        lines.append(f"memory holds a layer up below {self.ridge:.1f} FLOPs a byte")
        return "\n  ".join([self.setting.machine, *lines])


def roofline(
    device: str | torch.device | None = None,
    dtype: str | torch.dtype = "float32",
    channels_last: bool = False,
    seconds: float = 0.4,
) -> Roofline:
    """Measure this machine's roofline; nothing is looked up.

    A large matrix product, a large 1x1 and a large 3x3 convolution give the ceilings of the arithmetic: a library has
    code of its own for each. A copy, twice the last cache on either side, gives the bandwidth: bytes read and bytes
    written. Of several blocks the best counts.

    Raises
    ------
    ValueError, RuntimeError
        As :func:`latency`.

    Examples
    --------
    >>> roof = roofline("cpu", seconds=0.01)
    >>> roof.peak > 1e9 and roof.bandwidth > 1e8
    True
    """
    setting = read_setting(1, device, dtype, channels_last)
    with torch.inference_mode():
        ceilings = {kind: _fastest(kind, setting, seconds) for kind in KINDS}
        source = torch.zeros(2 * cache(setting.device) // setting.dtype.itemsize, device=setting.device)
        target = torch.empty_like(source)
        pieces = 32 if setting.device.type == "cpu" else 1  # shorter than a busy system's time slice
        pairs = itertools.cycle(zip(target.chunk(pieces), source.chunk(pieces), strict=True))
        copied = _best(lambda: torch.Tensor.copy_(*next(pairs)), setting.device, seconds)
    return Roofline(ceilings, 2 * source.nbytes / pieces / copied, setting)


def _best(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Seconds of a run in the fastest block; measured until a second stint finds hardly a better one."""
    best = math.inf
    for _ in range(STINTS):
        ((times, _),) = in_turns([call], device, seconds / 2)
        before, best = best, min(best, *times)
        if best > BETTER * before:
            break
    return best


def _fastest(kind: str, setting: Setting, seconds: float) -> float:
    """FLOPs a second of one large piece of work: doubled until a run takes long enough, or no more fits."""
    enough = ENOUGH if setting.device.type == "cpu" else ENOUGH_ELSEWHERE
    call, work = _work(kind, 1, setting)
    for size in (2**n for n in range(1, DOUBLINGS)):
        watch = stopwatch(call, setting.device)
        if min(watch(1), watch(1)) >= enough:  # of two, as the first may have been disturbed
            break
        try:
            larger = _work(kind, size, setting)
            larger[0]()
        except RuntimeError as error:
            if not is_about_memory(error):
                raise
            break
        call, work = larger
    return work / _best(call, setting.device, seconds)


def _work(kind: str, size: int, setting: Setting) -> tuple[Callable[[], Tensor], int]:
    """A product of two matrices, or a batch of maps through a convolution that keeps them; and its FLOPs."""

    def values(*shape: int) -> Tensor:
        layout = torch.channels_last if setting.channels_last and len(shape) == 4 else torch.contiguous_format
        generator = torch.Generator(setting.device).manual_seed(0)
        random = torch.rand(shape, device=setting.device, generator=generator)
        return random.to(setting.dtype, memory_format=layout)

    if kind == "dense":
        side = 256 * size
        first, second = values(side, side), values(side, side)
        return lambda: first @ second, 2 * side**3
    # channels enough for memory not to hold up a 1x1
    channels, side = (128, 28) if setting.device.type == "cpu" else (1024, 16)
    kernel = 1 if kind == "pointwise" else 3
    maps, weights = values(size, channels, side, side), values(channels, channels, kernel, kernel)
    work = 2 * size * side**2 * weights.numel()
    return lambda: functional.conv2d(maps, weights, padding=kernel // 2), work


def kind_of(layer: nn.Module | None) -> str:
    """The kind of a layer with multiply-adds; "" for another.

    >>> kind_of(nn.Conv2d(8, 8, 3, groups=8))
    'depthwise'
    """
    if isinstance(layer, nn.Linear):
        return "dense"
    if not isinstance(layer, nn.modules.conv._ConvNd):
        return ""
    if layer.groups > 1:
        return "depthwise" if layer.groups == layer.in_channels else "grouped"
    return "pointwise" if set(layer.kernel_size) == {1} else "standard"


def _works(row: CostRow) -> bool:
    return bool(row.call and (row.macs or row.activations) and row.output_shape)


def _size(shape: tuple[int, ...] | None) -> int:
    return torch.Size(shape or (0,)).numel()
