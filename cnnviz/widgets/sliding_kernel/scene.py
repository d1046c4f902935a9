"""What there is to show of a layer at one moment: the numbers, the window on them, and the words.

Everything that pictures and texts need is computed here once; nothing here knows a coordinate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnviz import kernels, trace
from cnnviz._checks import _by
from cnnviz.geometry import POOLS, Layer
from cnnviz.trace import Trace, number_text
from cnnviz.widgets.sliding_kernel import settings
from cnnviz.widgets.sliding_kernel.code import format_code
from cnnviz.widgets.sliding_kernel.wires import Wires, wires_of

MOST_TERMS = 27  # three channels of 3x3: a longer sum is told in fewer words
WHOLE = 200  # output values that a text lists; of larger outputs it shows a corner
CORNER = 4


@dataclass(frozen=True)
class Axis:
    """One axis of the input as drawn: padding and inserted zeros are cells too."""

    source: np.ndarray  # (length,) input index of each drawn cell, -1 where there is none
    step: int  # drawn cells from one window to the next
    dilation: int
    kernel: int
    out: int
    reads: np.ndarray  # (size,) how many windows read each input index

    @property
    def span(self) -> int:
        """Drawn cells from the first tap to the last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def unread(self) -> list[int]:
        """Input indices that no window reads."""
        return np.flatnonzero(self.reads == 0).tolist()


@dataclass(frozen=True)
class Scene:
    """A layer with its numbers, and the output cell that is being computed."""

    state: Mapping[str, Any]
    layer: Layer
    image: np.ndarray  # (C, H, W) as shown
    weights: np.ndarray  # torch's layout; empty for pools
    trace: Trace
    output: np.ndarray  # (filters, h, w)
    rows: Axis
    cols: Axis

    @property
    def cell(self) -> tuple[int, int]:
        """Row and column of the current output cell."""
        return divmod(self.state["position"], self.layer.output_shape[2])

    @property
    def filter(self) -> int:
        """The output channel that is looked at."""
        return self.state["filter"]

    @property
    def is_pool(self) -> bool:
        """Whether there are no weights."""
        return self.layer.op in POOLS

    @property
    def flipped(self) -> bool:
        """Whether the kernel slides flipped in both axes."""
        return self.layer.op in ("convolve", "transposed")

    @property
    def channels(self) -> range:
        """The input channels that the current filter reads."""
        if self.is_pool:
            return range(self.filter, self.filter + 1)
        each = self.layer.in_channels // self.layer.groups
        group = self.filter // (self.layer.filters // self.layer.groups)
        return range(group * each, (group + 1) * each)

    @property
    def wires(self) -> Wires:
        """Which channel reaches which output, and where the ink is."""
        seen = self.state["level"] > 2
        return wires_of(self.layer, self.state["shuffle"] if seen else "", self.state["ink"] if seen else -1)

    @property
    def hidden(self) -> bool:
        """Whether the reader is asked to predict before the output may be seen."""
        return bool(self.state["predict"]) or self.state["reveal"] < 3

    def with_state(self, **look: Any) -> Scene:
        """Return the same layer looked at in another way: another position, another filter, filled in or not."""
        return replace(self, state={**self.state, **look})

    def kernel(self, channel: int) -> np.ndarray:
        """Weights of the current filter for an input channel, in the picture's reading order."""
        first = self.channels[0]
        if self.layer.op == "transposed":
            weights = self.weights[channel, self.filter % (self.layer.filters // self.layer.groups)]
        else:
            weights = self.weights[self.filter, channel - first]
        return weights[::-1, ::-1] if self.flipped else weights

    def window(self, channel: int) -> np.ndarray:
        """What the window reads of a channel, NaN where there is no input."""
        i, j = self.cell
        rows, cols = (
            axis.source[at * axis.step + np.arange(axis.kernel) * axis.dilation]
            for axis, at in ((self.rows, i), (self.cols, j))
        )
        values = self.image[channel][np.maximum(rows, 0)][:, np.maximum(cols, 0)]
        return np.where((rows >= 0)[:, None] & (cols >= 0), values, np.nan)

    def products(self, channel: int) -> np.ndarray:
        """Window times weights; of a pool the window itself."""
        window = self.window(channel)
        return window if self.is_pool else window * self.kernel(channel)

    # ---- words -----------------------------------------------------------------------------------------------------

    def shape_text(self) -> str:
        """Say the operation and the shapes."""
        parts = [f"input {_by(self.image.shape)}"]
        parts += [] if self.is_pool else [f"kernel {_by(self.layer.weight_shape)}"]
        out = "?" if self.state["predict"] == "shape" else _by(self.layer.output_shape)
        return f"{self.layer.op}: {', '.join(parts)} → output {out}"

    def settings_text(self) -> str:
        """Say every setting that the operation has."""
        names = ["kernel_size", "stride", "padding"]
        names += [] if self.layer.op == "avg_pool" else ["dilation"]
        names += ["ceil_mode"] if self.is_pool else ["groups"]
        names += {"avg_pool": ["count_include_pad"], "transposed": ["output_padding"]}.get(self.layer.op, [])
        parts = [f"{name} {_value(self.state[name])}" for name in names]
        if self.layer.op == "avg_pool" and self.state["divisor_override"]:
            parts.append(f"divisor_override {self.state['divisor_override']}")
        if not self.is_pool:
            parts.append(f"bias {_value(self.state['bias'])}")
            parts += [f"kernel {self.state['kernel_name']}"] if self.state["kernel_name"] else []
            parts += [f"turned by {_value(self.state['angle'])}°"] if self.state["angle"] else []
        return ", ".join(parts + (["ReLU"] if self.state["relu"] else []))

    def formula_text(self) -> str:
        """Say the size formula with its numbers, once when height and width agree, and what is never read."""
        if self.state["predict"] == "shape":
            return "output size: predict it"
        window, size, more = self.layer.window, self.layer.input_size, self.layer.output_padding
        rows, cols = (window.formula(size, axis, self.layer.op, more) for axis in (0, 1))
        formula = f"output size: {rows}" if rows == cols else f"height: {rows}, width: {cols}"
        unread = [_unread(name, axis.unread) for name, axis in (("row", self.rows), ("column", self.cols))]
        return "; ".join([formula, *filter(None, unread)])

    def sum_text(self) -> str:
        """Spell out the current output value."""
        i, j = self.cell
        if self.hidden and (self.state["predict"] or self.state["reveal"] < 2):
            return f"output ({i}, {j}): predict it"
        count = len(self.trace.terms(self.filter, i, j))
        if count > MOST_TERMS:
            words = f"{'largest' if self.layer.op == 'max_pool' else 'sum'} of {count} terms"
            text = f"{words} = {number_text(self.trace.output[self.filter, i, j])}"
        else:
            text = self.trace.explain(self.filter, i, j)
        relu = f", ReLU: {number_text(self.output[self.filter, i, j])}" if self.state["relu"] else ""
        return f"output ({i}, {j}): {text}{relu}"

    def output_text(self) -> str:
        """List the output, or its range and a corner of the current channel when it is large."""
        if self.hidden:
            return "output: predict it first"
        filters, _, width = self.output.shape
        if self.output.size <= WHOLE and width <= 32:
            maps = [_aligned(channel) for channel in self.output]
            if filters == 1:
                return f"output:\n{maps[0]}"
            return "\n".join(f"output channel {index}:\n{text}" for index, text in enumerate(maps))
        low, high = number_text(self.output.min()), number_text(self.output.max())
        corner = _aligned(self.output[self.filter, :CORNER, :CORNER])
        return f"output from {low} to {high}; channel {self.filter} begins:\n{corner}"

    def wires_text(self) -> list[str]:
        """Say what stands behind the layer, and where the ink arrives."""
        groups, filters = self.layer.groups, self.layer.filters
        lines = []
        if len(self.wires.counts) > 2:
            shuffled = self.state["shuffle"] == "on"
            between = f"nn.ChannelShuffle({groups}), then " if shuffled else "no shuffle, "
            lines = [f"behind it: {between}a second layer of {filters} filters in {groups} groups"]
            lines += [f"it reads the maps in the order {' '.join(map(str, self.wires.order))}"] if shuffled else []
        return lines + [self.wires.text] * bool(self.wires.inked[0])

    def plain_text(self) -> str:
        """Say all of it in plain lines, the same on every machine."""
        words = [self.shape_text(), self.settings_text(), self.formula_text(), self.sum_text(), self.output_text()]
        return "\n".join([f"SlidingKernel {format_code(self.state)}", *words, *self.wires_text()])


def scene_of(state: Mapping[str, Any]) -> Scene:
    """Compute everything that can be shown of a state."""
    layer = settings.layer_of(state)
    image = trace.tile(state["image"], (1, layer.in_channels, *layer.input_size))[0]
    weights = tidy(weights_of(state, layer))
    computed = traced(state, layer, image, weights)
    computed = replace(computed, output=tidy(computed.output))
    output = np.maximum(computed.output, 0) if state["relu"] else computed.output
    return Scene(state, layer, image, weights, computed, output, _axis(layer, 0), _axis(layer, 1))


def weights_of(state: Mapping[str, Any], layer: Layer) -> np.ndarray:
    """Return the weights that the layer uses; a pool has none."""
    if not layer.weight_shape:
        return np.zeros((0,))
    return kernels.effective(state["kernel"], layer.weight_shape, state["kernel_name"], state["angle"])


def traced(state: Mapping[str, Any], layer: Layer, image: np.ndarray, weights: np.ndarray) -> Trace:
    """Run the reference computation."""
    if layer.op == "max_pool":
        return trace.max_pool(image, layer.window)
    if layer.op == "avg_pool":
        return trace.avg_pool(image, layer.window, state["count_include_pad"], state["divisor_override"] or None)
    bias = np.resize(np.asarray(state["bias"], dtype=float), layer.filters)
    if layer.op == "transposed":
        return trace.transposed(image, weights, layer.window, bias, layer.groups, layer.output_padding)
    slide = trace.convolve if layer.op == "convolve" else trace.correlate
    return slide(image, weights, layer.window, bias, layer.groups)


def tidy(values: np.ndarray) -> np.ndarray:
    """Round away what depends on the order of summation, so that texts and pictures are the same everywhere."""
    largest = float(np.abs(values).max(initial=0))
    return np.round(values, 10 - math.ceil(math.log10(largest))) + 0.0 if largest > 1e-200 else values  # + 0.0: no −0


def _axis(layer: Layer, axis: int) -> Axis:
    window, size = layer.window, layer.input_size[axis]
    dilation, kernel = window.dilation[axis], window.kernel_size[axis]
    if layer.op == "transposed":
        tables = (window.transposed_rows, window.transposed_cols)
        table = tables[axis](size, layer.output_padding[axis])
        starts = np.arange(len(table))
    else:
        table = (window.rows, window.cols)[axis](size)
        starts = np.arange(len(table)) * window.stride[axis]
    real = (table >= 0) & (table < size)
    step = 1 if layer.op == "transposed" else window.stride[axis]
    if layer.op == "transposed":
        source = np.full(starts[-1] + dilation * (kernel - 1) + 1, -1)
        source[starts[:, None] + np.arange(kernel) * dilation] = table
    else:
        before, after = window.pads[axis]
        cells = np.arange(max(before + size + after, starts[-1] + dilation * (kernel - 1) + 1)) - before
        source = np.where((cells >= 0) & (cells < size), cells, -1)
    reads = np.bincount(table[real], minlength=size)
    return Axis(source, step, dilation, kernel, len(table), reads)


def _value(value: Any) -> str:
    if isinstance(value, list):
        shown = ", ".join(map(number_text, value[:4]))
        return f"({shown}{', …' if len(value) > 4 else ''})"
    if isinstance(value, bool | str | tuple):
        return str(value)
    return number_text(value)


def _unread(name: str, unread: list[int]) -> str:
    if not unread:
        return ""
    listed = ", ".join(map(str, unread[:6])) + (", …" if len(unread) > 6 else "")
    return f"{name} {listed} is never read" if len(unread) == 1 else f"{name}s {listed} are never read"


def _aligned(values: np.ndarray) -> str:
    texts = [[number_text(value) for value in row] for row in values]
    width = max(len(text) for row in texts for text in row)
    return "\n".join(" ".join(text.rjust(width) for text in row) for row in texts)
