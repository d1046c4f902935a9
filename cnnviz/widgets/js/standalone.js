// What an exported page has in place of a notebook: a model with the state written in the page, and the address that may
// hold another one behind its #.
import { LayerError, readLayer } from "./geometry.js";
import { STATE_DEFAULTS, decodeState } from "./share.js";

/** The part of a notebook's model that views use; as there, `change:name` is heard before `change`. */
export class StandaloneModel {
  constructor(state) {
    this.state = state;
    this.listeners = new Map();
  }

  get(name) {
    return this.state[name];
  }

  set(name, value) {
    const given = typeof name === "string" ? { [name]: value } : name;
    const changed = Object.keys(given).filter((key) => !sameJson(this.state[key], given[key]));
    for (const key of changed) this.state[key] = given[key];
    const inner = this.changing; // a listener that sets something: the outer call tells of both
    this.changing = true;
    this.pending ||= changed.length > 0;
    for (const key of changed) this.tell(`change:${key}`, given[key]);
    if (inner) return;
    while (this.pending) {
      this.pending = false;
      this.tell("change");
    }
    this.changing = false;
  }

  save_changes() {} // nobody else has a copy

  send() {}

  on(names, listener) {
    for (const name of names.split(" ")) this.listeners.set(name, [...(this.listeners.get(name) ?? []), listener]);
  }

  off(names, listener) {
    if (names === undefined || names === null) return this.listeners.clear();
    for (const name of names.split(" ")) {
      this.listeners.set(name, (this.listeners.get(name) ?? []).filter((one) => listener && one !== listener));
    }
  }

  tell(name, ...details) {
    for (const listener of this.listeners.get(name) ?? []) listener(this, ...details);
  }
}

function sameJson(one, other) {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

/** What a share string behind the # changes; a picture or kernel too large to travel stays the page's own. */
export function fragmentChanges(state, fragment) {
  const changes = { ...STATE_DEFAULTS, ...decodeState(fragment), playing: false };
  for (const name of ["image", "kernel"]) if (changes[name] === null) delete changes[name];
  delete changes.states;
  readLayer({ ...state, ...changes });
  return changes;
}

/** Shows a widget in an element of the page, as anywidget does in a notebook. */
export async function openPage(widget, state, el) {
  const model = new StandaloneModel(state);
  const follow = () => {
    try {
      if (location.hash.length > 1) model.set(fragmentChanges(model.state, decodeURIComponent(location.hash)));
    } catch (error) {
      if (!(error instanceof LayerError || error instanceof URIError)) throw error;
      el.querySelector(".cnnviz-sk")?.dispatchEvent(new CustomEvent("cnnviz-error", { detail: error }));
    }
  };
  const parts = typeof widget === "function" ? await widget() : widget;
  follow();
  await parts.initialize?.({ model });
  el.replaceChildren();
  await parts.render({ model, el });
  follow(); // once more: now a wrong address can be told to the reader
  addEventListener("hashchange", follow);
}
