// The live view: progress and controls, the curves, and the slider that looks back.
import { element, listen, setText } from "../js/dom.js";
import { numberText } from "../js/number.js";
import { Palette } from "../js/palette.js";
import { widgetOf } from "../js/session.js";
import { WidgetView } from "../js/view.js";
import { Panel, percentText, rangeOf, roundTicks, shortText } from "./chart.js";
import { Training, epochAt } from "./store.js";
import { drawShot } from "./shots.js";

const REPLAY_MS = 8000;
const DECADES = 3; // of the learning rate to either side of where it stood first
const KINDS = ["train", "test"];
const GHOST_DASHES = [[2, 3], [7, 3], [9, 3, 2, 3], [1, 5]];
const WORDS = { finished: "finished", stopped: "stopped", failed: "failed", paused: "paused", recorded: "recorded run", earlier: "ended" };

class LiveView extends WidgetView {
  constructor(session, el) {
    super(session, el, "training, live", "cnnviz-lp");
    this.palette = new Palette(this.root);
    this.hidden = new Set();
    this.until = Infinity; // in epochs: the curves up to here are drawn in full
    this.cursor = null; // { panel, x } under the pointer
    this.build();
    this.begin();
  }

  build() {
    const ask = (kind) => () => this.session.ask({ kind });
    this.headline = element("strong", { class: "lp-headline" });
    this.place = element("span", { class: "lp-place" });
    this.pause = this.button("pause", "Pause", "pause or go on (space)", () => this.pauseOrResume());
    this.stop = this.button("stop", "Stop", "stop after this step", ask("stop"));
    this.progress = element("progress", { max: 1, value: 0, "aria-label": "share of the training that is done" });
    this.rate = element("input", { type: "range", "data-name": "lr", step: 0.02, "aria-label": "learning rate", oninput: () => this.steer() });
    this.rateText = element("output", { "data-for": "lr" });
    this.rateRow = element("label", { class: "sk-slider" }, element("span", {}, "learning rate"), this.rate, this.rateText);
    this.log = this.box("log", "log scale of the loss", false, () => this.redraw());
    this.legend = element("div", { class: "sk-switches lp-legend" });
    this.runs = element("div", { class: "sk-switches lp-legend" });
    this.canvas = element("canvas", { class: "lp-curves", role: "img", onpointermove: (event) => this.point(event), onpointerleave: () => this.pointAt(null) });
    this.readout = element("div", { class: "lp-readout" });
    this.replay = this.button("replay", "▶ Replay", "play the run again", () => this.play());
    this.back = element("input", { type: "range", "data-name": "back", min: 0, step: 1, "aria-label": "look back: epoch", oninput: () => this.lookBack(Number(this.back.value)) });
    this.backText = element("output", { "data-for": "back" });
    this.backRow = element("div", { class: "sk-slider lp-back" }, element("span", {}, "look back"), this.back, this.backText, this.replay);
    this.shots = element("canvas", { class: "lp-shots", role: "img" });
    this.root.append(
      element("div", { class: "sk-row lp-head" }, element("div", { class: "sk-space" }, this.headline, this.place), this.pause, this.stop), this.progress,
      this.message, this.legend, this.runs, element("div", { class: "sk-figure" }, this.canvas), this.readout,
      element("div", { class: "lp-sliders" }, this.rateRow, this.backRow), element("div", { class: "sk-figure" }, this.shots),
    );
    listen(this.root, "keydown", (event) => this.key(event));
  }

  /** A switch; `swatch` is the look of its line. */
  box(name, words, checked, onchange, swatch) {
    const input = element("input", { type: "checkbox", "data-name": name, onchange });
    input.checked = checked;
    const node = element("label", { class: "sk-switch" }, input, ...(swatch ? [swatch] : []), element("span", {}, words));
    return { node, input, text: node.lastChild };
  }

  // ---- what the reader does ----------------------------------------------------------------------------------------

  toggle(id) {
    if (!this.hidden.delete(id)) this.hidden.add(id);
    this.redraw();
  }

  pauseOrResume() {
    this.session.ask({ kind: this.session.going.some(({ state }) => state === "running") ? "pause" : "resume" });
  }

  steer() {
    const value = Number((10 ** Number(this.rate.value)).toPrecision(3));
    setText(this.rateText, numberText(value));
    this.session.ask({ kind: "lr", value });
  }

  lookBack(epoch) {
    cancelAnimationFrame(this.playing);
    this.until = epoch >= Number(this.back.max) ? Infinity : epoch;
    this.redraw();
  }

  play() {
    const start = performance.now();
    cancelAnimationFrame(this.playing);
    const tick = (now) => {
      const share = (now - start) / REPLAY_MS;
      this.until = share < 1 ? Math.max(0, share) * this.session.reached : Infinity;
      this.redraw();
      if (share < 1) this.playing = requestAnimationFrame(tick);
    };
    this.playing = requestAnimationFrame(tick);
  }

  point(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    const panel = this.panels?.findIndex((one) => one.xAt(x, y) !== null) ?? -1;
    this.pointAt(panel < 0 ? null : { panel, x: this.panels[panel].xAt(x, y) });
  }

  pointAt(cursor) {
    if (cursor === this.cursor) return;
    this.cursor = cursor;
    this.redraw();
  }

  key(event) {
    if (event.target.closest("input, button, summary") || event.altKey || event.ctrlKey || event.metaKey) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === " ") this.pauseOrResume();
    else if (event.key === "Escape") this.pointAt(null);
    else if (step && this.panels) {
      const { panel, x } = this.cursor ?? { panel: 0, x: 0 };
      const { xLow, xHigh } = this.panels[panel];
      this.pointAt({ panel, x: Math.min(xHigh, Math.max(xLow, x + (step * (xHigh - xLow)) / 50)) });
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // ---- drawing -----------------------------------------------------------------------------------------------------

  get wrong() {
    const failed = this.session.own.filter(({ error }) => error);
    return this.session.refusal || failed.map(({ name, error }) => (this.session.own.length > 1 ? `${name}: ${error}` : error)).join(" · ");
  }

  get alone() {
    return "What it had sent stays";
  }

  retheme() {
    this.legendOf = null;
    super.retheme();
  }

  draw() {
    const { session } = this;
    if (session.tracks.length === 0) return setText(this.headline, "waiting for the first numbers …");
    this.root.tracks = session.tracks;
    this.drawHead();
    this.drawLegend();
    this.drawControls();
    this.drawCurves();
    this.drawShots();
  }

  drawHead() {
    const { going, first, own } = this.session;
    const shares = own.map(({ step, steps }) => (steps ? step / steps : 1));
    this.progress.value = shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length);
    this.readout.classList.toggle("lp-many", this.session.tracks.length > 1); // two lines
    setText(this.headline, own.length > 1 ? `${own.length} runs` : testText(first, this.until) || "training");
    setText(this.place, own.length < 2 ? placeText(first) : going.length ? `${going.length} going on${leftText(going)}` : "all ended");
  }

  drawControls() {
    const { going, first, own, stale } = this.session;
    const paused = going.length > 0 && going.every(({ state }) => state === "paused");
    setText(this.pause, paused ? "Resume" : "Pause");
    this.pause.disabled = this.stop.disabled = this.rate.disabled = going.length === 0 || stale;
    this.pause.hidden = this.stop.hidden = Boolean(this.session.model.alone);
    this.rateRow.hidden = first.lr === null || first.lr === undefined || own.length > 1;
    if (!this.rateRow.hidden && first.lr !== this.rateSeen) {
      this.rateStart ??= Math.log10(first.lr);
      [this.rate.min, this.rate.max] = [this.rateStart - DECADES, this.rateStart + DECADES];
      this.rate.value = Math.log10(first.lr);
      this.rateSeen = first.lr;
      setText(this.rateText, numberText(first.lr));
      this.rate.setAttribute("aria-valuetext", numberText(first.lr));
    }
    const { reached } = this.session;
    this.replay.style.visibility = going.length > 0 || reached === 0 ? "hidden" : "visible";
    this.back.disabled = reached === 0;
    this.back.max = Math.max(1, Math.ceil(reached));
    this.back.value = Math.min(this.until, this.back.max);
    setText(this.backText, this.until === Infinity ? "now" : `epoch ${numberText(Number(this.until.toFixed(1)))}`);
  }

  /** Runs of one plot differ in colour, a single run's two curves do; earlier runs are grey, dashed, and tests alone. */
  styles() {
    const { tracks, own } = this.session;
    const css = getComputedStyle(this.root);
    const colour = (name) => css.getPropertyValue(`--lp-${name}`).trim();
    let ghosts = 0;
    return tracks.map((track) => {
      if (!own.includes(track)) {
        const dash = GHOST_DASHES[ghosts++ % GHOST_DASHES.length];
        return { name: `before: ${track.name}`, ghost: true, dash, colour: this.palette.faint, train: { width: 1, dash }, test: { width: 1.5, dash } };
      }
      const several = own.length > 1;
      const run = colour(`run${own.indexOf(track)}`);
      return {
        name: track.name, dash: [], colour: several ? run : colour("test"),
        train: { colour: several ? run : colour("train"), width: 1.5, alpha: several ? 0.6 : 1 },
        test: { colour: several ? run : colour("test"), width: 2.5, dots: track.test.loss.length < 60 },
      };
    });
  }

  drawLegend() {
    const { tracks, own } = this.session;
    this.look = this.styles();
    const key = JSON.stringify(this.look.map(({ name, dash }) => [name, dash]));
    if (key !== this.legendOf) this.buildLegend(key);
    tracks.forEach((track, at) => {
      if (this.boxes[at] && own.includes(track)) setText(this.boxes[at].text, [`${track.name}: ${stateText(track)}`, testText(track)].filter(Boolean).join(", "));
    });
  }

  buildLegend(key) {
    this.legendOf = key;
    const several = this.session.own.length > 1;
    const toggled = (id, name, words, ...swatch) => this.box(name, words, !this.hidden.has(id), () => this.toggle(id), swatchOf(...swatch));
    const own = this.look.find(({ ghost }) => !ghost) ?? this.look[0];
    const kinds = KINDS.map((kind, at) => toggled(kind, kind, several ? `${kind}, ${["thin", "thick"][at]}` : kind, several ? this.palette.faint : (own[kind].colour ?? own.colour), own[kind].width, []));
    this.boxes = this.look.length > 1 ? this.look.map(({ name, colour, dash }, at) => toggled(at, `run${at}`, name, colour, 3, dash)) : [];
    this.legend.replaceChildren(...kinds.map(({ node }) => node), this.log.node);
    this.runs.replaceChildren(...this.boxes.map(({ node }) => node));
  }

  linesOf(field) {
    return this.session.tracks.flatMap((track, at) => {
      const look = this.look[at];
      const kinds = KINDS.filter((kind) => !this.hidden.has(kind)).slice(look.ghost ? -1 : 0);
      const run = this.look.length > 1 ? look.name : "";
      return this.hidden.has(at) ? [] : kinds.map((kind) => ({ colour: look.colour, curve: track[kind], values: track[kind][field], run, kind, ...look[kind] }));
    });
  }

  normLines() {
    const curve = { start: -0.5, spacing: 1 }; // point i stands at i
    return this.session.tracks.flatMap(({ norms }, at) => {
      const { name, colour, dash } = this.look[at];
      return this.hidden.has(at) ? [] : [{ curve, values: norms, run: this.look.length > 1 ? name : "", kind: "", colour, dash, width: 1.5, dots: true }];
    });
  }

  drawCurves() {
    const { session, palette } = this;
    const width = Math.floor(this.root.clientWidth - 26);
    const norms = session.tracks.some(({ state, layers }) => state === "running" || state === "paused" || layers?.length);
    this.panels = this.panelsFor(width, norms);
    const height = Math.max(...this.panels.map((panel) => panel.y + panel.height));
    const context = this.fitCanvas(this.canvas, width, height);
    context.clearRect(0, 0, width, height);
    this.panels.forEach((panel, at) => panel.draw(context, palette, at < 2 ? this.until : Infinity));
    this.drawReadout(context);
    this.canvas.setAttribute("aria-label", this.description());
  }

  panelsFor(width, norms) {
    const { session } = this;
    const epochs = { xLow: 0, xHigh: session.epochs, ticks: (room) => roundTicks(0, session.epochs, Math.min(session.epochs, room / 60)).map((x) => [x, numberText(x)]) };
    const wide = width >= 900 && norms;
    const phone = width < 440; // the panels stand below each other
    const part = phone ? width : Math.floor(width * (wide ? 0.37 : 0.5));
    const [lossLines, accuracyLines, normLines] = [this.linesOf("loss"), this.linesOf("accuracy"), this.normLines()];
    const height = wide ? 270 : phone ? 190 : 235;
    const log = this.log.input.checked;
    const [low, high] = rangeOf(lossLines, log);
    const [least, most] = rangeOf(normLines, true);
    const panels = [
      new Panel({ x: 0, y: 0, width: part, height, title: "loss, by epoch", lines: lossLines, low, high, log, text: shortText, ...epochs }),
      new Panel({ x: phone ? 0 : part, y: phone ? height : 0, width: part, height, title: "accuracy, by epoch", lines: accuracyLines, low: 0, high: 1, text: percentText, ...epochs }),
    ];
    if (!norms) return panels;
    const place = wide ? { x: 2 * part, y: 0, width: width - 2 * part, height } : { x: 0, y: phone ? 2 * height : height, width, height: 130 };
    const layers = session.layers;
    const deepest = Math.max(1, layers.length - 1);
    const ends = () => [[0, layers[0] ?? ""], [deepest, layers.length > 1 ? layers.at(-1) : ""]];
    return [...panels, new Panel({ ...place, title: "gradient norm, by layer", lines: normLines, low: least, high: most, log: true, xLow: 0, xHigh: deepest, ticks: ends, text: shortText })];
  }

  drawReadout(context) {
    const panel = this.cursor && this.panels[this.cursor.panel];
    if (!panel) return setText(this.readout, "");
    const { panel: at, x } = this.cursor;
    if (at < 2) this.panels[1 - at].read(context, this.palette, x);
    const found = panel.read(context, this.palette, at === 2 ? Math.round(x) : x);
    const where = at === 2 ? (this.session.layers[Math.round(x)] ?? "") : `epoch ${numberText(Number(x.toFixed(1)))}, ${["loss", "accuracy"][at]}`;
    setText(this.readout, `${where}: ${found.join(" · ")}`);
  }

  description() {
    return this.session.tracks.map((track, at) => [this.look[at].name, placeText(track), testText(track)].filter(Boolean).join(", ")).join("; ");
  }

  drawShots() {
    const track = this.session.tracks.findLast(({ shots }) => shots.length > 0);
    this.shots.parentElement.hidden = !track;
    if (!track) return;
    const shot = track.shots.findLast(({ epoch }) => epoch <= this.until) ?? track.shots[0];
    const scale = Math.max(...track.shots.map((one) => one.scale));
    drawShot(this, this.shots, shot, scale, track.filters, this.session.own.length > 1 ? `, ${track.name}` : "");
  }

  close() {
    cancelAnimationFrame(this.playing);
    super.close();
  }
}

function swatchOf(colour, width, dash) {
  const style = dash.length ? "dashed" : "solid";
  const node = element("span", { class: "lp-swatch" });
  node.style.borderTop = `${width}px ${style} ${colour}`;
  return node;
}

/** Where a run is: epoch and batch, or how it ended. */
function placeText(track) {
  const { state, step, steps, epochs } = track;
  if (state === "recorded" || state === "finished") return `${WORDS[state]}, ${epochs} epochs`;
  const size = Math.max(1, Math.round(steps / epochs));
  const epoch = Math.min(epochs, Math.floor(step / size) + 1);
  const place = `epoch ${epoch} of ${epochs}, batch ${step - (epoch - 1) * size} of ${size}`;
  return state === "running" ? place + leftText([track]) : `${WORDS[state]} at ${place}`;
}

/** The same in a word or two, for one of several. */
function stateText(track) {
  return track.state === "running" ? `epoch ${Math.min(track.epochs, Math.floor(epochAt(track)) + 1)} of ${track.epochs}` : WORDS[track.state];
}

/** Of the last test before `until`. */
function testText({ test }, until = Infinity) {
  const accuracy = test.accuracy[Math.min(test.accuracy.length, Math.floor(until / test.spacing)) - 1];
  return Number.isFinite(accuracy) ? `test accuracy ${percentText(accuracy)}` : "";
}

function leftText(tracks) {
  const left = Math.max(...tracks.map((track) => track.left ?? 0));
  return left > 0 ? `, ${timeText(left)} left` : "";
}

function timeText(seconds) {
  if (seconds < 1) return "less than 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${numberText(Number((seconds / 3600).toPrecision(2)))} h`;
}

export default widgetOf((model) => new Training(model), (session, el) => new LiveView(session, el));
