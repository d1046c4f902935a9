// Predict, then reveal: the shape or a cell stays hidden until the reader commits an answer.
import { sizeFormula } from "../js/geometry.js";
import { numberText } from "../js/number.js";
import { element } from "../js/dom.js";
import { parseNumber, windowCell } from "./pointer.js";

const QUESTIONS = { shape: "Which size will the output have?", cell: "Which number belongs in the marked output cell?" };

/** The list that asks, and the row in which the reader answers. */
export function buildPredict(view) {
  const { session } = view;
  const options = [["", "predict ..."], ["shape", "the output's size"], ["cell", "one output cell"]].map(([value, words]) => element("option", { value }, words));
  const list = element("select", { "data-name": "predict", "aria-label": "predict, then reveal", onchange: () => session.set({ predict: list.value }) }, ...options);
  const question = element("span");
  const answer = element("input", { type: "text", "data-name": "guess", size: 8, "aria-label": "your answer" });
  const row = element("form", { class: "sk-row sk-predict", onsubmit: (event) => {
    event.preventDefault();
    commit(view, answer.value);
    answer.value = "";
  } }, question, answer, element("button", { "data-action": "predict", type: "submit" }, "Check"));
  const update = (state) => {
    list.value = state.predict;
    row.hidden = !state.predict;
    question.textContent = QUESTIONS[state.predict] ?? "";
    answer.placeholder = state.predict === "shape" ? "4x4" : "12";
  };
  return { list, row, update };
}

function commit(view, text) {
  const { session } = view;
  const [right, truth] = session.get("predict") === "shape" ? judgeShape(view, text) : judgeCell(view, text);
  session.set({ guess: text, predict: "" });
  view.say(`${right ? "Right" : `You said ${text}`}: it is ${truth}`);
}

function judgeShape({ result: { layer } }, text) {
  const sizes = (text.match(/\d+/g) ?? []).map(Number);
  if (!sizes.length) parseNumber(text); // not a size: the same message as for any other text
  const [height, width] = sizes.length === 1 ? [sizes[0], sizes[0]] : sizes.slice(-2);
  const right = height === layer.outHeight && width === layer.outWidth;
  return [right, `${layer.outHeight} x ${layer.outWidth}, from ${sizeFormula(layer, "rows")}`];
}

function judgeCell(view, text) {
  const { result } = view;
  const { i, j } = windowCell(view);
  const value = result.output[result.filters.indexOf(result.filter) * result.cells + i * result.layer.outWidth + j];
  return [Math.abs(parseNumber(text) - value) <= 0.005 * Math.max(1, Math.abs(value)), numberText(value)];
}
