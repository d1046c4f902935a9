// The colours of one view, read from its style sheet, so that they follow JupyterLab's theme.
// Numbers are painted on a scale centred at zero (blue, paper, orange), pictures in grey.

const SHADES = 256;

export class Palette {
  constructor(root) {
    this.root = root;
    this.refresh();
  }

  refresh() {
    const style = getComputedStyle(this.root);
    if (!style.getPropertyValue("--sk-ink")) return; // not on the page yet
    const colour = (name) => style.getPropertyValue(`--sk-${name}`).trim();
    for (const name of ["ink", "faint", "paper", "grid", "window", "tint", "mark", "hatch"]) this[name] = colour(name);
    const [negative, zero, positive] = ["negative", "zero", "positive"].map((name) => parseColour(colour(name)));
    this.signed = shades((t) => (t < 0.5 ? mix(zero, negative, 1 - 2 * t) : mix(zero, positive, 2 * t - 1)));
    const [dark, light] = ["cell-dark", "cell-light"].map((name) => parseColour(colour(name)));
    this.grey = shades((t) => mix(dark, light, t));
    const window = parseColour(this.window);
    this.tinted = shades((t) => mix(mix(dark, light, t), window, 0.25));
    this.photo = shades((t) => [255 * t, 255 * t, 255 * t]);
    const few = parseColour(colour("few"));
    const many = parseColour(colour("many"));
    this.counts = shades((t) => mix(few, many, t));
    this.font = style.fontFamily;
    this.hatched = null;
  }

  /** The pattern of padding, made once for a theme and not once a frame. */
  hatching(context) {
    this.hatched ??= context.createPattern(this.hatchTile(), "repeat");
    return this.hatched;
  }

  hatchTile() {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 8;
    const pen = tile.getContext("2d");
    pen.strokeStyle = this.hatch;
    pen.lineWidth = 1;
    for (const shift of [-8, 0, 8]) {
      pen.beginPath();
      pen.moveTo(shift, 8);
      pen.lineTo(shift + 8, 0);
      pen.stroke();
    }
    return tile;
  }
}

/** 256 colours with, for each, the text colour that reads best on it and the pixel for a picture. */
function shades(colourAt) {
  const css = [], text = [], pixels = new Uint32Array(SHADES);
  for (let i = 0; i < SHADES; i++) {
    const [r, g, b] = colourAt(i / (SHADES - 1)).map(Math.round);
    css.push(`rgb(${r},${g},${b})`);
    text.push(luminance(r, g, b) > 0.18 ? "#111" : "#fff"); // 0.18: where black and white contrast equally
    pixels[i] = (255 << 24) | (b << 16) | (g << 8) | r; // little-endian RGBA
  }
  return { css, text, pixels };
}

function luminance(...rgb) {
  const [r, g, b] = rgb.map((part) => (part / 255 <= 0.04 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function mix(from, to, share) {
  return from.map((part, i) => part + (to[i] - part) * share);
}

function parseColour(text) {
  const hex = text.replace("#", "");
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** value -> shade index on a scale [low, high]; a scale without width gives the middle of a signed one. */
export function shadeScale(low, high) {
  const factor = high > low ? (SHADES - 1) / (high - low) : 0;
  const base = high > low ? 0.5 : SHADES / 2;
  return (value) => {
    const shade = ((value - low) * factor + base) | 0;
    return shade < 0 ? 0 : shade >= SHADES ? SHADES - 1 : shade;
  };
}

export function largest(values) {
  let most = 0;
  for (const value of values) {
    const size = value < 0 ? -value : value;
    if (size > most && size < Infinity) most = size;
  }
  return most;
}

export function extremes(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}
