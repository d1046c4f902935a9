// The sliders, lists, switches and buttons of one view. Bounds follow the other sliders, so that no drag leaves the legal layers.
import { limits } from "../js/geometry.js";
import { KERNEL_NAMES } from "../js/kernels.js";
import { numberText } from "../js/number.js";
import { element, listen, setText } from "../js/dom.js";
import { isPicture } from "./layout.js";

export const OPERATIONS = [
  ["conv", "convolution"], ["convolve", "true convolution"], ["transposed", "transposed convolution"],
  ["depthwise", "depthwise convolution"], ["max_pool", "max pooling"], ["avg_pool", "average pooling"],
];
const KERNEL_WORDS = { "": "own numbers", sobel_x: "Sobel x", sobel_y: "Sobel y", box: "box blur", gaussian: "Gaussian blur" };

// name, level from which it is shown, where it makes sense; pairs are [height, width] when the lock is open
const pools = (layer) => layer.op.endsWith("pool");
const outputHidden = (state) => state.predict === "shape" || state.reveal < 2;
const turns = (layer) => !pools(layer) && layer.kernelHeight * layer.kernelWidth > 1; // a 1x1 kernel looks the same from all sides
const SLIDERS = [
  { name: "kernel_size", level: 1, pair: true },
  { name: "stride", level: 2, pair: true },
  { name: "padding", level: 2, pair: true },
  { name: "dilation", level: 2, pair: true, when: (layer) => layer.op !== "avg_pool" },
  { name: "output_padding", level: 2, pair: true, when: (layer) => layer.op === "transposed" },
  { name: "height", level: 2, size: "width", when: (layer) => !isPicture(layer) },
  { name: "width", level: 2, size: "height", when: (layer) => !isPicture(layer) },
  { name: "in_channels", level: 3, choices: true },
  { name: "filters", level: 3, choices: true, when: (layer) => !pools(layer) },
  { name: "groups", level: 3, choices: true, when: (layer) => !pools(layer) },
  { name: "ink", level: 3, when: (layer, state) => state.shuffle && !pools(layer), words: (at) => (at < 0 ? "none" : `channel ${at}`) },
  { name: "angle", level: 1, range: [0, 360, 5], unit: "°", when: (layer) => turns(layer) && isPicture(layer) },
  { name: "bias", level: 1, range: [-3, 3, 0.1], unseen: outputHidden, when: (layer) => !pools(layer) && isPicture(layer) },
];
const RARE = [
  { name: "angle", range: [0, 360, 5], unit: "°", when: (layer) => turns(layer) && !isPicture(layer) },
  { name: "bias", range: [-10, 10, 0.5], unseen: outputHidden, when: (layer) => !pools(layer) && !isPicture(layer) },
  { name: "speed", range: [0.5, 30, 0.5], unit: " cells/s" },
];
const SWITCHES = [
  { name: "relu", words: "ReLU", level: 1, when: (layer) => !pools(layer) },
  { name: "heatmap", words: "how often read", level: 2 },
  { name: "fill", words: "fill in as it moves", level: 1 },
  { name: "shuffle", words: "second layer", level: 3, when: (layer) => !pools(layer), values: ["", "off"] },
  { name: "shuffle", key: "shuffled", words: "shuffle", level: 3, when: (layer, state) => state.shuffle && !pools(layer), values: ["off", "on"] },
  { name: "square", words: "square", level: 2 },
  { name: "ceil_mode", words: "ceil_mode", level: 2, when: pools },
  { name: "count_include_pad", words: "count_include_pad", level: 2, when: (layer) => layer.op === "avg_pool" },
];

/** Builds the controls of a view; `update(result, state)` sets values, bounds and what is shown. */
export function buildControls(view) {
  const { session } = view;
  const parts = [];
  const add = (part) => (parts.push(part), part.node);
  const main = element("div", { class: "sk-sliders" }, ...SLIDERS.flatMap((one) => slidersOf(view, one)).map(add));
  const rare = element("div", { class: "sk-sliders" }, ...RARE.flatMap((one) => slidersOf(view, one)).map(add));
  const switches = element("div", { class: "sk-switches" }, ...SWITCHES.map((one) => add(switchOf(session, one))));
  return {
    main, rare, switches,
    update(result, state) {
      const bounds = limits(state);
      const locked = state.square && SLIDERS.every(({ name, pair }) => !pair || isSquare(state[name]));
      for (const part of parts) part.update(result, state, bounds, locked);
    },
  };
}

const isSquare = (value) => !Array.isArray(value) || value[0] === value[1];
const side = (value, axis) => (Array.isArray(value) ? value[axis] : value);

function slidersOf(view, one) {
  if (!one.pair) return [sliderOf(view, one)];
  return [sliderOf(view, one), sliderOf(view, { ...one, axis: 0 }), sliderOf(view, { ...one, axis: 1 })];
}

function sliderOf(view, one) {
  const { session } = view;
  const { name, axis, unit = "" } = one;
  const words = name.replace("_", " ") + (axis === undefined ? "" : axis ? " (width)" : " (height)");
  const key = axis === undefined ? name : `${name}.${"hw"[axis]}`;
  const value = element("output", { "data-for": key });
  const input = element("input", { type: "range", "data-name": key, "aria-label": words });
  let choices = null;
  const write = () => session.set(changeOf(one, choices ? choices[input.value] : Number(input.value), session, view.locked));
  listenToDrag(view, input, write);
  const node = element("label", { class: "sk-slider" }, element("span", {}, words), input, value);
  const update = ({ layer }, state, bounds, locked) => {
    view.locked = locked;
    const split = one.pair && (axis === undefined) !== locked;
    const hidden = split || state.level < (one.level ?? 1) || (one.when && !one.when(layer, state));
    if (node.hidden !== hidden) node.hidden = hidden;
    if (hidden) return;
    const now = valueOf(one, state, layer);
    choices = one.choices ? choicesOf(name, bounds, state) : null;
    const [low, high, by] = one.range ?? (choices ? [0, choices.length - 1, 1] : [...boundOf(one, bounds, locked, state), 1]);
    const at = choices ? choices.indexOf(now) : now;
    setRange(input, Math.min(low, at), Math.max(high, at), by, at, one.unseen?.(state));
    const text = typeof state[name] === "string" ? `${state[name]} (${now})` : one.words ? one.words(now) : numberText(now) + unit;
    setText(value, text);
    input.setAttribute("aria-valuetext", text);
  };
  return { node, update };
}

function setRange(input, low, high, by, at, unseen = false) {
  if (input.min !== String(low)) input.min = low;
  if (input.max !== String(high)) input.max = high;
  if (input.step !== String(by)) input.step = by;
  if (input.value !== String(at)) input.value = at;
  const nowhere = low === high || unseen;
  if (input.disabled !== nowhere) input.disabled = nowhere; // what cannot be dragged does not look as if it could
}

function valueOf({ name, axis = 0 }, state, layer) {
  if (name === "padding" && typeof state.padding === "string") return (axis ? layer.cols : layer.rows).before;
  if (name === "bias" && Array.isArray(state.bias)) return state.bias[Math.min(state.filter, state.bias.length - 1)];
  return side(state[name], axis);
}

function boundOf({ name, pair, axis, size }, bounds, locked, state) {
  if (name === "ink") return [-1, state.in_channels - 1];
  if (!pair) {
    if (!locked || !size || state.height !== state.width) return bounds[name];
    return meet(bounds[name], bounds[size]); // the lock moves height and width together
  }
  const [rows, cols] = bounds[name];
  return axis === undefined ? meet(rows, cols) : bounds[name][axis];
}

const meet = (one, other) => [Math.max(one[0], other[0]), Math.min(one[1], other[1])];

function changeOf({ name, pair, axis, size }, value, session, locked) {
  if (name === "bias" && Array.isArray(session.get("bias"))) {
    const filter = session.current().filter;
    return { bias: session.get("bias").map((old, index) => (index === filter ? value : old)) };
  }
  if (size && locked && session.get("height") === session.get("width")) return { [name]: value, [size]: value };
  if (name === "in_channels") return channelChange(value, session);
  if (!pair || axis === undefined) return { [name]: value };
  const { rows, cols } = session.current().layer;
  const now = typeof session.get(name) === "string" ? [rows.before, cols.before] : [0, 1].map((one) => side(session.get(name), one));
  now[axis] = value;
  return { [name]: now[0] === now[1] ? now[0] : now };
}

const isDepthwise = ({ op, groups, in_channels: channels }) => op === "conv" && groups > 1 && groups === channels;

/** Depthwise channels bring their group with them, so that all counts are open; else only multiples of the groups are. */
function choicesOf(name, bounds, state) {
  return name === "in_channels" && isDepthwise(state) ? [1, 2, 3, 4].filter((count) => count * (state.filters / state.groups) <= 8) : bounds[name];
}

function channelChange(channels, session) {
  const { layer } = session.current();
  const change = { in_channels: channels };
  if (pools(layer)) return { ...change, filters: channels };
  const depthwise = isDepthwise({ op: layer.op, groups: layer.groups, in_channels: layer.inChannels });
  return depthwise ? { ...change, groups: channels, filters: channels * (layer.filters / layer.groups) } : change;
}

/** A drag lasts from the first input to the release; a coarse picture is redrawn in full then, one that became small larger. */
function listenToDrag(view, input, write) {
  const { session } = view;
  let idle;
  listen(input, "input", () => {
    session.drag(true);
    clearTimeout(idle);
    idle = setTimeout(() => session.drag(false), 250);
    write();
  });
  listen(input, "change", () => {
    clearTimeout(idle);
    session.drag(false);
    view.relax();
  });
}

/** Checked is the second of its two values; a setting of three values has two switches, where `key` tells them apart. */
function switchOf(session, { name, key = name, words, level, when, values = [false, true] }) {
  const input = element("input", { type: "checkbox", "data-name": key, onchange: () => session.set({ [name]: values[Number(input.checked)] }) });
  const node = element("label", { class: "sk-switch" }, input, words);
  const update = ({ layer }, state) => {
    node.hidden = state.level < level || Boolean(when && !when(layer, state));
    input.checked = state[name] !== values[0];
  };
  return { node, update };
}

/** The two lists: which operation, and which named kernel. */
export function buildLists(session) {
  const option = ([value, words]) => element("option", { value }, words);
  const op = element("select", { "data-name": "op", "aria-label": "operation", onchange: () => session.set(fitted(session, operationChange(session, op.value))) }, ...OPERATIONS.map(option));
  const kernels = ["", ...KERNEL_NAMES].map((name) => [name, KERNEL_WORDS[name] ?? name.replace("_", " ")]);
  const kernel = element("select", { "data-name": "kernel_name", "aria-label": "kernel", onchange: () => session.set({ kernel_name: kernel.value }) }, ...kernels.map(option));
  return {
    nodes: [op, kernel],
    update({ layer }, state) {
      op.value = isDepthwise(state) ? "depthwise" : state.op;
      kernel.value = state.kernel_name;
      kernel.hidden = pools(layer);
    },
  };
}

/** What has to move with the operation, so that the new layer is legal. */
function operationChange(session, op) {
  const { layer } = session.current();
  const channels = layer.inChannels;
  const change = { op: op === "depthwise" ? "conv" : op };
  if (op === "depthwise") {
    const several = channels === 1 && session.get("level") > 2 ? 3 : channels;
    return { ...change, in_channels: several, groups: several, filters: several, level: 3 };
  }
  if (session.get("groups") > 1) change.groups = 1;
  if (op.endsWith("pool")) Object.assign(change, { filters: channels }, poolPadding(session, layer));
  if (op === "avg_pool") change.dilation = 1;
  if (op === "transposed") Object.assign(change, plainPadding(session, layer));
  else change.output_padding = 0;
  return change;
}

/** The same change with the largest kernel that fits: a transposed layer may have had one that no other operation can take. */
function fitted(session, change) {
  const { kernelHeight, kernelWidth } = session.current().layer;
  const smaller = Array.from({ length: Math.max(kernelHeight, kernelWidth) }, (_, less) => Math.max(kernelHeight, kernelWidth) - less);
  const candidates = [{}, { dilation: 1 }, ...smaller.map((kernel_size) => ({ dilation: 1, kernel_size, padding: 0 }))];
  const legal = candidates.find((more) => session.allows({ ...change, ...more }));
  return { ...change, ...legal };
}

function poolPadding(session, layer) {
  const most = Math.floor(Math.min(layer.kernelHeight, layer.kernelWidth) / 2);
  return { padding: Math.min(layer.rows.before, layer.cols.before, most) };
}

function plainPadding(session, layer) {
  if (typeof session.get("padding") !== "string") return {};
  return { padding: Math.min(layer.rows.before, layer.cols.before) };
}
