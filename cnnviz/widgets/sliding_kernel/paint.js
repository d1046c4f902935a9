// Draws a scene: grids of numbers or pictures, the window, its products, and what the pointer touches.
// Painting reads; it never changes the state.
import { terms } from "../js/arithmetic.js";
import { NEAR_ZERO, fittingText } from "./fit.js";
import { cellsOfTap, shownCell, weightIndex, windowsReading } from "./focus.js";
import { largest, shadeScale } from "../js/palette.js";
import { colourCanvas, mapCanvas } from "./pictures.js";
import { paintStrip } from "./strip.js";

const TITLES = { input: "input", kernel: "kernel", products: "products", output: "output" };

/** view: { context, palette, scene, result, look, focus, glide, cache, fontSize }; everything is drawn anew. */
export function paintScene(view) {
  const { context, scene, result, look } = view;
  const { layer } = result;
  const cell = shownCell(result, look.position, view.focus?.kind === "output" ? view.focus : null);
  const frame = { ...view, layer, cell, plane: layer.height * layer.width, terms: termsAt(result, cell) };
  frame.hatching = view.palette.hatching(context);
  frame.outputLimit = largest(result.output);
  context.clearRect(0, 0, view.width, view.height);
  context.lineJoin = "round";
  for (const panel of scene.panels) {
    paintTitle(frame, panel);
    PAINTERS[panel.kind](frame, panel);
  }
  paintSigns(frame);
  paintFocus(frame);
  if (scene.stripHeight) paintStrip(frame);
  return frame;
}

function termsAt(result, { i, j }) {
  const list = terms(result.layer, result.image, result.weights, result.filter, i, j);
  const byCell = new Map();
  for (const term of list) byCell.set(`${term.channel},${term.drawnRow},${term.drawnCol}`, term);
  return { list, byCell };
}

// ---- one painter a panel -------------------------------------------------------------------------------------------

const PAINTERS = { input: paintInput, kernel: paintKernel, products: paintProducts, output: paintOutput };

function paintInput(frame, panel) {
  const { layer, result, look, palette, scene } = frame;
  const { rows, cols } = layer;
  paintPadding(frame, panel);
  if (look.heatmap) paintReads(frame, panel);
  else if (scene.picture) paintInputPicture(frame, panel);
  else {
    const shade = shadeScale(...frame.cache.imageRange(result.image));
    const offset = panel.channel * frame.plane;
    const zero = layer.op === "max_pool" ? undefined : 0; // a max pool has no zeros: its padding never wins
    const inWindow = windowTest(frame);
    paintCells(frame, panel, (row, col) => {
      const r = rows.source[row], c = cols.source[col];
      const seen = inWindow(row, col);
      if (r < 0 || c < 0) return [seen ? palette.tint : null, palette.faint, zero];
      const value = result.image[offset + r * layer.width + c];
      const tone = shade(value);
      const colours = seen ? palette.tinted : palette.grey;
      return [colours.css[tone], colours.text[tone], value, false, true];
    });
  }
  paintUnread(frame, panel);
}

function paintPadding(frame, panel) {
  const { context } = frame;
  context.fillStyle = frame.hatching;
  context.fillRect(panel.x, panel.y, panel.cols * panel.cell, panel.rows * panel.cell);
  context.strokeStyle = frame.palette.grid;
  context.lineWidth = 1;
  context.strokeRect(panel.x + 0.5, panel.y + 0.5, panel.cols * panel.cell - 1, panel.rows * panel.cell - 1);
}

/** Whether the window reads a drawn cell now; while a weight is pointed at, no window stands anywhere. */
function windowTest({ layer: { rows, cols }, cell, focus }) {
  const taps = (axis, start) => new Set(Array.from({ length: axis.kernel }, (_, tap) => start + tap * axis.dilation));
  const [inRows, inCols] = [taps(rows, cell.i * rows.step), taps(cols, cell.j * cols.step)];
  return focus?.kind === "weight" ? () => false : (row, col) => inRows.has(row) && inCols.has(col);
}

/** The part of the drawn input that holds the picture itself; a stretched (transposed) one is drawn cell by cell. */
function paintInputPicture(frame, panel) {
  const { context, layer, result, cache, palette } = frame;
  const range = cache.imageRange(result.image);
  const colour = layer.inChannels === 3 && layer.groups === 1;
  const offset = panel.channel * frame.plane;
  const paint = () => colour
    ? colourCanvas(result.image, layer.height, layer.width, ...range)
    : mapCanvas(result.image, offset, layer.height, layer.width, palette.photo, ...range);
  const picture = cache.picture(result.image, colour ? -1 : panel.channel, paint);
  context.imageSmoothingEnabled = panel.cell < 1;
  layPicture(frame, panel, picture);
}

function layPicture(frame, panel, picture) {
  const { context, layer } = frame;
  if (layer.op === "transposed") return stretchPicture(frame, panel, picture);
  const { x, y } = corner(panel, layer.rows.before, layer.cols.before);
  context.drawImage(picture, x, y, layer.width * panel.cell, layer.height * panel.cell);
}

function stretchPicture({ context, layer }, panel, picture) {
  layer.rows.source.forEach((r, row) => layer.cols.source.forEach((c, col) => {
    const at = corner(panel, row, col);
    if (r >= 0 && c >= 0) context.drawImage(picture, c, r, 1, 1, at.x, at.y, panel.cell, panel.cell);
  }));
}

/** How often each pixel is read: the product of the two axes, since windows separate by axis. */
function paintReads(frame, panel) {
  const { layer, palette, scene, cache } = frame;
  const most = largest(layer.rows.reads) * largest(layer.cols.reads);
  const reads = (r, c) => layer.rows.reads[r] * layer.cols.reads[c];
  if (scene.picture) {
    const counts = Float64Array.from({ length: frame.plane }, (_, at) => reads(Math.floor(at / layer.width), at % layer.width));
    cache.counts = mapCanvas(counts, 0, layer.height, layer.width, palette.counts, 0, most, cache.counts);
    return layPicture(frame, panel, cache.counts);
  }
  const shade = shadeScale(0, most);
  return paintCells(frame, panel, (row, col) => {
    const r = layer.rows.source[row], c = layer.cols.source[col];
    if (r < 0 || c < 0) return null;
    const tone = shade(reads(r, c));
    return [palette.counts.css[tone], palette.counts.text[tone], reads(r, c)];
  });
}

/** Rows and columns that no window reads are crossed out. */
function paintUnread({ context, layer, palette }, panel) {
  context.strokeStyle = palette.faint;
  context.lineWidth = Math.max(1.5, panel.cell / 20);
  context.beginPath();
  const { rows, cols } = layer;
  for (const [axis, cross] of [[rows, cols], [cols, rows]]) {
    for (const index of axis.unread) {
      const drawn = (axis.source.indexOf(index) + 0.5) * panel.cell;
      const end = cross.length * panel.cell;
      if (axis === rows) line(context, panel.x, panel.y + drawn, panel.x + end, panel.y + drawn);
      else line(context, panel.x + drawn, panel.y, panel.x + drawn, panel.y + end);
    }
  }
  context.stroke();
}

function paintKernel(frame, panel) {
  const { layer, result, palette } = frame;
  const limit = frame.cache.limit(result.weights);
  const shade = shadeScale(-limit, limit);
  paintCells(frame, panel, (row, col) => {
    const value = result.weights[weightIndex(layer, result.filter, panel.channel, row, col)];
    return signedCell(palette, shade, value);
  });
}

/** The patch under the window times the kernel; for a pool the patch itself. */
function paintProducts(frame, panel) {
  const { layer, look, palette, cell, terms: { list, byCell } } = frame;
  const pools = layer.op.endsWith("pool");
  const product = (term) => (pools ? term.value : term.value * term.weight);
  const limit = largest(list.map(product));
  const shade = shadeScale(-limit, limit);
  const winner = layer.op === "max_pool" ? list.reduce((best, term) => (best && best.value >= term.value ? best : term), null) : null;
  paintPadding(frame, panel);
  if (look.reveal >= 1) {
    paintCells(frame, panel, (row, col) => {
      const drawn = `${panel.channel},${cell.i * layer.rows.step + row * layer.rows.dilation},${cell.j * layer.cols.step + col * layer.cols.dilation}`;
      const term = byCell.get(drawn);
      if (!term) return null;
      return signedCell(palette, shade, product(term), term === winner);
    });
  }
  outline(frame, panel, 0, 0, panel.rows, panel.cols, palette.window, 3);
}

function paintOutput(frame, panel) {
  const { context, layer, result, look, scene } = frame;
  if (look.predict === "shape") return paintUnknown(frame, panel);
  if (look.reveal >= 3) {
    if (scene.picture) paintOutputPicture(frame, panel);
    else paintOutputCells(frame, panel);
  }
  outline(frame, panel, 0, 0, panel.rows, panel.cols, frame.palette.grid, 1);
  const { i, j } = frame.glide ?? frame.cell;
  const thick = scene.picture ? 2 : 3;
  if (scene.picture && panel.cell < 6) return ring(context, panel, i, j, frame.palette.window);
  outline(frame, panel, i, j, 1, 1, frame.palette.window, thick);
}

function paintOutputCells(frame, panel) {
  const { layer, result, look, palette } = frame;
  const offset = result.filters.indexOf(result.filter) * result.cells;
  const shade = shadeScale(-frame.outputLimit, frame.outputLimit);
  const last = look.fill ? look.position : result.cells;
  paintCells(frame, panel, (row, col) => {
    const at = row * layer.outWidth + col;
    if (at > last) return null;
    const hidden = look.predict === "cell" && row === frame.cell.i && col === frame.cell.j;
    return hidden ? [palette.paper, palette.ink, "?", false, true] : signedCell(palette, shade, result.output[offset + at]);
  });
}

function paintOutputPicture(frame, panel) {
  const { context, layer, result, look, cache, palette } = frame;
  const step = result.step;
  const rows = Math.ceil(layer.outHeight / step), cols = Math.ceil(layer.outWidth / step);
  const canvas = cache.output(result, rows, cols, () => {
    const pools = layer.op.endsWith("pool");
    const offset = result.filters.indexOf(result.filter) * rows * cols;
    if (pools && layer.filters === 3) return colourCanvas(result.output, rows, cols, ...cache.imageRange(result.image), cache.canvas);
    const range = pools ? cache.imageRange(result.image) : [-frame.outputLimit, frame.outputLimit];
    return mapCanvas(result.output, offset, rows, cols, pools ? palette.photo : palette.signed, ...range, cache.canvas);
  });
  context.imageSmoothingEnabled = step > 1 || panel.cell < 1;
  const shown = look.fill ? (Math.floor(look.position / layer.outWidth) + 1) / layer.outHeight : 1;
  context.drawImage(canvas, 0, 0, cols, rows * shown, panel.x, panel.y, panel.cols * panel.cell, panel.rows * panel.cell * shown);
}

function paintUnknown(frame, panel) {
  const { context, palette } = frame;
  context.fillStyle = palette.ink;
  context.font = `bold ${3 * frame.fontSize}px ${palette.font}`;
  context.textAlign = "left";
  context.textBaseline = "top";
  context.fillText("?  ×  ?", panel.x + 8, panel.y + 12);
}

// ---- cells, lines and words ----------------------------------------------------------------------------------------

function signedCell({ signed }, shade, value, strong = false) {
  const tone = shade(value);
  return [signed.css[tone], signed.text[tone], value, strong, true];
}

/** Fills every cell for which `cellAt(row, col)` gives [fill, text colour, value, strong, framed]; null leaves it as it is. */
function paintCells(frame, panel, cellAt) {
  const { context, scene } = frame;
  const { x, y, cell } = panel;
  const font = Math.max(cell >= 44 ? frame.fontSize : 14, Math.min(0.44 * cell, 48));
  const room = cell >= 16 ? cell - 2 : 0;
  context.font = `${font}px ${frame.palette.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const inset = scene.picture && cell < 8 ? 0 : 1;
  const texts = [];
  for (let row = 0; row < panel.rows; row++) {
    for (let col = 0; col < panel.cols; col++) {
      const content = cellAt(row, col);
      if (!content) continue;
      const [fill, ink, value, strong, framed] = content;
      const left = x + col * cell, top = y + row * cell;
      if (framed) {
        context.fillStyle = frame.palette.grid;
        context.fillRect(left - 1, top - 1, cell + 1, cell + 1);
      }
      if (fill) {
        context.fillStyle = fill;
        context.fillRect(left, top, cell - inset, cell - inset);
      }
      if (strong) ring(context, panel, row, col, frame.palette.window);
      if (room < 1 || value === undefined) continue;
      texts.push([ink, typeof value === "string" ? value : fittingText(context, value, room, font), left, top]);
    }
  }
  if (cell < 24 && texts.filter(([, text]) => text === NEAR_ZERO).length > texts.length / 2) return; // the colours say more
  for (const [ink, text, left, top] of texts) {
    context.fillStyle = ink;
    context.fillText(text, left + (cell - inset) / 2, top + (cell - inset) / 2 + 1, room);
  }
}

function paintTitle(frame, panel) {
  const { context, palette, layer, result, scene } = frame;
  const first = panel.kind === "output" || panel.channel === scene.channels[0];
  const several = scene.channels.length > 1 || layer.inChannels > 1;
  let title = TITLES[panel.kind];
  if (panel.kind === "input" && frame.look.heatmap) title = "times read";
  if (panel.kind === "kernel" && layer.flipped) title = "kernel, flipped";
  if (panel.kind === "products" && layer.op.endsWith("pool")) title = "under the window";
  const colour = scene.picture && panel.kind === "input" && layer.inChannels === 3 && layer.groups === 1;
  if (several && panel.kind !== "output" && !colour) title = first ? `${title}, ${panel.channel}` : `channel ${panel.channel}`;
  if (panel.kind === "output" && layer.filters > 1) title = `output, filter ${result.filter}`;
  context.fillStyle = palette.ink;
  context.font = `${frame.fontSize}px ${palette.font}`;
  context.textAlign = "left";
  context.textBaseline = "alphabetic";
  const room = frame.width - context.measureText(title).width - 2; // a title may be wider than the last panel
  context.fillText(title, Math.min(panel.x, Math.max(0, room)), panel.y - 7);
}

/** The operators between the columns: input ∗ kernel = products → sum. */
function paintSigns(frame) {
  const { context, scene, palette } = frame;
  context.fillStyle = palette.faint;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const column = (kind) => scene.panels.find((panel) => panel.kind === kind);
  const { rows, cell } = column("products");
  const height = rows * cell;
  const between = (panel, sign) => {
    context.font = `${frame.fontSize * (sign.length > 1 ? 1 : 1.4)}px ${palette.font}`;
    if (panel) context.fillText(sign, panel.x - 20, panel.y + Math.min(height, panel.rows * panel.cell) / 2);
  };
  between(column("kernel"), "∗");
  const products = column("products");
  if (products && (scene.below || (!scene.stacked && !scene.picture))) between(products, column("kernel") ? "=" : "→");
  const after = scene.below ? { ...products, x: products.x + products.cols * cell + 40 } : column("output");
  between(after, frame.layer.op === "max_pool" ? "max" : frame.layer.op === "avg_pool" ? "mean" : "Σ");
}

function corner(panel, row, col) {
  return { x: panel.x + col * panel.cell, y: panel.y + row * panel.cell };
}

function line(context, x0, y0, x1, y1) {
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
}

function outline({ context }, panel, row, col, rows, cols, colour, thick) {
  const { x, y } = corner(panel, row, col);
  context.strokeStyle = colour;
  context.lineWidth = thick;
  context.strokeRect(x, y, cols * panel.cell - 1, rows * panel.cell - 1);
}

/** A mark around a cell that may be only a pixel wide. */
function ring(context, panel, row, col, colour) {
  const { x, y } = corner(panel, row, col);
  const reach = Math.max(panel.cell, 7);
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.strokeRect(x + (panel.cell - reach) / 2, y + (panel.cell - reach) / 2, reach - 1, reach - 1);
}

// ---- window and pointer --------------------------------------------------------------------------------------------

function paintFocus(frame) {
  const { scene, focus, layer, palette } = frame;
  for (const panel of scene.panels) {
    if (panel.kind === "input") {
      if (focus?.kind === "weight") markCells(frame, panel, cellsOfTap(layer.rows, focus.row), cellsOfTap(layer.cols, focus.col));
      else paintWindow(frame, panel);
    }
    if (panel.kind === "input" && focus?.kind === "input") outline(frame, panel, focus.row, focus.col, 1, 1, palette.mark, 3);
    if (panel.kind === "kernel" && focus?.kind === "weight") outline(frame, panel, focus.row, focus.col, 1, 1, palette.mark, 3);
    if (panel.kind === "output" && focus?.kind === "input" && frame.look.predict !== "shape") {
      markCells(frame, panel, windowsReading(layer.rows, focus.row), windowsReading(layer.cols, focus.col));
    }
  }
}

/** The frame of the window where it stands; the cells that it reads are tinted with their numbers. */
function paintWindow(frame, panel) {
  const { layer, palette } = frame;
  const { i, j } = frame.glide ?? frame.cell;
  const { rows, cols } = layer;
  const row = i * rows.step, col = j * cols.step;
  const high = (rows.kernel - 1) * rows.dilation + 1, wide = (cols.kernel - 1) * cols.dilation + 1;
  outline(frame, panel, row, col, high, wide, palette.window, 3);
  if (Math.max(high, wide) * panel.cell < 16) halo(frame, panel, row + high / 2, col + wide / 2);
}

/** A circle that finds a window of a few pixels in a photograph; it ends where the photograph does, below the title. */
function halo({ context, palette }, panel, row, col) {
  const { x, y } = corner(panel, row, col);
  context.save();
  context.beginPath();
  context.rect(panel.x, panel.y, panel.cols * panel.cell, panel.rows * panel.cell);
  context.clip();
  for (const [colour, thick] of [[palette.paper, 4], [palette.window, 2]]) {
    context.beginPath();
    context.arc(x, y, 15, 0, 2 * Math.PI);
    context.strokeStyle = colour;
    context.lineWidth = thick;
    context.stroke();
  }
  context.restore();
}

function markCells(frame, panel, rows, cols) {
  const small = panel.cell < 6;
  for (const row of rows) {
    for (const col of cols) {
      if (small) ring(frame.context, panel, row, col, frame.palette.mark);
      else outline(frame, panel, row, col, 1, 1, frame.palette.mark, 2.5);
    }
  }
}
