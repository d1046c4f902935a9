// One lane on its canvas: input maps, the step between, output maps that fill value by value. `planLane` says where.
import { groupOf, placeOf } from "./lanes.js";

const TEXT_LINE = 20;
const ARROW_ROOM = 34;
const LARGEST_MAP = 56;
const FRAMED_FROM = 5; // pixels a map
const WINDOW_FROM = 3; // pixels a value
const between = (value, low, high) => Math.round(Math.min(Math.max(value, low), high));

/** Where so many square maps stand in a box: a row for each group if that makes them hardly smaller, or full rows. */
export function fitMaps(count, groups, width, height) {
  let best = { score: 0, cols: count, pitch: 1 };
  for (let cols = 1; cols <= count; cols++) {
    const pitch = Math.floor(Math.min(width / cols, height / Math.ceil(count / cols), LARGEST_MAP));
    const score = pitch * (cols * groups === count ? 1.5 : count % cols ? 0.75 : 1);
    if (score > best.score) best = { score, cols, pitch };
  }
  const { cols, pitch } = best;
  const gap = pitch >= 12 ? 3 : pitch >= 4 ? 1 : 0;
  return { cols, pitch, side: pitch - gap, gap };
}

/** A lane's blocks of maps with their places, for a canvas of this width; `groups` of the grouped lanes order all outputs. */
export function planLane({ steps, shuffled }, groups, width) {
  const [short, tall] = [between(width * 0.27, 44, 70), between(width * 0.36, 60, 96)];
  const middle = TEXT_LINE + short + ARROW_ROOM;
  const last = middle + tall + ARROW_ROOM;
  const block = (count, rows, top, height) => {
    const { cols, pitch, side, gap } = fitMaps(count, rows, width, height);
    const left = (width - cols * pitch + gap) / 2;
    const place = (map) => [left + (map % cols) * pitch, top + Math.floor(map / cols) * pitch];
    return { count, top, bottom: top + Math.ceil(count / cols) * pitch - gap, side, place };
  };
  const [first, end] = [steps[0], steps.at(-1)];
  const inputs = block(first.reads, groups, TEXT_LINE, short);
  const outputs = block(end.maps, groups, last, tall);
  const height = shuffled ? tall : short; // maps as large as those that they resemble
  const halfway = shuffled || steps.length > 1 ? [block(first.maps, groups, middle, height)] : [];
  return { width, blocks: [inputs, ...halfway, outputs], height: last + tall + TEXT_LINE };
}

/**
 * Paints a lane after its steps have finished so many values; `look`: palette, colour(group, groups), and whether windows
 * are slow enough to be followed.
 */
export function paintLane(pen, plan, lane, finished, look) {
  const { blocks, width } = plan;
  const { steps, shuffled } = lane;
  const at = steps.findIndex(({ values }, index) => finished[index] < values); // the step at work; -1: none
  const first = steps[0];
  paintBlock(pen, blocks[0], first.size, () => Infinity, (map) => look.colour(Math.floor((map * first.groups) / first.reads), first.groups), look);
  steps.forEach((step, index) => paintBlock(pen, blocks[index + 1], step.size, filledBy(step, finished[index]), (map) => look.colour(groupOf(step, map), step.groups), look));
  if (shuffled) paintShuffled(pen, blocks.at(-1), first, finished[0], look);
  if (at >= 0) paintWork(pen, blocks, lane, at, finished[at], look);
  pen.font = `14px ${look.palette.font}`;
  pen.textAlign = "center";
  const words = (text, y) => {
    pen.fillStyle = look.palette.ink;
    pen.fillText(text, width / 2, y, width);
  };
  words(countText(first.reads, "input map"), 14);
  words(countText(steps.at(-1).maps, "output map"), blocks.at(-1).bottom + 16);
  blocks.slice(1).forEach((block, index) => paintArrow(pen, blocks[index], block, width, look));
  pen.font = `600 ${pen.font}`;
  steps.forEach((step, index) => paintWords(pen, stepText(step, width), blocks[index], width, look));
  if (shuffled) paintWords(pen, "shuffle: 0 MACs", blocks[1], width, look);
}

export function countText(count, words) {
  return `${count} ${words}${count === 1 ? "" : "s"}`;
}

function stepText({ reads, groups, kernel, each }, width) {
  const sum = width >= 210 ? `${reads / groups}×${kernel}×${kernel} = ` : "";
  return `${sum}${each.toLocaleString("en")} MAC${each === 1 ? "" : "s"} a value`;
}

const filledBy = ({ size }, values) => (map) => values - map * size * size;

function paintShuffled(pen, block, step, values, look) {
  const from = Array.from({ length: step.maps });
  for (let channel = 0; channel < step.maps; channel++) from[placeOf(step, channel)] = channel;
  const filled = filledBy(step, values);
  paintBlock(pen, block, step.size, (map) => filled(from[map]), (map) => look.colour(groupOf(step, from[map]), step.groups), look);
}

/** Maps side by side; `filled(map)` of a map's values are there. */
function paintBlock(pen, { count, side, place }, size, filled, colourOf, { palette }) {
  const cell = side / size;
  pen.strokeStyle = palette.grid;
  pen.lineWidth = 1;
  pen.beginPath();
  for (let map = 0; map < count; map++) {
    const [x, y] = place(map);
    const values = Math.min(Math.max(filled(map), 0), size * size);
    const rows = Math.floor(values / size);
    if (rows < size) {
      pen.fillStyle = palette.panel;
      pen.fillRect(x, y, side, side);
    }
    if (values > 0) pen.fillStyle = colourOf(map);
    if (rows) pen.fillRect(x, y, side, rows * cell);
    if (values % size) pen.fillRect(x, y + rows * cell, (values % size) * cell, cell);
    if (side >= FRAMED_FROM) pen.rect(x, y, side, side);
  }
  pen.stroke();
}

/** The value at work, and what it reads: its window in each map of its group. */
function paintWork(pen, blocks, { steps, shuffled }, at, value, { palette, slow }) {
  const step = steps[at];
  const { size, kernel, groups, reads } = step;
  const map = Math.floor(value / (size * size));
  const [row, col] = [Math.floor((value % (size * size)) / size), value % size];
  const mark = (block, place) => {
    const [x, y] = block.place(place);
    const cell = block.side / size;
    pen.fillStyle = palette.window;
    if (cell >= WINDOW_FROM) pen.fillRect(x + col * cell, y + row * cell, cell, cell);
    else outline(pen, x, y, block.side, block.side, palette.window);
  };
  mark(blocks[at + 1], map);
  if (shuffled) mark(blocks[2], placeOf(step, map));
  const group = groupOf(step, map);
  const { side, place } = blocks[at];
  const cell = side / size;
  const [top, left] = [row, col].map((n) => Math.max(n - Math.floor((kernel - 1) / 2), 0));
  const [bottom, right] = [row, col].map((n) => Math.min(n + Math.ceil((kernel + 1) / 2), size));
  for (let read = (group * reads) / groups; read < ((group + 1) * reads) / groups; read++) {
    const [x, y] = place(read);
    if (!slow || cell < WINDOW_FROM) {
      outline(pen, x, y, side, side, palette.window);
      continue;
    }
    pen.fillStyle = palette.window;
    pen.fillRect(x + left * cell, y + top * cell, (right - left) * cell, (bottom - top) * cell);
  }
}

function outline(pen, x, y, width, height, colour) {
  pen.strokeStyle = colour;
  pen.lineWidth = width >= 12 ? 2.5 : 1;
  pen.strokeRect(x, y, width, height);
}

function paintArrow(pen, from, to, width, { palette }) {
  const [x, y] = [width / 2, to.top - 4];
  pen.strokeStyle = palette.faint;
  pen.lineWidth = 1.5;
  pen.beginPath();
  pen.moveTo(x, Math.min(from.bottom + 28, y)); // below the words
  pen.lineTo(x, y);
  pen.moveTo(x - 4, y - 5);
  pen.lineTo(x, y);
  pen.lineTo(x + 4, y - 5);
  pen.stroke();
}

/** Words on the arrow below a block, with paper behind them. */
function paintWords(pen, text, block, width, { palette }) {
  const room = Math.min(pen.measureText(text).width + 8, width);
  const y = block.bottom + 6;
  pen.fillStyle = palette.paper;
  pen.fillRect((width - room) / 2, y, room, 19);
  pen.fillStyle = palette.ink;
  pen.fillText(text, width / 2, y + 14, width);
}
