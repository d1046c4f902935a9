// Image kernels by name, at any size and angle. The twin of cnnviz/kernels.py.
import { LayerError, alternatives, shortValue, weightShape } from "./geometry.js";
import { tile } from "./arithmetic.js";

const NAMED_KERNELS = {
  identity: (h, w) => kernelOf(h, w, (a, b, middle) => (middle ? 1 : 0)),
  edge: (h, w) => kernelOf(h, w, (a, b, middle) => (middle ? h * w - 1 : -1)),
  sobel_x: (h, w) => outerKernel(binomialRow(h), derivativeRow(w)),
  sobel_y: (h, w) => outerKernel(derivativeRow(h), binomialRow(w)),
  sharpen: (h, w) => kernelOf(h, w, (a, b, middle) => (middle ? h + w - 1 : a === 0 || b === 0 ? -1 : 0)),
  box: (h, w) => kernelOf(h, w, () => 1 / (h * w)),
  gaussian: (h, w) => outerKernel(binomialRow(h), binomialRow(w)).map((value) => value / 2 ** (h + w - 2)),
  emboss: (h, w) => kernelOf(h, w, (a, b, middle) => (middle ? 1 : a + b)),
};

export const KERNEL_NAMES = Object.keys(NAMED_KERNELS);

/** A kernel by name: Float64Array(h * w). */
export function namedKernel(name, h, w) {
  if (!KERNEL_NAMES.includes(name)) throw new LayerError(`kernel ${shortValue(name)} is not known: use ${alternatives(KERNEL_NAMES)}`);
  if ([h, w].some((k) => !Number.isInteger(k) || k < 1 || k > 11)) {
    throw new LayerError(`kernel_size ${shortValue([h, w])} is not a whole number from 1 to 11 or a pair of them`);
  }
  return Float64Array.from(NAMED_KERNELS[name](h, w));
}

/** Turned counter-clockwise about its centre, as seen on the page; bilinear, zeros outside. */
export function rotatedKernel(values, h, w, degrees) {
  const turn = ((degrees % 360) + 360) % 360;
  if (turn === 0) return Float64Array.from(values);
  const radians = (turn * Math.PI) / 180;
  const exact = { 90: [0, 1], 180: [-1, 0], 270: [0, -1] };
  const [c, s] = exact[turn] ?? [Math.cos(radians), Math.sin(radians)];
  const [middle, centre] = [(h - 1) / 2, (w - 1) / 2];
  return Float64Array.from({ length: h * w }, (_, at) => {
    const x = (at % w) - centre;
    const y = middle - Math.floor(at / w); // points up
    return betweenCells(values, h, w, middle - (y * c - x * s), centre + x * c + y * s);
  });
}

/** The weights that a layer uses, in torch's layout; state.kernel is { shape, values }. Empty for a pool. */
export function effectiveKernel(state, layer) {
  const shape = weightShape(layer);
  if (shape.length === 0) return new Float64Array(0);
  const [first, second, h, w] = shape;
  const result = new Float64Array(first * second * h * w);
  const base = state.kernel_name ? namedKernel(state.kernel_name, h, w) : tile(state.kernel.values, state.kernel.shape, shape);
  const plane = h * w;
  for (let slice = 0; slice < first * second; slice++) {
    const turned = state.kernel_name
      ? rotatedKernel(base, h, w, state.angle + (360 * Math.floor(slice / second)) / first)
      : rotatedKernel(base.subarray(slice * plane, (slice + 1) * plane), h, w, state.angle);
    result.set(turned, slice * plane);
  }
  return result;
}

function betweenCells(values, h, w, row, col) {
  const [top, left] = [Math.floor(row), Math.floor(col)];
  let total = 0;
  for (const [i, down] of [[top, 1 - (row - top)], [top + 1, row - top]]) {
    for (const [j, across] of [[left, 1 - (col - left)], [left + 1, col - left]]) {
      if (i >= 0 && i < h && j >= 0 && j < w) total += values[i * w + j] * down * across;
    }
  }
  return total;
}

/** Values by row and column counted from the centre ((k - 1) / 2, rounded down). */
function kernelOf(h, w, value) {
  const [middle, centre] = [Math.floor((h - 1) / 2), Math.floor((w - 1) / 2)];
  return Array.from({ length: h * w }, (_, at) => {
    const [a, b] = [Math.floor(at / w) - middle, (at % w) - centre];
    return value(a, b, a === 0 && b === 0);
  });
}

function outerKernel(column, row) {
  return column.flatMap((a) => row.map((b) => a * b));
}

function binomialRow(n) {
  let row = [1];
  while (row.length < n) row = [...row, 0].map((value, at) => value + (row[at - 1] ?? 0));
  return row;
}

function derivativeRow(n) {
  if (n < 3) return n === 1 ? [0] : [-1, 1];
  const smooth = binomialRow(n - 2);
  return Array.from({ length: n }, (_, at) => (smooth[at - 2] ?? 0) - (smooth[at] ?? 0));
}
