// What every view does: it draws at most once a frame, again when its size, the theme or the session changes, and tells
// errors beside the widget. A widget's own view extends it with `draw()` and says what still works without a kernel.
import { element, listen, setText } from "./dom.js";

const HIDDEN = 200; // ms until a view that has no room asks again for it
const TYPED_TEXT = "textarea, input:not([type=range], [type=checkbox])";

export class WidgetView {
  /** `label` names the widget for screen readers; `kind` is its own CSS class beside the shared one. */
  constructor(session, el, label, kind = "") {
    this.session = session;
    this.notice = { text: "", error: false };
    this.root = element("div", { class: `cnnviz-sk ${kind}`.trim(), tabindex: "0", role: "group", "aria-label": label, "data-lm-suppress-shortcuts": "true" });
    this.message = element("div", { class: "sk-message", role: "alert" });
    el.append(this.root);
  }

  /** To be called once the page of the view stands. */
  begin() {
    this.root.addEventListener("cnnviz-error", (event) => this.fail(event.detail));
    listen(this.root, "keydown", (event) => this.undoKey(event));
    this.unsubscribe = this.session.subscribe(() => this.changed());
    this.resized = new ResizeObserver(() => this.redraw());
    this.resized.observe(this.root);
    this.themed = new MutationObserver(() => this.retheme());
    this.themed.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "class"] });
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.onDark = () => this.retheme();
    this.dark.addEventListener("change", this.onDark);
    this.redraw();
  }

  close() {
    this.closed = true;
    this.unsubscribe();
    this.resized.disconnect();
    this.themed.disconnect();
    this.dark.removeEventListener("change", this.onDark);
    cancelAnimationFrame(this.frame);
    clearTimeout(this.later);
  }

  /** Ctrl+Z, unless it is meant for the text that is being typed. */
  undoKey(event) {
    if (!(event.ctrlKey || event.metaKey) || event.key !== "z" || event.target.closest(TYPED_TEXT)) return;
    event.preventDefault();
    event.stopPropagation();
    this.undo();
  }

  undo() {
    this.session.undo();
  }

  changed() {
    this.notice = { text: "", error: false };
    this.redraw();
  }

  retheme() {
    this.palette?.refresh();
    this.redraw();
  }

  redraw() {
    if (this.frame || this.closed) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.root.isConnected) return; // the resize observer calls again once the page holds it
      if (!this.root.clientWidth) return this.redrawLater();
      this.root.closest(".jp-Notebook")?.classList.add("cnnviz-notebook"); // for the sliders beside ours
      try {
        if (this.palette && !this.palette.ink) this.palette.refresh(); // the style sheet is known once the page holds the root
        const start = performance.now();
        const detail = this.draw(start) ?? {};
        this.root.classList.toggle("sk-stale", this.session.stale);
        this.drawMessage();
        this.root.dispatchEvent(new CustomEvent("cnnviz-painted", { detail: { work: performance.now() - start, ...detail } }));
      } catch (error) {
        this.fail(error);
      }
    });
  }

  /** JupyterLab hides everything for a moment while it changes the theme, and no resize observer hears of a moment. */
  redrawLater() {
    clearTimeout(this.later);
    this.later = setTimeout(() => this.redraw(), HIDDEN);
  }

  // ---- what it says ----------------------------------------------------------------------------------------------

  say(text) {
    this.notice = { text, error: false };
    this.redraw();
  }

  fail(error) {
    this.notice = { text: error?.message ?? String(error), error: true };
    if (error?.name !== "LayerError") console.warn(error);
    this.drawMessage();
  }

  /** Why what stands here is not what the reader asked for; "" when it is. */
  get wrong() {
    return this.session.refusal;
  }

  /** What still works when the kernel is gone. */
  get alone() {
    return "";
  }

  drawMessage() {
    const { wrong, notice, session: { stale } } = this;
    const dead = stale ? `The Python kernel behind this has stopped. ${this.alone}; run the cell again to connect it.` : "";
    const shown = wrong ? { text: wrong, error: true } : notice.text ? notice : { text: dead, error: stale };
    setText(this.message, shown.text);
    this.message.classList.toggle("sk-error", shown.error);
  }

  // ---- its parts -------------------------------------------------------------------------------------------------

  button(action, words, title, onclick) {
    return element("button", { type: "button", "data-action": action, title, "aria-label": title, onclick }, words);
  }

  /** A canvas of this size on the page, sharp on every screen; only resized when it must be, so that no frame is blank. */
  fitCanvas(canvas, width, height) {
    const scale = window.devicePixelRatio || 1;
    const context = canvas.getContext("2d");
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    return context;
  }

  async copyText(text, field) {
    field.value = text;
    field.select();
    await navigator.clipboard?.writeText(text).catch(() => {}); // without permission the text is selected: Ctrl+C works
    this.say(text.includes("\n") ? "copied" : `copied: ${text}`);
  }
}
