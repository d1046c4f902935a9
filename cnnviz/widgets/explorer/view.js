// Leafing through a network: sliders for layer, channel and picture; the picture, one map large, all maps of the layer,
// and the pieces of the pictures that excite the channel most. A channel is changed here; for a layer or another
// picture Python is asked.
import { element, listen, setText } from "../js/dom.js";
import { numberText } from "../js/number.js";
import { Palette } from "../js/palette.js";
import { bytesOf, pictureOf } from "../js/pixels.js";
import { WidgetSession, widgetOf } from "../js/session.js";
import { WidgetView } from "../js/view.js";
import { Maps } from "./maps.js";

const REST_MS = 300; // without a new choice, before Python looks for what excites the channel
const THUMB = 32, SHOWN = 31, PIECE = 64, SPACE = 3;

const rounded = (value) => numberText(Number(value.toPrecision(3)));

class Exploring extends WidgetSession {
  constructor(model) {
    super(model, ["layer", "channel", "picture"]);
    this.layers = this.get("_fixed").layers.map(([name, kind, channels]) => ({ name, kind, channels }));
  }

  stop() {
    clearTimeout(this.rest);
    super.stop();
  }

  /** A network that learns is looked at again with each beat of its kernel, as long as somebody looks. */
  told(message) {
    super.told(message);
    if (message?.kind === "alive" && !document.hidden) this.model.send({ kind: "again" });
  }

  get place() {
    return this.layers.findIndex(({ name }) => name === this.get("layer"));
  }

  /** A layer with fewer channels has no channel of that number. */
  choose(layer) {
    const { name, channels } = this.layers[layer];
    this.set({ layer: name, channel: Math.min(this.get("channel"), channels - 1) }, { gesture: "layer" });
  }

  get sent() {
    return this.get("_of_all")?.[this.get("layer")] ?? this.get("_seen");
  }

  /** The maps that are there: of the choice, or, until Python has answered, of the last one. */
  get maps() {
    const { sent } = this;
    if (sent !== this.decoded && sent.maps) {
      this.decoded = sent;
      this.last = new Maps(sent);
    }
    return this.last;
  }

  get waiting() {
    const { of } = this.sent;
    return of !== undefined && (of[0] !== this.get("layer") || of[1] !== this.get("picture"));
  }

  /** What excites the channel most; asked for once the hand rests. */
  get best() {
    const best = this.get("_best");
    const key = JSON.stringify([this.get("layer"), this.get("channel")]);
    if (key !== this.wanted && !this.model.alone) {
      this.wanted = key;
      clearTimeout(this.rest);
      this.rest = setTimeout(() => this.model.send({ kind: "best" }), REST_MS);
    }
    return best.of?.[0] === this.get("layer") && best.of[1] === this.get("channel") ? best : null;
  }
}

class Explorer extends WidgetView {
  constructor(session, el) {
    super(session, el, "explorer of a network", "cnnviz-ex");
    this.palette = new Palette(this.root);
    this.unit = null; // under the pointer: { channel, row, column }
    this.build();
    this.begin();
  }

  build() {
    const { session } = this;
    const { count } = session.get("_fixed");
    const alone = Boolean(session.model.alone);
    this.names = element("select", { "data-name": "layer", "aria-label": "layer", onchange: () => session.choose(this.names.selectedIndex) },
      ...session.layers.map(({ name, kind }) => element("option", {}, `${name} (${kind})`)));
    this.sliders = {
      depth: this.slider("depth", session.layers.length, (value) => session.choose(value)),
      channel: this.slider("channel", 1, (channel) => session.set({ channel })),
      picture: this.slider("picture", count, (picture) => session.set({ picture })),
    };
    this.names.disabled = this.sliders.depth.input.disabled = alone && !session.get("_of_all")[session.get("layer")];
    this.sliders.picture.input.disabled = alone; // its maps are in the kernel
    this.own = element("input", { type: "checkbox", "data-name": "own", onchange: () => this.redraw() });
    this.said = element("div", { class: "ex-said" });
    this.given = this.figure("given");
    this.one = this.figure("one");
    this.all = this.figure("all");
    this.best = this.figure("best");
    this.thumbs = this.figure("thumbs");
    this.readout = element("div", { class: "ex-readout" });
    this.root.append(
      element("div", { class: "sk-row" }, this.names, element("span", { class: "sk-space" }), element("label", { class: "sk-switch" }, this.own, "each channel on its own scale")),
      element("div", { class: "sk-sliders" }, ...Object.values(this.sliders).map(({ node }) => node)), this.message,
      element("div", { class: "ex-parts" }, element("div", {}, this.given.node, this.said), this.one.node, this.all.node),
      this.readout, this.best.node, this.thumbs.node);
    this.thumbs.node.hidden = alone;
    this.hear();
  }

  slider(name, count, choose) {
    const input = element("input", { type: "range", "data-name": name, min: 0, max: count - 1, step: 1, "aria-label": name, oninput: () => choose(Number(input.value)) });
    const output = element("output", { "data-for": name });
    return { input, output, node: element("label", { class: "sk-slider" }, element("span", {}, name), input, output) };
  }

  figure(name) {
    const canvas = element("canvas", { class: `ex-${name}`, role: "img" });
    const words = element("div", { class: "ex-words" });
    return { canvas, words, node: element("div", { class: `sk-figure ex-${name}-part` }, words, canvas) };
  }

  hear() {
    const { session } = this;
    this.root.locate = (unit) => this.locate(unit); // for whoever drives the view
    const over = (canvas, find, act) => {
      listen(canvas, "pointermove", (event) => this.point(find(event)));
      listen(canvas, "pointerleave", () => this.point(null));
      if (act) listen(canvas, "click", (event) => act(find(event)));
    };
    over(this.all.canvas, (event) => this.tiles && session.maps?.under(this.tiles, event.offsetX, event.offsetY), (unit) => unit && session.set({ channel: unit.channel }));
    over(this.one.canvas, (event) => session.maps && { channel: session.get("channel"), ...session.maps.within(event.offsetX, event.offsetY, this.large[0], this.large[1]) });
    const pick = (numbers, side, event) => {
      const picture = numbers[Math.floor(event.offsetY / (side + SPACE)) * this.columns(side) + Math.floor(event.offsetX / (side + SPACE))];
      if (picture !== undefined && !session.model.alone) session.set({ picture });
    };
    listen(this.thumbs.canvas, "click", (event) => pick(Array.from({ length: session.get("_fixed").count }, (_, n) => n), SHOWN, event));
    listen(this.best.canvas, "click", (event) => pick(session.best?.numbers ?? [], PIECE, event));
  }

  /** Where on the page a number of the grid stands. */
  locate({ channel, row, column }) {
    const { left, top } = this.all.canvas.getBoundingClientRect();
    const [x, y] = this.tiles.place(channel);
    const { high, wide } = this.session.maps;
    return { x: left + x + ((column + 0.5) * this.tiles.across) / wide, y: top + y + ((row + 0.5) * this.tiles.down) / high };
  }

  point(unit) {
    if (JSON.stringify(unit) === JSON.stringify(this.unit)) return;
    this.unit = unit;
    this.redraw();
  }

  // ---- drawing -----------------------------------------------------------------------------------------------------

  get wrong() {
    return this.session.refusal || (this.session.sent.error ?? "");
  }

  get alone() {
    return "What was shown stays, and its channels can be chosen";
  }

  retheme() {
    this.painted = null;
    super.retheme();
  }

  draw() {
    const { session } = this;
    const { maps, waiting } = session;
    this.drawControls();
    this.root.classList.toggle("ex-waiting", waiting);
    if (!maps) return { waiting };
    const channel = Math.min(session.get("channel"), maps.count - 1); // of the last answer
    if (this.unit && (this.unit.channel >= maps.count || this.unit.row >= maps.high || this.unit.column >= maps.wide)) this.unit = null;
    this.paintTiles(maps);
    this.drawGiven(maps);
    this.drawOne(maps, channel);
    this.drawAll(maps, channel);
    this.drawBest();
    this.drawThumbs();
    setText(this.readout, this.unit ? this.unitText(maps) : this.channelText(maps, channel));
    return { waiting };
  }

  drawControls() {
    const { session, sliders } = this;
    const { place } = session;
    const layer = session.layers[place];
    this.names.selectedIndex = place;
    sliders.channel.input.max = Math.max(1, layer.channels - 1);
    sliders.channel.input.disabled = layer.channels === 1;
    const values = { depth: place, channel: session.get("channel"), picture: session.get("picture") };
    for (const [name, value] of Object.entries(values)) {
      sliders[name].input.value = value;
      setText(sliders[name].output, name === "depth" ? `${value + 1} of ${session.layers.length}` : `${value}`);
    }
  }

  /** The tiles are painted anew only when their numbers, their scale or the theme changed. */
  paintTiles(maps) {
    const own = this.own.checked;
    if (this.painted?.maps === maps && this.painted.own === own) return;
    this.painted = { maps, own, tiles: Array.from({ length: maps.count }, (_, channel) => maps.tile(channel, this.palette, own)) };
    this.source = pictureOf(bytesOf(maps.input), maps.size);
  }

  drawGiven({ size, said, ...maps }) {
    const { context, across, down } = this.sized(this.given.canvas, size);
    context.drawImage(this.source, 0, 0, across, down);
    setText(this.given.words, `picture ${this.session.sent.of?.[1] ?? this.session.get("picture")}: ${size.join(" × ")}`);
    setText(this.said, said && `the network says ${said}`);
    const box = this.unit && this.session.maps.box(this.unit);
    if (!box) return;
    const [top, left, high, wide] = box.map((at, n) => (at * (n % 2 ? across / size[1] : down / size[0])));
    context.lineWidth = 2;
    context.strokeStyle = this.palette.window;
    context.fillStyle = this.palette.tint;
    context.fillRect(left, top, wide, high);
    context.strokeRect(Math.max(1, left), Math.max(1, top), Math.min(across - 1, left + wide) - Math.max(1, left), Math.min(down - 1, top + high) - Math.max(1, top));
  }

  drawOne(maps, channel) {
    const { context, across, down } = this.sized(this.one.canvas, [maps.high, maps.wide]);
    this.large = [across, down];
    context.drawImage(this.painted.tiles[channel], 0, 0, across, down);
    if (maps.silent.has(channel)) this.cross(context, 0, 0, across, down);
    setText(this.one.words, `channel ${channel}: ${maps.high} × ${maps.wide}${maps.silent.has(channel) ? ", dead here" : ""}`);
    if (this.unit?.channel === channel) this.markUnit(context, maps, [0, 0], across, down);
  }

  drawAll(maps, channel) {
    const { canvas, words, node } = this.all;
    const grid = (this.tiles = maps.grid(node.clientWidth));
    const context = this.cleared(canvas, grid.width, grid.height);
    for (let n = 0; n < maps.count; n++) {
      const [x, y] = grid.place(n);
      context.drawImage(this.painted.tiles[n], x, y, grid.across, grid.down);
      context.lineWidth = 1;
      context.strokeStyle = this.palette.grid;
      context.strokeRect(x + 0.5, y + 0.5, grid.across - 1, grid.down - 1);
      if (maps.silent.has(n)) this.cross(context, x, y, grid.across, grid.down);
    }
    const [x, y] = grid.place(channel);
    context.lineWidth = 3;
    context.strokeStyle = this.palette.window;
    context.strokeRect(x + 1, y + 1, grid.across - 2, grid.down - 2);
    if (this.unit) this.markUnit(context, maps, grid.place(this.unit.channel), grid.across, grid.down);
    const dead = maps.silent.size ? `, ${maps.silent.size} dead here` : "";
    const colours = maps.signed ? "blue below zero, orange above" : "empty: zero";
    setText(words, `all ${maps.count} of ${this.session.sent.of?.[0] ?? this.session.get("layer")}${dead}; ${colours}`);
    canvas.setAttribute("aria-label", words.textContent);
  }

  drawBest() {
    const { session } = this;
    const { best } = session;
    const { count } = session.get("_fixed");
    const unasked = !best && Boolean(session.model.alone); // a page has the pieces of one channel, and nobody to ask
    const where = `is strongest in ${count === 1 ? "the picture" : `these ${count} pictures`}${best ? "" : " …"}`;
    const channel = `channel ${session.get("channel")}`;
    setText(this.best.words, unasked ? `in a notebook, the pieces that excite ${channel} most stand here` : `where ${channel} ${where}`);
    this.best.canvas.hidden = unasked;
    if (!best) return;
    const [high, wide] = best.side;
    const columns = this.columns(PIECE);
    const line = PIECE + 20;
    const context = this.cleared(this.best.canvas, this.root.clientWidth - 26, Math.ceil(best.numbers.length / columns) * line);
    if (this.pieces?.of !== best) {
      const bytes = bytesOf(best.pixels);
      this.pieces = { of: best, tiles: best.numbers.map((_, n) => pictureOf(bytes.subarray(n * 3 * high * wide), best.side)) };
    }
    context.font = `13px ${this.palette.font}`;
    context.fillStyle = this.palette.ink;
    best.numbers.forEach((number, n) => {
      const [x, y] = [(n % columns) * (PIECE + SPACE), Math.floor(n / columns) * line];
      const scale = PIECE / Math.max(high, wide);
      context.drawImage(this.pieces.tiles[n], x, y, wide * scale, high * scale);
      context.fillText(rounded(best.strengths[n]), x, y + PIECE + 14);
    });
    this.best.canvas.setAttribute("aria-label", `pieces of the pictures ${best.numbers.join(", ")}`);
  }

  drawThumbs() {
    const { count, thumbs, said } = this.session.get("_fixed");
    const width = this.root.clientWidth - 26;
    const columns = this.columns(SHOWN);
    if (!this.small) {
      const bytes = bytesOf(thumbs);
      this.small = Array.from({ length: count }, (_, n) => pictureOf(bytes.subarray(n * 3 * THUMB * THUMB), [THUMB, THUMB]));
    }
    const context = this.cleared(this.thumbs.canvas, width, Math.ceil(count / columns) * (SHOWN + SPACE));
    const chosen = this.session.get("picture");
    this.small.forEach((tile, n) => {
      const [x, y] = [(n % columns) * (SHOWN + SPACE), Math.floor(n / columns) * (SHOWN + SPACE)];
      context.drawImage(tile, x, y, SHOWN, SHOWN);
      if (n !== chosen) return;
      context.lineWidth = 3;
      context.strokeStyle = this.palette.window;
      context.strokeRect(x + 1.5, y + 1.5, SHOWN - 3, SHOWN - 3);
    });
    setText(this.thumbs.words, ["pictures", said].filter(Boolean).join(": "));
    this.thumbs.canvas.setAttribute("aria-label", `${count} pictures, picture ${chosen} is chosen`);
  }

  // ---- its parts ---------------------------------------------------------------------------------------------------

  columns(side) {
    return Math.max(1, Math.floor((this.root.clientWidth - 26 + SPACE) / (side + SPACE)));
  }

  cleared(canvas, width, height) {
    const context = this.fitCanvas(canvas, width, height);
    context.clearRect(0, 0, width, height);
    context.imageSmoothingEnabled = false;
    return context;
  }

  /** A canvas as wide as its part of the page, in the shape of what it shows. */
  sized(canvas, [high, wide]) {
    const side = canvas.parentElement.clientWidth;
    const [across, down] = [wide, high].map((n) => Math.round((side * n) / Math.max(high, wide)));
    return { context: this.cleared(canvas, across, down), across, down };
  }

  cross(context, x, y, across, down) {
    context.lineWidth = 1.5;
    context.strokeStyle = this.palette.faint;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + across, y + down);
    context.moveTo(x, y + down);
    context.lineTo(x + across, y);
    context.stroke();
  }

  markUnit(context, { high, wide }, [x, y], across, down) {
    const { row, column } = this.unit;
    context.lineWidth = 2;
    context.strokeStyle = this.palette.mark;
    context.strokeRect(x + (column * across) / wide, y + (row * down) / high, across / wide, down / high);
  }

  // ---- words -------------------------------------------------------------------------------------------------------

  unitText(maps) {
    const { channel, row, column } = this.unit;
    const box = maps.box(this.unit);
    const span = (axis) => {
      const [first, size] = [box[axis], maps.size[axis]];
      return [Math.max(0, first), Math.min(size, first + box[axis + 2]) - 1].join(" to ");
    };
    const sees = box ? `sees rows ${span(0)}, columns ${span(1)} of the picture` : "may see the whole picture";
    return `channel ${channel}, row ${row * maps.skip}, column ${column * maps.skip}: ${rounded(maps.at(this.unit))}; ${sees}`;
  }

  channelText(maps, channel) {
    const [low, high] = maps.ends(channel);
    return `channel ${channel}: from ${rounded(low)} to ${rounded(high)}. Point at a map to see what a unit sees; click on one to choose it.`;
  }
}

export default widgetOf((model) => new Exploring(model), (session, el) => new Explorer(session, el));
