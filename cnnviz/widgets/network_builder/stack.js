// A stack of layers and what each costs, in whole numbers: the twin of stack.py and of the writing half of code.py.
import { squeezePair } from "../js/code.js";
import { LAYER_DEFAULTS, LayerError, outputGeometry, shortValue } from "../js/geometry.js";

const TORCH_NAMES = {
  conv: "Conv2d", max_pool: "MaxPool2d", avg_pool: "AvgPool2d", relu: "ReLU", tanh: "Tanh", sigmoid: "Sigmoid",
  batch_norm: "BatchNorm2d", dropout: "Dropout", flatten: "Flatten", linear: "Linear", global_avg_pool: "AdaptiveAvgPool2d",
};
const TORCH_DEFAULTS = { ...LAYER_DEFAULTS, bias: true, p: 0.5 };
const NOTHING = { params: 0, macs: 0, activations: 0 };

/**
 * Follows an input through the layers: { rows, problem, total, bytes }, where rows are { shape, params, macs, activations, field } of the
 * layers that work, and problem is { index, text } of the first that does not, or null.
 */
export function billOf(layers, inputSize) {
  const rows = [];
  const total = { ...NOTHING };
  const input = product(inputSize);
  let at = { shape: inputSize, field: [1, 1], jump: [1, 1] };
  let [held, buffers, peak, problem] = [0, 0, input, null];
  for (const [index, layer] of layers.entries()) {
    try {
      at = { ...at, ...NOTHING, ...stepOver(layer, at) };
    } catch (error) {
      if (!(error instanceof LayerError)) throw error;
      problem = { index, text: error.message };
      break;
    }
    const { shape, params, macs, activations, field } = at;
    rows.push({ shape, params, macs, activations, field });
    for (const name of Object.keys(total)) total[name] += at[name];
    if (layer.kind === "batch_norm") buffers += 8 * shape[0] + 8;
    if (activations) {
      const beside = { max_pool: 2 * activations, batch_norm: 2 * shape[0] }[layer.kind] ?? 0; // indices of 8 bytes; averages
      peak = Math.max(peak, input + held + activations + beside);
      held = activations;
    }
  }
  const weights = 4 * total.params + buffers;
  const bytes = { inference: weights + 4 * peak, adam: weights + 12 * total.params + 4 * (total.activations + input) };
  return { rows, problem, total, bytes };
}

/** What changes behind a layer: shape, cost, receptive field; throws LayerError where it cannot take what arrives. */
function stepOver(layer, { shape, field, jump }) {
  const { kind } = layer;
  if (kind === "conv" || kind.endsWith("_pool")) {
    if (shape.length === 3) return windowOver(layer, shape, field, jump);
    throw new LayerError(`it reads maps (channels, height, width), but ${shape[0]} features arrive: put it before the flatten`);
  }
  if (kind === "flatten") return { shape: [product(shape)], field: null };
  if (kind === "linear") {
    if (shape.length > 1) throw new LayerError(`it reads features, but maps ${byText(shape)} arrive: put a flatten before it`);
    const out = layer.out_features;
    return { shape: [out], params: shape[0] * out + (layer.bias ? out : 0), macs: shape[0] * out, activations: out };
  }
  if (kind === "dropout") return {}; // passes on what it gets, once trained
  return { params: kind === "batch_norm" ? 2 * shape[0] : 0, activations: product(shape) };
}

function windowOver(layer, [channels, height, width], field, jump) {
  const seen = (spans) => field.map((n, axis) => n + (spans[axis] - 1) * jump[axis]);
  if (layer.kind === "global_avg_pool") return { shape: [channels, 1, 1], activations: channels, field: seen([height, width]) };
  const { kernel_size, stride, padding, dilation, ceil_mode } = layer;
  const { out: size, kernel, span, stride: steps } = outputGeometry({ op: layer.kind, height, width, kernel_size, stride, padding, dilation, ceil_mode });
  const behind = { field: seen(span), jump: jump.map((n, axis) => n * steps[axis]) };
  const places = product(size);
  if (layer.kind !== "conv") return { shape: [channels, ...size], activations: channels * places, ...behind };
  const out = layer.out_channels;
  const weights = (channels / sharedGroups(layer, channels)) * out * product(kernel);
  return { shape: [out, ...size], params: weights + (layer.bias ? out : 0), macs: weights * places, activations: out * places, ...behind };
}

function sharedGroups({ groups, out_channels: out }, channels) {
  if (channels % groups === 0 && out % groups === 0) return groups;
  const works = commonDivisors(channels, out).slice(0, 12);
  throw new LayerError(`groups ${groups} does not divide in_channels ${channels} and out_channels ${out}: use one of ${works.join(", ")}`);
}

export function commonDivisors(a, b) {
  return Array.from({ length: Math.min(a, b) }, (_, at) => at + 1).filter((n) => a % n === 0 && b % n === 0);
}

/** Such as 16x5x5. */
export function byText(shape) {
  return shape.join("x");
}

function product(numbers) {
  return numbers.reduce((all, n) => all * n, 1);
}

/** The runnable text; from the first illegal layer on, comments. */
export function sequentialText(layers, inputSize, { rows, problem } = billOf(layers, inputSize)) {
  const lines = rows.map((row, at) => `    ${torchCall(layers[at], at ? rows[at - 1].shape : inputSize)},  # ${byText(row.shape)}`);
  if (problem) lines.push(`    # layer ${problem.index} (${layers[problem.index].kind}): ${problem.text}`);
  return lines.length ? ["nn.Sequential(", ...lines, ")"].join("\n") : "nn.Sequential()";
}

function torchCall(layer, shape) {
  const { kind } = layer;
  if (kind === "batch_norm") return `nn.BatchNorm${shape.length === 3 ? "2d" : "1d"}(${shape[0]})`;
  if (kind === "global_avg_pool") return "nn.AdaptiveAvgPool2d(1)";
  const first = { conv: "out_channels", linear: "out_features" }[kind];
  const always = kind.endsWith("_pool") ? ["kernel_size", "stride"] : ["kernel_size"];
  const said = Object.entries(layer).filter(([name, value]) => name !== "kind" && name !== first && (always.includes(name) || value !== TORCH_DEFAULTS[name]));
  const words = [...(first ? [shape[0], layer[first]] : []), ...said.map(([name, value]) => `${name}=${shortValue(value)}`)];
  return `nn.${TORCH_NAMES[kind]}(${words.join(", ")})`;
}

/** A layer in a few signs: conv 3×3 /2 p1. */
export function layerWords(layer) {
  const { kind, kernel_size: kernel } = layer;
  if (kind === "dropout") return `dropout ${layer.p}`;
  const by = (value) => (Array.isArray(value) ? value.join("×") : value);
  const parts = [kind.replaceAll("_", " "), ...(kernel ? [by([kernel].flat().length === 2 ? kernel : [kernel, kernel])] : [])];
  for (const [name, sign] of [["stride", "/"], ["padding", "p"], ["dilation", "d"], ["groups", "g"]]) {
    if ((layer[name] ?? TORCH_DEFAULTS[name]) !== TORCH_DEFAULTS[name]) parts.push(typeof layer[name] === "string" ? layer[name] : `${sign}${by(layer[name])}`);
  }
  if (layer.ceil_mode) parts.push("ceil");
  return parts.join(" ");
}

/** A layer with one setting changed; `axis` 0 or 1: only that side of a pair. */
export function withSetting(layer, name, value, axis) {
  if (axis === undefined) return { ...layer, [name]: value };
  const pair = bothSides(layer[name]);
  pair[axis] = value;
  return { ...layer, [name]: squeezePair(pair) };
}

export function bothSides(value) {
  return Array.isArray(value) ? [...value] : [value, value];
}
