// What a layer made of a picture, as it came from Python: decoded, shaded, and where on a canvas each number stands.
import { extremes, shadeScale } from "../js/palette.js";
import { bytesOf, tileOf } from "../js/pixels.js";

const GAP = 3, SMALLEST = 10, TALLEST = 330;

/** The maps of one layer: `values` as whole numbers, times `unit` they are what the network computed. */
export class Maps {
  constructor({ maps, scale, shape, signed, dead, field, skip, size, input, said }) {
    Object.assign(this, { signed, field, skip, size, input, said });
    this.values = new Int16Array(bytesOf(maps).buffer);
    this.unit = scale / 32767;
    [this.count, this.high, this.wide] = shape;
    this.silent = new Set(dead);
  }

  numbers(channel) {
    const size = this.high * this.wide;
    return this.values.subarray(channel * size, (channel + 1) * size);
  }

  at({ channel, row, column }) {
    return this.unit * this.numbers(channel)[row * this.wide + column];
  }

  ends(channel) {
    return extremes(this.numbers(channel)).map((value) => value * this.unit);
  }

  /** What a unit sees: [top, left, height, width] in the picture; null where that is all of it. */
  box({ row, column }) {
    if (!this.field) return null;
    const [size, jump, start] = this.field;
    return [start[0] + row * this.skip * jump[0], start[1] + column * this.skip * jump[1], size[0], size[1]];
  }

  /** A canvas with a pixel for each number; `alone`: on the channel's own scale. */
  tile(channel, palette, alone) {
    const values = this.numbers(channel);
    const [low, high] = alone ? extremes(values) : [-32767, 32767];
    const most = Math.max(-low, high, 1);
    const shade = shadeScale(this.signed ? -most : 0, most);
    const { pixels } = this.signed ? palette.signed : palette.counts;
    return tileOf(this.wide, this.high, (i) => pixels[shade(values[i])]);
  }

  /** How the tiles of all channels stand in a width. */
  grid(width) {
    const ratio = Math.max(this.high, this.wide);
    const fitting = Math.sqrt((width * TALLEST) / this.count) - GAP;
    const side = Math.max(SMALLEST, Math.min(fitting, this.count < 9 ? 140 : 96, width / Math.min(this.count, 4) - GAP));
    const [across, down] = [(side * this.wide) / ratio, (side * this.high) / ratio];
    const columns = Math.max(1, Math.floor((width + GAP) / (across + GAP)));
    const rows = Math.ceil(this.count / columns);
    const place = (channel) => [(channel % columns) * (across + GAP), Math.floor(channel / columns) * (down + GAP)];
    return { across, down, columns, place, width: Math.ceil(Math.min(columns, this.count) * (across + GAP)), height: Math.ceil(rows * (down + GAP)) };
  }

  /** The number under a point of the grid, or null. */
  under({ across, down, columns }, x, y) {
    const [column, row] = [Math.floor(x / (across + GAP)), Math.floor(y / (down + GAP))];
    const channel = row * columns + column;
    if (column >= columns || channel >= this.count || x < 0 || y < 0) return null;
    return { channel, ...this.within(x - column * (across + GAP), y - row * (down + GAP), across, down) };
  }

  /** The row and column under a point of a tile of this size. */
  within(x, y, across, down) {
    const index = (at, size, count) => Math.min(count - 1, Math.max(0, Math.floor((at / size) * count)));
    return { row: index(y, down, this.high), column: index(x, across, this.wide) };
  }
}
