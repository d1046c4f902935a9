// What all views of one widget share: undo, refusals from Python, and whether the kernel lives. Views read `session.get`
// and change things through `session.set`; what ticks or counts belongs here, since a notebook may show two views.

const SILENCE_MS = 5000;
const GESTURE_MS = 800;

export class WidgetSession {
  /** `names`: the traits that undo brings back; `free`: those of them that no undo step is made for. */
  constructor(model, names, free = []) {
    Object.assign(this, { model, names, free: new Set(free), listeners: new Set(), undone: [], refusal: "", stale: false });
    this.initial = this.snapshot();
    model.on("change", () => {
      this.refusal = ""; // Python sends the old state first and its refusal after it
      this.notify();
    });
    model.on("msg:custom", (message, buffers) => this.told(message, buffers));
  }

  stop() {
    clearInterval(this.watch);
    this.listeners.clear();
  }

  /** Calls `listener` after every change; returns what ends that. */
  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  notify() {
    for (const listener of this.listeners) listener();
  }

  get(name) {
    return this.model.get(name);
  }

  // ---- changes ---------------------------------------------------------------------------------------------------

  /** Changes with one `gesture` in quick succession (a drag of one slider) are one undo step; null: always its own. */
  set(changes, { remember = true, gesture = Object.keys(changes).join() } = {}) {
    if (remember && Object.keys(changes).some((name) => !this.free.has(name))) this.remember(gesture);
    for (const [name, value] of Object.entries(changes)) this.model.set(name, value);
    this.model.save_changes();
  }

  remember(gesture = null) {
    const now = performance.now();
    if (gesture === null || gesture !== this.gesture || now - this.gestureTime > GESTURE_MS) this.undone.push(this.snapshot());
    if (this.undone.length > 100) this.undone.shift();
    [this.gesture, this.gestureTime] = [gesture, now];
  }

  snapshot() {
    return Object.fromEntries(this.names.map((name) => [name, this.model.get(name)]));
  }

  undo() {
    const before = this.undone.pop();
    this.gesture = null;
    if (before) this.set(this.bound(before), { remember: false });
  }

  reset() {
    this.set(this.initial, { gesture: null });
  }

  /** Without what is free to change. */
  bound(state) {
    return Object.fromEntries(Object.entries(state).filter(([name]) => !this.free.has(name)));
  }

  // ---- what the kernel says --------------------------------------------------------------------------------------

  /** Python is alive, or refused what a view sent: the refusal stays until the reader's next change. */
  told(message) {
    if (message?.kind === "alive") this.heard();
    if (message?.kind !== "refused") return;
    this.refusal = message.message;
    this.forget();
    this.notify();
  }

  /** What was refused changed nothing, so it is no undo step. */
  forget() {
    const text = (state) => JSON.stringify(this.bound(state ?? {}));
    if (text(this.undone.at(-1)) === text(this.snapshot())) this.undone.pop();
    this.gesture = null;
  }

  heard() {
    this.lastBeat = performance.now();
    if (this.stale) this.markStale(false);
    this.watch ??= setInterval(() => !this.stale && performance.now() - this.lastBeat > SILENCE_MS && this.markStale(true), 500);
  }

  markStale(stale) {
    this.stale = stale;
    this.notify();
  }
}

/**
 * anywidget's two halves: one session a widget, a view for each place that shows it. A view has `close()`.
 * `opened(state, text)`, for saved pages: the changes that a text behind the address's # stands for.
 */
export function widgetOf(openSession, openView, opened = null) {
  const widget = () => {
    let session;
    return {
      initialize({ model }) {
        session = openSession(model);
        return () => session.stop();
      },
      render({ el }) {
        const view = openView(session, el);
        return () => view.close();
      },
    };
  };
  return Object.assign(widget, { opened });
}
