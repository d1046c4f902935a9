// The state of a moving kernel as it stands, the layer computed from it, and playback: two views never tick twice.
import { LayerError, readLayer } from "../js/geometry.js";
import { forward, tile } from "../js/arithmetic.js";
import { effectiveKernel } from "../js/kernels.js";
import { bytesOf } from "../js/pixels.js";
import { WidgetSession } from "../js/session.js";
import { isPicture } from "./layout.js";
import { STATE_DEFAULTS, decodeState, encodeState } from "../js/share.js";

const STATE_NAMES = Object.keys(STATE_DEFAULTS);
const LOOK_ONLY = new Set(["position", "filter", "fill", "playing", "speed", "level", "reveal", "heatmap", "predict", "guess", "square", "states", "shuffle", "ink"]);
const COARSE_MACS = 12e6; // beyond this many multiply-adds a drag is drawn coarser, and in full on release
const SHOWN_FILTERS = 16; // a user's own layer may have hundreds: compute the ones on the page
const PICTURE_TICKS = 400; // a picture has too many cells to visit each

/** The numbers behind the wire form of a picture or kernel: { shape, values }. */
export function readArray(wire) {
  if (wire.values) return { shape: wire.shape, values: Float64Array.from(wire.values) };
  const bytes = bytesOf(wire.u8 ?? wire.f32);
  if (wire.u8) return { shape: wire.shape, values: Float64Array.from(bytes, (byte) => byte / 255) };
  const count = bytes.byteLength / 4;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { shape: wire.shape, values: Float64Array.from({ length: count }, (_, i) => view.getFloat32(4 * i, true)) };
}

/** Remembers the last answer of a one-argument function: pictures are parsed once, not once a frame. */
function lastAnswer(compute) {
  let known, answer;
  return (value) => {
    if (value !== known) [known, answer] = [value, compute(value)];
    return answer;
  };
}

export class Session extends WidgetSession {
  constructor(model) {
    super(model, STATE_NAMES, ["position", "playing", "guess"]);
    this.version = 0;
    this.error = "";
    this.dragging = false;
    this.imageOf = lastAnswer(readArray);
    this.kernelOf = lastAnswer(readArray);
    for (const name of STATE_NAMES) {
      if (!LOOK_ONLY.has(name)) model.on(`change:${name}`, () => this.version++);
    }
    model.on("change:filter", () => this.version++);
    model.on("change:playing", () => this.playing());
    model.on("change:speed", () => this.playing());
    this.current();
    this.playing();
  }

  stop() {
    clearTimeout(this.timer);
    super.stop();
  }

  /** The state as plain numbers; image and kernel as { shape, values }. */
  state() {
    const state = {};
    for (const name of STATE_NAMES) state[name] = this.model.get(name);
    state.image = this.imageOf(state.image);
    state.kernel = this.kernelOf(state.kernel);
    return state;
  }

  // ---- the layer -------------------------------------------------------------------------------------------------

  /** The layer and its output; after an illegal change the last legal one, with `error` saying why. */
  current() {
    if (this.computed === this.version && this.coarse === false) return this.result;
    if (this.computed === this.version && this.dragging) return this.result;
    this.computed = this.version;
    try {
      this.result = this.compute(this.state());
      this.error = "";
    } catch (error) {
      if (!(error instanceof LayerError) && this.result) console.error(error);
      if (!this.result) throw error;
      this.error = error.message;
    }
    return this.result;
  }

  compute(state) {
    const layer = readLayer(state);
    const image = tile(state.image.values, state.image.shape, [1, layer.inChannels, layer.height, layer.width]);
    const weights = layer.op.endsWith("pool") ? null : effectiveKernel(state, layer);
    const filter = Math.min(state.filter, layer.filters - 1);
    const filters = shownFilters(layer.filters, filter);
    const step = this.dragging ? coarseStep(layer, filters.length) : 1;
    const output = forward(layer, image, weights, state.bias, { filters, step, relu: state.relu });
    this.coarse = step > 1;
    return { layer, image, weights, bias: state.bias, relu: state.relu, filters, filter, step, output, cells: layer.outHeight * layer.outWidth };
  }

  /** Sliders say when a drag begins and ends: a coarse picture is redone in full at the end. */
  drag(active) {
    this.dragging = active;
    if (!active && this.coarse) this.notify();
  }

  // ---- changes ---------------------------------------------------------------------------------------------------

  reset() {
    this.set({ ...this.initial, playing: false }, { gesture: null });
  }

  /** The layer and the look as one short string; the picture itself only when it is a small grid. */
  share() {
    const state = this.state();
    const plain = ({ shape, values }) => ({ shape, values: Array.from(values) });
    return encodeState({ ...state, image: plain(state.image), kernel: plain(state.kernel) });
  }

  /** Throws the reason if these changes together would make an illegal layer. */
  try(changes) {
    readLayer({ ...this.state(), ...changes });
  }

  allows(changes) {
    try {
      this.try(changes);
      return true;
    } catch (error) {
      if (error instanceof LayerError) return false;
      throw error;
    }
  }

  /** Takes a shared string whole or not at all. */
  open(text) {
    this.set(openedChanges(this.state(), text));
  }

  // ---- playback --------------------------------------------------------------------------------------------------

  playing() {
    clearTimeout(this.timer);
    if (!this.get("playing")) return;
    if (this.get("position") >= this.current().cells - 1) this.set({ position: 0 });
    if (!this.get("fill")) this.set({ fill: true }, { remember: false });
    this.timer = setTimeout(() => this.tick(), 1000 / this.get("speed"));
  }

  tick() {
    const { cells, layer } = this.current();
    const last = cells - 1;
    const stride = isPicture(layer) ? Math.ceil(cells / PICTURE_TICKS) : 1;
    const position = Math.min(this.get("position") + stride, last);
    this.set(position < last ? { position } : { position, playing: false });
    if (position < last) this.timer = setTimeout(() => this.tick(), 1000 / this.get("speed"));
  }
}

function shownFilters(count, active) {
  const shown = Array.from({ length: Math.min(count, SHOWN_FILTERS) }, (_, filter) => filter);
  if (active >= shown.length) shown[shown.length - 1] = active;
  return shown;
}

function coarseStep(layer, filters) {
  const taps = layer.kernelHeight * layer.kernelWidth * (layer.inChannels / layer.groups);
  const macs = filters * layer.outHeight * layer.outWidth * taps;
  return macs > COARSE_MACS ? Math.ceil(Math.sqrt(macs / COARSE_MACS)) : 1;
}

/** What a share string changes: what it leaves out goes back to the default, a picture too large to travel stays ours. */
export function openedChanges(state, text) {
  const changes = { ...STATE_DEFAULTS, ...decodeState(text), playing: false };
  for (const name of ["image", "kernel"]) if (changes[name] === null) delete changes[name];
  delete changes.states;
  readLayer({ ...state, ...changes });
  return changes;
}
