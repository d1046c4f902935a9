// Numbers as wide as their cells allow.
import { numberText } from "../js/number.js";

export const NEAR_ZERO = "~0"; // of a number that is not zero, in a cell with room for one decimal
const knownTexts = new Map();
const NARROWED = 0.57; // letters keep their height and lose up to this much width

/**
 * The number as wide as its cell allows: fewer decimals where there is little room, but never another whole part. What
 * does not fit is left out, for the exact number stands under the picture.
 */
export function fittingText(context, value, room, font) {
  const key = `${value} ${room} ${font}`;
  let text = knownTexts.get(key);
  if (text !== undefined) return text;
  const texts = shorterTexts(value);
  const fits = (narrowed) => (one) => narrowed * context.measureText(one).width <= room;
  text = texts.find(fits(1)) ?? texts.reverse().find(fits(NARROWED)) ?? "";
  if (knownTexts.size > 5000) knownTexts.clear();
  knownTexts.set(key, text);
  return text;
}

function shorterTexts(value) {
  if (Number.isInteger(value)) return [numberText(value)];
  const bare = (text) => text.replace(/^(−?)0\./, "$1.");
  const rounded = [2, 1].map((decimals) => bare(numberText(Number(value.toFixed(decimals)))));
  const size = Math.abs(value);
  const last = size < 0.05 ? [NEAR_ZERO] : size < 10 ? [] : [numberText(Math.round(value))];
  return [numberText(value), bare(numberText(value)), ...rounded.filter((text) => text !== "0"), ...last];
}
