// The strip of level 3: every input channel above, every output channel below, and the wires that groups leave between them.
import { mapCanvas } from "./pictures.js";

export const STRIP_HEIGHT = 176;
const MOST = 16;

/** Small boxes for channels and filters: { kind, index, x, y, side }. */
export function stripBoxes(scene, layer, filters, width) {
  const inputs = Array.from({ length: Math.min(layer.inChannels, MOST) }, (_, index) => index);
  const room = Math.floor((width - 110) / Math.max(inputs.length, filters.length)) - 10;
  const side = Math.max(18, Math.min(48, room));
  const row = (kind, indices, y) => indices.map((index, at) => ({ kind, index, x: 100 + at * (side + 10), y, side }));
  return [...row("channel", inputs, scene.stripTop + 8), ...row("filter", filters, scene.stripTop + STRIP_HEIGHT - side - 22)];
}

export function paintStrip(frame) {
  const { context, palette, boxes, layer } = frame;
  context.font = `14px ${palette.font}`;
  context.textBaseline = "middle";
  const rows = { channel: "channels in", filter: "filters out" };
  for (const [kind, words] of Object.entries(rows)) {
    const first = boxes.find((box) => box.kind === kind);
    context.fillStyle = palette.ink;
    context.textAlign = "right";
    context.fillText(words, 90, first.y + first.side / 2);
  }
  paintWires(frame);
  for (const box of boxes) paintBox(frame, box);
  const left = { channel: layer.inChannels, filter: layer.filters };
  for (const [kind, count] of Object.entries(left)) {
    const shown = boxes.filter((box) => box.kind === kind);
    const last = shown[shown.length - 1];
    if (count <= shown.length) continue;
    context.fillStyle = palette.ink;
    context.textAlign = "left";
    context.fillText(`+ ${count - shown.length}`, last.x + last.side + 8, last.y + last.side / 2);
  }
}

/** A wire from every channel to every filter of its group; the shown filter's wires stand out. */
function paintWires({ context, palette, boxes, layer, result }) {
  const pools = layer.op.endsWith("pool");
  const groups = pools ? layer.inChannels : layer.groups;
  const groupOf = (index, count) => Math.floor(index / (count / groups));
  const channels = boxes.filter((box) => box.kind === "channel");
  const filters = boxes.filter((box) => box.kind === "filter");
  for (const shown of [false, true]) {
    context.strokeStyle = shown ? palette.window : palette.faint;
    context.lineWidth = shown ? 3 : 1;
    context.beginPath();
    for (const filter of filters) {
      if ((filter.index === result.filter) !== shown) continue;
      for (const channel of channels) {
        if (groupOf(channel.index, layer.inChannels) !== groupOf(filter.index, layer.filters)) continue;
        context.moveTo(channel.x + channel.side / 2, channel.y + channel.side + 1);
        context.lineTo(filter.x + filter.side / 2, filter.y - 1);
      }
    }
    context.stroke();
  }
}

function paintBox(frame, box) {
  const { context, palette, result, scene, look } = frame;
  const hidden = box.kind === "filter" && (look.predict === "shape" || look.reveal < 3);
  if (!hidden) {
    const canvas = box.kind === "channel" ? channelCanvas(frame, box.index) : filterCanvas(frame, box.index);
    context.imageSmoothingEnabled = false;
    context.drawImage(canvas, box.x, box.y, box.side, box.side);
  }
  const chosen = box.kind === "filter" ? box.index === result.filter : scene.channels.includes(box.index);
  context.strokeStyle = chosen ? palette.window : palette.grid;
  context.lineWidth = chosen ? 3 : 1;
  context.strokeRect(box.x, box.y, box.side, box.side);
  context.fillStyle = palette.ink;
  context.textAlign = "center";
  if (box.kind === "filter") context.fillText(String(box.index), box.x + box.side / 2, box.y + box.side + 12);
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
