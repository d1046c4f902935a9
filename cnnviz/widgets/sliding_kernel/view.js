// The view of a SlidingKernel: one canvas, its controls, and the frame loop. Sums are done here in the browser, so that a
// slider is answered within one frame whatever the kernel is doing.
import { formatCode, parseCode } from "../js/code.js";
import { buildControls, buildLists } from "./controls.js";
import { element, listen, setText, textField } from "../js/dom.js";
import { Palette } from "../js/palette.js";
import { widgetOf } from "../js/session.js";
import { WidgetView } from "../js/view.js";
import { inkText, wiresOf } from "../js/wires.js";
import { describeFocus } from "./focus.js";
import { listenToKeys } from "./keys.js";
import { growRoom, isPicture, layoutScene } from "./layout.js";
import { paintScene } from "./paint.js";
import { openCache } from "./pictures.js";
import { listenToPointer } from "./pointer.js";
import { buildPredict } from "./predict.js";
import { formulaText, layerText, outputText, sumText } from "./readout.js";
import { Session, openedChanges } from "./session.js";
import { stripBoxes, stripHeight } from "./strip.js";

const GLIDE_MS = 120;

class KernelView extends WidgetView {
  constructor(session, el) {
    super(session, el, "sliding kernel", "cnnviz-mk");
    this.boxes = [];
    this.channel = 0;
    this.cache = openCache();
    this.build();
    this.palette = new Palette(this.root);
    listenToPointer(this);
    listenToKeys(this);
    listen(this.root, "fullscreenchange", () => this.staged(document.fullscreenElement === this.root));
    this.begin();
  }

  get alone() {
    return "The picture still works here";
  }

  get wrong() {
    return this.session.error || this.session.refusal;
  }

  get focus() {
    return this.hover ?? this.pinned;
  }

  get look() {
    return this.state;
  }

  // ---- the page --------------------------------------------------------------------------------------------------

  build() {
    const { session } = this;
    this.canvas = element("canvas", { class: "sk-scene", role: "img" });
    this.controls = buildControls(this);
    this.lists = buildLists(session);
    this.predict = buildPredict(this);
    this.sum = element("div", { class: "sk-sum", "aria-live": "polite" });
    this.formula = element("div", { class: "sk-formula" });
    this.status = element("div", { class: "sk-status" });
    this.description = element("div", { class: "sk-description", role: "status" });
    this.root.append(this.buildBar(), element("div", { class: "sk-figure" }, this.canvas), this.sum, element("div", { class: "sk-row sk-facts" }, this.formula, this.status), this.message,
      this.predict.row, this.buildPlayer(), this.controls.main, this.controls.switches, this.buildCode(), this.buildRare(), this.description);
    this.root.locate = (...place) => this.locate(...place);
  }

  buildBar() {
    const { session } = this;
    this.levels = [1, 2, 3].map((level) => element("button", {
      type: "button", "data-level": level, title: ["kernel and picture", "size, stride, padding, dilation", "channels and groups"][level - 1], onclick: () => session.set({ level }),
    }, String(level)));
    return element("div", { class: "sk-row sk-bar" }, ...this.lists.nodes, this.predict.list, element("span", { class: "sk-space" }),
      element("span", { class: "sk-tools" }, element("span", { class: "sk-levels", role: "group", "aria-label": "level" }, "level ", ...this.levels),
        this.button("undo", "Undo", "undo (Ctrl+Z)", () => this.undo()), this.button("reset", "Reset", "back to the beginning", () => this.reset()),
        this.button("stage", "Stage", "full screen, readable from the last row", () => this.toggleStage())));
  }

  buildPlayer() {
    const { session } = this;
    const step = (by) => () => {
      const { cells } = session.current();
      session.set({ position: (session.get("position") + by + cells) % cells, playing: false });
    };
    this.scrub = element("input", { type: "range", min: 0, "data-name": "position", "aria-label": "output cell", oninput: () => session.set({ position: Number(this.scrub.value) }) });
    this.place = element("output", { "data-for": "position" });
    this.play = this.button("play", "▶", "play", () => session.set({ playing: !session.get("playing") }));
    this.reveal = this.button("reveal", "Reveal", "show products, sum and output one after the other", () => session.set({ reveal: (session.get("reveal") + 1) % 4 }));
    return element("div", { class: "sk-row sk-player" }, this.play, this.button("back", "◀|", "one cell back", step(-1)), this.button("step", "|▶", "one cell on", step(1)), this.scrub, this.place, this.reveal);
  }

  buildCode() {
    const { session } = this;
    this.code = textField({ class: "sk-code", "data-name": "code", "aria-label": "the layer in PyTorch" }, (text) => this.pasteCode(text));
    this.copy = this.button("copy", "Copy", "copy the PyTorch line", () => this.copyText(formatCode(session.state()), this.code));
    return (this.codeRow = element("div", { class: "sk-row" }, this.code, this.copy));
  }

  buildRare() {
    const { session } = this;
    this.shared = textField({ class: "sk-code", "data-name": "state", "aria-label": "this state as a short string" }, (text) => session.open(text.trim()));
    const words = "Paste a state here to open it; Shift+1 to 9 keeps this one under a key, 1 to 9 opens it.";
    this.rare = element("details", { class: "sk-rare" }, element("summary", {}, "More settings, and sharing"), this.controls.rare,
      element("div", { class: "sk-row" }, this.shared, this.button("share", "Copy", "copy this state as a short string", () => this.copyText(session.share(), this.shared))), element("div", { class: "sk-hint" }, words));
    listen(this.rare, "toggle", () => this.redraw());
    return this.rare;
  }

  // ---- events ----------------------------------------------------------------------------------------------------

  close() {
    super.close();
    clearTimeout(this.speaking);
  }

  retheme() {
    this.cache.clear();
    super.retheme();
  }

  pasteCode(text) {
    const changes = parseCode(text);
    this.session.try(changes);
    this.session.set(changes);
  }

  reset() {
    this.pinned = this.hover = this.room = null;
    this.session.reset();
  }

  undo() {
    this.room = null;
    this.session.undo();
  }

  /** Gives up room that was kept for a drag, where the grids have become less than half as large: their numbers count more. */
  relax() {
    const { picture, ...needed } = growRoom(null, this.session.current().layer);
    if (Object.keys(needed).some((name) => this.room[name] >= 2 * needed[name])) this.room = null;
    this.redraw();
  }

  letGo() {
    this.pinned = this.hover = null;
    if (this.root.classList.contains("sk-staged")) this.toggleStage();
    this.redraw();
  }

  toggleStage() {
    const on = !this.root.classList.contains("sk-staged");
    this.staged(on);
    if (on) this.root.requestFullscreen?.().catch(() => {}); // refused (an embedded page): the overlay stays
    else if (document.fullscreenElement) document.exitFullscreen();
  }

  staged(on) {
    this.root.classList.toggle("sk-staged", on);
    this.room = null;
    this.redraw();
  }

  // ---- drawing ---------------------------------------------------------------------------------------------------

  draw(start) {
    this.result = this.session.current();
    if (!this.session.error) this.state = this.session.state();
    this.arrange();
    const painted = paintScene({ ...this, focus: this.focus, look: this.look, glide: this.gliding(start) });
    this.words(painted);
    this.controls.update(this.result, this.state);
    this.lists.update(this.result, this.state);
    this.predict.update(this.state);
    if (this.glide) this.redraw();
    return { coarse: this.result.step > 1 };
  }

  /** Size and layout for this frame; the canvas is only resized when it must be, so that no frame is blank. */
  arrange() {
    const stage = this.root.classList.contains("sk-staged");
    const { layer, filter, filters } = this.result;
    this.fontSize = stage ? 28 : 14;
    this.width = Math.max(280, this.canvas.parentElement.clientWidth);
    this.room = growRoom(this.room, layer);
    this.wires = wiresOf(layer, this.state.shuffle, this.state.ink);
    const strip = this.state.level >= 3 ? stripHeight(this.wires, this.fontSize) : 0;
    const twice = strip && this.wires.counts.length > 2; // then the wires are the picture, and one channel of numbers is enough
    const maxHeight = stage ? Math.max(strip ? 520 : 300, window.innerHeight - 330 - strip) : twice ? 240 : isPicture(layer) ? 420 : 520;
    this.scene = layoutScene({ layer, filter, channel: this.channel, most: twice ? 1 : 4, room: this.room, width: this.width, maxHeight, maxCell: stage ? 120 : 46, strip, label: Math.round(1.6 * this.fontSize) });
    this.scene.stripHeight = strip;
    this.boxes = strip ? stripBoxes(this.scene, this.wires, filters, this.width, this.fontSize) : [];
    this.height = Math.ceil(this.scene.height) + 8;
    this.context = this.fitCanvas(this.canvas, this.width, this.height);
  }

  /** Between two cells the window glides, unless the reader asked for less motion or the pointer leads it. */
  gliding(now) {
    const { layer, cells } = this.result;
    const position = Math.min(this.state.position, cells - 1);
    const target = { i: Math.floor(position / layer.outWidth), j: position % layer.outWidth };
    const moved = this.lastCell && this.lastLayer === layer && (this.lastCell.i !== target.i || this.lastCell.j !== target.j);
    const still = this.focus || this.state.speed > 6 || isPicture(layer) || matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (moved && !still) this.glide = { from: this.lastCell, start: now };
    [this.lastCell, this.lastLayer] = [target, layer];
    const share = this.glide ? (now - this.glide.start) / GLIDE_MS : 1;
    if (still || share >= 1) return (this.glide = null);
    const { from } = this.glide;
    return { i: from.i + (target.i - from.i) * share, j: from.j + (target.j - from.j) * share };
  }

  words({ terms, cell }) {
    const { result, state } = this;
    const { layer } = result;
    const hidden = state.reveal < 2 || state.predict;
    setText(this.sum, hidden ? "…" : sumText({ result, terms: terms.list, cell }));
    setText(this.formula, state.predict === "shape" ? "…" : formulaText(layer));
    this.formula.hidden = state.level < 2;
    setText(this.status, describeFocus(result, this.focus));
    this.root.layerText = layerText(result);
    this.drawPlayer();
    if (document.activeElement !== this.code) this.code.value = formatCode(state);
    if (this.rare.open && document.activeElement !== this.shared) this.shared.value = this.session.share();
    this.codeRow.hidden = state.level < 2;
    this.levels.forEach((button, at) => button.setAttribute("aria-pressed", String(at + 1 === state.level)));
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => this.describe(), 250);
  }

  drawPlayer() {
    const { result: { layer, cells }, state } = this;
    const position = Math.min(state.position, cells - 1);
    if (this.scrub.max !== String(cells - 1)) this.scrub.max = cells - 1;
    if (this.scrub.value !== String(position)) this.scrub.value = position;
    setText(this.place, state.predict === "shape" ? "" : `row ${Math.floor(position / layer.outWidth)}, column ${position % layer.outWidth}`);
    setText(this.play, state.playing ? "❚❚" : "▶");
    setText(this.reveal, ["Reveal products", "Reveal sum", "Reveal output", "Hide"][state.reveal]);
  }

  describe() {
    const output = this.state.predict === "shape" || this.state.reveal < 3 ? "the output is hidden" : outputText(this.result);
    const ink = this.state.level > 2 ? inkText(this.wires) : "";
    const text = ink ? `${output}; ${ink}` : output;
    setText(this.description, text);
    this.canvas.setAttribute("aria-label", text);
  }

  /** Where a cell of a panel, or a box of the strip, stands on the screen, for tests and for anyone who wants to point at it. */
  locate(kind, row, col, channel) {
    const page = this.canvas.getBoundingClientRect();
    const box = this.boxes.find((one) => one.kind === kind && one.index === col);
    if (box) return { x: page.left + box.x + box.side / 2, y: page.top + box.y + box.side / 2 };
    const panel = this.scene.panels.find((one) => one.kind === kind && (channel === undefined || one.channel === channel));
    return panel && { x: page.left + panel.x + (col + 0.5) * panel.cell, y: page.top + panel.y + (row + 0.5) * panel.cell };
  }
}

export default widgetOf((model) => new Session(model), (session, el) => new KernelView(session, el), openedChanges);
