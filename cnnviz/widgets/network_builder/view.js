// The stack, its sliders and its bill. Numbers are worked out here, so that they follow a slider within one frame.
import { element, listen, setText } from "../js/dom.js";
import { WidgetSession, widgetOf } from "../js/session.js";
import { WidgetView } from "../js/view.js";
import { billOf, bothSides, commonDivisors, layerWords, sequentialText, withSetting } from "./stack.js";

const COUNTS = ["params", "macs", "activations"];
const STEPS = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 56, 64, 80, 84, 96, 120, 128, 160, 192, 224, 256, 320, 384, 512];
const SLIDER_ENDS = { kernel_size: 11, stride: 4, padding: 5, dilation: 4, p: 0.9 };
const PAIR_NAMES = ["kernel_size", "stride", "padding", "dilation"];
const STEP = { gesture: null }; // an undo step of its own
const SIZE_NAMES = ["channels", "height", "width"];

/** The stack of one widget, and what can be done to it. */
class Builder extends WidgetSession {
  constructor(model) {
    super(model, ["layers", "input_size"]);
  }

  get layers() {
    return this.model.get("layers");
  }

  get selected() {
    return Math.max(0, Math.min(this.model.get("selected"), this.layers.length - 1));
  }

  select(at) {
    this.set({ selected: Math.max(0, Math.min(at, this.layers.length - 1)) }, { remember: false });
  }

  change(name, value, axis) {
    const at = this.selected;
    this.set({ layers: this.layers.with(at, withSetting(this.layers[at], name, value, axis)) }, { gesture: `${at}.${name}.${axis}` });
  }

  add(kind) {
    const at = this.layers.length ? this.selected + 1 : 0;
    this.set({ layers: this.layers.toSpliced(at, 0, { kind, ...this.get("_known").kinds[kind] }), selected: at }, STEP);
  }

  remove() {
    this.set({ layers: this.layers.toSpliced(this.selected, 1), selected: Math.max(0, Math.min(this.selected, this.layers.length - 2)) }, STEP);
  }

  move(by) {
    const [from, to] = [this.selected, this.selected + by];
    if (to < 0 || to >= this.layers.length) return;
    this.set({ layers: this.layers.toSpliced(from, 1).toSpliced(to, 0, this.layers[from]), selected: to }, STEP);
  }
}

class BuilderView extends WidgetView {
  constructor(builder, el) {
    super(builder, el, "network builder", "cnnviz-nb");
    this.builder = builder;
    this.rows = [];
    this.square = true;
    this.build();
    this.begin();
  }

  get alone() {
    return "The numbers still follow the sliders";
  }

  build() {
    const { builder } = this;
    const button = this.button.bind(this);
    const known = builder.model.get("_known");
    this.form = element("select", { "data-name": "form", "aria-label": "start from a small network", onchange: () => this.start(known.forms[this.form.value]) },
      element("option", { value: "" }, "start from …"), ...Object.keys(known.forms).map((name) => element("option", { value: name }, name)));
    this.sizes = SIZE_NAMES.map((name, at) => element("input", { type: "number", min: 1, max: at ? 256 : 4096, "data-name": `input.${name}`, "aria-label": `input ${name}`, onchange: () => this.resize(at) }));
    const kinds = Object.keys(known.kinds).map((kind) => element("option", { value: kind }, kind.replaceAll("_", " ")));
    this.kind = element("select", { "data-name": "kind", "aria-label": "kind of the new layer" }, ...kinds);
    this.heading = element("strong", { class: "nb-heading" });
    this.editing = [
      button("up", "↑", "move this layer up (Alt+↑)", () => builder.move(-1)), button("down", "↓", "move this layer down (Alt+↓)", () => builder.move(1)),
      button("remove", "Remove", "remove this layer (Delete)", () => builder.remove()),
    ];
    this.sliders = element("div", { class: "sk-sliders nb-sliders" });
    this.undoing = button("undo", "Undo", "undo (Ctrl+Z)", () => builder.undo());
    this.root.append(
      element("div", { class: "sk-row sk-bar" }, this.form, element("span", { class: "nb-input" }, "input ", ...this.sizes.flatMap((input, at) => (at ? ["×", input] : [input]))), element("span", { class: "sk-space" }),
        this.undoing, button("reset", "Reset", "back to the beginning", () => builder.reset())),
      element("div", { class: "nb-editor" }, element("div", { class: "sk-row" }, this.heading, element("span", { class: "sk-space" }), ...this.editing, this.kind, button("add", "Add", "add a layer after this one", () => builder.add(this.kind.value))), this.sliders),
      this.message, ...this.buildTable(), this.buildCode(button));
    listen(this.root, "keydown", (event) => this.key(event));
  }

  buildTable() {
    this.body = element("tbody");
    this.totals = COUNTS.map((name) => element("td", { class: "nb-number", "data-total": name }));
    this.totalled = element("th", { scope: "row", colspan: 2 });
    this.memory = element("div", { class: "nb-memory" });
    const head = ["layer", "output", "params", "MACs", "activations"].map((words) => element("th", { scope: "col" }, words));
    head.push(element("th", { scope: "col", title: "receptive field: rows and columns of the input that reach one value" }, element("span", { class: "nb-long" }, "receptive "), "field"));
    const sums = element("tr", { class: "nb-total" }, this.totalled, ...this.totals, element("td"));
    return [this.memory, element("div", { class: "nb-scroll" }, element("table", { class: "nb-table" }, element("thead", {}, element("tr", {}, ...head), sums), this.body))];
  }

  buildCode(button) {
    const { builder } = this;
    this.code = element("textarea", { class: "nb-code", "data-name": "code", rows: 10, spellcheck: "false", "aria-label": "the network in PyTorch", "data-lm-suppress-shortcuts": "true" });
    const { alone } = builder.model; // a saved page: nobody there to read a text
    this.applying = button("apply", "Apply", "build what stands here", () => this.paste());
    this.applying.hidden = Boolean(alone);
    const copy = button("copy", "Copy", "copy the code", () => this.copyText(this.code.value, this.code));
    const words = alone ? "PyTorch code" : "PyTorch code: copy it, or paste an nn.Sequential";
    const hint = alone ? "in a notebook, NetworkBuilder reads such a text" : "read by Python, never run";
    return (this.pasting = element("details", { class: "sk-rare", ontoggle: () => this.redraw() },
      element("summary", {}, words), this.code, element("div", { class: "sk-row" }, this.applying, copy, element("span", { class: "sk-hint" }, hint))));
  }

  // ---- what the reader does ----------------------------------------------------------------------------------------

  start(form) {
    if (form) this.builder.set({ ...form, selected: 0 });
    this.form.value = "";
  }

  resize(at) {
    const size = this.builder.get("input_size");
    const value = within(this.sizes[at].value, 1, Number(this.sizes[at].max));
    if (value === size[at]) this.redraw();
    else this.builder.set({ input_size: size.with(at, value) });
  }

  paste() {
    const { builder } = this;
    builder.remember();
    builder.refusal = "";
    builder.model.send({ kind: "code", text: this.code.value });
  }

  key(event) {
    const { builder } = this;
    const onRow = event.target.closest(".nb-row") !== null || event.target === this.root;
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (onRow && step && event.altKey) builder.move(step);
    else if (onRow && step) builder.select(builder.selected + step);
    else if (onRow && event.key === "Delete" && builder.layers.length) builder.remove();
    else if (event.key === "Enter" && event.target.type === "number") event.target.blur(); // in a JupyterLab cell Enter alone fires no change
    else return;
    event.preventDefault();
    event.stopPropagation();
    if (onRow) this.focusRow = true;
  }

  // ---- drawing -----------------------------------------------------------------------------------------------------

  draw() {
    const { builder } = this;
    const { layers, input_size: size } = builder.snapshot();
    const bill = billOf(layers, size);
    this.sizes.forEach((input, at) => document.activeElement !== input && (input.value = size[at]));
    this.drawRows(layers, bill);
    this.drawEditor(layers, bill, size);
    COUNTS.forEach((name, at) => setText(this.totals[at], grouped(bill.total[name])));
    const { problem } = bill;
    setText(this.totalled, problem ? `total before layer ${problem.index} (${layers[problem.index].kind})` : "total");
    this.totalled.classList.toggle("nb-reason", problem !== null);
    setText(this.memory, `memory for one picture: ${bytesText(bill.bytes.inference)} to run, ${bytesText(bill.bytes.adam)} to train with Adam`);
    this.undoing.disabled = builder.undone.length === 0;
    this.applying.disabled = builder.stale; // Python reads the text
    if (this.pasting.open && builder.refusal === "") this.writeCode(layers, size, bill);
    this.root.bill = bill;
  }

  /** What the reader types stays until the network itself changes. */
  writeCode(layers, size, bill) {
    const text = sequentialText(layers, size, bill);
    if (this.written !== text) this.code.value = this.written = text;
  }

  drawRows(layers, { rows, problem }) {
    while (this.rows.length < layers.length) this.rows.push(this.newRow(this.rows.length));
    while (this.rows.length > layers.length) this.rows.pop().node.remove();
    const most = Object.fromEntries(COUNTS.map((name) => [name, Math.max(1, ...rows.map((row) => row[name]))]));
    layers.forEach((layer, at) => {
      const { node, select, words, shape, counts, field, reason } = this.rows[at];
      const row = rows[at];
      const illegal = problem?.index === at;
      setText(words, layerWords(layer));
      select.setAttribute("aria-pressed", String(at === this.builder.selected));
      node.className = `nb-row${at === this.builder.selected ? " nb-selected" : ""}${illegal ? " nb-illegal" : row ? "" : " nb-after"}`;
      setText(reason, illegal ? problem.text : "");
      for (const cell of [shape, ...counts.map(({ cell }) => cell), field]) cell.hidden = illegal;
      reason.hidden = !illegal;
      setText(shape, row ? row.shape.join("×") : "");
      counts.forEach(({ number, bar }, i) => {
        const value = row?.[COUNTS[i]] ?? 0;
        setText(number, value ? grouped(value) : "");
        bar.style.width = `${(100 * value) / most[COUNTS[i]]}%`;
      });
      setText(field, row?.field ? [...new Set(row.field)].join("×") : ""); // 7 for 7×7
    });
    if (this.focusRow) this.rows[this.builder.selected]?.select.focus();
    this.focusRow = false;
  }

  newRow(at) {
    const words = element("span");
    const select = element("button", { type: "button", class: "nb-layer", onclick: () => this.builder.select(at) }, element("span", { class: "nb-index" }, String(at)), words);
    const counts = COUNTS.map((name) => {
      const [number, bar] = [element("span"), element("div", { class: `nb-bar nb-${name}` })];
      return { number, bar, cell: element("td", { class: "nb-number" }, number, bar) };
    });
    const [shape, field, reason] = [element("td"), element("td", { class: "nb-field" }), element("td", { colspan: 5, class: "nb-reason" })];
    const node = element("tr", {}, element("th", { scope: "row" }, select), shape, ...counts.map(({ cell }) => cell), field, reason);
    listen(node, "click", () => this.builder.select(at));
    this.body.append(node);
    return { node, select, words, shape, counts, field, reason };
  }

  drawEditor(layers, { rows }, size) {
    const at = this.builder.selected;
    const layer = layers[at];
    const arriving = at === 0 ? size : rows[at - 1]?.shape;
    setText(this.heading, layer ? `Layer ${at}: ${layer.kind.replaceAll("_", " ")}` : "No layers yet: add one, or start from a small network");
    const [up, down, remove] = this.editing;
    [up.disabled, down.disabled, remove.disabled] = [!layer || at === 0, !layer || at === layers.length - 1, !layer];
    const unequal = PAIR_NAMES.some((name) => Array.isArray(layer?.[name]));
    const split = unequal || !this.square;
    const shown = `${at} ${layer?.kind} ${split}`;
    if (shown !== this.shown) {
      this.parts = layer ? this.settings(layer.kind, split) : [];
      this.sliders.replaceChildren(...this.parts.map((part) => part.node));
      if (layer && !this.parts.length) this.sliders.append(element("span", { class: "sk-hint" }, "this layer has no settings"));
      this.shown = shown;
    }
    for (const part of this.parts) part.update(layer, arriving, unequal);
  }

  /** Sliders and check boxes of a kind; windows that need not be square have a slider for each side. */
  settings(kind, split) {
    const { kinds, ranges } = this.builder.get("_known");
    const place = (name) => (PAIR_NAMES.includes(name) ? 1 : name in ranges ? 0 : 2);
    const parts = Object.keys(kinds[kind]).sort((one, other) => place(one) - place(other)).flatMap((name) => {
      if (!(name in ranges)) return [this.flag(name)];
      return split && PAIR_NAMES.includes(name) ? [this.slider(name, ranges[name], 0), this.slider(name, ranges[name], 1)] : [this.slider(name, ranges[name])];
    });
    return "kernel_size" in kinds[kind] ? [...parts, this.squareFlag()] : parts;
  }

  flag(name) {
    const box = element("input", { type: "checkbox", "data-name": name, onchange: () => this.builder.change(name, box.checked) });
    return { node: element("label", { class: "sk-switch" }, box, name), update: (layer) => (box.checked = layer[name]) };
  }

  squareFlag() {
    const box = element("input", { type: "checkbox", "data-name": "square", onchange: () => {
      this.square = box.checked;
      this.redraw();
    } });
    const update = (layer, arriving, unequal) => {
      box.checked = this.square && !unequal;
      box.disabled = unequal; // make height and width equal first
    };
    return { node: element("label", { class: "sk-switch" }, box, "square"), update };
  }

  /** A slider beside an exact number; a slider of channels walks over the usual numbers. */
  slider(name, [lowest, highest], axis) {
    const { builder } = this;
    const words = name.replaceAll("_", " ") + ["", " (height)", " (width)"][(axis ?? -1) + 1];
    const short = words.replace(/ \((.).*/, " $1");
    const key = axis === undefined ? name : `${name}.${"hw"[axis]}`;
    const step = name === "p" ? 0.05 : 1;
    let [choices, now] = [null, null];
    const label = element("span");
    const slider = element("input", { type: "range", "data-name": key, "aria-label": words, oninput: () => builder.change(name, choices ? choices[slider.value] : Number(slider.value), axis) });
    const exact = element("input", { type: "number", min: lowest, max: highest, step, "data-for": key, "aria-label": `${words}, exactly`, onchange: () => {
      const wanted = within(exact.value, lowest, highest, step < 1);
      if (wanted === now) this.redraw(); // what was typed goes, the number stands
      else builder.change(name, wanted, axis);
    } });
    const update = (layer, arriving) => {
      const text = typeof layer[name] === "string" ? ` (${layer[name]})` : "";
      const value = bothSides(text ? textPads(layer) : layer[name])[axis ?? 0];
      now = value;
      choices = choicesFor(name, layer, arriving);
      const [low, high] = choices ? [0, choices.length - 1] : [lowest, Math.max(SLIDER_ENDS[name], value)];
      setText(label, short + text);
      Object.assign(slider, { min: low, max: high, step, value: choices ? choices.indexOf(value) : value, disabled: low === high });
      slider.setAttribute("aria-valuetext", String(value));
      if (document.activeElement !== exact) exact.value = value;
    };
    return { node: element("div", { class: "sk-slider" }, label, slider, exact), update };
  }
}

/** The number that was typed, brought to the nearest that works. */
function within(text, lowest, highest, fraction = false) {
  const number = Math.min(highest, Math.max(lowest, Number(text)));
  return fraction ? number : Math.round(number);
}

/** The numbers that padding "same" or "valid" stands for, before the picture. */
function textPads({ padding, kernel_size, dilation }) {
  const [kernel, by] = [kernel_size, dilation].map(bothSides);
  return kernel.map((k, axis) => (padding === "same" ? Math.floor((by[axis] * (k - 1)) / 2) : 0));
}

/** The numbers a slider of channels or groups walks over; null: every whole number. */
function choicesFor(name, layer, arriving) {
  const usual = name.startsWith("out_") ? STEPS : name === "groups" ? commonDivisors(arriving?.[0] ?? 1, layer.out_channels) : null;
  return usual && [...new Set([...usual, layer[name]])].sort((a, b) => a - b);
}

const thousands = new Intl.NumberFormat("en-US"); // made once: toLocaleString makes one a call
const grouped = (number) => thousands.format(number);

function bytesText(bytes) {
  const power = Math.min(3, Math.floor(Math.log(Math.max(1, bytes)) / Math.log(1000)));
  return `${(bytes / 1000 ** power).toFixed(power ? 1 : 0)} ${["bytes", "kB", "MB", "GB"][power]}`;
}

export default widgetOf((model) => new Builder(model), (session, el) => new BuilderView(session, el));
