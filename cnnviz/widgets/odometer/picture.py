"""The odometer in words and as a still picture, for pages that run no script."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import NamedTuple

from cnnviz.widgets._drawing import Drawing, Words
from cnnviz.widgets.odometer.lanes import Lane, Step, place
from cnnviz.widgets.sliding_kernel.shades import hexadecimal

WIDTH, MARGIN, GAP = 800, 16, 20
LANE = (WIDTH - 2 * MARGIN - 3 * GAP) // 4
BAR_LEFT, BAR_WIDTH, BAR, ROW = 190, 490, 16, 26  # the bars, and the height of a row
SHORT, TALL, ARROW, LINE = 54, 80, 34, 20  # heights: inputs and middle, outputs, between them, a line of text
EMPTY, EDGE, MIXED, INK, NOW = "#f4f5f7", "#b9bdc4", "#5c5c5c", "#1a1a1a", "#c2188f"
DONE = ("#00796b", "#4da197")  # of a bar: its first and its second step


def ratio_text(four: tuple[Lane, ...]) -> str:
    """Say what depthwise + pointwise costs of the standard convolution, as the formula of Howard et al. (2017)."""
    step, ratio = four[0].steps[0], four[1].macs / four[0].macs
    times = f"{1 / ratio:.3g} times fewer" if ratio < 1 else f"{ratio:.3g} times as many"
    return (
        f"depthwise + pointwise: 1/{step.maps} + 1/{step.kernel**2} = {ratio:.3g} of the standard one's MACs, {times}"
    )


def sum_text(lane: Lane) -> str:
    """Write a lane's multiply-adds as the sum of its steps."""
    parts = [f"{step.macs:,}" for step in lane.steps] + ["0"] * lane.shuffled
    return f"{' + '.join(parts)} = {lane.macs:,} MACs" if len(parts) > 1 else f"{lane.macs:,} MACs"


def text(four: tuple[Lane, ...], given: int) -> str:
    """Say everything that the picture shows."""
    step, groups = four[0].steps[0], four[2].steps[0].groups
    sizes = f"{step.reads} maps of {step.size}x{step.size} to {step.maps}, kernel_size {step.kernel}, groups {groups}"
    lines = [f"MacOdometer, {sizes}", f"after {given:,} multiply-adds (MACs) each:"]
    for lane in four:
        values = f"{lane.values(given)[-1]:,} of {lane.steps[-1].values:,} output values"
        lines.append(f"  {lane.name}, {sum_text(lane)}: {'finished' if given >= lane.macs else values}")
    return "\n".join([*lines, ratio_text(four)])


def draw(four: tuple[Lane, ...], given: int, description: str) -> Drawing:
    """Draw the bars on one scale, and under them the maps of each lane as far as they are filled."""
    drawing = Drawing(WIDTH, 0, "Multiply-adds of four convolutions of one map", description)
    scale = BAR_WIDTH / max(lane.macs for lane in four)
    for at, lane in enumerate(four):
        _draw_bar(drawing, lane, MARGIN + at * ROW, given, scale)
    x, y = BAR_LEFT + given * scale, MARGIN + len(four) * ROW
    drawing.frames.append((x - 1, MARGIN - 4, 1, y - MARGIN, NOW, 1))
    drawing.words.append(Words(MARGIN, y + 16, ratio_text(four), bold=True))
    for at, lane in enumerate(four):
        bottom = _draw_lane(drawing, lane, MARGIN + at * (LANE + GAP), y + 32, lane.values(given))
    drawing.height = bottom + MARGIN
    return drawing


def _draw_bar(drawing: Drawing, lane: Lane, y: int, given: int, scale: float) -> None:
    x, left = float(BAR_LEFT), given
    for step, colour in zip(lane.steps, DONE, strict=False):
        drawing.fills.append((x, y, step.macs * scale, BAR, EMPTY))
        drawing.fills.append((x, y, min(max(left, 0), step.macs) * scale, BAR, colour))
        drawing.frames.append((x, y, step.macs * scale, BAR, EDGE, 1))
        x, left = x + step.macs * scale, left - step.macs
    over = given >= lane.macs
    drawing.words.append(Words(MARGIN, y + 13, lane.name, bold=over))
    count = f"{min(given, lane.macs):,}{' ✓' * over}"
    drawing.words.append(Words(BAR_LEFT + BAR_WIDTH + 10, y + 13, count, bold=over))


class _Block(NamedTuple):
    """Square maps in a box, in reading order; `pitch` is a map and the gap behind it."""

    x: float
    y: float
    cols: int
    pitch: int
    gap: int


def _fit(count: int, x: float, y: float, height: int) -> _Block:
    """Choose the largest maps; full rectangles before somewhat larger ones."""
    cols, pitch = 1, 1
    best = -1.0
    for some in range(1, count + 1):
        size = int(min(LANE / some, height / -(-count // some), 56))
        score = size * (0.75 if count % some else 1)
        if size and score > best:
            best, cols, pitch = score, some, size
    gap = 3 if pitch >= 12 else 1 if pitch >= 4 else 0
    top = y + (height - -(-count // cols) * pitch + gap) / 2
    return _Block(x + (LANE - cols * pitch + gap) / 2, top, cols, pitch, gap)


def _draw_lane(drawing: Drawing, lane: Lane, x: int, y: int, values: list[int]) -> int:
    first, last = lane.steps[0], lane.steps[-1]
    middle = x + LANE / 2
    for line, words in enumerate((lane.name, sum_text(lane))):
        drawing.words.append(Words(middle, y + 14 + line * LINE, words, 14 if len(words) < 25 else 12, anchor="middle"))
    y += 2 * LINE + 6
    tops = [y + LINE, y + LINE + SHORT + ARROW, y + LINE + 2 * (SHORT + ARROW)]
    reads = Step(first.reads, first.reads, 1, first.groups, first.size)
    drawing.words.append(Words(middle, y + 14, _count(first.reads, "input map"), anchor="middle"))
    _draw_maps(drawing, reads, x, tops[0], SHORT, reads.values, int)
    if len(lane.steps) > 1 or lane.shuffled:
        _draw_maps(drawing, first, x, tops[1], SHORT, values[0], int)
    _draw_maps(drawing, last, x, tops[2], TALL, values[-1], (lambda m: place(last, m)) if lane.shuffled else int)
    notes = [f"{step.each:,} MAC{'s' * (step.each > 1)} a value" for step in lane.steps]
    for top, words in zip(tops, [*notes, *["shuffle: 0 MACs"] * lane.shuffled], strict=False):
        drawing.words.append(Words(middle, top + SHORT + 21, f"↓ {words}", anchor="middle"))
    drawing.words.append(Words(middle, tops[2] + TALL + 16, _count(last.maps, "output map"), anchor="middle"))
    return tops[2] + TALL + LINE


def _count(number: int, words: str) -> str:
    return f"{number} {words}{'s' * (number > 1)}"


def _draw_maps(
    drawing: Drawing, step: Step, x: float, y: float, height: int, values: int, placed: Callable[[int], int]
) -> None:
    """Draw the maps of a step, so many of whose values are finished."""
    block = _fit(step.maps, x, y, height)
    side, area = block.pitch - block.gap, step.size**2
    for channel in range(step.maps):
        row, col = divmod(placed(channel), block.cols)
        left, top = block.x + col * block.pitch, block.y + row * block.pitch
        filled = min(max(values - channel * area, 0), area)
        colour = group_colour(step.group(channel), step.groups)
        if filled < area:
            drawing.fills.append((left, top, side, side, EMPTY))
        rows, rest = divmod(filled, step.size)
        cell = side / step.size
        if rows:
            drawing.fills.append((left, top, side, rows * cell, colour))
        if rest:
            drawing.fills.append((left, top + rows * cell, rest * cell, cell, colour))
        if block.gap:
            drawing.frames.append((left, top, side, side, EDGE, 1))


def group_colour(group: int, groups: int) -> str:
    """From dark blue to light orange, told apart by lightness too; one group alone is grey (twin in view.js)."""
    if groups == 1:
        return MIXED
    share = group / (groups - 1)
    rgb = colorsys.hls_to_rgb((230 - 190 * share) / 360, (36 + 20 * share) / 100, 0.62)
    return hexadecimal(tuple(255 * part for part in rgb))
