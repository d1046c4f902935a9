// Four convolutions of one map, side by side: bars on one scale of multiply-adds, and under them the maps that fill.
import { element, listen, setText } from "../js/dom.js";
import { Palette } from "../js/palette.js";
import { widgetOf } from "../js/session.js";
import { WidgetView } from "../js/view.js";
import { LARGEST_SIZES, finishedValues, longest } from "./lanes.js";
import { paintLane, planLane } from "./paint.js";
import { OdometerSession } from "./session.js";

const CHANNEL_STOPS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512];
const STOPS = {
  in_channels: CHANNEL_STOPS,
  filters: CHANNEL_STOPS,
  kernel_size: Array.from({ length: LARGEST_SIZES.kernel_size }, (_, at) => at + 1),
  map_size: [1, 2, 4, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 48, 56, 64, 96, 112, 128, 192, 224, 256],
  groups: Array.from({ length: LARGEST_SIZES.filters }, (_, at) => at + 1),
};
const PACES = [60, 45, 30, 20, 15, 12, 9, 6, 4, 3, 2]; // seconds, from slow to fast
const FOLLOWED = 30; // values a second that an eye can follow a window through
const NARROW = 760;
const SCRUB = 1000;
const KEY_STEP = 0.01;
const HINT = "One colour: input maps and what is made of them alone. Grey: all of them together. Magenta: read and written now.";
const whole = (n) => n.toLocaleString("en");
const rounded = (x) => String(Number(x.toPrecision(3)));

class OdometerView extends WidgetView {
  constructor(session, el) {
    super(session, el, "multiply-add odometer", "cnnviz-od");
    this.build();
    this.palette = new Palette(this.root);
    this.begin();
  }

  get alone() {
    return "It still plays and follows the sliders";
  }

  get wrong() {
    return this.session.error || super.wrong;
  }

  retheme() {
    this.stops = null;
    super.retheme();
  }

  // ---- the page ----------------------------------------------------------------------------------------------------

  build() {
    const { session } = this;
    this.playing = this.button("play", "", "let all four work (space)", () => session.play());
    this.rewinding = this.button("rewind", "To start", "empty all outputs (Home)", () => session.go(0));
    this.undoing = this.button("undo", "Undo", "undo (Ctrl+Z)", () => session.undo());
    this.scrub = this.slider("progress", "MACs each", (at) => session.go(at / SCRUB));
    this.pace = this.slider("seconds", "speed", (at) => session.set({ seconds: this.pace.choices[at] }));
    this.sizes = Object.keys(STOPS).map((name) => this.slider(name, name.replace("_", " "), (at) => session.set({ [name]: this.sizeSlider(name).choices[at] })));
    this.facts = element("div", { class: "od-facts" });
    this.lanes = session.lanes.map(({ name }) => laneParts(name));
    this.description = element("div", { class: "sk-description", role: "status" });
    this.root.append(
      element("div", { class: "sk-row sk-bar" }, this.playing, this.rewinding, this.scrub.node, this.pace.node, this.undoing, this.button("reset", "Reset", "back to the beginning", () => session.reset())),
      element("div", { class: "sk-figure" },
        element("div", { class: "od-race" }, ...this.lanes.map(({ row }) => row)), this.facts,
        element("div", { class: "od-lanes" }, ...this.lanes.map(({ column }) => column))),
      element("div", { class: "sk-hint" }, HINT), this.message,
      element("div", { class: "sk-sliders" }, ...this.sizes.map(({ node }) => node)), this.description);
    listen(this.root, "keydown", (event) => this.key(event));
  }

  slider(name, words, change) {
    const input = element("input", { type: "range", "data-name": name, "aria-label": words, oninput: () => change(Number(input.value)) });
    const output = element("output", { "data-for": name });
    const update = (value, last, text) => {
      Object.assign(input, { min: 0, max: last, value, disabled: last === 0 });
      input.setAttribute("aria-valuetext", text);
      setText(output, text);
    };
    const part = { name, node: element("div", { class: "sk-slider" }, element("span", {}, words), input, output), update };
    part.choose = (choices, value, text) => {
      part.choices = [...new Set([...choices, value])].sort((a, b) => (name === "seconds" ? b - a : a - b));
      update(part.choices.indexOf(value), part.choices.length - 1, text);
    };
    return part;
  }

  sizeSlider(name) {
    return this.sizes.find((one) => one.name === name);
  }

  key(event) {
    if (event.target !== this.root || event.altKey || event.ctrlKey || event.metaKey) return;
    const { session } = this;
    const by = (step) => () => session.go(session.progress + step);
    const action = { " ": () => session.play(), ArrowRight: by(KEY_STEP), ArrowLeft: by(-KEY_STEP), Home: by(-1), End: by(1) }[event.key];
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  }

  // ---- drawing -----------------------------------------------------------------------------------------------------

  draw() {
    const { session } = this;
    if (!this.stops) this.readColours();
    const { lanes, given } = session;
    this.root.classList.toggle("od-narrow", this.root.clientWidth < NARROW);
    const width = Math.max(this.lanes[0].column.clientWidth, 60); // asked once, before anything is written
    this.root.style.setProperty("--od-digits", whole(longest(lanes)).length);
    this.lanes.forEach((parts, index) => this.drawLane(parts, lanes[index], given, width));
    setText(this.facts, ratioText(lanes));
    this.drawControls(given);
    if (!session.get("playing")) setText(this.description, `${this.lanes.map(({ told }) => told).join("; ")}. ${this.facts.textContent}`);
  }

  readColours() {
    const style = getComputedStyle(this.root);
    this.palette.panel = style.getPropertyValue("--sk-panel").trim();
    this.stops = ["first", "middle", "last"].map((name) => style.getPropertyValue(`--od-${name}`).split(" ").map(Number));
    this.shades = new Map();
  }

  /** The colour of a group, written once and not once a map and frame. */
  colour(group, groups) {
    if (groups === 1) return this.palette.faint;
    if (!this.shades.has(groups)) this.shades.set(groups, Array.from({ length: groups }, (_, at) => groupColour(at / (groups - 1), this.stops)));
    return this.shades.get(groups)[group];
  }

  drawLane(parts, lane, given, width) {
    const { session, palette } = this;
    const done = Math.min(given, lane.macs);
    const finished = finishedValues(lane, done);
    const over = done === lane.macs;
    drawRow(parts, lane, done, given, longest(session.lanes));
    parts.column.classList.toggle("od-over", over);
    parts.row.classList.toggle("od-over", over);
    setText(parts.sum, sumText(lane));
    const plan = planLane(lane, session.sizes.groups, width);
    const pen = this.fitCanvas(parts.canvas, plan.width, plan.height);
    pen.clearRect(0, 0, plan.width, plan.height);
    const atWork = lane.steps.find(({ values }, index) => finished[index] < values);
    const slow = !session.get("playing") || session.speed / (atWork?.each ?? 1) <= FOLLOWED;
    paintLane(pen, plan, lane, finished, { palette, slow, colour: (...group) => this.colour(...group) });
    const { values } = lane.steps.at(-1);
    parts.told = `${lane.name}: ${whole(done)} of ${sumText(lane)}, ${over ? "finished" : `${whole(finished.at(-1))} of ${whole(values)} output values`}`;
    parts.canvas.setAttribute("aria-label", parts.told);
  }

  drawControls(given) {
    const { session } = this;
    const { sizes } = session;
    const playing = session.get("playing");
    setText(this.playing, playing ? "Pause" : "Play");
    this.rewinding.disabled = session.progress === 0;
    this.undoing.disabled = session.undone.length === 0;
    this.scrub.update(Math.round(session.progress * SCRUB), SCRUB, whole(given));
    this.pace.choose(PACES, session.get("seconds"), `${shortened(session.speed)} MACs/s`);
    for (const one of this.sizes) one.choose(STOPS[one.name].filter((value) => isPossible(sizes, one.name, value)), sizes[one.name], String(sizes[one.name]));
  }
}

function laneParts(name) {
  const parts = { bar: element("div", { class: "od-bar" }), now: element("div", { class: "od-now" }), count: element("output"), sum: element("div", { class: "od-sum" }), canvas: element("canvas", { role: "img" }) };
  parts.row = element("div", { class: "od-row", "data-lane": name }, element("span", {}, name), element("div", { class: "od-track" }, parts.bar, parts.now), parts.count);
  parts.column = element("div", { class: "od-lane", "data-lane": name }, element("strong", {}, name), parts.sum, parts.canvas);
  return parts;
}

/** The bar of a lane on the scale of all, a part for each step, filled as far as its work is done. */
function drawRow({ bar, now, count }, { steps }, done, given, most) {
  while (bar.childElementCount < steps.length) bar.append(element("div", {}, element("div")));
  let before = 0;
  steps.forEach((step, index) => {
    const part = bar.children[index];
    part.style.width = `${(100 * step.macs) / most}%`;
    part.firstChild.style.width = `${(100 * Math.min(Math.max(done - before, 0), step.macs)) / step.macs}%`;
    before += step.macs;
  });
  now.style.left = `${(100 * given) / most}%`;
  setText(count, whole(done));
}

function sumText({ steps, shuffled, macs }) {
  const parts = [...steps.map((step) => whole(step.macs)), ...(shuffled ? ["0"] : [])];
  return `${parts.length > 1 ? `${parts.join(" + ")} = ` : ""}${whole(macs)} MACs`;
}

/** The formula of Howard et al. (2017) with the numbers in it; as in picture.py. */
function ratioText([standard, separable]) {
  const { maps, kernel } = standard.steps[0];
  const ratio = separable.macs / standard.macs;
  const times = ratio < 1 ? `${rounded(1 / ratio)} times fewer` : `${rounded(ratio)} times as many`;
  return `depthwise + pointwise: 1/${maps} + 1/${kernel * kernel} = ${rounded(ratio)} of the standard one's MACs, ${times}`;
}

/** Do the groups still divide both? */
function isPossible(sizes, name, value) {
  const { in_channels, filters, groups } = { ...sizes, [name]: value };
  return in_channels % groups === 0 && filters % groups === 0;
}

const UNITS = [[1e9, " G"], [1e6, " M"], [1e4, " k"]];

function shortened(n) {
  const [unit, letter] = UNITS.find(([least]) => n >= least) ?? [1, ""];
  return unit === 1 ? whole(Math.round(n)) : rounded(n / (unit === 1e4 ? 1e3 : unit)) + letter;
}

/** A colour between three, dark to light so that more than hue tells groups apart; the twin of group_colour in picture.py. */
function groupColour(share, stops) {
  const at = share < 0.5 ? 0 : 1;
  const parts = stops[at].map((part, i) => part + (stops[at + 1][i] - part) * (2 * share - at));
  return `rgb(${parts.join(" ")})`;
}

export default widgetOf((model) => new OdometerSession(model), (session, el) => new OdometerView(session, el));
