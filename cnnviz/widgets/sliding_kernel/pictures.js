// Pictures larger than number grids: pixels on a canvas of their own, drawn scaled.
import { extremes, largest, shadeScale } from "../js/palette.js";

/** A canvas with one map painted through a palette; reuses `canvas` when given. */
export function mapCanvas(values, offset, rows, cols, shades, low, high, canvas) {
  const target = sized(canvas, rows, cols);
  const context = target.getContext("2d");
  const image = context.createImageData(cols, rows);
  const pixels = new Uint32Array(image.data.buffer);
  const shade = shadeScale(low, high);
  for (let i = 0; i < pixels.length; i++) pixels[i] = shades.pixels[shade(values[offset + i])];
  context.putImageData(image, 0, 0);
  return target;
}

/** Three channels as the colours they are. */
export function colourCanvas(values, rows, cols, low, high, canvas) {
  const target = sized(canvas, rows, cols);
  const context = target.getContext("2d");
  const image = context.createImageData(cols, rows);
  const pixels = new Uint32Array(image.data.buffer);
  const shade = shadeScale(low, high);
  const plane = rows * cols;
  for (let i = 0; i < plane; i++) {
    pixels[i] = (255 << 24) | (shade(values[2 * plane + i]) << 16) | (shade(values[plane + i]) << 8) | shade(values[i]);
  }
  context.putImageData(image, 0, 0);
  return target;
}

function sized(canvas, rows, cols) {
  const target = canvas ?? document.createElement("canvas");
  if (target.width !== cols) target.width = cols;
  if (target.height !== rows) target.height = rows;
  return target;
}

/** Things worth remembering between frames: pictures, ranges and largest weights. */
export function openCache() {
  const cache = { pictures: new Map() };
  let image, range, weights, limit, drawn;
  cache.imageRange = (values) => {
    if (values !== image) {
      [image, range] = [values, extremes(values)];
      cache.pictures.clear();
    }
    return range;
  };
  cache.picture = (values, channel, paint) => {
    if (!cache.pictures.has(channel)) cache.pictures.set(channel, paint());
    return cache.pictures.get(channel);
  };
  cache.limit = (values) => {
    if (values !== weights) [weights, limit] = [values, largest(values)];
    return limit;
  };
  cache.output = (result, rows, cols, paint) => {
    if (result !== drawn) [drawn, cache.canvas] = [result, paint()];
    return cache.canvas;
  };
  cache.clear = () => {
    image = weights = drawn = cache.smallOf = undefined;
  };
  return cache;
}
