// Two grouped layers, one behind the other: which channel reaches which output, with a channel shuffle between and without.
// The twin of sliding_kernel/wires.py.

/** Which channel stands where after the shuffle: the first of every group, then the second of every group, and so on. */
export function shuffleOrder(channels, groups) {
  const each = channels / groups;
  return Array.from({ length: channels }, (_, place) => (place % groups) * each + Math.floor(place / groups));
}

/**
 * { counts, joints, order, inked }: how many boxes stand in each row (channels, maps; with a second layer also the places of
 * the maps, and its outputs), the wires [above, below] between neighbouring rows, and which boxes the ink has reached.
 */
export function wiresOf({ op, inChannels, filters, groups }, shuffle, ink) {
  const pool = op.endsWith("pool");
  const order = shuffle === "on" ? shuffleOrder(filters, groups) : Array.from({ length: filters }, (_, map) => map);
  const counts = [inChannels, filters];
  const joints = [withinGroups(inChannels, filters, pool ? inChannels : groups)];
  if (shuffle && !pool) {
    counts.push(filters, filters);
    joints.push(order.map((map, place) => [map, place]), withinGroups(filters, filters, groups));
  }
  const inked = [new Set(ink < 0 ? [] : [Math.min(ink, inChannels - 1)])];
  for (const joint of joints) {
    const above = inked[inked.length - 1];
    inked.push(new Set(joint.filter(([from]) => above.has(from)).map(([, to]) => to)));
  }
  return { counts, joints, order, inked };
}

function withinGroups(above, below, groups) {
  const wires = [];
  for (let to = 0; to < below; to++) {
    const first = Math.floor(to / (below / groups)) * (above / groups);
    for (let from = first; from < first + above / groups; from++) wires.push([from, to]);
  }
  return wires;
}

/** One sentence on where the ink is. */
export function inkText({ counts, inked }) {
  if (!inked[0].size) return counts.length > 2 ? "click a channel: a drop of ink; the third row: the shuffle" : "";
  const [reached, all] = [inked[inked.length - 1].size, counts[counts.length - 1]];
  return `ink in channel ${[...inked[0]][0]} reaches ${reached === all ? "all" : `${reached} of`} ${all} ${counts.length > 2 ? "outputs" : "maps"}`;
}
