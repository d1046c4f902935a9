// The keyboard: arrows move the window, space plays, digits open an instructor's states.
// The root carries data-lm-suppress-shortcuts, so that JupyterLab leaves these keys alone.
import { listen } from "../js/dom.js";
import { editFocused } from "./pointer.js";

const TYPED_IN = "input, select, textarea, button, summary, a";

export function listenToKeys(view) {
  listen(view.root, "keydown", (event) => {
    if (event.target.closest(TYPED_IN) || event.altKey || event.ctrlKey || event.metaKey) return;
    const action = actionOf(view, event);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });
}

function actionOf(view, event) {
  const { session } = view;
  const { layer, cells } = view.result;
  const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
  if (digit) return () => (event.shiftKey ? bind(view, digit) : recall(view, digit));
  const move = (by) => () => session.set({ position: Math.min(Math.max(session.get("position") + by, 0), cells - 1), playing: false });
  return {
    ArrowRight: move(1), ArrowLeft: move(-1), ArrowDown: move(layer.outWidth), ArrowUp: move(-layer.outWidth),
    Home: move(-cells), End: move(cells),
    " ": () => session.set({ playing: !session.get("playing") }),
    r: () => session.set({ reveal: (session.get("reveal") + 1) % 4 }),
    Enter: () => editFocused(view),
    Escape: () => view.letGo(),
  }[event.key];
}

function bind(view, digit) {
  const { session } = view;
  session.set({ states: { ...session.get("states"), [digit]: session.share() } }, { remember: false });
  view.say(`kept under key ${digit}: press ${digit} to come back here`);
}

function recall(view, digit) {
  const text = view.session.get("states")[digit];
  if (text) view.session.open(text);
  else view.say(`nothing is kept under key ${digit} yet: press Shift+${digit} to keep this`);
}
