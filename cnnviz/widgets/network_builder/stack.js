// A stack of layers and what each costs, in whole numbers: the twin of stack.py and of the writing half of code.py.
import { LayerError, readLayer } from "../js/geometry.js";

const TORCH_NAMES = {
  conv: "Conv2d", max_pool: "MaxPool2d", avg_pool: "AvgPool2d", relu: "ReLU", batch_norm: "BatchNorm2d", dropout: "Dropout",
  flatten: "Flatten", linear: "Linear", global_avg_pool: "AdaptiveAvgPool2d",
};
const TORCH_DEFAULTS = { stride: 1, padding: 0, groups: 1, bias: true, p: 0.5 };

/**
 * Follows an input through the layers: { rows, problem, total, bytes }, where rows are { shape, params, macs, activations, field } of the
 * layers that work, and problem is { index, text } of the first that does not, or null.
 */
export function billOf(layers, inputSize) {
  const rows = [];
  const total = { params: 0, macs: 0, activations: 0 };
  const input = product(inputSize);
  let at = { shape: inputSize, field: [1, 1], jump: 1 };
  let [held, buffers, peak, problem] = [0, 0, input, null];
  for (const [index, layer] of layers.entries()) {
    try {
      at = { params: 0, macs: 0, activations: 0, ...at, ...stepOver(layer, at) };
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

/** Shape, cost and receptive field behind a layer; throws LayerError where it cannot take what arrives. */
function stepOver(layer, { shape, field, jump }) {
  const { kind } = layer;
  const cost = { params: 0, macs: 0, activations: 0 };
  if (kind === "conv" || kind.endsWith("_pool")) {
    if (shape.length === 3) return { ...cost, ...windowOver(layer, shape, field, jump) };
    throw new LayerError(`it reads maps (channels, height, width), but ${shape[0]} features arrive: put it before the flatten`);
  }
  if (kind === "flatten") return { ...cost, shape: [product(shape)], field: null };
  if (kind === "linear") {
    if (shape.length > 1) throw new LayerError(`it reads features, but maps ${byText(shape)} arrive: put a flatten before it`);
    const out = layer.out_features;
    return { shape: [out], params: shape[0] * out + (layer.bias ? out : 0), macs: shape[0] * out, activations: out };
  }
  if (kind === "dropout") return cost; // passes on what it gets, once trained
  return { ...cost, params: kind === "batch_norm" ? 2 * shape[0] : 0, activations: product(shape) };
}

function windowOver(layer, [channels, height, width], field, jump) {
  const seen = (rows, cols) => [field[0] + (rows - 1) * jump, field[1] + (cols - 1) * jump];
  if (layer.kind === "global_avg_pool") return { shape: [channels, 1, 1], activations: channels, field: seen(height, width) };
  const { kernel_size: k, stride, padding } = layer;
  const { outHeight, outWidth } = readLayer({ op: layer.kind, height, width, kernel_size: k, stride, padding });
  const behind = { field: seen(k, k), jump: jump * stride };
  const places = outHeight * outWidth;
  if (layer.kind !== "conv") return { shape: [channels, outHeight, outWidth], activations: channels * places, ...behind };
  const out = layer.out_channels;
  const weights = (channels / sharedGroups(layer, channels)) * out * k * k;
  return { shape: [out, outHeight, outWidth], params: weights + (layer.bias ? out : 0), macs: weights * places, activations: out * places, ...behind };
}

function sharedGroups({ groups, out_channels: out }, channels) {
  if (channels % groups === 0 && out % groups === 0) return groups;
  throw new LayerError(`groups ${groups} does not divide ${channels} in_channels and ${out} out_channels: use ${commonDivisors(channels, out).join(", ")}`);
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
  const lines = layers.map((layer, at) => {
    if (at < rows.length) return `    ${torchCall(layer, at ? rows[at - 1].shape : inputSize)},  # ${byText(rows[at].shape)}`;
    return at === problem.index ? `    # layer ${at} (${layer.kind}): ${problem.text}` : null;
  });
  return lines.length ? ["nn.Sequential(", ...lines.filter((line) => line !== null), ")"].join("\n") : "nn.Sequential()";
}

function torchCall(layer, shape) {
  const { kind } = layer;
  if (kind === "batch_norm") return `nn.BatchNorm${shape.length === 3 ? "2d" : "1d"}(${shape[0]})`;
  if (kind === "global_avg_pool") return "nn.AdaptiveAvgPool2d(1)";
  const first = { conv: "out_channels", linear: "out_features" }[kind];
  const words = first ? [shape[0], layer[first]] : [];
  for (const [name, value] of Object.entries(layer)) {
    if (name === "kind" || name === first) continue;
    if (value === TORCH_DEFAULTS[name] && !(kind.endsWith("_pool") && name === "stride")) continue;
    words.push(`${name}=${typeof value === "boolean" ? (value ? "True" : "False") : value}`);
  }
  return `nn.${TORCH_NAMES[kind]}(${words.join(", ")})`;
}

/** A layer in a few signs: conv 3x3 /2, 64. */
export function layerWords(layer) {
  const { kind, kernel_size: k, stride, padding, groups } = layer;
  const parts = [kind.replaceAll("_", " ")];
  if (k) parts.push(`${k}×${k}`);
  if (k && stride !== 1) parts.push(`/${stride}`);
  if (padding) parts.push(`p${padding}`);
  if (groups > 1) parts.push(`g${groups}`);
  const made = layer.out_channels ?? layer.out_features;
  if (made) parts.push(`→ ${made}`);
  return kind === "dropout" ? `dropout ${layer.p}` : parts.join(" ");
}
