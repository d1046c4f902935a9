// What a saved page has in place of a notebook: a model with the state written in the page, and the address that may hold
// another one behind its #.

/** The part of a notebook's model that views use; as there, `change:name` is heard before `change`. */
export class StandaloneModel {
  constructor(state) {
    this.state = state;
    this.listeners = new Map();
    this.alone = true; // no Python listens
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

/** Shows a widget in an element of the page, as anywidget does in a notebook; `widget.opened` reads what stands behind the #. */
export async function openPage(widget, state, el) {
  const model = new StandaloneModel(state);
  const follow = () => {
    try {
      if (widget.opened && location.hash.length > 1) model.set(widget.opened(model.state, decodeURIComponent(location.hash)));
    } catch (error) {
      if (error.name !== "LayerError" && !(error instanceof URIError)) throw error;
      el.querySelector(".cnnviz-sk")?.dispatchEvent(new CustomEvent("cnnviz-error", { detail: error }));
    }
  };
  const parts = widget();
  follow();
  parts.initialize({ model });
  el.replaceChildren();
  parts.render({ model, el });
  follow(); // once more: now a wrong address can be told to the reader
  addEventListener("hashchange", follow);
}
