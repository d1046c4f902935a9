// Makes the piles of a network's picture unfold where they stand: a click shows the inside and moves the rest.
// `layOut` places boxes and lines by the rules of `_laid_out` in _boxes.py; a browser test holds the two together.
(svg) => {
  const [over, gap, ends, letter] = [26, 22, 28, 14];
  const named = (group, name) => [...group.children].find((child) => child.classList.contains(name));
  const give = (node, attributes) => Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));

  // A box as it stands: its width, and how far it reaches above and below the line through it.
  function measured(group) {
    const [column, lane, width, height] = group.dataset.p.split(" ").map(Number);
    const inside = named(group, "inside");
    if (!inside || inside.style.display) return { group, column, lane, width, up: height / 2, down: height / 2 };
    const size = layOut(named(inside, "net")), up = size.up + gap, left = -size.width / 2;
    give(named(inside, "net"), { transform: `translate(${left} ${-size.up})` });
    give(named(inside, "frame"), { x: left, y: -up, width: size.width, height: up + size.down });
    give(named(inside, "name"), { x: left + 8, y: letter + 4 - up });
    return { group, column, lane, width: size.width, up, down: size.down };
  }

  function layOut(net) {
    const lines = named(net, "lines"), boxes = [...net.children].filter((child) => child !== lines).map(measured);
    const columns = [], lanes = [];
    for (const { column, lane, width, up, down } of boxes) {
      columns[column] = { wide: Math.max(width, columns[column]?.wide ?? 0) };
      lanes[lane] = { up: Math.max(up, lanes[lane]?.up ?? 0), down: Math.max(down, lanes[lane]?.down ?? 0) };
    }
    let right = 0, bottom = 0;
    for (const column of columns) {
      column.left = right;
      right += column.wide ? Math.max(96, column.wide + gap) : ends;
      Object.assign(column, { right, middle: (column.left + right) / 2 });
    }
    for (const lane of lanes) {
      lane.line = bottom + over + lane.up;
      bottom = lane.line + lane.down + over;
    }
    const routes = [...lines.children].map((path) => {
      const [source, target, level] = path.dataset.e.split(" ").map(Number);
      return { path, source: boxes[source], target: boxes[target], level };
    });
    for (const route of routes) route.peak = route.level < 0 ? 4 : peak(route, boxes, lanes);
    const top = Math.min(0, ...routes.map(({ peak }) => peak - 4));
    for (const lane of lanes) lane.line -= top;
    for (const route of routes) give(route.path, { d: way(route, columns, lanes, route.peak - top) });
    for (const { group, column, lane } of boxes)
      give(group, { transform: `translate(${columns[column].middle} ${lanes[lane].line})` });
    const { line } = lanes[boxes[0].lane];
    return { width: right, up: line, down: bottom - top - line };
  }

  function peak({ source, target, level }, boxes, lanes) {
    const low = Math.min(source.lane, target.lane), high = Math.max(source.lane, target.lane);
    const under = boxes.filter(({ column, lane }) => column >= source.column && column <= target.column && lane >= low && lane <= high);
    return Math.min(...under.map(({ lane, up }) => lanes[lane].line - up)) - over + 4 - 8 * level;
  }

  function way({ source, target, level }, columns, lanes, peak) {
    const [from, before, to] = [columns[source.column], columns[target.column - 1], columns[target.column]];
    const x1 = source.width ? from.middle + source.width / 2 : from.left, y1 = lanes[source.lane].line;
    const x2 = target.width ? to.middle - target.width / 2 : to.right, y2 = lanes[target.lane].line;
    const bend = Math.max(x1, before.middle + before.wide / 2), there = Math.min(x2, to.left + ends);
    const half = Math.floor((bend + there) / 2);
    if (level < 0) return `M${x1} ${y1}H${bend}C${half} ${y1} ${half} ${y2} ${there} ${y2}H${x2}`;
    return `M${x1} ${y1}H${from.right - 12}q8 0 8 -8V${peak + 8}q0 -8 8 -8H${to.left - 4}q8 0 8 8V${y2 - 8}q0 8 8 8H${x2}`;
  }

  function draw() {
    const { width, up, down } = layOut(named(svg, "net"));
    const wide = Math.max(width, svg.dataset.least), high = up + down + 2 * letter;
    give(legend, { y: high - 8 });
    give(svg, { width: wide, height: high + hint, viewBox: `0 0 ${wide} ${high + hint}` });
  }

  function press(event) {
    const box = event.target.closest(".box"), inside = box && named(box, "inside");
    if (inside) {
      const open = Boolean(inside.style.display);
      inside.style.display = open ? "" : "none";
      named(box, "face").style.display = open ? "none" : "";
      give(box, { "aria-expanded": open });
      draw();
    } else if (event.target.closest(".legend")) {
      svg.style.maxWidth = svg.style.maxWidth === "none" ? "100%" : "none";
    } else return;
    event.preventDefault();
  }

  const legend = named(svg, "legend"), piles = svg.querySelectorAll(".pile"), hint = 18;
  for (const box of piles) give(box, { tabindex: 0, role: "button", "aria-expanded": false });
  const words = `${piles.length ? "click a pile to unfold it, or here" : "click here"} to see all at once or at full size`;
  legend.innerHTML += `<tspan x="8" dy="${hint}">${words}</tspan>`;
  give(legend, { tabindex: 0, role: "button" });
  svg.addEventListener("click", press);
  svg.addEventListener("keydown", (event) => [" ", "Enter"].includes(event.key) && press(event));
  draw();
}
