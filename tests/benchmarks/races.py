"""What the roofline predicts against what the clock says, for the convolutions of MobileNet v1 and VGG-16.

Errors are of single layers, by kind; a prediction is the least time, so most errors are time that the roofline does not
know of. For depthwise layers the gap is taken apart: what a call costs on a map of one window, what another memory
layout saves, and the rest, which is the library's kernel.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import nn

from cnnviz import models
from cnnviz.measure import cost_table, latency
from cnnviz.measure._latency import Setting, read_setting, together
from cnnviz.measure._roofline import Roofline, kind_of, roofline
from tests.benchmarks.rows import Row

NETWORKS = ("mobilenet_v1", "vgg16")
GPU_BAR = 30  # per cent, of standard and pointwise layers at batch 64 and above


class Timed(NamedTuple):
    """A layer with its predicted and measured seconds."""

    kind: str
    layer: nn.Conv2d
    shape: tuple[int, int, int]
    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """Per cent of the measured time."""
        return 100 * abs(self.predicted - self.measured) / self.measured


def convolutions(quick: bool) -> list[tuple[nn.Conv2d, tuple[int, int, int]]]:
    """Each convolution of the networks once, with the shape that goes into it."""
    found = {}
    for name in NETWORKS:
        with torch.device("meta"):
            network = models.create(name)
        table, modules = cost_table(network), dict(network.named_modules())
        for row in table:
            layer = modules.get(row.name)
            if isinstance(layer, nn.Conv2d):
                shape = table.rows[row.inputs[0]].output_shape if row.inputs[0] >= 0 else (3, 224, 224)
                key = (shape, layer.out_channels, layer.kernel_size, layer.stride, layer.groups)
                found.setdefault(key, (layer, shape))
    layers = list(found.values())
    return layers[:5] if quick else layers


def timed(roof: Roofline, setting: Setting, quick: bool) -> list[Timed]:
    rows = []
    for layer, shape in convolutions(quick):
        (taken,) = together([(layer, shape)], setting, 0.01 if quick else 0.2)
        least = roof.predict(layer, shape, setting.batch).seconds
        rows.append(Timed(kind_of(layer), layer, shape, least, taken.fastest))
    return rows


def errors(rows: list[Timed], bar: float | None) -> list[Row]:
    """The median error of each kind of layer; a bar for those that arithmetic holds up."""
    lines = []
    for kind in ("standard", "pointwise", "depthwise"):
        found = [row.error for row in rows if row.kind == kind]
        factor = statistics.median(row.measured / row.predicted for row in rows if row.kind == kind)
        note = f"{len(found)} layers; measured / predicted {factor:.2f}"
        promise = None if kind == "depthwise" else bar
        lines.append(Row(f"roofline, {kind} layers, median error", statistics.median(found), "%", promise, note=note))
    return lines


def gap(rows: list[Timed], setting: Setting, quick: bool) -> list[Row]:
    """What the time of the depthwise layers is made of, in per cent of it, medians."""
    parts: dict[str, list[float]] = {
        "predicted": [],
        "a call on one window": [],
        "layout": [],
        "the rest: its kernel": [],
    }
    seconds = 0.01 if quick else 0.2
    turned, single = replace(setting, channels_last=not setting.channels_last), replace(setting, batch=1)
    for row in (row for row in rows if row.kind == "depthwise"):
        window = row.shape[0], *row.layer.kernel_size
        fixed = min(together([(row.layer, window)], single, seconds)[0].fastest, row.measured)
        saved = max(0.0, row.measured - together([(row.layer, row.shape)], turned, seconds)[0].fastest)
        values = (row.predicted, fixed, saved, row.measured - row.predicted - fixed - saved)
        for name, value in zip(parts, values, strict=True):
            parts[name].append(100 * value / row.measured)
    return [
        Row(f"  depthwise, share of its time: {name}", statistics.median(values), "%") for name, values in parts.items()
    ]


def twice(setting: Setting, quick: bool) -> Row:
    """The same measurement two times: how far apart the medians are."""
    layer, seconds = nn.Conv2d(128, 128, 3, padding=1), 0.1 if quick else 2
    first, second = (
        latency(layer, (128, 28, 28), setting.batch, setting.device, seconds=seconds, dtype=setting.dtype)
        for _ in range(2)
    )
    apart = 100 * abs(first.median - second.median) / first.median
    low, high = (100 * (end / first.median - 1) for end in first.middle_half)
    return Row(
        "latency, two runs of one measurement apart", apart, "%", note=f"middle half {low:+.1f} to {high:+.1f} %"
    )


def measure(
    quick: bool = False, device: str = "cpu", batch: int = 1, dtype: str = "float32", channels_last: bool = False
) -> list[Row]:
    """The roofline, its errors, and what the depthwise gap is made of."""
    setting = read_setting(batch, device, dtype, channels_last)
    roof = roofline(device, dtype, channels_last, seconds=0.02 if quick else 0.3)
    rows = timed(roof, setting, quick)
    ceilings = ", ".join(f"{kind} {value / 1e9:,.0f}" for kind, value in roof.ceilings.items())
    return [
        Row("highest of the ceilings, GFLOPs a second", roof.peak / 1e9, "", note=f"{setting}: {ceilings}"),
        Row("bandwidth", roof.bandwidth / 1e9, "GB/s"),
        *errors(rows, GPU_BAR if device != "cpu" and batch >= 64 else None),
        *gap(rows, setting, quick),
        twice(setting, quick),
    ]


if __name__ == "__main__":
    for line in measure():
        print(line)
