// The line of PyTorch that builds the layer, both ways. The twin of sliding_kernel/code.py. Read, never evaluated.
import { LAYER_DEFAULTS, LayerError, shortValue, wholeFlag } from "./geometry.js";

const CODE_EXAMPLE = "use a line such as nn.Conv2d(1, 1, kernel_size=3, stride=2)";
const FLIPPED_COMMENT = "# weight flipped in both axes";
const LONGEST_CODE = 1000; // characters
// torch's own order, in which arguments without a name arrive
const CODE_SIGNATURES = {
  Conv2d: ["in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode"],
  ConvTranspose2d: ["in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding", "groups", "bias", "dilation", "padding_mode"],
  MaxPool2d: ["kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"],
  AvgPool2d: ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"],
};
const CODE_OPS = { Conv2d: "conv", ConvTranspose2d: "transposed", MaxPool2d: "max_pool", AvgPool2d: "avg_pool" };
const CODE_NEEDED = ["in_channels", "out_channels", "kernel_size"];
const isOptional = (key) => key in LAYER_DEFAULTS && !CODE_NEEDED.includes(key);
const CODE_WORDS = { True: true, False: false, None: null };

/** `nn.Conv2d(1, 1, kernel_size=3, stride=2, padding=1)`: what has torch's default is left out, but for a pool's stride. */
export function formatCode(state) {
  const name = Object.keys(CODE_OPS).find((layer) => CODE_OPS[layer] === (state.op === "convolve" ? "conv" : state.op));
  const pool = name.endsWith("Pool2d");
  const list = pool ? [] : [`${state.in_channels}`, `${state.filters}`];
  for (const key of CODE_SIGNATURES[name]) {
    const value = squeezePair(state[key] ?? LAYER_DEFAULTS[key]);
    const always = key === "kernel_size" || (pool && key === "stride");
    if (always || (isOptional(key) && value !== LAYER_DEFAULTS[key])) list.push(`${key}=${shortValue(value)}`);
  }
  return `nn.${name}(${list.join(", ")})${state.op === "convolve" ? `  ${FLIPPED_COMMENT}` : ""}`;
}

/**
 * The settings that a line of code names, with torch's defaults for the rest of that layer; throws LayerError.
 * `self.conv1 = nn.Conv2d(1, 6, 5)  # first layer`, or as torch prints it: `(conv1): Conv2d(1, 6, kernel_size=(5, 5))`.
 */
export function parseCode(text) {
  const [layer, list] = findCall(text);
  const pool = layer.endsWith("Pool2d");
  const values = readCodeArguments(layer, list, text);
  const mode = "padding_mode" in values ? values.padding_mode : "zeros";
  if (mode !== "zeros") throw new LayerError(`padding_mode${typeof mode === "string" ? ` "${mode}"` : ""} cannot be shown, only "zeros" can: leave padding_mode out`);
  if ("return_indices" in values) wholeFlag("return_indices", values.return_indices); // changes what torch returns, not computes
  const settings = { op: CODE_OPS[layer] };
  for (const key of CODE_SIGNATURES[layer]) {
    if (key in values) settings[key === "out_channels" ? "filters" : key] = squeezePair(values[key]);
    else if (isOptional(key)) settings[key] = pool && key === "stride" ? null : LAYER_DEFAULTS[key];
  }
  for (const key of ["padding_mode", "return_indices", "bias"]) delete settings[key];
  if ("bias" in values && !wholeFlag("bias", values.bias)) settings.bias = 0;
  if (pool && settings.stride === null) settings.stride = settings.kernel_size;
  if (layer === "AvgPool2d") Object.assign(settings, { dilation: 1, divisor_override: settings.divisor_override || 0 });
  if (layer === "Conv2d" && text.includes(FLIPPED_COMMENT)) settings.op = "convolve";
  return settings;
}

/** The number that a pair of equal numbers stands for, else what was given. */
export function squeezePair(value) {
  return Array.isArray(value) && value.length === 2 && value[0] === value[1] ? value[0] : value;
}

function notOneLayer(text) {
  return new LayerError(`${shortValue(text)} is not one layer: ${CODE_EXAMPLE}`);
}

/** The layer's name and the text of each argument. */
function findCall(text) {
  if (typeof text !== "string" || text.length > LONGEST_CODE) throw new LayerError(`${shortValue(text)} is not a line of code: ${CODE_EXAMPLE}`);
  const line = text.replace(/^\s*(\(\w+\)\s*:)?/, "").trim();
  const code = line.replace(/("[^"\n]*"|'[^'\n]*')|#[^\n]*/g, (all, quoted) => quoted ?? "").trim();
  const match = /^(?:[A-Za-z_][\w.]*(?:\[\d+\])?\s*=\s*)*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*\((.*)\)$/s.exec(code);
  if (!match) throw notOneLayer(text);
  const layer = match[1].replace(/^(torch\.)?nn\./, "");
  if (!Object.hasOwn(CODE_SIGNATURES, layer)) {
    throw new LayerError(`${shortValue(match[1])} is not known: use ${Object.keys(CODE_SIGNATURES).join(", ")}`);
  }
  return [layer, splitAtCommas(match[2], text).pieces];
}

function readCodeArguments(layer, list, text) {
  const signature = CODE_SIGNATURES[layer];
  const pairs = list.map((piece) => /^(?:([A-Za-z_]\w*)\s*=)?\s*(.*)$/s.exec(piece).slice(1));
  const positional = pairs.filter(([name]) => name === undefined).length;
  if (pairs.some(([name], at) => (name === undefined) !== at < positional)) throw notOneLayer(text); // names come last
  if (positional > signature.length) {
    throw new LayerError(`${layer} takes at most ${signature.length} arguments, not ${positional}: ${signature.join(", ")}`);
  }
  const values = {};
  pairs.forEach(([given, raw], at) => {
    const name = given ?? signature[at];
    if (!signature.includes(name)) throw new LayerError(`${layer} has no argument ${shortValue(name)}: use ${signature.join(", ")}`);
    if (Object.hasOwn(values, name)) throw new LayerError(`${layer} is given ${name} twice: give it once`);
    values[name] = readLiteral(name, raw, text);
  });
  const missing = CODE_NEEDED.filter((name) => signature.includes(name) && !Object.hasOwn(values, name));
  if (missing.length) throw new LayerError(`${layer} needs ${missing.join(" and ")}: ${CODE_EXAMPLE}`);
  return values;
}

/** A whole number, a pair of them, a text, True, False or None. */
function readLiteral(name, raw, text) {
  if (Object.hasOwn(CODE_WORDS, raw)) return CODE_WORDS[raw];
  if (/^-?\s*(0|[1-9]\d*)$/.test(raw)) return Number(raw.replace(/\s/g, "")) + 0; // + 0: no negative zero
  const quoted = /^(?:"([^"\\\n]*)"|'([^'\\\n]*)')$/.exec(raw);
  if (quoted) return quoted[1] ?? quoted[2];
  const bracketed = /^\((.*)\)$|^\[(.*)\]$/s.exec(raw);
  if (bracketed) {
    const { pieces, commas } = splitAtCommas(bracketed[1] ?? bracketed[2], text);
    if (bracketed[1] !== undefined && pieces.length === 1 && commas === 0) return readLiteral(name, pieces[0], text); // (3) is 3
    return pieces.map((piece) => readLiteral(name, piece, text));
  }
  if (!/^-?([A-Za-z_][\w.]*|\d+\.\d+)$/.test(raw)) throw notOneLayer(text);
  throw new LayerError(`${name}=${raw.slice(0, 40)} is not understood: use a whole number, a pair, a text, True, False or None`);
}

/** The pieces between commas outside brackets and quotes; a comma may end the list. */
function splitAtCommas(inside, text) {
  const pieces = [""];
  let [depth, quote] = [0, ""];
  for (const letter of inside) {
    if (quote) quote = letter === quote ? "" : quote;
    else if (letter === '"' || letter === "'") quote = letter;
    else if ("([".includes(letter)) depth++;
    else if (")]".includes(letter)) depth--;
    if (depth < 0) throw notOneLayer(text);
    if (letter === "," && depth === 0 && !quote) pieces.push("");
    else pieces[pieces.length - 1] += letter;
  }
  const trimmed = pieces.map((piece) => piece.trim());
  const commas = trimmed.length - 1;
  if (trimmed[commas] === "") trimmed.pop();
  if (depth !== 0 || quote || trimmed.includes("") || (commas > 0 && trimmed.length === 0)) throw notOneLayer(text);
  return { pieces: trimmed, commas };
}
