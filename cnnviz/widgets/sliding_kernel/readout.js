// The words around the picture: the sum of the current cell, the size formula, and what a screen reader hears.
import { outputShape, sizeFormula } from "../js/geometry.js";
import { explain } from "../js/arithmetic.js";
import { factorText, numberText, signedText } from "../js/number.js";

const LONGEST = 120; // letters that fit on one line: longer sums are told in short

/** `3·0 + 3·1 + ... = 12`, or the subtotals of the channels where that would be too long to read. */
export function sumText({ result, terms, cell }) {
  const { layer, bias, filter, relu } = result;
  const own = Array.isArray(bias) ? bias[filter] : bias;
  const whole = terms.length <= 64 ? explain(layer, terms, own) : "";
  const text = whole && whole.length <= LONGEST ? whole : layer.op.endsWith("pool") ? poolText(layer, terms) : channelSums(terms, own ?? 0);
  const place = `output (${cell.i}, ${cell.j}):  `;
  if (!relu || layer.op.endsWith("pool")) return place + text;
  const value = total(terms, own);
  return `${place}${text},  ReLU: ${numberText(Math.max(0, value))}`;
}

const total = (terms, bias) => terms.reduce((sum, term) => sum + term.value * term.weight, bias ?? 0);

function poolText(layer, terms) {
  const largest = layer.op === "max_pool";
  const value = largest ? Math.max(...terms.map((term) => term.value)) : total(terms, 0);
  return `${largest ? "the largest" : "the mean"} of ${terms.length} numbers = ${numberText(value)}`;
}

function channelSums(terms, bias) {
  const sums = new Map();
  for (const { channel, value, weight } of terms) sums.set(channel, (sums.get(channel) ?? 0) + value * weight);
  const parts = [...sums.values()];
  const all = numberText(total(terms, bias));
  const products = `${terms.length} products`;
  if (parts.length === 1 || parts.length > 8) return `${products}${signedText(bias)} = ${all}`;
  const words = parts.map(factorText).join(" + ") + signedText(bias);
  return `${products}, a subtotal for each channel: ${words} = ${all}`;
}

/** The formula with its numbers, once when height and width agree, and what no window reads. */
export function formulaText(layer) {
  const [rows, cols] = [sizeFormula(layer, "rows"), sizeFormula(layer, "cols")];
  const formula = rows === cols ? `output size: ${rows}` : `height: ${rows}     width: ${cols}`;
  return [formula, ...unreadText(layer)].join(".  ");
}

function unreadText({ rows, cols }) {
  const say = (name, unread) => (unread.length === 1 ? `${name} ${unread[0]} is never read` : `${name}s ${listed(unread)} are never read`);
  return [["row", rows.unread], ["column", cols.unread]].filter(([, unread]) => unread.length).map(([name, unread]) => say(name, unread));
}

const listed = (numbers) => (numbers.length > 6 ? `${numbers.slice(0, 6).join(", ")}, ...` : numbers.join(", "));

export function layerText({ layer }) {
  const shape = (...sizes) => sizes.join("x");
  return `${layer.op} ${shape(layer.inChannels, layer.height, layer.width)} -> ${shape(...outputShape(layer))}`;
}

/** The shown output map in words, when it is small enough to be heard. */
export function outputText(result) {
  const { layer, output, filters, filter, step } = result;
  if (result.cells > 400 || step > 1) return layerText(result);
  const start = filters.indexOf(filter) * result.cells;
  const rows = Array.from({ length: layer.outHeight }, (_, i) => {
    const row = output.subarray(start + i * layer.outWidth, start + (i + 1) * layer.outWidth);
    return Array.from(row, numberText).join(" ");
  });
  return `${layerText(result)}; filter ${filter}: ${rows.join(" / ")}`;
}
