// The stack, its sliders and its bill. Numbers are worked out here, so that they follow a slider within one frame.
import { element, listen, setText } from "../js/dom.js";
import { WidgetSession, widgetOf } from "../js/session.js";
import { WidgetView } from "../js/view.js";
import { billOf, byText, commonDivisors, layerWords, sequentialText } from "./stack.js";

const COUNTS = ["params", "macs", "activations"];
const STEPS = [1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 56, 64, 80, 84, 96, 120, 128, 160, 192, 224, 256, 320, 384, 512];
const SLIDER_ENDS = { kernel_size: 11, stride: 4, padding: 5 };
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

  change(name, value) {
    const at = this.selected;
    this.set({ layers: this.layers.map((layer, i) => (i === at ? { ...layer, [name]: value } : layer)) }, { gesture: `${at}.${name}` });
  }

  add(kind) {
    const rules = this.model.get("_known").kinds[kind];
    const settings = Object.entries(rules).map(([name, rule]) => [name, Array.isArray(rule) ? rule[0] : rule]);
    const at = this.layers.length ? this.selected + 1 : 0;
    this.set({ layers: this.layers.toSpliced(at, 0, { kind, ...Object.fromEntries(settings) }), selected: at }, STEP);
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
    this.build();
    this.begin();
  }

  get alone() {
    return "The numbers still follow the sliders";
  }

  get wrong() {
    const { problem } = this.root.bill;
    return this.builder.refusal || (problem ? `layer ${problem.index}: ${problem.text}` : "");
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
      this.buildTable(), this.message, this.buildCode(button));
    listen(this.root, "keydown", (event) => this.key(event));
  }

  buildTable() {
    const heads = ["layer", "output", "params", "MACs", "activations", "field"];
    this.body = element("tbody");
    this.totals = COUNTS.map((name) => element("td", { class: "nb-number", "data-total": name }));
    this.memory = element("td", { colspan: 6, class: "nb-memory" });
    return (this.table = element("table", { class: "nb-table" }, element("thead", {}, element("tr", {}, ...heads.map((words, at) => element("th", { scope: "col", title: at === 5 ? "receptive field: pixels of the input that reach one value" : undefined }, words)))), this.body,
      element("tfoot", {}, element("tr", {}, element("th", { scope: "row", colspan: 2 }, "total"), ...this.totals, element("td")), element("tr", {}, this.memory))));
  }

  buildCode(button) {
    const { builder } = this;
    this.code = element("textarea", { class: "nb-code", "data-name": "code", rows: 10, spellcheck: "false", "aria-label": "the network in PyTorch", "data-lm-suppress-shortcuts": "true" });
    const apply = button("apply", "Apply", "build what stands here", () => this.paste());
    const copy = button("copy", "Copy", "copy the code", () => this.copyText(this.code.value, this.code));
    return (this.pasting = element("details", { class: "sk-rare", ontoggle: () => this.redraw() }, element("summary", {}, "PyTorch code: copy it, or paste an nn.Sequential"), this.code, element("div", { class: "sk-row" }, apply, copy, element("span", { class: "sk-hint" }, "read by Python, never run")),
    ));
  }

  // ---- what the reader does ----------------------------------------------------------------------------------------

  start(form) {
    if (form) this.builder.set({ ...form, selected: 0 });
    this.form.value = "";
  }

  resize(at) {
    const value = Number(this.sizes[at].value);
    this.builder.set({ input_size: this.builder.model.get("input_size").map((n, i) => (i === at ? value : n)) });
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
    setText(this.memory, `memory for one picture: ${bytesText(bill.bytes.inference)} to run, ${bytesText(bill.bytes.adam)} to train with Adam`);
    this.undoing.disabled = builder.undone.length === 0;
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
      setText(field, row?.field ? row.field.join("×") : "");
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
    const [shape, field, reason] = [element("td"), element("td"), element("td", { colspan: 5, class: "nb-reason" })];
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
    const shown = `${at} ${layer?.kind}`;
    if (shown !== this.shown) {
      this.parts = layer ? Object.entries(this.builder.model.get("_known").kinds[layer.kind]).map(([name, rule]) => this.setting(name, rule)) : [];
      this.sliders.replaceChildren(...this.parts.map((part) => part.node));
      if (layer && !this.parts.length) this.sliders.append(element("span", { class: "sk-hint" }, "this layer has no settings"));
      this.shown = shown;
    }
    for (const part of this.parts) part.update(layer, arriving);
  }

  /** A slider beside an exact number, or a check box; a slider of channels walks over the usual numbers. */
  setting(name, rule) {
    const words = name === "p" ? "p (dropped)" : name.replaceAll("_", " ");
    if (!Array.isArray(rule)) {
      const box = element("input", { type: "checkbox", "data-name": name, onchange: () => this.builder.change(name, box.checked) });
      return { node: element("label", { class: "sk-switch" }, box, words), update: (layer) => (box.checked = layer[name]) };
    }
    let choices = null;
    const [, lowest, highest] = rule;
    const slider = element("input", { type: "range", "data-name": name, "aria-label": words, oninput: () => this.builder.change(name, choices ? choices[slider.value] : Number(slider.value)) });
    const exact = element("input", { type: "number", min: lowest, max: highest, step: name === "p" ? 0.05 : 1, "data-for": name, "aria-label": `${words}, exactly`, onchange: () => this.builder.change(name, Number(exact.value)) });
    const update = (layer, arriving) => {
      const value = layer[name];
      choices = choicesFor(name, layer, arriving);
      const [low, high, step] = choices ? [0, choices.length - 1, 1] : [lowest, name === "p" ? 0.9 : Math.max(SLIDER_ENDS[name], value), name === "p" ? 0.05 : 1];
      [slider.min, slider.max, slider.step] = [low, high, step];
      slider.value = choices ? choices.indexOf(value) : value;
      slider.disabled = low === high;
      slider.setAttribute("aria-valuetext", String(value));
      if (document.activeElement !== exact) exact.value = value;
    };
    return { node: element("div", { class: "sk-slider" }, element("span", {}, words), slider, exact), update };
  }
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
