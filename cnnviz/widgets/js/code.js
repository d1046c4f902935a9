// The line of PyTorch that builds the layer, both ways. The twin of sliding_kernel/code.py. Read, never evaluated.
import { LayerError, alternatives, shortValue, wholeFlag, wholeNumber, wholePair } from "./geometry.js";

const CODE_EXAMPLE = "nn.Conv2d(1, 1, kernel_size=3)";
const FLIPPED_COMMENT = "  # weight flipped in both axes";
const LONGEST_CODE = 1000;
// torch's signatures, in torch's order; padding_mode and return_indices only at their defaults
const CODE_LAYERS = {
  Conv2d: ["in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode"],
  ConvTranspose2d: ["in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding", "groups", "bias", "dilation", "padding_mode"],
  MaxPool2d: ["kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"],
  AvgPool2d: ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"],
};
const CODE_OPS = { Conv2d: "conv", ConvTranspose2d: "transposed", MaxPool2d: "max_pool", AvgPool2d: "avg_pool" };
const CODE_DEFAULTS = {
  stride: 1, padding: 0, output_padding: 0, dilation: 1, groups: 1, bias: true, padding_mode: "zeros",
  return_indices: false, ceil_mode: false, count_include_pad: true, divisor_override: null,
};
const CODE_TOKEN = /\s*(?:([A-Za-z_]\w*)|(-?\d+(?![\w.]))|("[^"\\]*"|'[^'\\]*')|([()[\],=]))/y;

/** `nn.Conv2d(1, 1, kernel_size=3, stride=2, padding=1)`: what has torch's default is left out, but for a pool's stride. */
export function formatCode(state) {
  const name = Object.keys(CODE_OPS).find((layer) => CODE_OPS[layer] === (state.op === "convolve" ? "conv" : state.op));
  const pool = name.endsWith("Pool2d");
  const parts = pool ? [] : [`${state.in_channels}`, `${state.filters}`];
  for (const key of CODE_LAYERS[name]) {
    if (!(key in state) || key === "in_channels" || key === "bias") continue;
    const value = key === "divisor_override" ? state[key] || null : squeezePair(state[key]);
    const always = key === "kernel_size" || (pool && key === "stride");
    if (always || value !== CODE_DEFAULTS[key]) parts.push(`${key}=${shortValue(value)}`);
  }
  return `nn.${name}(${parts.join(", ")})${state.op === "convolve" ? FLIPPED_COMMENT : ""}`;
}

/**
 * The settings that a line of code names, with torch's defaults for the rest of that layer; throws LayerError.
 * `nn.`, `torch.nn.` or nothing in front, `name = ` and `self.name = ` before that, a comment behind.
 */
export function parseCode(text) {
  const line = String(text).trim();
  if (line.length > LONGEST_CODE) throw new LayerError(`the code line has ${line.length} characters: write one layer, such as ${CODE_EXAMPLE}`);
  const [code, comment] = splitComment(line);
  const match = /^(?:(?:self\.)?[A-Za-z_]\w*\s*=\s*)?(?:(?:torch\.)?nn\.)?([A-Za-z_]\w*)\s*(\(.*\))$/s.exec(code.trim());
  if (!match) throw notALayer(line);
  const [, name, call] = match;
  if (!Object.hasOwn(CODE_LAYERS, name)) {
    throw new LayerError(`layer ${shortValue(name)} is not known: use ${alternatives(Object.keys(CODE_LAYERS))}`);
  }
  const settings = layerSettings(name, boundArguments(name, readArguments(call, line)));
  return settings.op === "conv" && /\bflipped\b/.test(comment) ? { ...settings, op: "convolve" } : settings;
}

function notALayer(line) {
  return new LayerError(`${shortValue(line)} is not a layer: write for example ${CODE_EXAMPLE}`);
}

/** The code, and what follows the first # outside a text. */
function splitComment(line) {
  const code = /^(?:[^#"']|"[^"]*"|'[^']*')*/.exec(line)[0];
  return [code, line.slice(code.length)];
}

/** [[name or "", value], ...] from "(...)". */
function readArguments(call, line) {
  const tokens = codeTokens(call, line);
  const list = [];
  let at = 1;
  const expect = (token) => {
    if (tokens[at++] !== token) throw notALayer(line);
  };
  while (tokens[at] !== ")") {
    const named = tokens[at + 1] === "=";
    if (!named && list.some(([name]) => name)) throw notALayer(line); // as in Python: names come last
    if (named && !/^[A-Za-z_]/.test(tokens[at])) throw notALayer(line);
    const name = named ? tokens[at] : "";
    if (named) at += 2;
    const [value, next] = readValue(tokens, at, line);
    list.push([name, value]);
    at = next;
    if (tokens[at] !== ")") expect(",");
  }
  if (at !== tokens.length - 1) throw notALayer(line);
  return list;
}

function codeTokens(call, line) {
  const tokens = [];
  CODE_TOKEN.lastIndex = 0;
  const end = call.trimEnd().length;
  while (CODE_TOKEN.lastIndex < end) {
    const token = CODE_TOKEN.exec(call);
    if (!token) throw notALayer(line);
    tokens.push(token[0].trim());
  }
  return tokens;
}

/** One value and the place after it: a whole number, text, True, False, None, or a tuple or list of those. */
function readValue(tokens, at, line) {
  const token = tokens[at];
  const words = { True: true, False: false, None: null };
  if (token === undefined) throw notALayer(line);
  if (Object.hasOwn(words, token)) return [words[token], at + 1];
  if (/^-?\d/.test(token)) {
    if (/^-?0\d*[1-9]/.test(token)) throw notALayer(line); // Python refuses 03
    return [Number(token), at + 1];
  }
  if (/^["']/.test(token)) return [token.slice(1, -1), at + 1];
  if (token !== "(" && token !== "[") throw notALayer(line);
  const close = token === "(" ? ")" : "]";
  const items = [];
  let comma = token === "["; // (3) is a number in brackets, (3,) a tuple
  at++;
  while (tokens[at] !== close) {
    const [item, next] = readValue(tokens, at, line);
    items.push(item);
    at = next;
    if (tokens[at] === close) break;
    if (tokens[at] !== ",") throw notALayer(line);
    comma = true;
    at++;
  }
  return [items.length === 1 && !comma ? items[0] : items, at + 1];
}

function boundArguments(name, list) {
  const signature = CODE_LAYERS[name];
  const bound = {};
  list.forEach(([key, value], at) => {
    if (!key && at >= signature.length) throw new LayerError(`${name} takes at most ${signature.length} arguments, not ${list.length}`);
    const argument = key || signature[at];
    if (!signature.includes(argument)) {
      throw new LayerError(`${name} has no argument ${shortValue(argument)}: use ${alternatives(signature)}`);
    }
    if (Object.hasOwn(bound, argument)) throw new LayerError(`${name} is given ${argument} twice: use it once`);
    bound[argument] = value;
  });
  for (const argument of signature) {
    if (argument in bound) continue;
    if (argument in CODE_DEFAULTS) bound[argument] = CODE_DEFAULTS[argument];
    else throw new LayerError(`${name} needs ${argument}: write for example ${argument}=${argument === "kernel_size" ? 3 : 1}`);
  }
  if (name.endsWith("Pool2d") && !list.some(([key], at) => (key || signature[at]) === "stride")) bound.stride = null;
  return bound;
}

const CODE_READERS = {
  in_channels: (value) => ({ in_channels: wholeNumber("in_channels", value, 1, 512) }),
  out_channels: (value) => ({ filters: wholeNumber("out_channels", value, 1, 512) }),
  kernel_size: (value) => ({ kernel_size: squeezePair(wholePair("kernel_size", value, 1)) }),
  stride: (value) => ({ stride: squeezePair(wholePair("stride", value, 1)) }),
  padding: (value) => ({ padding: value === "same" || value === "valid" ? value : squeezePair(wholePair("padding", value, 0, ', "same" or "valid"')) }),
  output_padding: (value) => ({ output_padding: squeezePair(wholePair("output_padding", value, 0)) }),
  dilation: (value) => ({ dilation: squeezePair(wholePair("dilation", value, 1)) }),
  groups: (value) => ({ groups: wholeNumber("groups", value, 1, 512) }),
  bias: (value) => (wholeFlag("bias", value) ? {} : { bias: 0 }),
  padding_mode: (value) => onlyDefault("padding_mode", value),
  return_indices: (value) => onlyDefault("return_indices", value),
  ceil_mode: (value) => ({ ceil_mode: wholeFlag("ceil_mode", value) }),
  count_include_pad: (value) => ({ count_include_pad: wholeFlag("count_include_pad", value) }),
  divisor_override: (value) => ({ divisor_override: value === null ? 0 : divisorOf(value) }),
};

function layerSettings(name, bound) {
  const settings = { op: CODE_OPS[name] };
  for (const argument of CODE_LAYERS[name]) {
    const ownStride = argument === "stride" && bound.stride === null && name.endsWith("Pool2d"); // torch: the kernel's size
    Object.assign(settings, ownStride ? { stride: settings.kernel_size } : CODE_READERS[argument](bound[argument]));
  }
  return settings;
}

function onlyDefault(name, value) {
  if (value === CODE_DEFAULTS[name]) return {};
  throw new LayerError(`${name} ${shortValue(value)} is not shown here: use ${shortValue(CODE_DEFAULTS[name])}`);
}

function divisorOf(value) {
  if (value !== 0) return wholeNumber("divisor_override", value, -9999, 9999);
  throw new LayerError("divisor_override 0 would divide by zero: use another whole number, or None");
}

/** The number that a pair of equal numbers stands for, else what was given. */
export function squeezePair(value) {
  return Array.isArray(value) && value.length === 2 && value[0] === value[1] ? value[0] : value;
}
