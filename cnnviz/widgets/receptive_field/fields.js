// A stack of layers walked back from one output unit, in whole numbers: the twin of stack.py.
import { LayerError, readLayer } from "../js/geometry.js";

/** { layers, maps }: what readLayer finds in each layer, and the sizes of the picture and of the map behind each. */
export function walkStack(stack, size) {
  const maps = [[...size]];
  const layers = stack.map((layer, at) => {
    const [height, width] = maps[at];
    try {
      const found = readLayer({ ...layer, op: layer.kind, height, width });
      maps.push([found.outHeight, found.outWidth]);
      return found;
    } catch (error) {
      if (error instanceof LayerError) throw new LayerError(`layer ${at}: ${error.message}`);
      throw error;
    }
  });
  return { layers, maps };
}

/**
 * For the picture and each map: `box` [top, left, rows, columns] between which lies all that the unit depends on (padding included),
 * and over how many ways each row, and each column, reaches it: a pixel has the product of the two.
 */
export function reachBack({ layers, maps }, unit) {
  let at = unit.map((index, axis) => ({ first: index, last: index, ways: Float64Array.from({ length: maps.at(-1)[axis] }, (_, i) => Number(i === index)) }));
  const found = [at];
  for (const layer of layers.toReversed()) {
    at = [layer.rows, layer.cols].map((axis, i) => backAlong(axis, at[i]));
    found.unshift(at);
  }
  return found.map(([rows, cols]) => ({ box: [rows.first, cols.first, rows.last - rows.first + 1, cols.last - cols.first + 1], rows: rows.ways, cols: cols.ways }));
}

function backAlong({ table, kernel, size, stride, dilation, before }, { first, last, ways }) {
  const reached = new Float64Array(size);
  table.forEach((index, at) => {
    if (index >= 0) reached[index] += ways[Math.floor(at / kernel)];
  });
  return { first: first * stride - before, last: last * stride - before + dilation * (kernel - 1), ways: reached };
}

/** A layer in a few signs: conv 3×3 /2 p1 d2. */
export function slidingWords({ kind, kernel_size: size, stride, padding, dilation, ceil_mode: ceil }) {
  const by = (value) => (Array.isArray(value) ? value.join("×") : String(value));
  const marks = [["/", stride, 1], ["p", padding, 0], ["d", dilation, 1]].filter(([, value, plain]) => value !== plain);
  return [kind.replace("_", " "), Array.isArray(size) ? by(size) : `${size}×${size}`, ...marks.map(([mark, value]) => mark + by(value)), ...(ceil ? ["ceil"] : [])].join(" ");
}
