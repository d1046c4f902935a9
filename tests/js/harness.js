// What the parity tests ask of the modules, in plain values that Python can compare.
import { explain, forward, sumOfTerms, terms, tile } from "../js/arithmetic.js";
import { formatCode, parseCode } from "../js/code.js";
import { LayerError, limits, outputShape, readLayer, sizeFormula, weightShape } from "../js/geometry.js";
import { KERNEL_NAMES, effectiveKernel, namedKernel, rotatedKernel } from "../js/kernels.js";
import { factorText, numberText, signedText } from "../js/number.js";
import { STATE_DEFAULTS, decodeState, encodeState } from "../js/share.js";
import { inkText, wiresOf } from "../js/wires.js";
import { logTicks, rangeOf } from "../live_plot/chart.js";

/** The answer, or the text of the LayerError; any other error is a failure of the test. */
function answered(compute) {
  try {
    return compute();
  } catch (error) {
    if (error instanceof LayerError) return { error: error.message };
    throw error;
  }
}

export const layers = (cases) => cases.map((one) => answered(() => layerOf(one)));

function layerOf({ state, at, step, picked }) {
  const layer = readLayer(state);
  const input = tile(state.image.values, state.image.shape, [1, layer.inChannels, layer.height, layer.width]);
  const weights = effectiveKernel(state, layer);
  const [filter, i, j] = outputShape(layer).map((n, axis) => Math.floor(at[axis] * n));
  const list = terms(layer, input, weights, filter, i, j);
  const filters = [...new Set(picked.map((share) => Math.floor(share * layer.filters)))];
  const output = forward(layer, input, weights, state.bias, { relu: state.relu });
  const some = forward(layer, input, weights, state.bias, { filters, step });
  return {
    shape: outputShape(layer),
    weightShape: weightShape(layer),
    flipped: layer.flipped,
    rows: axisOf(layer.rows),
    cols: axisOf(layer.cols),
    formulas: [sizeFormula(layer, "rows"), sizeFormula(layer, "cols")],
    input: Array.from(input),
    weights: Array.from(weights),
    output: Array.from(output),
    some: Array.from(some),
    terms: list.map(({ value, weight }) => [value, weight]),
    sum: sumOfTerms(layer, list, state.bias),
    explain: explain(layer, list, state.bias),
    misplaced: list.filter((term) => !isInPlace(term, layer, input, weights)).length,
    code: formatCode(state),
  };
}

function axisOf({ size, kernel, stride, dilation, before, after, out, length, step, table, reads, unread }) {
  return { size, kernel, stride, dilation, before, after, out, length, step, table: Array.from(table), reads: Array.from(reads), unread };
}

/** Does a term say rightly where its value is drawn and where its weight is stored? */
function isInPlace({ filter, channel, row, col, drawnRow, drawnCol, a, b, value, weight }, layer, input, weights) {
  const real = row >= 0 && col >= 0;
  if (layer.rows.source[drawnRow] !== row) return false;
  if (layer.cols.source[drawnCol] !== col) return false;
  if (value !== (real ? input[(channel * layer.height + row) * layer.width + col] : 0)) return false;
  if (layer.op.endsWith("pool")) return true;
  const [, second, h, w] = weightShape(layer);
  const slice = layer.op === "transposed" ? channel * second + (filter % second) : filter * second + (channel % second);
  return weight === weights[(slice * h + a) * w + b];
}

/** For each legal state its bounds, and the changes within them that are illegal after all. */
export const bounds = (states) =>
  states.map((state) => {
    const found = limits(state);
    const broken = changesWithin(found).filter((change) => answered(() => readLayer({ ...state, ...change })).error);
    return { found, broken };
  });

function changesWithin(found) {
  const changes = [];
  for (const name of ["height", "width"]) for (const n of upFrom(found[name])) changes.push({ [name]: n });
  for (const name of ["kernel_size", "stride", "padding", "dilation", "output_padding"]) {
    for (const h of upFrom(found[name][0])) for (const w of upFrom(found[name][1])) changes.push({ [name]: [h, w] });
  }
  for (const name of ["in_channels", "groups"]) for (const n of found[name]) changes.push({ [name]: n });
  for (const n of found.filters) changes.push({ filters: n });
  return changes;
}

function upFrom([low, high]) {
  return Array.from({ length: high - low + 1 }, (_, at) => low + at);
}

export const numbers = (list) => list.map((x) => [numberText(x), factorText(x), signedText(x)]);
export const kernels = (list) => list.map(({ name, h, w, angle }) => Array.from(rotatedKernel(namedKernel(name, h, w), h, w, angle)));
export const kernelNames = () => KERNEL_NAMES;
export const kernelErrors = (list) => list.map(({ name, h, w }) => answered(() => Array.from(namedKernel(name, h, w))));
export const tiles = (list) => list.map(({ values, from, to }) => Array.from(tile(values, from, to)));
export const parse = (lines) => lines.map((line) => answered(() => parseCode(line)));
export const format = (states) => states.map(formatCode);
export const encode = (states) => states.map(encodeState);
export const decode = (texts) => texts.map((text) => answered(() => decodeState(text)));
export const defaults = () => STATE_DEFAULTS;
export const wires = (cases) => cases.map(({ layer, shuffle, ink }) => {
  const found = wiresOf(layer, shuffle, ink);
  return { ...found, inked: found.inked.map((row) => [...row].sort((one, other) => one - other)), text: inkText(found) };
});

export const ticks = (ranges) => ranges.map((range) => logTicks(...range));
export const lossRange = ({ train, test }) => rangeOf([{ kind: "train", values: train }, { kind: "test", values: test }], false);
