// Small helpers for elements. A listener that fails says so beside the widget instead of only in the console.

// JupyterLab walks up from the focused element and takes arrow keys before it reaches the root: each one says no for itself.
const FOCUSABLE = new Set(["input", "select", "button", "summary"]);

/** tag, attributes (`onclick` and the like are listeners), children: text is always text, never HTML. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  if (FOCUSABLE.has(tag)) node.setAttribute("data-lm-suppress-shortcuts", "true");
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) listen(node, name.slice(2), value);
    else if (value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function listen(node, type, action) {
  node.addEventListener(type, (event) => {
    const widget = node.closest(".cnnviz-sk") ?? node; // found first: the action may take its node off the page
    try {
      action(event);
    } catch (error) {
      widget.dispatchEvent(new CustomEvent("cnnviz-error", { bubbles: true, detail: error }));
    }
  });
}

/** A text field that commits on Enter and on leaving it; in a JupyterLab cell Enter alone fires no change event. */
export function textField(attributes, commit) {
  const field = element("input", { type: "text", spellcheck: "false", ...attributes });
  listen(field, "change", () => commit(field.value));
  listen(field, "keydown", (event) => event.key === "Enter" && field.blur());
  return field;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
