// A panel with curves on a canvas: axes that a last row can read, lines, and what the pointer is at.
import { numberText } from "../js/number.js";
import { xOf } from "./store.js";

const LEFT = 50, TOP = 26, BOTTOM = 24, RIGHT = 10;
const FONT = 14, APART = 16; // pixels: of the words, and from one number of a scale to the next

export const percentText = (share) => `${numberText(Number((100 * share).toPrecision(3)))} %`;
export const shortText = (value) => numberText(Number(value.toPrecision(3)));

/** A power of ten, short enough for the left of a panel. */
function powerText(value) {
  const power = Math.round(Math.log10(value));
  if (Math.abs(power) < 3 || Math.abs(Math.log10(value) - power) > 1e-6) return shortText(value);
  return `10${Array.from(String(power), (sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign])).join("")}`;
}

/** Round steps (1, 2, 5, 10, ...) over a span, about `count` of them. */
export function roundTicks(low, high, count) {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999) * power;
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-6); i * step <= high + step * 1e-6; i++) ticks.push(i * step);
  return ticks;
}

/** Numbers for a logarithmic scale of this height: powers of ten; where fewer than three fit, with 5 and 2, or others. */
export function logTicks(low, high, height) {
  const at = (tick) => (height * Math.log(tick / low)) / Math.log(high / low);
  const readable = (ticks) => ticks.filter((tick) => tick >= low && tick <= high).reduce((kept, tick) => (kept.every((other) => Math.abs(at(tick) - at(other)) >= APART) ? [...kept, tick] : kept), []);
  const [first, last] = [Math.floor(Math.log10(low)), Math.floor(Math.log10(high))];
  const powers = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
  const tens = readable(powers);
  if (tens.length > 2) return tens;
  const tries = [[1, 5, 2], [5, 2, 1], [2, 5, 1]].map((digits) => digits.flatMap((digit) => powers.map((power) => digit * power)));
  return [...tries, roundTicks(low, high, 4)].map(readable).reduce((best, ticks) => (ticks.length > best.length ? ticks : best));
}

/** [low, high] of a panel: from zero, or on a log scale a little more than what is there. */
export function rangeOf(lines, log) {
  let low = Infinity, high = -Infinity, trained = -Infinity;
  for (const { values, kind } of lines) {
    for (const value of values) {
      if (!Number.isFinite(value) || (log && value <= 0)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
      if (value > trained && kind === "train") trained = value;
    }
  }
  if (low > high) return log ? [0.1, 1] : [0, 1];
  // One test in the middle of learning may come out a million times worse: it leaves at the top, and the rest can be seen.
  if (!log) return [Math.min(0, low), high > 0 ? 1.05 * (trained > 0 ? Math.min(high, 2 * trained) : high) : 1];
  const room = Math.max(1.15, (high / low) ** 0.05);
  return [low / room, high * room];
}

/** Panel: { x, y, width, height, title, low, high, log, xLow, xHigh, lines, ticks, text }. Line: { curve, values, colour, width, dash, dots, alpha }. */
export class Panel {
  constructor(settings) {
    Object.assign(this, settings);
    this.inner = { left: this.x + LEFT, top: this.y + TOP, width: this.width - LEFT - RIGHT, height: this.height - TOP - BOTTOM };
  }

  px(x) {
    return this.inner.left + ((x - this.xLow) / (this.xHigh - this.xLow)) * this.inner.width;
  }

  py(value) {
    const scale = this.log ? Math.log : (v) => v;
    return this.inner.top + this.inner.height * (1 - (scale(value) - scale(this.low)) / (scale(this.high) - scale(this.low)));
  }

  /** The x under a point of the canvas, or null beside the panel. */
  xAt(x, y) {
    const inside = x >= this.x && x <= this.x + this.width && y >= this.y && y <= this.y + this.height;
    const share = (x - this.inner.left) / this.inner.width;
    return inside ? this.xLow + Math.min(1, Math.max(0, share)) * (this.xHigh - this.xLow) : null;
  }

  draw(context, look, until = Infinity) {
    this.drawAxes(context, look);
    const { left, top, width, height } = this.inner;
    const now = Math.min(Math.max(this.px(until), left), left + width + RIGHT);
    for (const [from, to, alpha] of [[left - RIGHT, now, 1], [now, left + width + RIGHT, 0.22]]) {
      if (to <= from || (alpha < 1 && until >= this.xHigh)) continue;
      context.save();
      context.beginPath();
      context.rect(from, top - 4, to - from, height + 8);
      context.clip();
      for (const line of this.lines) this.drawLine(context, line, alpha);
      context.restore();
    }
    if (until < this.xHigh) this.drawRule(context, look.mark, until);
    this.drawBeyond(context, look);
  }

  /** How far the values go that leave the panel at its top. */
  drawBeyond(context, look) {
    const most = Math.max(...this.lines.map(({ values }) => values.reduce((best, value) => (Number.isFinite(value) && value > best ? value : best), this.high)));
    if (!(most > this.high)) return;
    context.fillStyle = look.faint;
    context.font = `${FONT}px ${look.font}`;
    context.textAlign = "right";
    context.fillText(`↑ up to ${this.text(most)}`, this.inner.left + this.inner.width, this.y + 11);
  }

  drawAxes(context, look) {
    const { left, top, width, height } = this.inner;
    context.font = `${FONT}px ${look.font}`;
    context.textBaseline = "middle";
    context.lineWidth = 1;
    context.strokeStyle = look.grid;
    context.fillStyle = look.faint;
    context.textAlign = "right";
    for (const tick of this.log ? logTicks(this.low, this.high, height) : roundTicks(this.low, this.high, height / 48)) {
      const y = Math.round(this.py(tick)) + 0.5;
      if (y < top - 1) continue;
      context.beginPath();
      context.moveTo(left, y);
      context.lineTo(left + width, y);
      context.stroke();
      context.fillText((this.log ? powerText : this.text)(tick), left - 6, y);
    }
    context.textAlign = "center";
    for (const [x, words] of this.ticks(width)) {
      const half = context.measureText(words).width / 2;
      context.fillText(words, Math.min(Math.max(this.px(x), left - RIGHT + half), left + width + RIGHT - half), top + height + 14);
    }
    context.textAlign = "left";
    context.fillStyle = look.ink;
    context.font = `600 ${FONT}px ${look.font}`;
    context.fillText(this.title, left, this.y + 11);
  }

  drawLine(context, { curve, values, colour, width, dash = [], dots, alpha = 1 }, share) {
    context.globalAlpha = alpha * share;
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = width;
    context.lineJoin = "round";
    context.setLineDash(dash);
    context.beginPath();
    let pen = false;
    values.forEach((value, i) => {
      const seen = Number.isFinite(value) && (!this.log || value > 0);
      if (seen) context[pen ? "lineTo" : "moveTo"](this.px(xOf(curve, i)), this.py(value));
      pen = seen;
    });
    context.stroke();
    context.setLineDash([]);
    if (dots || values.length === 1) values.forEach((value, i) => this.drawDot(context, xOf(curve, i), value, width + 0.7));
  }

  drawDot(context, x, value, radius) {
    if (!Number.isFinite(value) || (this.log && value <= 0)) return;
    context.beginPath();
    context.arc(this.px(x), this.py(value), radius, 0, 2 * Math.PI);
    context.fill();
  }

  drawRule(context, colour, x) {
    const at = Math.round(this.px(x)) + 0.5;
    context.globalAlpha = 1;
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(at, this.inner.top);
    context.lineTo(at, this.inner.top + this.inner.height);
    context.stroke();
  }

  /** Marks the points nearest to x; returns texts, run by run: "plain train 0.31, test 0.4". */
  read(context, look, x) {
    this.drawRule(context, look.ink, x);
    const found = new Map();
    for (const { curve, values, colour, run, kind } of this.lines) {
      if (values.length === 0) continue;
      const i = Math.min(values.length - 1, Math.max(0, Math.round((x - curve.start) / curve.spacing - 0.5)));
      context.fillStyle = colour;
      this.drawDot(context, xOf(curve, i), values[i], 5);
      const text = `${kind} ${Number.isFinite(values[i]) ? this.text(values[i]) : "–"}`.trim();
      found.set(run, [...(found.get(run) ?? []), text]);
    }
    return Array.from(found, ([run, texts]) => `${run} ${texts.join(", ")}`.trim());
  }
}
