// A sheet of paper that is drawn on with mouse, touch, pen or keys, and what Python's network makes of it. Each change is
// a question with a number; ipywidgets keeps one on its way and then sends the latest state, so a slow kernel skips some.
import { element, listen, setText } from "../js/dom.js";
import { probabilityText } from "../js/number.js";
import { Palette } from "../js/palette.js";
import { bytesOf, pixelOf, tileOf } from "../js/pixels.js";
import { WidgetSession, widgetOf } from "../js/session.js";
import { WidgetView } from "../js/view.js";

const PAPER = 264; // CSS pixels a side
const PEN = 0.06; // of a side
const NEAR = 0.008; // points closer than this to the last one are left out
const STEP = 0.05; // of a key
const PATIENCE_MS = 500; // before the view says that it waits
const TALLEST = 56; // CSS pixels of a map; a third more on a wide page
const SMALLEST = 28; // narrower than this, maps stand in two rows
const CELL = 18; // CSS pixels of a number
const COLUMNS = 40; // numbers in a row, of a layer without maps
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The drawing, the questions asked about it, and the newest answer. */
class Drawing extends WidgetSession {
  constructor(model) {
    super(model, ["strokes", "example", "shift"]);
    this.answer = model.get("_answer");
    this.examples = bytesOf(model.get("_fixed").examples);
    model.on("change:_answer", () => this.hear(model.get("_answer")));
  }

  stop() {
    clearTimeout(this.impatience);
    super.stop();
  }

  /** Never an older answer over a newer one. */
  hear(answer) {
    if (answer.asked >= this.answer.asked) this.answer = answer;
  }

  get pending() {
    return this.get("_asked") > this.answer.asked;
  }

  get waiting() {
    return this.pending && performance.now() - this.askedAt >= PATIENCE_MS;
  }

  set(changes, options) {
    if (!this.pending) this.askedAt = performance.now();
    super.set({ ...changes, _asked: this.get("_asked") + 1 }, options);
    clearTimeout(this.impatience);
    this.impatience = setTimeout(() => this.notify(), PATIENCE_MS + 20);
  }

  /** A network that learns is asked again with each beat of its kernel, as long as somebody looks. */
  told(message, buffers) {
    super.told(message, buffers);
    if (message?.kind === "alive" && this.answer.learning && !this.pending && !document.hidden) this.model.send({ kind: "again" });
  }

  get empty() {
    return this.get("example") === null && this.get("strokes").length === 0;
  }

  show(example) {
    this.set({ strokes: [], example }, { gesture: null });
  }

  clear() {
    if (!this.empty) this.set({ strokes: [], example: null }, { gesture: null });
  }

  /** The strokes on the paper, to which a new one is added: an example makes room. */
  get before() {
    return this.get("example") === null ? this.get("strokes") : [];
  }
}

class DrawPadView extends WidgetView {
  constructor(drawing, el) {
    super(drawing, el, "draw pad", "cnnviz-dp");
    this.drawing = drawing;
    this.at = [0.5, 0.5]; // of the pen moved by keys
    this.build();
    this.begin();
  }

  get wrong() {
    return this.drawing.refusal || this.drawing.answer.error;
  }

  get alone() {
    return "You can still draw, but nobody answers";
  }

  build() {
    const { drawing } = this;
    const { room } = drawing.get("_fixed");
    this.paper = element("canvas", { class: "dp-paper", tabindex: "0", role: "img", "data-lm-suppress-shortcuts": "true", "aria-label": "paper: draw with mouse, touch or pen; or arrow keys move the pen and Shift with them draws; keys 0 to 9 put an example" });
    for (const type of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) listen(this.paper, type, (event) => this.pointer(event));
    listen(this.paper, "keydown", (event) => this.key(event));
    listen(this.root, "keydown", () => (this.keyed = true));
    for (const type of ["focus", "blur"]) listen(this.paper, type, () => this.redraw());
    this.undoing = this.button("undo", "Undo", "undo (Ctrl+Z)", () => drawing.undo());
    this.clearing = this.button("clear", "Clear", "clean paper (Delete)", () => drawing.clear());
    this.shift = element("input", { type: "range", "data-name": "shift", min: -room, max: room, "aria-label": "shift to the right, pixels", oninput: () => drawing.set({ shift: Number(this.shift.value) }) });
    this.shifted = element("output", { "data-for": "shift" });
    const shifting = element("label", { class: "sk-slider dp-shift" }, "shift", this.shift, this.shifted);
    shifting.hidden = !room;
    this.examples = Array.from({ length: 10 }, (_, digit) => this.exampleButton(digit));
    this.said = element("div", { class: "dp-said" });
    this.status = element("div", { class: "dp-status sk-hint" });
    this.bars = element("div", { class: "dp-bars" });
    this.layers = element("div", { class: "dp-layers sk-figure" });
    this.spoken = element("div", { class: "sk-description", role: "status" });
    this.root.append(
      element("div", { class: "dp-parts" },
        element("div", { class: "dp-pad" }, this.paper, element("div", { class: "sk-row" }, this.undoing, this.clearing, element("span", { class: "sk-hint" }, "or a scan:")), element("div", { class: "dp-examples", role: "group", "aria-label": "digits of the test set" }, ...this.examples), shifting),
        this.layers, element("div", { class: "dp-answer sk-figure" }, this.said, this.bars, this.status)),
      this.message, this.spoken);
  }

  exampleButton(digit) {
    const thumb = element("canvas", { width: 8, height: 8, "aria-hidden": "true" });
    const title = `a scanned ${digit} of the test set`;
    return element("button", { type: "button", "data-example": digit, title, "aria-label": title, onclick: () => this.drawing.show(digit) }, thumb);
  }

  // ---- the pen -----------------------------------------------------------------------------------------------------

  pointer(event) {
    if (event.type === "pointerdown" && event.isPrimary && event.button === 0) {
      event.preventDefault();
      this.paper.setPointerCapture(event.pointerId);
      this.paper.focus({ preventScroll: true });
      this.begun = this.drawing.before;
      this.drawing.remember();
      this.line = [];
      this.byKeys = this.keyed = false;
    }
    if (!this.line || !event.isPrimary) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    for (const { clientX, clientY } of moves.length ? moves : [event]) this.addPoint(clientX, clientY);
    const ended = event.type === "pointerup" || event.type === "pointercancel";
    if (ended) this.finish();
    else this.sending ??= requestAnimationFrame(() => this.send());
  }

  addPoint(clientX, clientY) {
    const box = this.paper.getBoundingClientRect();
    const place = (value, size) => Math.round(1000 * Math.min(1, Math.max(0, value / size))) / 1000;
    const point = [place(clientX - box.left, box.width), place(clientY - box.top, box.height)];
    const last = this.line.at(-1);
    if (!last || Math.hypot(point[0] - last[0], point[1] - last[1]) > NEAR) this.line.push(point);
  }

  /** Once a frame: the paper shows the line at once, the network is asked about it. */
  send() {
    cancelAnimationFrame(this.sending);
    this.sending = null;
    if (this.line) this.drawing.set({ strokes: [...this.begun, [...this.line]], example: null }, { remember: false });
  }

  finish() {
    this.send();
    this.line = null;
    this.redraw();
  }

  key(event) {
    const move = MOVES[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (move) this.movePen(move, event.shiftKey);
    else if (/^[0-9]$/.test(event.key)) this.drawing.show(Number(event.key));
    else if (event.key === "Delete" || event.key === "Backspace") this.drawing.clear();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  movePen(move, down) {
    const from = this.at;
    this.at = from.map((value, axis) => Math.round(1000 * Math.min(1, Math.max(0, value + STEP * move[axis]))) / 1000);
    const before = this.drawing.before;
    const last = before.at(-1)?.at(-1);
    const going = this.byKeys && down && last && last.every((value, axis) => value === from[axis]); // the line goes on
    if (down) this.drawing.set({ strokes: going ? [...before.slice(0, -1), [...before.at(-1), this.at]] : [...before, [from, this.at]], example: null }, { remember: !going, gesture: null });
    this.byKeys = down;
    this.redraw();
  }

  // ---- drawing -----------------------------------------------------------------------------------------------------

  retheme() {
    this.palette = null;
    super.retheme();
  }

  draw() {
    const { drawing } = this;
    const { answer } = drawing;
    if (!this.palette) {
      this.palette = new Palette(this.root);
      this.shown = null;
      this.examples.forEach((button, digit) => paintInk(button.firstChild, drawing.examples.subarray(64 * digit, 64 * digit + 64), 16, this.root));
    }
    this.drawPaper();
    this.undoing.disabled = drawing.undone.length === 0;
    this.clearing.disabled = drawing.empty;
    this.shift.value = drawing.get("shift");
    setText(this.shifted, String(drawing.get("shift")));
    this.examples.forEach((button, digit) => button.setAttribute("aria-pressed", String(drawing.get("example") === digit)));
    if (answer !== this.shown || this.width !== this.root.clientWidth) {
      this.width = this.root.clientWidth;
      if (!answer.error) {
        this.drawLayers(answer);
        this.drawBars(answer);
      }
      this.shown = answer;
    }
    this.root.classList.toggle("dp-waiting", drawing.waiting || answer.error !== "");
    setText(this.status, drawing.waiting && !drawing.stale ? "waiting: Python is busy" : answer.learning ? "in training mode: asked again every 2 s" : "");
    if (!this.line && !drawing.pending && !answer.error) this.settle(answer);
    return { asked: drawing.get("_asked"), answered: answer.asked };
  }

  drawPaper() {
    const { drawing, palette } = this;
    const pen = this.fitCanvas(this.paper, PAPER, PAPER);
    pen.clearRect(0, 0, PAPER, PAPER);
    const example = drawing.get("example");
    if (example !== null) {
      pen.imageSmoothingEnabled = false;
      pen.drawImage(this.examples[example].firstChild, 0, 0, PAPER, PAPER);
    }
    Object.assign(pen, { strokeStyle: palette.ink, fillStyle: palette.ink, lineWidth: PEN * PAPER, lineCap: "round", lineJoin: "round" });
    for (const stroke of drawing.before) {
      pen.beginPath();
      pen.moveTo(PAPER * stroke[0][0], PAPER * stroke[0][1]);
      for (const [x, y] of stroke.length > 1 ? stroke : [stroke[0]]) pen.lineTo(PAPER * x, PAPER * y);
      pen.stroke();
    }
    if (drawing.empty) {
      Object.assign(pen, { fillStyle: palette.faint, font: `16px ${palette.font}`, textAlign: "center" });
      pen.fillText("draw a digit here", PAPER / 2, PAPER / 2);
    }
    if (this.keyed && this.paper.matches(":focus")) {
      Object.assign(pen, { strokeStyle: palette.window, lineWidth: 2 });
      pen.beginPath();
      pen.arc(PAPER * this.at[0], PAPER * this.at[1], 9, 0, 7);
      pen.stroke();
    }
  }

  drawLayers(answer) {
    const { size } = this.drawing.get("_fixed");
    const shades = bytesOf(answer.shades);
    const rows = [{ kinds: "input", size: `${size}×${size}`, shape: [1, size, size] }, ...answer.layers];
    const form = JSON.stringify(rows);
    if (form !== this.form) {
      this.form = form;
      this.canvases = rows.map(() => element("canvas", { "aria-hidden": "true" }));
      this.layers.replaceChildren(...rows.map(({ kinds, size: words }, at) => element("div", { class: "dp-layer", style: `--at: ${at}` }, element("span", {}, `${kinds} `, element("span", { class: "sk-hint" }, words)), this.canvases[at])));
    }
    const tallest = this.width > 1000 ? (TALLEST * 4) / 3 : TALLEST;
    const room = this.layers.clientWidth - 14;
    let start = 0;
    rows.forEach(({ shape: [count, height, width] }, at) => {
      const canvas = this.canvases[at];
      const values = shades.subarray(start, (start += count * height * width));
      const flat = count * height === 1;
      const across = flat ? Math.min(COLUMNS, width) : room / count < SMALLEST ? Math.ceil(count / 2) : count;
      if (at) paintMaps(canvas, values, count, height, width, across, answer.empty ? null : this.palette.signed.pixels);
      else paintInk(canvas, values, 255, this.root, size);
      const scale = Math.min(flat ? CELL : tallest / (at ? height : size), room / canvas.width);
      const fitted = scale > 1 ? Math.floor(scale * 4) / 4 : scale;
      Object.assign(canvas.style, { width: `${canvas.width * fitted}px`, height: `${canvas.height * fitted}px` });
    });
    this.layers.classList.toggle("dp-blank", answer.empty);
  }

  drawBars({ probabilities, empty }) {
    const rows = probabilities.map(([name]) => name).join();
    if (rows !== this.barNames) {
      this.barNames = rows;
      this.bars.replaceChildren(...probabilities.map(([name]) => element("div", { class: "dp-bar", "data-class": name }, element("span", {}, name), element("div", {}, element("div")), element("output", { "data-for": name }))));
    }
    const best = Math.max(...probabilities.map(([, p]) => p));
    probabilities.forEach(([, p], at) => {
      const [, track, number] = this.bars.children[at].children;
      track.firstChild.style.width = `${empty ? 0 : 100 * p}%`;
      setText(number, empty ? "" : probabilityText(p));
      this.bars.children[at].classList.toggle("dp-best", !empty && p === best);
    });
    const [name] = probabilities.find(([, p]) => p === best);
    this.said.replaceChildren(...(empty ? [] : [element("strong", {}, name), ` ${probabilityText(best)}`]));
  }

  /** The pen is up and everything answered: a light runs through the layers, and a screen reader hears the result. */
  settle({ empty, probabilities }) {
    const { strokes, example, shift } = this.drawing.snapshot();
    const last = this.settled;
    const redrawn = last && (strokes !== last.strokes || example !== last.example);
    if (last && !redrawn && shift === last.shift) return;
    this.settled = { strokes, example, shift };
    const [one, two] = probabilities.toSorted((a, b) => b[1] - a[1]);
    const also = two ? `, then ${two[0]}, ${probabilityText(two[1])}` : "";
    setText(this.spoken, empty ? "clean paper" : `The network says ${one[0]}, ${probabilityText(one[1])}${also}.`);
    if (empty || !redrawn) return;
    this.layers.classList.remove("dp-lit");
    void this.layers.offsetWidth; // so that the light starts anew
    this.layers.classList.add("dp-lit");
  }
}

/** One square picture of ink from 0 to `most`, in the text colour of `root` on whatever is behind it. */
function paintInk(canvas, values, most, root, size = 8) {
  const colour = getComputedStyle(root).color.match(/\d+/g).slice(0, 3).map(Number);
  tileOf(size, size, (i) => pixelOf(...colour, Math.round((255 * values[i]) / most)), canvas);
}

/** Maps in rows of `across` with a gap of one pixel; numbers without a gap. Without colours: blank. */
function paintMaps(canvas, values, count, height, width, across, pixels) {
  const [tiles, side, gap] = count * height === 1 ? [width, 1, 0] : [count, width, 1];
  canvas.width = across * (side + gap) - gap;
  canvas.height = Math.ceil(tiles / across) * (height + gap) - gap;
  const picture = new ImageData(canvas.width, canvas.height);
  const target = new Uint32Array(picture.data.buffer);
  for (let tile = 0, at = 0; tile < tiles; tile++) {
    const corner = Math.floor(tile / across) * (height + gap) * canvas.width + (tile % across) * (side + gap);
    for (let row = 0; row < height; row++)
      for (let column = 0; column < side; column++) target[corner + row * canvas.width + column] = pixels ? pixels[values[at++]] : 0;
  }
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

export default widgetOf((model) => new Drawing(model), (drawing, el) => new DrawPadView(drawing, el));
