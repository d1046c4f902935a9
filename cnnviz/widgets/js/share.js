// A state as a short string that can be mailed, kept on a key or put behind the # of an exported page.
// "k1." + base64url of the JSON of what differs from the defaults + "." + Adler-32 of that base64 text in hexadecimal.
// The twin of sliding_kernel/share.py: both write the same string.
import { LAYER_DEFAULTS, LayerError, shortValue } from "./geometry.js";

const SHARE_VERSION = "k1.";
const SHARED_NUMBERS = 256; // a larger picture or kernel travels as null: whoever opens the string keeps his own
const LONGEST_SHARE = 60000; // characters
const NOT_SHARED = ["playing", "guess", "states"]; // what a reader does, and what would nest without end
const PAIR_SETTINGS = ["kernel_size", "stride", "padding", "dilation", "output_padding"];

export const STATE_DEFAULTS = {
  ...LAYER_DEFAULTS,
  image: { shape: [1, 5, 5], values: [3, 3, 2, 1, 0, 0, 0, 1, 3, 1, 3, 1, 2, 2, 3, 2, 0, 0, 2, 2, 2, 0, 0, 0, 1] },
  kernel: { shape: [1, 1, 3, 3], values: [0, 1, 2, 2, 2, 0, 0, 1, 2] },
  kernel_name: "", angle: 0, bias: 0, relu: false, position: 0, filter: 0, fill: false, playing: false, speed: 2,
  level: 2, reveal: 3, heatmap: false, predict: "", guess: "", square: true, states: {}, shuffle: "", ink: -1,
};

/** The string of a state; image and kernel as { shape, values }. */
export function encodeState(state) {
  const different = {};
  for (const key of Object.keys(STATE_DEFAULTS)) {
    if (NOT_SHARED.includes(key) || !(key in state)) continue;
    const value = key === "image" || key === "kernel" ? sharedArray(state[key]) : state[key];
    if (plainJson(value) !== plainJson(STATE_DEFAULTS[key])) different[key] = value;
  }
  const bytes = new TextEncoder().encode(plainJson(different));
  const body = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return `${SHARE_VERSION}${body}.${adler32(body)}`;
}

/** What a string sets; image or kernel null: too large to travel. Throws LayerError for a string that is cut or changed. */
export function decodeState(text) {
  const line = typeof text === "string" ? text.trim().replace(/^#/, "") : "";
  if (!line.startsWith(SHARE_VERSION)) throw new LayerError(`${shortValue(text)} is not a share string: it starts with "${SHARE_VERSION}"`);
  const match = /^k1\.([A-Za-z0-9_-]*)\.([0-9a-f]{8})$/.exec(line);
  if (!match || match[1].length > LONGEST_SHARE || adler32(match[1]) !== match[2]) {
    throw new LayerError(`share string ${shortValue(text)} is cut short or mistyped: copy all of it, to the last character`);
  }
  const state = parsedJson(match[1]);
  if (typeof state !== "object" || state === null || Array.isArray(state)) {
    throw new LayerError(`share string ${shortValue(text)} holds no settings: copy it anew from a widget`);
  }
  const names = Object.keys(state).sort();
  const unknown = names.find((name) => !Object.hasOwn(STATE_DEFAULTS, name) || NOT_SHARED.includes(name));
  if (unknown !== undefined) throw new LayerError(`share string holds the setting ${shortValue(unknown)}, which this version does not know`);
  const odd = names.find((name) => !isUnderstood(name, state[name]));
  if (odd !== undefined) throw new LayerError(`share string sets ${odd} to something that is not understood: copy it anew from a widget`);
  return state;
}

/** What base64url text holds, or null. */
function parsedJson(body) {
  try {
    const letters = atob(body.replaceAll("-", "+").replaceAll("_", "/"));
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(letters, (letter) => letter.charCodeAt(0))));
  } catch {
    return null;
  }
}

/** The JSON text that both languages write: sorted keys, no spaces, numbers as JavaScript prints them. */
function plainJson(value) {
  if (Array.isArray(value)) return `[${value.map(plainJson).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${plainJson(value[key])}`).join(",")}}`;
}

function sharedArray({ shape, values }) {
  return values && values.length <= SHARED_NUMBERS ? { shape: Array.from(shape), values: Array.from(values) } : null;
}

/** Has the value the kind that the setting holds? Whether the layer is legal is asked later. */
function isUnderstood(key, value) {
  if (key === "image" || key === "kernel") return value === null || isSharedArray(value, STATE_DEFAULTS[key].shape.length);
  if (Array.isArray(value)) {
    const length = PAIR_SETTINGS.includes(key) ? value.length === 2 : key === "bias" && value.length >= 1;
    return length && value.every((item) => typeof item === "number");
  }
  if (key === "padding" && typeof value === "string") return true;
  return typeof value === typeof STATE_DEFAULTS[key];
}

function isSharedArray(value, axes) {
  if (typeof value !== "object" || !Array.isArray(value.shape) || !Array.isArray(value.values)) return false;
  const sides = value.shape.length === axes && value.shape.every((side) => Number.isInteger(side) && side >= 1);
  const count = value.shape.reduce((product, side) => product * side, 1);
  return sides && count === value.values.length && value.values.every((item) => typeof item === "number");
}

function adler32(text) {
  let [a, b] = [1, 0];
  for (let at = 0; at < text.length; at++) {
    a = (a + text.charCodeAt(at)) % 65521;
    b = (b + a) % 65521;
  }
  return (b * 65536 + a).toString(16).padStart(8, "0");
}
