// The mouse or a finger on the canvas: pointing shows, a click pins, a double click edits the number in place.
import { LayerError } from "../js/geometry.js";
import { element, listen } from "../js/dom.js";
import { shownCell, weightIndex } from "./focus.js";
import { hitTest } from "./layout.js";

const EDITED_NUMBERS = 1024; // larger pictures are edited in Python

/** Wires the canvas of one view; `view.focus` is what the reader points at or has pinned. */
export function listenToPointer(view) {
  const { canvas } = view;
  listen(canvas, "pointermove", (event) => {
    view.hover = focusAt(view, event);
    canvas.style.cursor = view.hover || boxAt(view, event) ? "pointer" : "default";
    view.redraw();
  });
  listen(canvas, "pointerleave", () => {
    view.hover = null;
    view.redraw();
  });
  listen(canvas, "click", (event) => click(view, event));
  listen(canvas, "dblclick", (event) => {
    const hit = hitTest(view.scene, ...pointOf(view, event));
    if (hit) edit(view, hit);
  });
}

function pointOf(view, event) {
  const box = view.canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function focusAt(view, event) {
  const hit = hitTest(view.scene, ...pointOf(view, event));
  if (!hit) return null;
  const { panel, row, col } = hit;
  if (panel.kind === "output") return view.look.predict === "shape" ? null : { kind: "output", row, col };
  return { kind: panel.kind === "input" ? "input" : "weight", row, col, channel: panel.channel };
}

function boxAt(view, event) {
  const [x, y] = pointOf(view, event);
  return view.boxes.find((box) => box.row < 3 && x >= box.x && x < box.x + box.side && y >= box.y && y < box.y + box.side);
}

function click(view, event) {
  const box = boxAt(view, event);
  if (box?.kind === "filter") return view.session.set({ filter: box.index });
  if (box?.kind === "place") return view.session.set({ shuffle: view.look.shuffle === "on" ? "off" : "on" }, { gesture: null });
  if (box) {
    view.channel = box.index;
    const { shuffle, ink } = view.look;
    if (shuffle || ink >= 0) view.session.set({ ink: ink === box.index ? -1 : box.index }, { gesture: null });
    return view.redraw();
  }
  const focus = focusAt(view, event);
  if (focus?.kind === "output") {
    view.pinned = null;
    return view.session.set({ position: focus.row * view.result.layer.outWidth + focus.col });
  }
  const same = focus && view.pinned && focus.kind === view.pinned.kind && focus.row === view.pinned.row && focus.col === view.pinned.col;
  view.pinned = same ? null : focus;
  return view.redraw();
}

// ---- editing a number where it stands ------------------------------------------------------------------------------

/** Enter edits the pinned cell, or the top left weight under the window. */
export function editFocused(view) {
  const focus = view.pinned ?? { kind: "weight", row: 0, col: 0 };
  const kind = focus.kind === "weight" ? "kernel" : focus.kind;
  const panel = view.scene.panels.find((one) => one.kind === kind && (focus.channel === undefined || one.channel === focus.channel));
  if (panel) edit(view, { panel, row: focus.row, col: focus.col });
}

function edit(view, hit) {
  const target = editable(view, hit);
  if (typeof target === "string") return view.say(target);
  if (!target) return;
  const { panel, row, col } = hit;
  const label = `${panel.kind} number, row ${row}, column ${col}`;
  const input = element("input", { type: "text", class: "sk-editor", "aria-label": label });
  input.value = String(target.value);
  const size = Math.max(panel.cell, 56);
  Object.assign(input.style, {
    left: `${view.canvas.offsetLeft + panel.x + (col + 0.5) * panel.cell - size / 2}px`,
    top: `${view.canvas.offsetTop + panel.y + (row + 0.5) * panel.cell - 17}px`, width: `${size}px`,
  });
  let open = true; // taking the field away blurs it, which must not commit what Escape gave up
  const close = (keep) => {
    if (!open) return;
    open = false;
    const text = input.value;
    input.remove();
    view.root.focus({ preventScroll: true });
    if (keep && text !== String(target.value)) write(view, target, text);
  };
  listen(input, "keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") close(true);
    if (event.key === "Escape") close(false);
  });
  listen(input, "blur", () => close(true));
  view.canvas.parentElement.append(input);
  input.focus();
  input.select();
}

/** What a cell stands for: { name, at, value }, a sentence when it cannot be edited, or null. */
function editable(view, { panel, row, col }) {
  const { layer, image, weights, filter } = view.result;
  if (panel.kind === "kernel") {
    const at = weightIndex(layer, filter, panel.channel, row, col);
    return { name: "kernel", at, value: weights[at] };
  }
  if (panel.kind !== "input") return null;
  if (image.length > EDITED_NUMBERS) return `this picture has ${image.length} numbers: edit it in Python (widget.image = ...)`;
  const r = layer.rows.source[row], c = layer.cols.source[col];
  if (r < 0 || c < 0) return "padding is always zero: edit a cell of the picture itself";
  const at = (panel.channel * layer.height + r) * layer.width + c;
  return { name: "image", at, value: image[at] };
}

/** Writing a number makes what is shown the new base, so that nothing else on the page changes. */
function write(view, target, text) {
  const number = parseNumber(text);
  const { layer, image, weights } = view.result;
  const values = Array.from(target.name === "image" ? image : weights);
  values[target.at] = number;
  if (target.name === "image") return view.session.set({ image: { shape: [layer.inChannels, layer.height, layer.width], values } });
  const lead = layer.op === "transposed" ? [layer.inChannels, layer.filters / layer.groups] : [layer.filters, layer.inChannels / layer.groups];
  const kernel = { shape: [...lead, layer.kernelHeight, layer.kernelWidth], values };
  return view.session.set({ kernel, kernel_name: "", angle: 0 });
}

export function parseNumber(text) {
  const number = Number(text.trim().replace("−", "-").replace(",", "."));
  if (!text.trim() || !Number.isFinite(number)) throw new LayerError(`"${text}" is not a number: type something like 3 or -0.5`);
  return number;
}

/** Where the window stands, for the sum under the picture. */
export const windowCell = (view) => shownCell(view.result, view.look.position, view.focus?.kind === "output" ? view.focus : null);
