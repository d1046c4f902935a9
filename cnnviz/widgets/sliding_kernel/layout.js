// Where everything stands on the canvas: a pure function from the layer and the room to rectangles.
// Reading order is left to right: input, kernel, products, output. All cells have one size.

const TITLE = 92; // the width of a title such as "products, 0" in type of 14 pixels
const GAP = 40; // between columns: room for an operator sign
const SMALL = 230; // a photograph narrower than this says little: then it gets the row for itself and the output
const PIXELS_ABOVE = 16; // above this many cells a side: a picture without numbers
const ROOMS = [5, 7, 9, 12, 16, 18, 22, 28, 36, 48];

/** How many times larger than on a page type is, from the height of a line of it. */
const larger = (label) => label / 22;

export const isPicture = (layer) => Math.max(layer.height, layer.width) > PIXELS_ABOVE;

/**
 * The largest grids seen so far, rounded up: the room they need is kept, so that nothing jumps while a slider moves.
 */
export function growRoom(room, layer) {
  const picture = isPicture(layer);
  const exact = picture || layer.inChannels > 1; // several channels share the height: no room to spare
  const up = (count) => (exact ? count : ROOMS.find((size) => size >= count) ?? count);
  const needed = {
    inRows: up(layer.rows.length), inCols: up(layer.cols.length), outRows: up(layer.outHeight), outCols: up(layer.outWidth),
    kernel: Math.max(picture ? 1 : exact ? 2 : 5, layer.kernelHeight, layer.kernelWidth),
  };
  if (!room || room.picture !== picture) return { picture, ...needed };
  const grown = { picture };
  for (const name of Object.keys(needed)) grown[name] = Math.max(room[name], needed[name]);
  return grown;
}

/** The input channels that the filter reads, as many as fit, starting where the reader is. */
export function channelsOf(layer, filter, first, count) {
  if (layer.op.endsWith("pool")) return [filter];
  const inGroup = layer.inChannels / layer.groups;
  const start = Math.floor(filter / (layer.filters / layer.groups)) * inGroup;
  const shown = Math.min(inGroup, count);
  const from = Math.min(Math.max(first, start), start + inGroup - shown);
  return Array.from({ length: shown }, (_, i) => from + i);
}

/** Every panel as { kind, x, y, rows, cols, cell, channel }, with the canvas height that they need. */
export function layoutScene({ layer, filter, channel, most, room, width, maxHeight: height, maxCell, strip, label }) {
  const pools = layer.op.endsWith("pool");
  const reads = pools ? 1 : Math.min(most, layer.inChannels / layer.groups);
  const maxHeight = reads > 1 && !isPicture(layer) ? 1.1 * height : height; // several channels stand below each other
  const title = layer.inChannels > 1 ? TITLE * larger(label) - GAP - 8 : 0; // with its channel it may be wider than a kernel
  const plan = isPicture(layer)
    ? picturePlan(layer, room, reads, width, maxHeight, pools, label)
    : gridPlan({ ...room, title }, reads, width, maxHeight, maxCell, pools, label);
  const channels = channelsOf(layer, filter, channel, plan.shown);
  const scene = plan.picture ? placePicture(plan, layer, channels, pools) : placeGrids(plan, layer, channels, pools);
  scene.offsetX = Math.max(0, Math.floor((width - plan.width) / 2));
  for (const panel of scene.panels) panel.x += scene.offsetX;
  const below = Math.max(scene.height, plan.height);
  return { ...scene, ...plan, channels, stripTop: below + 14, height: below + (strip ? strip + 14 : 0) };
}

// ---- grids of numbers ----------------------------------------------------------------------------------------------

/** Four columns in a row where cells stay large, else kernel above products; as many channels as can still be read. */
function gridPlan(room, reads, width, maxHeight, maxCell, pools, label) {
  const plans = [];
  for (let shown = Math.min(reads, 4); shown >= 1; shown--) {
    for (const stacked of pools ? [false] : [false, true]) {
      plans.push({ shown, stacked, cell: fittingCell(room, shown, stacked, width, maxHeight, maxCell, pools, label) });
    }
  }
  const readable = plans.find(({ shown, cell }) => cell >= (shown > 1 ? 22 : 30));
  const best = readable ?? plans.reduce((one, other) => (other.cell > one.cell ? other : one));
  const { cell, shown, stacked } = best;
  const columns = gridColumns(room, stacked, pools);
  return {
    cell, shown, stacked, room, label, picture: false,
    width: columns.cells * cell + columns.middles * middleWidth(room, cell) + (columns.middles + 1) * GAP,
    height: Math.max(shown * rowHeight(room, stacked, cell, label), room.outRows * cell + label) + 4,
  };
}

function gridColumns(room, stacked, pools) {
  const middles = stacked || pools ? 1 : 2;
  return { cells: room.inCols + room.outCols, middles };
}

/** Of the kernel and of the products, which are at least as wide as what is written above them. */
const middleWidth = (room, cell) => Math.max(room.kernel * cell, room.title);

function rowHeight(room, stacked, cell, label) {
  const middle = stacked ? 2 * (room.kernel * cell + label) + 6 : room.kernel * cell + label;
  return Math.max(room.inRows * cell + label, middle) + 6;
}

function fittingCell(room, shown, stacked, width, maxHeight, maxCell, pools, label) {
  const { cells, middles } = gridColumns(room, stacked, pools);
  const rest = width - (middles + 1) * GAP;
  let cell = Math.min(maxCell, Math.floor(rest / (cells + middles * room.kernel)), Math.floor((rest - middles * room.title) / cells));
  while (cell > 12 && Math.max(shown * rowHeight(room, stacked, cell, label), room.outRows * cell + label) > maxHeight) cell--;
  return Math.max(cell, 4);
}

function placeGrids(plan, layer, channels, pools) {
  const { cell, room, stacked, label } = plan;
  const panels = [];
  const kernelX = room.inCols * cell + GAP;
  const productsX = stacked || pools ? kernelX : kernelX + middleWidth(room, cell) + GAP;
  const outputX = productsX + middleWidth(room, cell) + GAP;
  let y = label;
  for (const channel of channels) {
    panels.push({ kind: "input", channel, x: 0, y, rows: layer.rows.length, cols: layer.cols.length, cell });
    const size = { channel, rows: layer.kernelHeight, cols: layer.kernelWidth, cell };
    const belowKernel = stacked ? room.kernel * cell + label + 6 : 0;
    if (!pools) panels.push({ kind: "kernel", x: kernelX, y, ...size });
    panels.push({ kind: "products", x: productsX, y: y + belowKernel, ...size });
    y += rowHeight(room, stacked, cell, label);
  }
  panels.push({ kind: "output", channel: -1, x: outputX, y: label, rows: layer.outHeight, cols: layer.outWidth, cell });
  return { panels, height: y - label };
}

// ---- pictures ------------------------------------------------------------------------------------------------------

/** Two pictures at one scale, and between them, or below where it is narrow, the kernel and its products with numbers. */
function picturePlan(layer, room, reads, width, maxHeight, pools, label) {
  const between = betweenPlan(layer, room, reads, width, maxHeight, pools, label);
  const below = belowPlan(room, reads, width, maxHeight, label);
  return room.inCols * between.scale < SMALL && below.scale > 1.2 * between.scale ? below : between;
}

function betweenPlan(layer, room, reads, width, maxHeight, pools, label) {
  const most = 210 * larger(label);
  const cell = Math.max(14, Math.min(32 * larger(label), Math.floor(most / room.kernel)));
  const side = kernelSide(room, cell, label);
  const besides = !pools && 2 * side + 16 <= most; // kernel beside products, else above them
  const middle = pools ? side : besides ? 2 * side + 16 : side;
  const high = room.kernel * cell;
  const block = (besides || pools ? high : 2 * high + label + 6) + label + 6;
  const fit = Math.min((width - middle - 2 * GAP) / (room.inCols + room.outCols), (maxHeight - label) / Math.max(room.inRows, room.outRows));
  const scale = fit >= 2 && room.inCols < 64 ? Math.floor(fit) : Math.min(fit, 3);
  const pictures = Math.max(room.inRows, room.outRows) * scale + label;
  const shown = Math.max(1, Math.min(reads, Math.floor((Math.max(pictures, 380) + 6) / block)));
  return {
    picture: true, cell, scale, besides, block, room, middle, shown, label,
    width: (room.inCols + room.outCols) * scale + middle + 2 * GAP,
    height: Math.max(pictures, shown * block) + 4,
  };
}

function belowPlan(room, reads, width, maxHeight, label) {
  const cell = Math.max(14, Math.min(32, Math.floor((width - 2 * GAP) / (2 * room.kernel))));
  const block = room.kernel * cell + label + 6;
  const scale = Math.min(3, (width - GAP) / (room.inCols + room.outCols), (maxHeight - label) / Math.max(room.inRows, room.outRows));
  const pictures = Math.max(room.inRows, room.outRows) * scale + label + 6;
  const shown = Math.max(1, Math.min(reads, Math.floor(386 / block)));
  const wide = Math.max((room.inCols + room.outCols) * scale + GAP, 2 * kernelSide(room, cell, label) + 2 * GAP);
  return { picture: true, below: pictures, cell, scale, block, room, shown, label, width: wide, height: pictures + shown * block + 4 };
}

/** A 1x1 kernel still needs the width of its title. */
const kernelSide = (room, cell, label) => Math.max(room.kernel * cell, TITLE * larger(label));

function placePicture(plan, layer, channels, pools) {
  const { cell, scale, room, besides, below, block, label } = plan;
  const panels = [{ kind: "input", channel: channels[0], x: 0, y: label, rows: layer.rows.length, cols: layer.cols.length, cell: scale }];
  const kernelX = below ? GAP / 2 + 6 : room.inCols * scale + GAP; // room for the sign before it
  const side = kernelSide(room, cell, label);
  let y = label + (below ?? 0);
  for (const channel of channels) {
    const size = { channel, rows: layer.kernelHeight, cols: layer.kernelWidth, cell };
    if (!pools) panels.push({ kind: "kernel", x: kernelX, y, ...size });
    const place = pools ? { x: kernelX, y } : below ? { x: kernelX + side + GAP, y } : besides ? { x: kernelX + side + 16, y } : { x: kernelX, y: y + room.kernel * cell + label + 6 };
    panels.push({ kind: "products", ...place, ...size });
    y += block;
  }
  const outputX = below ? room.inCols * scale + GAP : kernelX + plan.middle + GAP;
  panels.push({ kind: "output", channel: -1, x: outputX, y: label, rows: layer.outHeight, cols: layer.outWidth, cell: scale });
  return { panels, height: Math.max(y - label, plan.height) };
}

/** The panel and cell under a point, or null. */
export function hitTest(scene, x, y) {
  for (const panel of scene.panels) {
    const col = Math.floor((x - panel.x) / panel.cell);
    const row = Math.floor((y - panel.y) / panel.cell);
    if (row >= 0 && col >= 0 && row < panel.rows && col < panel.cols) return { panel, row, col };
  }
  return null;
}
