// What the reader points at, and what it touches: an output cell reads inputs, an input feeds outputs, a weight multiplies inputs.

/** The output cell whose window is shown: the one pointed at, else the current position. */
export function shownCell(result, position, focus) {
  const { layer } = result;
  if (focus?.kind === "output") return { i: Math.min(focus.row, layer.outHeight - 1), j: Math.min(focus.col, layer.outWidth - 1) };
  const flat = Math.min(Math.max(position, 0), result.cells - 1);
  return { i: Math.floor(flat / layer.outWidth), j: flat % layer.outWidth };
}

/** Which windows along one axis read this drawn cell. */
export function windowsReading(axis, drawn) {
  const windows = [];
  for (let i = 0; i < axis.out; i++) {
    const tap = (drawn - i * axis.step) / axis.dilation;
    if (Number.isInteger(tap) && tap >= 0 && tap < axis.kernel) windows.push(i);
  }
  return windows;
}

/** Which drawn cells one tap of the kernel meets along one axis, over all windows. */
export function cellsOfTap(axis, tap) {
  return Array.from({ length: axis.out }, (_, i) => i * axis.step + tap * axis.dilation);
}

/** The index of a weight in torch's layout, for a tap in reading order (a flipped kernel is read backwards). */
export function weightIndex(layer, filter, channel, row, col) {
  const { kernelHeight: h, kernelWidth: w, groups, inChannels, filters } = layer;
  const a = layer.flipped ? h - 1 - row : row;
  const b = layer.flipped ? w - 1 - col : col;
  const inGroup = inChannels / groups;
  const outGroup = filters / groups;
  const slice = layer.op === "transposed" ? channel * outGroup + (filter % outGroup) : filter * inGroup + (channel % inGroup);
  return (slice * h + a) * w + b;
}

/** One sentence on what the pointer touches, for the status line and for screen readers. */
export function describeFocus(result, focus) {
  if (!focus) return "";
  const { layer } = result;
  if (focus.kind === "output") return `output (${focus.row}, ${focus.col}) reads ${layer.kernelHeight} x ${layer.kernelWidth} cells`;
  if (focus.kind === "input") {
    const count = windowsReading(layer.rows, focus.row).length * windowsReading(layer.cols, focus.col).length;
    const row = layer.rows.source[focus.row];
    const col = layer.cols.source[focus.col];
    const name = row < 0 || col < 0 ? "this zero" : `input (${row}, ${col})`;
    return `${name} is read by ${count} output${count === 1 ? "" : "s"}`;
  }
  return `this weight meets ${layer.outHeight * layer.outWidth} inputs, one for each output cell`;
}
