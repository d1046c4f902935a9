// What a view knows of the training: the tracks that Python sends, run by run, piece by piece.
import { bytesOf } from "../js/pixels.js";
import { WidgetSession } from "../js/session.js";

const emptyCurve = () => ({ start: 0, spacing: 1, loss: [], accuracy: [] });

export class Training extends WidgetSession {
  constructor(model) {
    super(model, []);
    this.tracks = [];
    const recorded = model.get("_recorded"); // a saved page holds it all
    if (recorded) this.told(recorded.content, recorded.buffers);
    else model.send({ kind: "hello" });
  }

  told(message, buffers = []) {
    if (message?.kind !== "whole" && message?.kind !== "more") return super.told(message);
    const whole = message.kind === "whole";
    if (!whole && this.tracks.length === 0) return; // all of it was asked for and is on its way
    if (!whole && this.tracks.length !== message.tracks.length) return this.ask({ kind: "hello" });
    if (whole) this.tracks = message.tracks.map(() => ({ train: emptyCurve(), test: emptyCurve(), norms: [], shots: [] }));
    this.refusal = "";
    const read = readerOf(buffers);
    let gap = false;
    message.tracks.forEach((news, at) => {
      if (news) gap = !this.take(this.tracks[at], news, read) || gap;
    });
    if (gap) this.ask({ kind: "hello" }); // something was lost on the way
    else if (message.last) this.ask({ kind: "heard", number: message.number });
    this.notify();
  }

  /** False when points before these are missing. */
  take(track, { curves, norms, shots = [], ...head }, read) {
    Object.assign(track, head);
    const whole = [track.train, track.test].map((curve, at) => fill(curve, curves[at], read));
    if (norms) track.norms = read.floats(norms);
    for (const { epoch, filters, maps, scale } of shots) {
      track.shots.push({ epoch, scale, filters: { shape: filters, pixels: read.bytes(filters) }, maps: { shape: maps, pixels: read.bytes(maps) } });
    }
    return whole.every(Boolean);
  }

  ask(message) {
    this.model.send(message);
  }

  get going() {
    return this.tracks.filter(({ state }) => state === "running" || state === "paused");
  }

  /** Without the ghosts of earlier runs; a closed plot's own runs are ghosts themselves. */
  get own() {
    const own = this.tracks.filter(({ state }) => state !== "earlier");
    return own.length ? own : this.tracks.slice(-1);
  }

  /** Names of the layers, of the deepest network. */
  get layers() {
    return this.tracks.map(({ layers }) => layers ?? []).reduce((most, layers) => (layers.length > most.length ? layers : most), []);
  }

  /** The run whose words stand on top: the one, or the first of several that still goes on. */
  get first() {
    return this.going[0] ?? this.own.at(-1);
  }

  get epochs() {
    return Math.max(1, ...this.tracks.map(({ epochs }) => epochs));
  }

  /** How far the furthest run is, in epochs. */
  get reached() {
    return Math.max(0, ...this.tracks.map((track) => epochAt(track)));
  }
}

export const epochAt = ({ step, steps, epochs, test }) => (steps && step ? (epochs * step) / steps : test.loss.length);

/** Where point i of a curve stands, in epochs. */
export const xOf = (curve, i) => curve.start + (i + 0.5) * curve.spacing;

function fill(curve, [first, count, start, spacing], read) {
  const known = curve.loss.length;
  Object.assign(curve, { start, spacing });
  for (const name of ["loss", "accuracy"]) curve[name].splice(Math.min(first, known), Infinity, ...read.floats(count));
  return first <= known;
}

function readerOf([points, pixels]) {
  const floats = new Float32Array(bytesOf(points).buffer);
  const bytes = bytesOf(pixels);
  let [at, atByte] = [0, 0];
  return {
    floats: (count) => Array.from(floats.subarray(at, (at += count))),
    bytes: (shape) => bytes.subarray(atByte, (atByte += shape.reduce((product, side) => product * side, 1))),
  };
}
