// What a layer computes, and the terms behind each output value. The twin of cnnviz/trace.py, held to it by tests.
import { factorText, numberText, signedText } from "./number.js";

/**
 * Grows (by shifted copies) or shrinks (by cropping) flat values from one shape to another, each of up to four numbers:
 * value[i, j, r, s] = base[i % n, j % c, (r + i / n) % h, (s + j / c + (i / n) / h) % w], divisions rounded down.
 */
export function tile(base, baseShape, shape) {
  const [n, c, h, w] = fourSides(baseShape);
  const [wantedN, wantedC, wantedH, wantedW] = fourSides(shape);
  const result = new Float64Array(wantedN * wantedC * wantedH * wantedW);
  let at = 0;
  for (let i = 0; i < wantedN; i++) {
    const down = Math.floor(i / n);
    for (let j = 0; j < wantedC; j++) {
      const across = Math.floor(j / c) + Math.floor(down / h);
      for (let r = 0; r < wantedH; r++) {
        const start = (((i % n) * c + (j % c)) * h + ((r + down) % h)) * w;
        for (let s = 0; s < wantedW; s++) result[at++] = base[start + ((s + across) % w)];
      }
    }
  }
  return result;
}

/**
 * The output as Float64Array (filters, rows, columns): `image` (channels, height, width) flat, `weights` flat in torch's
 * layout (null for pools), `bias` a number or one a filter. `filters` picks output channels; `step` q > 1 computes every
 * q-th row and column only, for a quick coarse picture.
 */
export function forward(layer, image, weights, bias = 0, { filters = everyFilter(layer), step = 1, relu = false } = {}) {
  const rows = Math.ceil(layer.outHeight / step);
  const cols = Math.ceil(layer.outWidth / step);
  const result = new Float64Array(filters.length * rows * cols);
  const planes = new Map(); // a channel is padded once, however many filters read it
  filters.forEach((filter, at) => {
    const map = result.subarray(at * rows * cols, (at + 1) * rows * cols);
    if (layer.op.endsWith("pool")) poolPlane(layer, drawnPlane(layer, image, filter, planes), map, cols, step);
    else {
      map.fill(biasOf(bias, filter));
      for (const channel of channelsRead(layer, filter)) {
        addProducts(layer, drawnPlane(layer, image, channel, planes), tapWeights(layer, weights, filter, channel), map, cols, step);
      }
    }
    if (relu) for (let cell = 0; cell < map.length; cell++) if (map[cell] < 0) map[cell] = 0;
  });
  return result;
}

/**
 * What one output value is made of, channel by channel in the picture's reading order: { filter, channel, row, col (input
 * index, -1 for padding or an inserted zero), drawnRow, drawnCol, a, b (kernel row and column as stored), value, weight }.
 * A maximum pool lists real cells only, an average pool what it divides by.
 */
export function terms(layer, image, weights, filter, i, j) {
  const pool = layer.op.endsWith("pool");
  const list = [];
  for (const channel of channelsRead(layer, filter)) {
    const taps = pool ? null : tapWeights(layer, weights, filter, channel);
    windowTaps(layer.rows, i).forEach((down) => {
      windowTaps(layer.cols, j).forEach((across) => {
        if (pool && !poolCounts(layer, down, across)) return;
        const real = down.index >= 0 && across.index >= 0;
        list.push({
          filter,
          channel,
          row: down.index,
          col: across.index,
          drawnRow: down.drawn,
          drawnCol: across.drawn,
          a: layer.flipped ? layer.kernelHeight - 1 - down.tap : down.tap,
          b: layer.flipped ? layer.kernelWidth - 1 - across.tap : across.tap,
          value: real ? image[(channel * layer.height + down.index) * layer.width + across.index] : 0,
          weight: pool ? 1 : taps[down.tap * layer.kernelWidth + across.tap],
        });
      });
    });
  }
  if (layer.op === "avg_pool") for (const term of list) term.weight = 1 / (layer.divisor || list.length);
  return list;
}

/** The result of a list of terms. */
export function sumOfTerms(layer, list, bias = 0) {
  if (layer.op === "max_pool") return list.reduce((most, { value }) => Math.max(most, value), -Infinity);
  const start = layer.op === "avg_pool" ? 0 : biasOf(bias, list[0].filter);
  return list.reduce((sum, { value, weight }) => sum + value * weight, start);
}

/** Spells out an output value: "3·0 + 3·1 + 2·2 = 7". */
export function explain(layer, list, bias = 0) {
  const result = numberText(sumOfTerms(layer, list, bias));
  if (layer.op === "max_pool") return `max(${list.map(({ value }) => numberText(value)).join(", ")}) = ${result}`;
  if (layer.op === "avg_pool") {
    const divisor = factorText(layer.divisor || list.length);
    return `(${list.map(({ value }) => factorText(value)).join(" + ")}) / ${divisor} = ${result}`;
  }
  const total = list.map(({ value, weight }) => `${factorText(value)}·${factorText(weight)}`).join(" + ");
  return `${total}${signedText(biasOf(bias, list[0].filter))} = ${result}`;
}

// ---- windows -------------------------------------------------------------------------------------------------------

function everyFilter(layer) {
  return Array.from({ length: layer.filters }, (_, filter) => filter);
}

function fourSides(shape) {
  return [...Array(4 - shape.length).fill(1), ...shape];
}

function biasOf(bias, filter) {
  return typeof bias === "number" ? bias : bias[filter % bias.length];
}

function channelsRead({ op, inChannels, filters, groups }, filter) {
  if (op.endsWith("pool")) return [filter];
  const depth = inChannels / groups;
  const first = Math.floor(filter / (filters / groups)) * depth;
  return Array.from({ length: depth }, (_, channel) => first + channel);
}

/** One slice of the weights in the picture's reading order (flipped where the operation flips). */
function tapWeights({ op, flipped, inChannels, filters, groups, kernelHeight, kernelWidth }, weights, filter, channel) {
  const perGroup = filters / groups;
  const depth = inChannels / groups;
  const slice = op === "transposed" ? channel * perGroup + (filter % perGroup) : filter * depth + (channel % depth);
  const taps = weights.slice(slice * kernelHeight * kernelWidth, (slice + 1) * kernelHeight * kernelWidth);
  return flipped ? taps.reverse() : taps;
}

function windowTaps({ kernel, table, step, dilation }, i) {
  return Array.from({ length: kernel }, (_, tap) => ({ tap, index: table[i * kernel + tap], drawn: i * step + tap * dilation }));
}

function poolCounts({ op, countIncludePad, rows, cols }, down, across) {
  if (op === "max_pool" || !countIncludePad) return down.index >= 0 && across.index >= 0;
  return down.drawn < rows.before + rows.size + rows.after && across.drawn < cols.before + cols.size + cols.after;
}

// ---- fast sums -----------------------------------------------------------------------------------------------------

/** A channel as it is drawn: padded, or stretched by zeros; padding of a maximum pool loses to every value. */
function drawnPlane(layer, image, channel, planes) {
  if (planes.has(channel)) return planes.get(channel);
  const { rows, cols, height, width } = layer;
  const input = image.subarray(channel * height * width, (channel + 1) * height * width);
  let plane = input;
  if (rows.length !== height || cols.length !== width || rows.before !== 0 || cols.before !== 0) {
    plane = new Float64Array(rows.length * cols.length);
    if (layer.op === "max_pool") plane.fill(-Infinity);
    for (let r = 0; r < rows.length; r++) {
      if (rows.source[r] >= 0) copyRow(layer, input, rows.source[r] * width, plane, r * cols.length);
    }
  }
  planes.set(channel, plane);
  return plane;
}

function copyRow({ op, cols, width }, input, from, plane, to) {
  if (op !== "transposed") plane.set(input.subarray(from, from + width), to + cols.before);
  else {
    for (let c = 0; c < cols.length; c++) if (cols.source[c] >= 0) plane[to + c] = input[from + cols.source[c]];
  }
}

/** Adds one channel's products to a map: whole rows at a time, four taps at once, so that the browser keeps up. */
function addProducts({ rows, cols, kernelHeight, kernelWidth }, plane, taps, map, mapCols, step) {
  const stride = cols.step * step;
  for (let start = 0, i = 0; start < map.length; start += mapCols, i += step) {
    for (let a = 0; a < kernelHeight; a++) {
      const line = (i * rows.step + a * rows.dilation) * cols.length;
      const row = a * kernelWidth;
      for (let b = 0; b < kernelWidth; b += kernelWidth < 4 ? 1 : 4) {
        const first = Math.max(0, Math.min(b, kernelWidth - 4)); // the last four may overlap: no tap is added twice
        const from = line + first * cols.dilation;
        if (kernelWidth < 4) addOneTap(plane, line + b * cols.dilation, stride, taps[row + b], map, start, mapCols);
        else addFourTaps(plane, from, cols.dilation, stride, taps, row + first, b - first, map, start, mapCols);
      }
    }
  }
}

function addFourTaps(plane, from, dilation, stride, taps, at, skipped, map, start, count) {
  const w0 = skipped > 0 ? 0 : taps[at];
  const w1 = skipped > 1 ? 0 : taps[at + 1];
  const w2 = skipped > 2 ? 0 : taps[at + 2];
  const w3 = taps[at + 3];
  for (let cell = start, x = from; cell < start + count; cell++, x += stride) {
    map[cell] += w0 * plane[x] + w1 * plane[x + dilation] + w2 * plane[x + 2 * dilation] + w3 * plane[x + 3 * dilation];
  }
}

function addOneTap(plane, from, stride, weight, map, start, count) {
  for (let cell = start, x = from; cell < start + count; cell++, x += stride) map[cell] += weight * plane[x];
}

function takeLargest(plane, from, stride, map, start, count) {
  for (let cell = start, x = from; cell < start + count; cell++, x += stride) if (plane[x] > map[cell]) map[cell] = plane[x];
}

/** Pools along the columns, then along the rows. */
function poolPlane(layer, plane, map, mapCols, step) {
  const { op, rows, cols, divisor } = layer;
  const largest = op === "max_pool";
  const lines = new Float64Array(rows.length * mapCols).fill(largest ? -Infinity : 0);
  for (let r = 0; r < rows.length; r++) {
    for (let b = 0; b < cols.kernel; b++) {
      const from = r * cols.length + b * cols.dilation;
      if (largest) takeLargest(plane, from, step * cols.step, lines, r * mapCols, mapCols);
      else addOneTap(plane, from, step * cols.step, 1, lines, r * mapCols, mapCols);
    }
  }
  map.fill(largest ? -Infinity : 0);
  for (let start = 0, i = 0; start < map.length; start += mapCols, i += step) {
    for (let a = 0; a < rows.kernel; a++) {
      const from = (i * rows.step + a * rows.dilation) * mapCols;
      if (largest) takeLargest(lines, from, 1, map, start, mapCols);
      else addOneTap(lines, from, 1, 1, map, start, mapCols);
    }
    if (largest) continue;
    const down = countedTaps(layer, rows, i);
    for (let j = 0; j < mapCols; j++) map[start + j] /= divisor || down * countedTaps(layer, cols, j * step);
  }
}

function countedTaps({ countIncludePad }, { before, size, after, step, kernel }, i) {
  const end = Math.min(i * step + kernel, before + size + (countIncludePad ? after : 0));
  return end - Math.max(i * step, countIncludePad ? 0 : before);
}
