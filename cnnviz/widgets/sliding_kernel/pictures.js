// Pictures larger than number grids: pixels on a canvas of their own, drawn scaled.
import { extremes, largest, shadeScale } from "../js/palette.js";
import { pixelOf, tileOf } from "../js/pixels.js";

/** A canvas with one map painted through a palette; reuses `canvas` when given. */
export function mapCanvas(values, offset, rows, cols, shades, low, high, canvas) {
  const shade = shadeScale(low, high);
  return tileOf(cols, rows, (i) => shades.pixels[shade(values[offset + i])], canvas);
}

/** Three channels as the colours they are. */
export function colourCanvas(values, rows, cols, low, high, canvas) {
  const shade = shadeScale(low, high);
  const plane = rows * cols;
  return tileOf(cols, rows, (i) => pixelOf(shade(values[i]), shade(values[plane + i]), shade(values[2 * plane + i])), canvas);
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
