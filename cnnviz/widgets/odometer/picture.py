"""The odometer in words and as a still picture, for pages that run no script."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from cnnviz._checks import _count
from cnnviz.widgets._drawing import FAINT, GRID, MARK, WINDOW, Drawing, Words
from cnnviz.widgets.odometer.lanes import Lane, Step, place
from cnnviz.widgets.sliding_kernel.shades import hexadecimal, mix

WIDTH, MARGIN, GAP = 800, 16, 20
LANE = (WIDTH - 2 * MARGIN - 3 * GAP) // 4
BAR_LEFT, BAR_WIDTH, BAR, ROW = 202, 478, 16, 26  # the bars, and the height of a row
SHORT, TALL, ARROW, LINE = 50, 72, 34, 20  # heights: input maps, others, between them, a line of text
FRAMED_FROM = 5  # pixels a map
EMPTY = "#f4f5f7"
STOPS = (37, 52, 148), (47, 174, 155), (224, 160, 48)  # of the groups' colours
DONE = (MARK, "#4da197")  # of a bar: its first and its second step


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
    drawing.frames.append((x - 1, MARGIN - 4, 1, y - MARGIN, WINDOW, 1))
    drawing.words.append(Words(MARGIN, y + 16, ratio_text(four), bold=True))
    for at, lane in enumerate(four):
        bottom = _draw_lane(drawing, lane, four[2].steps[0].groups, MARGIN + at * (LANE + GAP), y + 32, given)
    drawing.height = bottom + MARGIN
    return drawing


def _draw_bar(drawing: Drawing, lane: Lane, y: int, given: int, scale: float) -> None:
    x, left = float(BAR_LEFT), given
    for step, colour in zip(lane.steps, DONE, strict=False):
        drawing.fills.append((x, y, step.macs * scale, BAR, EMPTY))
        drawing.fills.append((x, y, min(max(left, 0), step.macs) * scale, BAR, colour))
        drawing.frames.append((x, y, step.macs * scale, BAR, GRID, 1))
        x, left = x + step.macs * scale, left - step.macs
    over = given >= lane.macs
    drawing.words.append(Words(MARGIN, y + 13, lane.name, bold=over))
    count = f"{min(given, lane.macs):,}{' ✓' * over}"
    drawing.words.append(Words(BAR_LEFT + BAR_WIDTH + 10, y + 13, count, bold=over))


def _draw_lane(drawing: Drawing, lane: Lane, rows: int, x: int, y: int, given: int) -> int:
    """Draw a lane's maps; a block has a row for each of so many groups where there is room."""
    first, last = lane.steps[0], lane.steps[-1]
    values = lane.values(given)
    middle = x + LANE / 2
    *parts, total = sum_text(lane).split(" = ")
    for line, words in enumerate((lane.name, total, *parts)):
        drawing.words.append(Words(middle, y + 14 + line * LINE, words, anchor="middle", bold=line == 0))
    y += 3 * LINE + 8
    tops = [y + LINE, y + LINE + SHORT + ARROW, y + LINE + SHORT + TALL + 2 * ARROW]
    inputs = Step(first.reads, first.reads, 1, first.groups, first.size)
    blocks = [_Block.of(first.reads, rows, x, tops[0], SHORT)]
    _draw_maps(drawing, blocks[0], inputs, inputs.values)
    if len(lane.steps) > 1 or lane.shuffled:
        blocks.append(_Block.of(first.maps, rows, x, tops[1], TALL if lane.shuffled else SHORT))
        _draw_maps(drawing, blocks[1], first, values[0])
    blocks.append(_Block.of(last.maps, rows, x, tops[2], TALL))
    _draw_maps(drawing, blocks[-1], last, values[-1], (lambda m: place(last, m)) if lane.shuffled else int)
    _mark_work(drawing, lane, blocks, values)
    notes = [f"{step.each:,} MAC{'s' * (step.each > 1)} a value" for step in lane.steps]
    for block, words in zip(blocks, [*notes, *["shuffle: 0 MACs"] * lane.shuffled], strict=False):
        drawing.words.append(Words(middle, block.bottom + 21, words, anchor="middle"))
    for block, below in pairwise(blocks):
        end = below.y - 5
        drawing.lines.append((middle, min(block.bottom + 26, end), middle, end, FAINT, 1.5))
        drawing.lines += [(middle + side, end - 4, middle, end, FAINT, 1.5) for side in (-4, 4)]
    drawing.words.append(Words(middle, y + 14, _count(first.reads, "input map"), anchor="middle"))
    drawing.words.append(Words(middle, blocks[-1].bottom + 18, _count(last.maps, "output map"), anchor="middle"))
    return tops[2] + TALL + LINE


class _Block(NamedTuple):
    """Square maps in reading order; `pitch` is a map and the gap behind it."""

    x: float
    y: float
    cols: int
    pitch: int
    gap: int
    bottom: float

    @classmethod
    def of(cls, count: int, groups: int, x: float, y: float, height: int) -> _Block:
        """Choose the largest maps: a row for each group if they are hardly smaller then, or full rows."""
        best, cols, pitch = 0.0, count, 1
        for some in range(1, count + 1):
            size = int(min(LANE / some, height / -(-count // some), 56))
            score = size * (1.5 if some * groups == count else 0.75 if count % some else 1)
            if score > best:
                best, cols, pitch = score, some, size
        gap = 3 if pitch >= 12 else 1 if pitch >= 4 else 0
        return cls(x + (LANE - cols * pitch + gap) / 2, y, cols, pitch, gap, y - (-count // cols) * pitch - gap)

    def box(self, at: int) -> tuple[float, float, int, int]:
        """Left, top, width and height of a map."""
        row, col = divmod(at, self.cols)
        return self.x + col * self.pitch, self.y + row * self.pitch, self.pitch - self.gap, self.pitch - self.gap


def _draw_maps(drawing: Drawing, block: _Block, step: Step, values: int, placed: Callable[[int], int] = int) -> None:
    """Draw the maps of a step, so many of whose values are finished; tiny neighbours that look alike as one."""
    area, tiny = step.size**2, block.pitch - block.gap < FRAMED_FROM
    for channel in sorted(range(step.maps), key=placed) if tiny else range(step.maps):
        left, top, side, _ = box = block.box(placed(channel))
        filled = min(max(values - channel * area, 0), area)
        if filled < area:
            _fill(drawing, (*box, EMPTY), tiny * block.gap)
        colour, cell = _colour(step.group(channel), step.groups, tiny), side / step.size
        rows, rest = divmod(filled, step.size)
        if rows:
            _fill(drawing, (left, top, side, rows * cell, colour), tiny * block.gap)
        if rest:
            drawing.fills.append((left, top + rows * cell, rest * cell, cell, colour))
        if not tiny:
            drawing.frames.append((*box, GRID, 1))


def _fill(drawing: Drawing, fill: tuple[float, float, float, float, str], gap: int) -> None:
    """Add a rectangle, or make the last one wider if it ends `gap` before this one and is of its height and colour."""
    left, top, wide, high, colour = fill
    if gap and drawing.fills:
        before, *_ = last = drawing.fills[-1]
        if last[1] == top and last[3:] == (high, colour) and before + last[2] + gap == left:
            drawing.fills[-1] = (before, top, left + wide - before, high, colour)
            return
    drawing.fills.append(fill)


def _colour(group: int, groups: int, tiny: bool) -> str:
    """Return the colour of a group's maps; where nobody can tell them apart, a few colours do for many groups."""
    return group_colour(group * 16 // groups, 16) if tiny and groups > 16 else group_colour(group, groups)


def _mark_work(drawing: Drawing, lane: Lane, blocks: list[_Block], values: list[int]) -> None:
    """Frame the map that is being filled, and the maps that its next value reads."""
    for at, (step, done) in enumerate(zip(lane.steps, values, strict=True)):
        if done == step.values:
            continue
        channel = done // step.size**2
        inside = step.reads // step.groups
        first = step.group(channel) * inside
        boxes = [blocks[at].box(read) for read in range(first, first + inside)] + [blocks[at + 1].box(channel)]
        boxes += [blocks[-1].box(place(step, channel))] * lane.shuffled
        drawing.frames += [(*box, WINDOW, 2 if box[2] >= FRAMED_FROM else 1) for box in boxes]
        return


def group_colour(group: int, groups: int) -> str:
    """Between three colours, dark to light so that more than hue tells groups apart; one group alone is grey."""
    if groups == 1:
        return FAINT
    share = 2 * group / (groups - 1)
    return hexadecimal(mix(STOPS[0], STOPS[1], share) if share < 1 else mix(STOPS[1], STOPS[2], share - 1))
