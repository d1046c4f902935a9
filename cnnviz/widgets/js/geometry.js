// Layers in whole numbers: what is legal, sizes, index tables, bounds for sliders.
// The twin of cnnviz/geometry.py: the same layers are legal, and the errors have the same text.

/** A layer, a line of code or a share string that cannot be; the text says what would work. */
export class LayerError extends Error {
  get name() {
    return "LayerError";
  }
}

export const LAYER_OPS = ["conv", "convolve", "transposed", "max_pool", "avg_pool"];
const LARGEST_SETTING = 9999; // of kernel_size, stride, padding, dilation
const LARGEST_SHOWN = 1024; // output rows or columns
const AXIS_NAMES = [["row", "rows"], ["column", "columns"]];
export const LAYER_DEFAULTS = {
  op: "conv", height: 5, width: 5, in_channels: 1, filters: 1, kernel_size: 3, stride: 1, padding: 0, dilation: 1,
  output_padding: 0, groups: 1, ceil_mode: false, count_include_pad: true, divisor_override: 0,
};

/**
 * The layer that a state describes, with its index tables; throws LayerError for what no layer can be.
 * What an operation does not have is ignored (groups of a pool, ceil_mode of a convolution, ...).
 */
export function readLayer(state) {
  const plan = checkLayer(state);
  const [rows, cols] = [0, 1].map((at) => (plan.op === "transposed" ? stretchedAxis(plan, at) : slidingAxis(plan, at)));
  return {
    op: plan.op,
    flipped: plan.op === "convolve" || plan.op === "transposed",
    inChannels: plan.channels,
    filters: plan.filters,
    groups: plan.groups,
    height: plan.size[0],
    width: plan.size[1],
    kernelHeight: plan.kernel[0],
    kernelWidth: plan.kernel[1],
    outHeight: plan.out[0],
    outWidth: plan.out[1],
    ceilMode: plan.ceil,
    countIncludePad: plan.countIncludePad,
    divisor: plan.divisor,
    rows,
    cols,
  };
}

/** Output size, kernel, span and stride as [h, w], checked like `readLayer` but without the tables. */
export function outputGeometry(state) {
  return checkLayer(state);
}

/** [channels, rows, columns] of the output. */
export function outputShape(layer) {
  return [layer.filters, layer.outHeight, layer.outWidth];
}

/** [..] in torch's layout; empty for a pool. */
export function weightShape(layer) {
  if (layer.op.endsWith("pool")) return [];
  const first = layer.op === "transposed" ? [layer.inChannels, layer.filters / layer.groups] : [layer.filters, layer.inChannels / layer.groups];
  return [...first, layer.kernelHeight, layer.kernelWidth];
}

/** Output size along "rows" or "cols" as a formula with the numbers in it. */
export function sizeFormula(layer, axisName) {
  const { size: n, kernel: k, stride: s, dilation: d, before, after, out } = layer[axisName];
  if (layer.op === "transposed") return `${stretchedSum(n, k, s, d * (k - 1) - before, d, after - before)} = ${out}`;
  const kernel = d === 1 ? `${k}` : `(${d}·(${k} − 1) + 1)`;
  const pads = before === after ? `2·${before}` : `${before} + ${after}`;
  const ceiling = Math.ceil((n + before + after - d * (k - 1) - 1) / s) + 1;
  const dropped = layer.ceilMode && out < ceiling ? " − 1" : "";
  const [left, right] = layer.ceilMode ? "⌈⌉" : "⌊⌋";
  return `${left}(${n} − ${kernel} + ${pads}) / ${s}${right} + 1${dropped} = ${out}`;
}

// ---- what is legal -------------------------------------------------------------------------------------------------

/** What the tables are made from; `changes` are looked up before the state, so that bounds can try many values quickly. */
function checkLayer(state, changes = {}) {
  const get = (name) => {
    const value = name in changes ? changes[name] : state[name];
    return value === undefined ? LAYER_DEFAULTS[name] : value;
  };
  const op = get("op");
  if (!LAYER_OPS.includes(op)) throw new LayerError(`op ${shortValue(op)} is not known: use ${alternatives(LAYER_OPS)}`);
  const pool = op.endsWith("pool");
  const size = [wholeNumber("height", get("height"), 1, 256), wholeNumber("width", get("width"), 1, 256)];
  const channels = wholeNumber("in_channels", get("in_channels"), 1, 512);
  const filters = pool ? channels : wholeNumber("filters", get("filters"), 1, 512);
  const plan = { op, size, channels, filters, groups: 1, more: [0, 0], divisor: 0, countIncludePad: true };
  readWindow(plan, get);
  if (pool) checkPool(plan);
  else plan.groups = wholeGroups(get("groups"), channels, filters);
  if (op === "avg_pool") {
    plan.countIncludePad = wholeFlag("count_include_pad", get("count_include_pad"));
    plan.divisor = wholeNumber("divisor_override", get("divisor_override"), -LARGEST_SETTING, LARGEST_SETTING);
  }
  if (op === "transposed") plan.more = readOutputPadding(plan, get("output_padding"));
  plan.out = [0, 1].map((at) => (op === "transposed" ? stretchedOut(plan, at) : slidingOut(plan, at)));
  plan.out.forEach((n, at) => {
    if (n <= LARGEST_SHOWN) return;
    throw new LayerError(
      `the output would have ${countOf(n, at)}, and at most ${LARGEST_SHOWN} are drawn: use a smaller picture, padding or stride`,
    );
  });
  return plan;
}

function readWindow(plan, get) {
  plan.kernel = wholePair("kernel_size", get("kernel_size"), 1);
  plan.stride = wholePair("stride", get("stride"), 1);
  const padding = get("padding");
  plan.text = padding === "same" || padding === "valid" ? padding : "";
  const pads = plan.text ? [0, 0] : wholePair("padding", padding, 0, ', "same" or "valid"');
  plan.dilation = plan.op === "avg_pool" ? [1, 1] : wholePair("dilation", get("dilation"), 1);
  plan.ceil = plan.op.endsWith("pool") && wholeFlag("ceil_mode", get("ceil_mode"));
  if (plan.text === "same" && (plan.stride[0] !== 1 || plan.stride[1] !== 1)) {
    throw new LayerError(`padding "same" needs stride 1, but stride is ${shortValue(plan.stride)}: use stride 1 or a number for padding`);
  }
  plan.span = plan.kernel.map((k, at) => plan.dilation[at] * (k - 1) + 1);
  const total = (at) => (plan.text === "same" ? plan.span[at] - 1 : 2 * pads[at]);
  plan.pads = [0, 1].map((at) => [Math.floor(total(at) / 2), Math.ceil(total(at) / 2)]); // torch puts the odd one behind
}

function checkPool({ op, text, pads, kernel }) {
  if (text) throw new LayerError(`padding "${text}" is not defined for ${op}: use a number or a pair`);
  kernel.forEach((k, at) => {
    const half = Math.floor(k / 2);
    if (pads[at][0] <= half) return;
    throw new LayerError(`padding ${pads[at][0]} is more than half of kernel_size ${k}: a pool takes at most ${half}`);
  });
}

function wholeGroups(value, channels, filters) {
  const groups = wholeNumber("groups", value, 1, LARGEST_SETTING);
  if (channels % groups === 0 && filters % groups === 0) return groups;
  const works = [];
  for (let g = 1; g <= Math.min(channels, filters) && works.length < 8; g++) {
    if (channels % g === 0 && filters % g === 0) works.push(String(g));
  }
  throw new LayerError(`groups ${groups} does not divide ${channels} in_channels and ${filters} filters: use ${alternatives(works)}`);
}

function readOutputPadding({ text, stride, dilation }, value) {
  if (text) throw new LayerError(`padding "${text}" is not defined for transposed: use a number or a pair`);
  const pair = wholePair("output_padding", value, 0);
  pair.forEach((more, at) => {
    const most = Math.max(stride[at], dilation[at]) - 1;
    if (more <= most) return;
    throw new LayerError(
      `output_padding ${more} is not smaller than stride ${stride[at]} or dilation ${dilation[at]}: use at most ${most}`,
    );
  });
  return pair;
}

function slidingOut({ size, kernel, stride, dilation, span, pads, ceil }, at) {
  const padded = size[at] + pads[at][0] + pads[at][1];
  const steps = (padded - span[at]) / stride[at];
  let out = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
  if (ceil && (out - 1) * stride[at] >= size[at] + pads[at][0]) out--; // the last window must start inside, or before
  if (out >= 1) return out;
  const dilated = dilation[at] > 1 ? ` with dilation ${dilation[at]}` : "";
  throw new LayerError(
    `kernel_size ${kernel[at]}${dilated} spans ${countOf(span[at], at)}, but the padded input has ${padded}: ` +
      `use padding >= ${Math.ceil((span[at] - size[at]) / 2)} or a smaller kernel`,
  );
}

function stretchedOut({ size, kernel, stride, dilation, span, pads, more }, at) {
  const p = pads[at][0];
  const out = (size[at] - 1) * stride[at] - 2 * p + span[at] + more[at];
  if (out >= 1) return out;
  const sum = stretchedSum(size[at], kernel[at], stride[at], p, dilation[at], more[at]);
  throw new LayerError(
    `padding ${p} leaves no output ${AXIS_NAMES[at][0]}: ${sum} = ${minusText(out)}; ` +
      `use padding <= ${Math.floor((out + 2 * p - 1) / 2)} or a larger kernel`,
  );
}

function stretchedSum(n, k, s, p, d, more) {
  const reach = d === 1 ? `(${k} − 1)` : `${d}·(${k} − 1)`;
  return `(${n} − 1)·${s} − 2·${p} + ${reach} + ${more} + 1`;
}

function isWhole(value, lowest, highest) {
  return Number.isInteger(value) && value >= lowest && value <= highest;
}

/** A whole number in a range, or a LayerError that names it. */
export function wholeNumber(name, value, lowest, highest) {
  if (isWhole(value, lowest, highest)) return value;
  throw new LayerError(`${name} ${shortValue(value)} is not a whole number from ${minusText(lowest)} to ${highest}`);
}

/** [h, w] from a number or a pair; `also` ends the list of what works. */
export function wholePair(name, value, lowest, also = "") {
  const pair = Array.isArray(value) ? value : [value, value];
  if (pair.length === 2 && pair.every((item) => isWhole(item, lowest, LARGEST_SETTING))) return [pair[0], pair[1]];
  const text = `${name} ${shortValue(value)} is not a whole number from ${lowest} to ${LARGEST_SETTING}`;
  throw new LayerError(also ? `${text}, a pair of them${also}` : `${text} or a pair of them`);
}

/** true or false, or a LayerError that names it. */
export function wholeFlag(name, value) {
  if (typeof value === "boolean") return value;
  throw new LayerError(`${name} ${shortValue(value)} is not True or False`);
}

/** Text of a wrong value in an error, as Python writes it. */
export function shortValue(value) {
  if (Array.isArray(value)) {
    if (value.length === 2 && value[0] === value[1] && isWhole(value[0], -LARGEST_SETTING, LARGEST_SETTING)) return String(value[0]);
    return `(${value.slice(0, 4).map(shortValue).join(", ")}${value.length > 4 ? ", ..." : ""})`;
  }
  if (typeof value === "string") return JSON.stringify(Array.from(value).slice(0, 40).join(""));
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number" && !Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf";
  return String(value).slice(0, 40);
}

/** "a, b or c". */
export function alternatives(names) {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} or ${names[names.length - 1]}`;
}

function countOf(n, at) {
  return `${n} ${AXIS_NAMES[at][n === 1 ? 0 : 1]}`;
}

function minusText(n) {
  return String(n).replace("-", "−");
}

// ---- index tables --------------------------------------------------------------------------------------------------

/** Convolution or pool: the kernel slides over the padded input. */
function slidingAxis({ size, kernel, stride, dilation, span, pads, out }, at) {
  const [n, s, [before, after]] = [size[at], stride[at], pads[at]];
  const length = Math.max(before + n + after, (out[at] - 1) * s + span[at]); // ceil_mode adds cells behind
  const source = Int32Array.from({ length }, (_, x) => (x >= before && x < before + n ? x - before : -1));
  return finishedAxis({ size: n, kernel: kernel[at], stride: s, dilation: dilation[at], before, after, out: out[at], length, source, step: s });
}

/** Transposed convolution: the flipped kernel slides, by one, over the input stretched by zeros. */
function stretchedAxis({ size, kernel, stride, dilation, span, pads, more, out }, at) {
  const [n, s] = [size[at], stride[at]];
  const before = span[at] - 1 - pads[at][0]; // negative: cells are cropped
  const length = out[at] + span[at] - 1;
  const source = Int32Array.from({ length }, (_, x) => {
    const stretched = x - before;
    return stretched >= 0 && stretched % s === 0 && stretched / s < n ? stretched / s : -1;
  });
  const after = before + more[at];
  return finishedAxis({ size: n, kernel: kernel[at], stride: s, dilation: dilation[at], before, after, out: out[at], length, source, step: 1 });
}

function finishedAxis(axis) {
  const { size, kernel, dilation, out, source, step } = axis;
  const table = new Int32Array(out * kernel);
  const reads = new Int32Array(size);
  for (let i = 0; i < out; i++) {
    for (let a = 0; a < kernel; a++) {
      const index = source[i * step + a * dilation];
      table[i * kernel + a] = index;
      if (index >= 0) reads[index]++;
    }
  }
  const unread = [];
  reads.forEach((count, index) => count === 0 && unread.push(index));
  return { ...axis, table, reads, unread };
}

// ---- bounds for sliders --------------------------------------------------------------------------------------------

/**
 * For each slider how far it can go with everything else held: every value inside is legal, and so is the current one.
 * Pairs for kernel_size, stride, padding, dilation and output_padding; lists of what is allowed for the channels.
 * A setting that the operation does not have may only stay as it is.
 */
export function limits(state) {
  const plan = checkLayer(state);
  const legal = (changes) => isLegal(state, changes);
  const largestSide = Math.max(...plan.size) > 16 ? 256 : 16;
  const side = (name, at) => reach(plan.size[at], 1, largestSide, (n) => legal({ [name]: n }));
  const pair = (name, now, lowest, highest) =>
    [0, 1].map((at) => reach(now[at], lowest, highest, (n) => legal({ [name]: at === 0 ? [n, now[1]] : [now[0], n] })));
  const fixed = (now) => now.map((n) => [n, n]);
  const transposed = plan.op === "transposed";
  return {
    height: side("height", 0),
    width: side("width", 1),
    kernel_size: pair("kernel_size", plan.kernel, 1, 11),
    stride: pair("stride", plan.stride, 1, 8),
    padding: pair("padding", plan.pads.map((pads) => pads[1]), 0, 10),
    dilation: plan.op === "avg_pool" ? fixed(heldPair(state.dilation, 1)) : pair("dilation", plan.dilation, 1, 6),
    output_padding: transposed ? pair("output_padding", plan.more, 0, 7) : fixed(heldPair(state.output_padding, 0)),
    ...channelLimits(state, plan, legal),
  };
}

function channelLimits(state, plan, legal) {
  const count = (name, now, most) => upTo(Math.max(now, most)).filter((n) => legal({ [name]: n }));
  if (plan.op.endsWith("pool")) {
    return { in_channels: count("in_channels", plan.channels, 4), filters: [plan.channels], groups: [isWhole(state.groups, 1, 512) ? state.groups : 1] };
  }
  return {
    in_channels: count("in_channels", plan.channels, state.shuffle ? 12 : 4),
    filters: count("filters", plan.filters, state.shuffle ? 12 : 8),
    groups: count("groups", plan.groups, Math.min(plan.channels, plan.filters)),
  };
}

function isLegal(state, changes) {
  try {
    checkLayer(state, changes);
    return true;
  } catch (error) {
    if (error instanceof LayerError) return false;
    throw error;
  }
}

/** From a legal value as far down and up as every value on the way is legal. */
function reach(now, lowest, highest, legal) {
  let [low, high] = [now, now];
  while (low > lowest && legal(low - 1)) low--;
  while (high < highest && legal(high + 1)) high++;
  return [low, high];
}

/** A setting that the operation ignores, whatever it holds. */
function heldPair(value, otherwise) {
  const pair = Array.isArray(value) ? value : [value, value];
  return pair.length === 2 && pair.every((n) => isWhole(n, otherwise, LARGEST_SETTING)) ? [...pair] : [otherwise, otherwise];
}

function upTo(count) {
  return Array.from({ length: count }, (_, at) => at + 1);
}
