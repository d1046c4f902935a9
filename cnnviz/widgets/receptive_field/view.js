// One output unit and all that it sees, layer by layer back to the picture; beside it what gradients measured in Python.
import { element, listen, setText } from "../js/dom.js";
import { LayerError, limits } from "../js/geometry.js";
import { Palette } from "../js/palette.js";
import { WidgetSession, widgetOf } from "../js/session.js";
import { WidgetView } from "../js/view.js";
import { reachBack, slidingWords, walkStack } from "./fields.js";
import { fitPanels, paintPanel } from "./panels.js";

const TICK_MS = 800; // the field grows by a layer
const WINDOW_SLIDERS = { kernel_size: 11, stride: 4, padding: 5, dilation: 6 }; // how far they go, unless a layer is there already
const PICTURE_END = 64;
const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const HINT = "Point at a unit of the last map; a click or the arrow keys keep one. Strong colour: many ways lead from there to the unit. Inner frame: 95 % of the squared gradient.";
const both = (value) => (Array.isArray(value) ? value : [value, value]);
const across = (pair) => pair.join("×");

/** The stacks of one widget, the layer whose sliders are open, and the clock by which a field grows. */
class FieldSession extends WidgetSession {
  constructor(model) {
    super(model, ["stacks", "input_size", "position", "back"], ["position", "back"]);
    this.picked = [0, 0];
  }

  get stacks() {
    return this.get("stacks");
  }

  get deepest() {
    return Math.max(...this.stacks.map((stack) => stack.length));
  }

  /** The layer whose sliders are open: [stack, layer], both as near to what was picked as there are. */
  get open() {
    const stack = Math.min(this.picked[0], this.stacks.length - 1);
    return [stack, Math.min(this.picked[1], this.stacks[stack].length - 1)];
  }

  /** Writes stacks or picture; a LayerError says why they cannot be, and nothing is written. */
  change(changes, gesture = null) {
    const { stacks, input_size: size } = { ...this.snapshot(), ...changes };
    for (const stack of stacks) walkStack(stack, size);
    this.set(changes, { gesture });
  }

  /** Puts other layers in the place of the open one. */
  replace(layersFor, gesture) {
    const [s, at] = this.open;
    this.change({ stacks: this.stacks.map((stack, i) => (i === s ? stack.toSpliced(at, 1, ...layersFor(stack[at])) : stack)) }, gesture);
  }

  look(changes) {
    this.set(changes, { remember: false });
  }

  /** What was measured of a stack as it stands; Python writes `of` likewise. */
  measuredOf(stack, index) {
    const record = this.get("_measured")[index];
    return record?.of === JSON.stringify([stack, this.get("input_size")]) ? record : null;
  }

  measure() {
    this.measuring = true;
    this.refusal = "";
    this.notify();
    this.model.send({ kind: "measure" });
  }

  told(message, buffers) {
    if (message?.kind !== "alive") this.measuring = false;
    super.told(message, buffers);
    if (message?.kind === "measured") this.notify();
  }

  markStale(stale) {
    this.measuring = false;
    super.markStale(stale);
  }

  play() {
    if (this.clock) return this.pause();
    this.look({ back: 0 });
    this.clock = setInterval(() => this.tick(), TICK_MS);
    this.notify();
  }

  tick() {
    const next = (this.get("back") ?? this.deepest) + 1;
    this.look({ back: next < this.deepest ? next : null });
    if (next >= this.deepest) this.pause();
  }

  pause() {
    clearInterval(this.clock);
    this.clock = null;
    this.notify();
  }

  stop() {
    clearInterval(this.clock);
    super.stop();
  }
}

class FieldView extends WidgetView {
  constructor(session, el) {
    super(session, el, "receptive field", "cnnviz-rf");
    this.bands = [];
    this.build();
    this.palette = new Palette(this.root);
    this.begin();
  }

  get alone() {
    return "The fields still follow the sliders";
  }

  // ---- the page ----------------------------------------------------------------------------------------------------

  build() {
    const { session } = this;
    const presets = session.get("_presets");
    this.preset = element("select", { "data-name": "preset", "aria-label": "start from", onchange: () => this.attempt(() => this.start(presets[this.preset.value])) },
      element("option", { value: "" }, "start from …"), ...Object.keys(presets).map((name) => element("option", { value: name }, name)));
    this.playing = this.button("play", "", "let the field grow back, layer by layer (space)", () => session.play());
    this.back = this.slider("back", "layers back", (value) => session.look({ back: value === session.deepest ? null : value }));
    this.measure = this.button("measure", "", "how strongly the unit hangs on each pixel: squared gradients over 20 random pictures, in Python; press again for 20 others", () => session.measure());
    this.measure.hidden = Boolean(session.model.alone);
    this.undoing = this.button("undo", "Undo", "undo (Ctrl+Z)", () => session.undo());
    this.heading = element("strong");
    this.adding = this.button("add", "Add one more", "the same layer once more", () => this.attempt(() => session.replace((layer) => [layer, layer])));
    this.removing = this.button("remove", "Remove", "remove this layer", () => this.attempt(() => session.replace(() => [])));
    this.size = this.slider("input_size", "picture", (n) => this.attempt(() => session.change({ input_size: [n, n] }, "input_size")));
    this.settings = Object.keys(WINDOW_SLIDERS).map((name) => this.slider(name, name.replace("_", " "), (n) => this.attempt(() => session.replace((layer) => [{ ...layer, [name]: n }], name))));
    this.figure = element("div", { class: "sk-figure" });
    this.status = element("div", { class: "rf-status sk-hint" });
    this.description = element("div", { class: "sk-description", role: "status" });
    this.root.append(
      element("div", { class: "sk-row sk-bar" }, this.preset, this.playing, this.back.node, this.measure, element("span", { class: "sk-space" }), this.undoing, this.button("reset", "Reset", "back to the beginning", () => session.reset())),
      this.figure, this.status, this.message,
      element("div", { class: "rf-editor" }, element("div", { class: "sk-row" }, this.heading, element("span", { class: "sk-space" }), this.adding, this.removing), element("div", { class: "sk-sliders" }, ...this.settings.map((one) => one.node), this.size.node)),
      this.description);
    listen(this.root, "keydown", (event) => this.key(event));
    this.root.locate = (...place) => this.locate(...place);
  }

  slider(name, words, change) {
    const input = element("input", { type: "range", "data-name": name, "aria-label": words, oninput: () => change(Number(input.value)) });
    const output = element("output", { "data-for": name });
    const update = (value, [low, high], text = String(value)) => {
      Object.assign(input, { min: low, max: high, value, disabled: low >= high });
      input.setAttribute("aria-valuetext", text);
      setText(output, text);
    };
    return { name, node: element("div", { class: "sk-slider" }, element("span", {}, words), input, output), update };
  }

  /** What cannot be says why under the picture, and the slider goes back. */
  attempt(action) {
    try {
      action();
    } catch (error) {
      if (!(error instanceof LayerError)) throw error;
      this.redraw();
      this.fail(error);
    }
  }

  start(preset) {
    this.preset.value = "";
    if (preset) this.session.change({ ...preset, position: null, back: null });
  }

  key(event) {
    const step = ARROWS[event.key];
    if (event.target !== this.root || event.altKey || event.ctrlKey || event.metaKey || (!step && event.key !== " ")) return;
    event.preventDefault();
    event.stopPropagation();
    const { walk } = this.bands[0];
    if (step) this.session.look({ position: unitAt(walk, unitAt(walk, this.session.get("position")).map((n, axis) => Math.max(n + step[axis], 0))) });
    else this.session.play();
  }

  /** A stack's layers to pick, its facts and its canvas. */
  newBand(index) {
    const band = { chips: element("div", { class: "sk-row rf-chips", role: "group", "aria-label": `stack ${index + 1}` }), facts: element("div", { class: "rf-facts", "data-stack": index }), canvas: element("canvas", { role: "img" }) };
    const cellUnder = ({ clientX, clientY }) => {
      const box = band.canvas.getBoundingClientRect();
      const { x, y, cell, map } = band.panels[band.walk.maps.length - 1];
      const place = [Math.floor((clientY - box.top - y) / cell), Math.floor((clientX - box.left - x) / cell)];
      return place.every((n, axis) => n >= 0 && n < map[axis]) ? place : null;
    };
    const hover = (place) => {
      if (String(place) === String(this.hover)) return;
      this.hover = place;
      this.redraw();
    };
    listen(band.canvas, "pointermove", (event) => {
      hover(cellUnder(event));
      band.canvas.style.cursor = this.hover ? "pointer" : "default";
    });
    listen(band.canvas, "pointerleave", () => hover(null));
    listen(band.canvas, "click", (event) => cellUnder(event) && this.session.look({ position: cellUnder(event) }));
    this.figure.append((band.node = element("div", {}, band.chips, band.facts, band.canvas)));
    return band;
  }

  // ---- drawing -----------------------------------------------------------------------------------------------------

  draw() {
    const { session, figure } = this;
    const { stacks, deepest } = session;
    while (this.bands.length < stacks.length) this.bands.push(this.newBand(this.bands.length));
    while (this.bands.length > stacks.length) this.bands.pop().node.remove();
    const more = session.model.alone && !session.get("_measured").length ? 0 : 1; // a saved page cannot measure
    const fit = fitPanels(deepest + 1 + more, figure.clientWidth, more);
    this.bands.forEach((band, index) => this.drawBand(band, stacks[index], index, fit));
    const back = session.get("back") ?? deepest;
    this.back.update(Math.min(back, deepest), [0, deepest], back >= deepest ? "all" : `${back} of ${deepest}`);
    setText(this.playing, session.clock ? "Pause" : "Grow");
    setText(this.measure, session.measuring ? "Measuring …" : "Measure");
    this.measure.disabled = session.measuring;
    this.undoing.disabled = session.undone.length === 0;
    this.drawEditor();
    const seen = this.bands.map(seenText);
    setText(this.status, this.hover ? [...new Set(seen)].join("; ") : HINT);
    if (!this.hover) setText(this.description, this.bands.map(({ facts, share }, at) => `${facts.textContent}. ${seen[at]}${share}.`).join(" "));
  }

  drawBand(band, stack, index, fit) {
    const { session } = this;
    const size = session.get("input_size");
    const walk = walkStack(stack, size);
    const unit = unitAt(walk, this.hover ?? session.get("position"));
    const seen = reachBack(walk, unit);
    const measured = session.measuredOf(stack, index);
    Object.assign(band, { walk, unit, seen });
    this.drawChips(band, stack, index);
    const jump = walk.layers.reduce(([h, w], { rows, cols }) => [h * rows.stride, w * cols.stride], [1, 1]);
    band.share = measured ? `. 95 % of the squared gradient of unit (${measured.position.join(", ")}) lies in the middle ${across(measured.side)}` : "";
    setText(band.facts, `sees ${across(seen[0].box.slice(2))} pixels; the next unit looks ${jump[0] === jump[1] ? jump[0] : across(jump)} pixel${Math.max(...jump) > 1 ? "s" : ""} further on`);
    band.panels = fit.place(walk);
    const { width, height } = fit.size(band.panels.length);
    const pen = this.fitCanvas(band.canvas, width, height);
    pen.clearRect(0, 0, width, height);
    const back = session.get("back") ?? stack.length;
    band.panels.forEach((panel, at) => {
      if (at > stack.length) return paintPanel(pen, this.palette, panel, gradients(measured, walk, unit));
      const above = at ? slidingWords(stack[at - 1]) : "picture";
      const reached = stack.length - at <= back ? seen[at] : null;
      return paintPanel(pen, this.palette, panel, { seen: reached, box: reached?.box, above, below: reached ? `${across(reached.box.slice(2))} of ${across(panel.map)}` : across(panel.map) });
    });
    band.canvas.setAttribute("aria-label", `stack ${index + 1}: ${stack.map(slidingWords).join(", ")}`);
  }

  drawChips(band, stack, index) {
    const { session } = this;
    const [openStack, openLayer] = session.open;
    while (band.chips.childElementCount > stack.length) band.chips.lastChild.remove();
    while (band.chips.childElementCount < stack.length) {
      const at = band.chips.childElementCount;
      band.chips.append(element("button", { type: "button", "data-layer": at, onclick: () => {
        session.picked = [index, at];
        session.notify();
      } }));
    }
    [...band.chips.children].forEach((chip, at) => {
      setText(chip, slidingWords(stack[at]));
      chip.setAttribute("aria-pressed", String(index === openStack && at === openLayer));
    });
  }

  drawEditor() {
    const { stacks, open: [s, at] } = this.session;
    const size = this.session.get("input_size");
    const layer = stacks[s][at];
    const [height, width] = this.bands[s].walk.maps[at];
    setText(this.heading, `${stacks.length > 1 ? `stack ${s + 1}, ` : ""}layer ${at + 1}: ${slidingWords(layer)}`);
    this.removing.disabled = stacks[s].length === 1;
    const bounds = limits({ ...layer, op: layer.kind, height, width });
    for (const { name, update } of this.settings) {
      const [rows, cols] = bounds[name];
      const value = both(layer[name] === "valid" ? 0 : layer[name]);
      const now = layer[name] === "same" ? rows[0] : Math.max(...value);
      const ends = [Math.max(rows[0], cols[0]), Math.max(now, Math.min(rows[1], cols[1], WINDOW_SLIDERS[name]))];
      update(now, ends, layer[name] === "same" ? "same" : value[0] === value[1] ? String(now) : across(value));
    }
    this.size.update(Math.max(...size), [1, Math.max(PICTURE_END, ...size)], across(size));
  }

  /** Client coordinates of the middle of a cell of a map (0: the picture), for tests. */
  locate(stack, map, row, col) {
    const { x, y, cell } = this.bands[stack].panels[map];
    const box = this.bands[stack].canvas.getBoundingClientRect();
    return { x: box.left + x + (col + 0.5) * cell, y: box.top + y + (row + 0.5) * cell };
  }
}

/** What the last panel says: nothing yet, or what was measured, and of which unit when it is not the one shown. */
function gradients(measured, walk, unit) {
  if (!measured) return { above: "gradients", below: "press Measure" };
  const { position, side } = measured;
  const above = String(position) === String(unit) ? "gradients" : `gradients of (${position.join(", ")})`;
  return { measured, box: reachBack(walk, position)[0].box, above, below: `95 % in ${across(side)}` };
}

/** The output unit at a place, or the nearest there is; null is the middle. */
function unitAt({ maps }, place) {
  return maps.at(-1).map((n, axis) => (place ? Math.min(place[axis], n - 1) : Math.floor((n - 1) / 2)));
}

/** Which pixels a unit sees, in words. */
function seenText({ unit, seen: [{ box: [top, left, rows, cols] }], walk: { maps: [[height, width]] } }) {
  const inside = top >= 0 && left >= 0 && top + rows <= height && left + cols <= width;
  return `unit (${unit.join(", ")}) sees rows ${top} to ${top + rows - 1}, columns ${left} to ${left + cols - 1}${inside ? "" : ", partly padding"}`.replaceAll("-", "−");
}

export default widgetOf((model) => new FieldSession(model), (session, el) => new FieldView(session, el));
