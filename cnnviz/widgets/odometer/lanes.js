// The four convolutions of the odometer: what each step reads and costs, and how far it is. The twin of lanes.py.
import { outputGeometry, wholeNumber } from "../js/geometry.js";

export const LARGEST_SIZES = { in_channels: 512, filters: 512, kernel_size: 11, map_size: 256 };

/** A convolution with "same" padding; `each` are the multiply-adds of one of its values. */
function step(reads, maps, kernel, groups, size) {
  const each = (reads / groups) * kernel * kernel;
  const values = maps * size * size;
  return { reads, maps, kernel, groups, size, each, values, macs: each * values };
}

/** The four lanes of a state; throws a LayerError for sizes that cannot be. */
export function lanesOf(state) {
  const [channels, filters, kernel, size] = Object.entries(LARGEST_SIZES).map(([name, most]) => wholeNumber(name, state[name], 1, most));
  const { groups } = state;
  outputGeometry({ in_channels: channels, filters, groups, kernel_size: 1 });
  const lane = (name, steps, shuffled = false) => ({ name, steps, shuffled, macs: steps.reduce((sum, one) => sum + one.macs, 0) });
  const grouped = [step(channels, filters, kernel, groups, size)];
  return [
    lane("standard", [step(channels, filters, kernel, 1, size)]),
    lane("depthwise + pointwise", [step(channels, channels, kernel, channels, size), step(channels, filters, 1, 1, size)]),
    lane("grouped", grouped),
    lane("grouped + shuffled", grouped, true),
  ];
}

/** Multiply-adds of the longest lane. */
export function longest(lanes) {
  return Math.max(...lanes.map(({ macs }) => macs));
}

/** Multiply-adds that each of the lanes was given: a share of those of the longest. */
export function reading(lanes, progress) {
  return Math.floor(progress * longest(lanes) + 0.5);
}

/** How many output values of each step are finished after so many multiply-adds. */
export function finishedValues({ steps }, macs) {
  return steps.map(({ each, values, macs: all }) => {
    const done = Math.min(Math.floor(Math.max(macs, 0) / each), values);
    macs -= all;
    return done;
  });
}

export function groupOf({ maps, groups }, channel) {
  return Math.floor((channel * groups) / maps);
}

/** Where a shuffle puts a map: the first of each group, then the second of each, and so on. */
export function placeOf({ maps, groups }, channel) {
  const inside = maps / groups;
  return (channel % inside) * groups + Math.floor(channel / inside);
}
