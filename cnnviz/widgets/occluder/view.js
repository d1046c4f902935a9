// A square that is dragged over a picture. Python computes the answers for all places by itself, so nothing is asked: first
// one place, then few, then all.
import { element, listen, setText } from "../js/dom.js";
import { probabilityText } from "../js/number.js";
import { Palette } from "../js/palette.js";
import { bytesOf, pictureOf } from "../js/pixels.js";
import { WidgetSession, widgetOf } from "../js/session.js";
import { WidgetView } from "../js/view.js";

const LARGEST_SIDE = 300; // CSS pixels of a picture
const [TWO_COLUMNS, THREE_COLUMNS] = [340, 700]; // CSS pixels of the widget
const THUMB = 44;
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const HINT = "Drag the square, or move it with the arrow keys. The map keeps what it cost where it has been: strong colour, much. The line at a bar is the answer without the square.";

/** Pictures, tables and the places that the square has been to. */
class Covering extends WidgetSession {
  constructor(model) {
    super(model, ["picture", "size", "position", "revealed"], ["position"]);
    this.visited = new Map(); // for each picture and size: the step between places, and which were seen
    this.read();
    model.on("change:_fixed", () => this.read());
  }

  read() {
    this.fixed = this.get("_fixed");
    this.pictures = this.fixed.pictures.map((one) => ({ ...one, rgb: bytesOf(one.rgb), tables: one.tables.map((text) => new Uint16Array(bytesOf(text).buffer)) }));
  }

  get shown() {
    return this.pictures[this.get("picture")];
  }

  get table() {
    return this.shown.tables[this.fixed.sizes.indexOf(this.get("size"))];
  }

  /** Rows and columns of places. */
  get extent() {
    return this.shown.extents[this.fixed.sizes.indexOf(this.get("size"))];
  }

  /** The place where the square is: [row, column] of the table. */
  get place() {
    const { step } = this.shown;
    return this.get("position").map((at, axis) => Math.min(Math.floor((at + Math.floor(step / 2)) / step), this.extent[axis] - 1));
  }

  /** The probabilities at a place, as shares. */
  at([row, column]) {
    const count = this.shown.names.length;
    const first = (row * this.extent[1] + column) * count;
    return Array.from(this.table.subarray(first, first + count), (value) => value / 65535);
  }

  /** What is left of the target's probability at a place. */
  left(place) {
    return this.at(place)[this.shown.target];
  }

  get trail() {
    const key = `${this.get("picture")} ${this.get("size")}`;
    const [rows, columns] = this.extent;
    const last = this.visited.get(key);
    if (last?.rows === rows && last?.columns === columns) return last.seen;
    const seen = new Uint8Array(rows * columns);
    const finer = last ? last.step / this.shown.step : 1; // places of a coarser table are places of this one
    last?.seen.forEach((was, at) => (seen[Math.floor(at / last.columns) * finer * columns + (at % last.columns) * finer] = was));
    this.visited.set(key, { rows, columns, step: this.shown.step, seen });
    return seen;
  }

  /** Moves the square to a place, or as near as it can come, and marks the places on the way. */
  go(place) {
    const to = place.map((at, axis) => Math.min(Math.max(at, 0), this.extent[axis] - 1));
    const from = this.place;
    const [trail, columns] = [this.trail, this.extent[1]];
    const far = Math.max(1, ...to.map((at, axis) => Math.abs(at - from[axis])));
    for (let i = 0; i <= far; i++) {
      const [row, column] = to.map((at, axis) => Math.round(from[axis] + ((at - from[axis]) * i) / far));
      trail[row * columns + column] = 1;
    }
    this.set({ position: to.map((at) => at * this.shown.step) }, { remember: false });
  }

  /** The visited place at which least is left; null before the first move. */
  get lowest() {
    const columns = this.extent[1];
    let best = null;
    this.trail.forEach((seen, at) => {
      const place = [Math.floor(at / columns), at % columns];
      if ((seen || this.get("revealed")) && (!best || this.left(place) < this.left(best))) best = place;
    });
    return best;
  }

  reset() {
    this.visited.clear();
    super.reset();
    this.notify();
  }
}

class OccluderView extends WidgetView {
  constructor(session, el) {
    super(session, el, "occluder", "cnnviz-oc");
    this.images = session.pictures.map(({ rgb }) => pictureOf(rgb, session.fixed.shape));
    this.build();
    this.palette = new Palette(this.root);
    this.begin();
  }

  get alone() {
    return "The square still answers";
  }

  build() {
    const { session } = this;
    const { sizes } = session.fixed;
    this.thumbs = session.pictures.map(({ names, target }, at) => {
      const title = `picture ${at + 1}, ${names[target]}`;
      return element("button", { type: "button", class: "oc-thumb", title, "aria-label": title, onclick: () => session.set({ picture: at }, { gesture: null }) }, this.thumb(this.images[at]));
    });
    this.size = element("input", { type: "range", "data-name": "size", min: 0, max: sizes.length - 1, "aria-label": "side of the square, pixels", oninput: () => session.set({ size: sizes[this.size.value] }) });
    this.sized = element("output", { "data-for": "size" });
    const sizing = element("label", { class: "sk-slider oc-size" }, "square", this.size, this.sized);
    sizing.hidden = sizes.length === 1;
    this.reveal = this.button("reveal", "", "the map of all places, or only of those visited", () => session.set({ revealed: !session.get("revealed") }, { gesture: null }));
    this.undoing = this.button("undo", "Undo", "undo (Ctrl+Z)", () => session.undo());
    this.covered = element("canvas", { class: "oc-covered", role: "img" });
    this.map = element("canvas", { class: "oc-map", role: "img" });
    this.dragged(this.covered);
    this.dragged(this.map);
    this.said = element("div", { class: "oc-said" });
    this.bars = element("div");
    this.mapText = element("div", { class: "sk-hint oc-map-text" });
    this.lowest = element("div", { class: "oc-lowest" });
    this.spoken = element("div", { class: "sk-description", role: "status" });
    const pictures = element("div", { class: "oc-thumbs", role: "group", "aria-label": "pictures" }, ...this.thumbs);
    pictures.hidden = this.thumbs.length === 1;
    this.progress = element("div", { class: "sk-hint oc-progress" });
    this.root.append(
      element("div", { class: "sk-row sk-bar" }, pictures, sizing, element("span", { class: "sk-space" }), this.reveal, this.undoing, this.button("reset", "Reset", "back to the beginning", () => session.reset())),
      element("div", { class: "oc-parts sk-figure" }, this.covered, this.lowest, this.map, this.mapText, element("div", { class: "oc-answer" }, this.said, this.bars, this.progress)),
      element("div", { class: "sk-hint" }, HINT), this.message, this.spoken);
    listen(this.root, "keydown", (event) => this.key(event));
    this.root.locate = (...place) => this.locate(...place);
  }

  thumb(image) {
    const { width, height } = image;
    const scale = THUMB / Math.max(width, height);
    const canvas = element("canvas", { "aria-hidden": "true", width, height, style: `width: ${width * scale}px; height: ${height * scale}px` });
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas;
  }

  // ---- the hand ----------------------------------------------------------------------------------------------------

  /** On the picture and on the map alike: the square follows, held where it was taken, else in its middle. */
  dragged(canvas) {
    for (const type of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) {
      listen(canvas, type, (event) => {
        if (type === "pointerdown" && event.isPrimary && event.button === 0) {
          event.preventDefault();
          canvas.setPointerCapture(event.pointerId);
          this.root.focus({ preventScroll: true });
          this.grip = this.gripAt(this.pixelAt(canvas, event), canvas === this.covered);
        }
        if (!this.grip || !event.isPrimary) return;
        const { step } = this.session.shown;
        if (type !== "pointercancel") this.session.go(this.pixelAt(canvas, event).map((at, axis) => Math.round((at - this.grip[axis]) / step)));
        if (type === "pointermove" || type === "pointerdown") return;
        this.grip = null;
        this.redraw(); // now it is told to a screen reader
      });
    }
  }

  /** Row and column of the pixel under the pointer, with a fraction. */
  pixelAt(canvas, { clientX, clientY }) {
    const box = canvas.getBoundingClientRect();
    return [(clientY - box.top) / this.cell, (clientX - box.left) / this.cell];
  }

  gripAt(pixel, onPicture) {
    const size = this.session.get("size");
    const grip = pixel.map((at, axis) => at - this.session.place[axis] * this.session.shown.step);
    return onPicture && grip.every((n) => n >= 0 && n <= size) ? grip : [size / 2, size / 2];
  }

  key(event) {
    const step = STEPS[event.key];
    if (!step || event.target !== this.root || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.session.go(this.session.place.map((at, axis) => at + step[axis]));
  }

  // ---- drawing -----------------------------------------------------------------------------------------------------

  draw() {
    const { session, root } = this;
    const { sizes, shape } = session.fixed;
    const wide = root.clientWidth;
    const columns = wide >= THREE_COLUMNS ? 3 : wide >= TWO_COLUMNS ? 2 : 1;
    const side = Math.min(LARGEST_SIDE, columns === 3 ? (wide - 264) / 2 : columns === 2 ? wide - 206 : 200);
    this.cell = Math.max(side, 120) / Math.max(...shape);
    root.dataset.columns = columns;
    root.style.setProperty("--oc-side", `${shape[1] * this.cell}px`);
    this.drawCovered();
    this.drawMap();
    this.drawBars();
    this.thumbs.forEach((thumb, at) => thumb.setAttribute("aria-pressed", String(session.get("picture") === at)));
    this.size.value = sizes.indexOf(session.get("size"));
    setText(this.sized, `${session.get("size")}×${session.get("size")}`);
    setText(this.reveal, session.get("revealed") ? "Only my trail" : "Show all places");
    this.undoing.disabled = session.undone.length === 0;
    const share = session.get("_share");
    this.progress.style.visibility = share < 1 ? "visible" : "hidden"; // its room is kept: nothing jumps
    setText(this.progress, `computing the other places: ${Math.floor(100 * share)} %`);
  }

  canvasPen(canvas) {
    const [high, wide] = this.session.fixed.shape;
    const pen = this.fitCanvas(canvas, wide * this.cell, high * this.cell);
    pen.imageSmoothingEnabled = false;
    return pen;
  }

  drawCovered() {
    const { session, cell, palette } = this;
    const [high, wide] = session.fixed.shape;
    const pen = this.canvasPen(this.covered);
    pen.drawImage(this.images[session.get("picture")], 0, 0, wide * cell, high * cell);
    const [y, x] = session.place.map((at) => at * session.shown.step * cell);
    const side = session.get("size") * cell;
    pen.fillStyle = `rgb(${session.shown.shade.join()})`;
    pen.fillRect(x, y, side, side);
    Object.assign(pen, { strokeStyle: palette.window, lineWidth: 3 });
    pen.strokeRect(x + 1.5, y + 1.5, side - 3, side - 3);
    this.covered.setAttribute("aria-label", `the picture, ${wide} by ${high} pixels, with the square; drag it or use the arrow keys`);
  }

  drawMap() {
    const { session, cell, palette } = this;
    const { shape } = session.fixed;
    const { trail, extent: [rows, columns], shown: { step, uncovered, target, names } } = session;
    const pen = this.canvasPen(this.map);
    pen.clearRect(0, 0, shape[1] * cell, shape[0] * cell);
    const block = step * cell;
    const inset = ((session.get("size") - step) / 2) * cell; // a place is drawn in the middle of its square
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        if (!trail[row * columns + column] && !session.get("revealed")) continue;
        const lost = Math.min(Math.max(1 - session.left([row, column]) / uncovered[target], 0), 1);
        pen.fillStyle = palette.counts.css[Math.round(255 * lost)];
        pen.fillRect(inset + column * block, inset + row * block, block + 0.5, block + 0.5);
      }
    }
    Object.assign(pen, { strokeStyle: palette.grid, lineWidth: 1 });
    pen.strokeRect(inset, inset, columns * block, rows * block);
    const [row, column] = session.place;
    Object.assign(pen, { strokeStyle: palette.window, lineWidth: 2.5 });
    pen.strokeRect(inset + column * block - 1, inset + row * block - 1, block + 2, block + 2);
    const { lowest } = session;
    setText(this.mapText, `the map: how much of ${names[target]} is lost with the square around this point`);
    setText(this.lowest, lowest ? `lowest ${session.get("revealed") ? "of all" : "so far"}: ${probabilityText(session.left(lowest))} left of ${names[target]}, at row ${lowest[0] * step}, column ${lowest[1] * step}` : "");
    this.map.setAttribute("aria-label", this.mapText.textContent);
  }

  drawBars() {
    const { session } = this;
    const { names, uncovered, target } = session.shown;
    if (names !== this.barNames) {
      this.barNames = names;
      this.bars.replaceChildren(...names.map((name, at) => element("div", { class: "oc-bar", "data-class": name, title: `without the square: ${name} ${probabilityText(uncovered[at])}` }, element("span", {}, name), element("div", {}, element("div"), ...(uncovered[at] < 0.005 ? [] : [element("i", { style: `left: ${100 * uncovered[at]}%` })])), element("output", { "data-for": name }))));
    }
    const now = session.at(session.place);
    const best = now.indexOf(Math.max(...now));
    now.forEach((share, at) => {
      const [, track, number] = this.bars.children[at].children;
      track.firstChild.style.width = `${100 * share}%`;
      setText(number, probabilityText(share));
      this.bars.children[at].classList.toggle("oc-best", at === best);
    });
    this.said.replaceChildren(element("strong", {}, names[best]), ` ${probabilityText(now[best])}`);
    this.said.classList.toggle("oc-fooled", best !== target);
    const [row, column] = session.place.map((at) => at * session.shown.step);
    if (!this.grip) setText(this.spoken, `The square is at row ${row}, column ${column}. The network says ${names[best]}, ${probabilityText(now[best])}; without the square ${names[target]}.`);
  }

  /** Client coordinates of the middle of the square, if it were at this row and column, for tests. */
  locate(row, column) {
    const box = this.covered.getBoundingClientRect();
    const half = this.session.get("size") / 2;
    return { x: box.left + (column + half) * this.cell, y: box.top + (row + half) * this.cell };
  }
}

export default widgetOf((model) => new Covering(model), (session, el) => new OccluderView(session, el));
