// The strip of level 3: every input channel above, every output channel below, and the wires that groups leave between them.
// With a second layer it is a diagram: channels, maps, the maps as they are dealt out, outputs, in the colours of their groups.
import { inkText } from "../js/wires.js";
import { mapCanvas } from "./pictures.js";

const MOST = 16;
const LEFT = 104; // room for the words before a row, in type of 14 pixels
const HUES = [210, 35, 130, 265, 60, 180]; // of the groups; the window's is none of them
const ROWS = {
  channel: () => "channels in",
  filter: ({ twice }) => (twice ? "maps" : "filters out"),
  place: ({ look }) => (look.shuffle === "on" ? "shuffled" : "as they are"),
  end: () => "outputs",
};

export const stripHeight = (wires, fontSize) => Math.round((wires.counts.length > 2 ? 330 : 176) * (fontSize > 14 ? 1.4 : 1));

/** Small boxes for channels and filters, and those of a second layer: { kind, index, source, x, y, side }; a place shows the map `source`. */
export function stripBoxes(scene, { counts, order }, filters, width, fontSize) {
  const twice = counts.length > 2;
  const scale = fontSize / 14;
  const rows = counts.map((count) => Array.from({ length: Math.min(count, MOST) }, (_, index) => index));
  rows[1] = filters;
  const room = (width - LEFT * scale - 10) / Math.max(...rows.map((row) => row.length));
  const step = Math.min(twice ? 32 * scale + 10 : 58, room); // from box to box
  const side = Math.max(12, Math.floor(step - Math.min(10, step / 4)));
  const below = scene.stripHeight - side - (twice ? 8 : 0) - 22 * scale; // where the last row stands
  return rows.flatMap((row, at) => row.map((index, column) => ({
    kind: Object.keys(ROWS)[at], row: at, index, source: at === 2 ? order[index] : index, side,
    x: LEFT * scale + column * step, y: scene.stripTop + 8 + ((below - 8) * at) / (rows.length - 1),
  })));
}

export function paintStrip(view) {
  const frame = { ...view, twice: view.wires.counts.length > 2 };
  const { context, palette, boxes, wires, fontSize } = frame;
  context.font = `${fontSize}px ${palette.font}`;
  context.textBaseline = "middle";
  const write = (words, align, x, y) => {
    context.fillStyle = palette.ink;
    context.textAlign = align;
    context.fillText(words, x, y);
  };
  wires.counts.forEach((count, row) => {
    const shown = boxes.filter((box) => box.row === row);
    const [first, last] = [shown[0], shown[shown.length - 1]];
    const middle = first.y + first.side / 2;
    write(ROWS[first.kind](frame), "right", first.x - 10, middle);
    if (count > shown.length) write(`+ ${count - shown.length}`, "left", last.x + last.side + 8, middle);
  });
  paintWires(frame);
  for (const box of boxes) (frame.twice || wires.inked[0].size ? paintNumber : paintPicture)(frame, box);
  const text = frame.twice ? inkText(wires) : "";
  const room = frame.width - context.measureText(text).width - 4;
  write(text, "left", Math.max(0, Math.min(boxes[0].x, room)), frame.scene.stripTop + frame.scene.stripHeight - 0.7 * fontSize);
}

/** The colour of a box's group: of a place, that of the group that its map comes from. */
function groupColour({ layer, wires }, box, lightness) {
  if (layer.groups === 1) return null;
  const each = wires.counts[Math.min(box.row, 1)] / layer.groups;
  return `hsl(${HUES[Math.floor(box.source / each) % HUES.length]} 65% ${lightness}%)`;
}

/** Wires that carry ink stand out, else those of the shown filter; a diagram without ink has the colours of its groups. */
function paintWires(frame) {
  const { context, palette, boxes, wires, result, twice } = frame;
  const inky = wires.inked[0].size > 0;
  const at = wires.counts.map((_, row) => new Map(boxes.filter((box) => box.row === row).map((box) => [box.index, box])));
  const draw = (style, thick, kept) => {
    context.strokeStyle = style;
    context.lineWidth = thick;
    context.beginPath();
    wires.joints.forEach((joint, row) => joint.forEach(([from, to]) => {
      const [above, below] = [at[row].get(from), at[row + 1].get(to)];
      if (!above || !below || !kept(above, below, row)) return;
      context.moveTo(above.x + above.side / 2, above.y + above.side + 1);
      context.lineTo(below.x + below.side / 2, below.y - 1);
    }));
    context.stroke();
  };
  const strong = (above, below, row) => (inky ? wires.inked[row].has(above.index) : !twice && below.index === result.filter);
  draw(palette.faint, 1, (above, below, row) => !strong(above, below, row));
  draw(inky ? palette.mark : palette.window, 3, strong);
  if (!twice || inky) return;
  for (const colour of new Set(boxes.map((box) => groupColour(frame, box, 50)))) {
    if (colour) draw(colour, 2, (above) => groupColour(frame, above, 50) === colour);
  }
}

/** A box with its number, filled where the ink is. */
function paintNumber(frame, box) {
  const { context, palette, wires } = frame;
  const inky = wires.inked[0].size > 0;
  const inked = wires.inked[box.row].has(box.index);
  const own = inky || box.kind === "end" ? null : groupColour(frame, box, 80);
  context.fillStyle = inked ? palette.mark : own ?? palette.paper;
  context.fillRect(box.x, box.y, box.side, box.side);
  frameBox(frame, box);
  context.fillStyle = inked ? palette.paper : own ? "#111" : palette.ink;
  context.textAlign = "center";
  context.fillText(String(box.source), box.x + box.side / 2, box.y + box.side / 2 + 1, box.side);
}

function frameBox({ context, palette, result, scene }, box) {
  const chosen = box.kind === "filter" ? box.index === result.filter : box.kind === "channel" && scene.channels.includes(box.index);
  context.strokeStyle = chosen ? palette.window : palette.grid;
  context.lineWidth = chosen ? 3 : 1;
  context.strokeRect(box.x, box.y, box.side, box.side);
}

function paintPicture(frame, box) {
  const { context, palette, look, fontSize } = frame;
  const hidden = box.kind === "filter" && (look.predict === "shape" || look.reveal < 3);
  if (!hidden) {
    const canvas = box.kind === "channel" ? channelCanvas(frame, box.index) : filterCanvas(frame, box.index);
    context.imageSmoothingEnabled = false;
    context.drawImage(canvas, box.x, box.y, box.side, box.side);
  }
  frameBox(frame, box);
  context.fillStyle = palette.ink;
  context.textAlign = "center";
  if (box.kind === "filter") context.fillText(String(box.index), box.x + box.side / 2, box.y + box.side + 0.86 * fontSize);
}

function channelCanvas({ cache, result, layer, palette, plane }, channel) {
  const range = cache.imageRange(result.image);
  return cache.picture(result.image, `small ${channel}`, () => mapCanvas(result.image, channel * plane, layer.height, layer.width, palette.photo, ...range));
}

function filterCanvas(frame, filter) {
  const { result, layer, palette, outputLimit } = frame;
  const rows = Math.ceil(layer.outHeight / result.step), cols = Math.ceil(layer.outWidth / result.step);
  const small = (frame.cache.small ??= new Map());
  if (frame.cache.smallOf !== result) {
    small.clear();
    frame.cache.smallOf = result;
  }
  if (!small.has(filter)) {
    const offset = result.filters.indexOf(filter) * rows * cols;
    small.set(filter, mapCanvas(result.output, offset, rows, cols, palette.signed, -outputLimit, outputLimit));
  }
  return small.get(filter);
}
