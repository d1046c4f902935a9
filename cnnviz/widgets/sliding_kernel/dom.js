// Small helpers for elements. A listener that fails says so beside the widget instead of only in the console.

/** tag, attributes (`onclick` and the like are listeners), children: text is always text, never HTML. */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) listen(node, name.slice(2), value);
    else if (value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export function listen(node, type, action) {
  node.addEventListener(type, (event) => {
    try {
      action(event);
    } catch (error) {
      node.dispatchEvent(new CustomEvent("cnnviz-error", { bubbles: true, detail: error }));
    }
  });
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
