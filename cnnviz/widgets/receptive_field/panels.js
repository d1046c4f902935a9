// Where the maps stand on a canvas, all to the picture's scale, and how one is painted.
import { bytesOf, tileOf } from "../js/pixels.js";

const PANEL_GAP = 10;
const PANEL_TEXT = 22; // a line above and one below
const SMALLEST_PANEL = 124;
const TIGHTEST_PANEL = 92; // if then all stand in one row
const LARGEST_PANEL = 200;
const FAINTEST = 0.12; // of what is seen at all
const LINES_FROM = 8; // pixels a cell

/** For `most` panels a stack, `more` of them behind the maps, and a width: place(walk) -> panels, size(count) -> of the canvas. */
export function fitPanels(most, width, more) {
  const room = Math.max(width, SMALLEST_PANEL);
  const fitting = (side) => Math.floor((room + PANEL_GAP) / (side + PANEL_GAP));
  const columns = fitting(TIGHTEST_PANEL) >= most ? most : Math.max(1, fitting(SMALLEST_PANEL));
  const side = Math.min(LARGEST_PANEL, Math.floor((room + PANEL_GAP) / columns) - PANEL_GAP);
  const height = side + 2 * PANEL_TEXT + 6;
  const place = ({ layers, maps }) => {
    let jump = 1 / Math.max(...maps[0]);
    const cells = maps.map((_, at) => (jump *= at ? Math.max(layers[at - 1].rows.stride, layers[at - 1].cols.stride) : 1));
    return [...maps.keys(), ...Array(more).fill(0)].map((map, at) => {
      const size = maps[map];
      const cell = Math.min(cells[map] * side, side / Math.max(...size));
      const [left, top] = [(at % columns) * (side + PANEL_GAP), Math.floor(at / columns) * height + PANEL_TEXT];
      return { map: size, cell, side, left, top, x: left + (side - cell * size[1]) / 2, y: top + (side - cell * size[0]) / 2 };
    });
  };
  return { place, size: (count) => ({ width: room, height: Math.ceil(count / columns) * height }) };
}

/** What a unit sees of a map (`seen`), or what was `measured`; `box` is the frame of theory. */
export function paintPanel(pen, palette, panel, { seen, measured, box, above, below }) {
  const { map: [height, width], x, y, cell, side, left, top } = panel;
  pen.fillStyle = palette.counts.css[0];
  pen.fillRect(x, y, width * cell, height * cell);
  if (seen || measured) {
    const shades = measured && shadesOf(measured);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(pixelsOf(palette, height, width, seen ? waysShare(seen) : (row, col) => shades[row * width + col] / 255), x, y, width * cell, height * cell);
  }
  pen.strokeStyle = palette.grid;
  pen.lineWidth = 1;
  if (cell >= LINES_FROM) gridLines(pen, panel);
  pen.strokeRect(x, y, width * cell, height * cell);
  if (box) frame(pen, panel, box, palette.window, 2.5);
  if (measured) frame(pen, panel, inner(box, measured.side), palette.ink, 1.5);
  pen.font = `14px ${palette.font}`;
  pen.textAlign = "center";
  pen.fillStyle = palette.ink;
  pen.fillText(above, left + side / 2, top - 7, side);
  pen.fillText(below, left + side / 2, top + side + 16, side);
}

const decoded = new WeakMap(); // a record's bytes, read once and not once a frame

function shadesOf(record) {
  if (!decoded.has(record)) decoded.set(record, bytesOf(record.u8));
  return decoded.get(record);
}

/** Ways to a pixel as a share of the most; what is seen at all is never as pale as what is not. */
function waysShare({ rows, cols }) {
  const [tall, wide] = [Math.max(1, ...rows), Math.max(1, ...cols)];
  return (row, col) => {
    const share = (rows[row] / tall) * (cols[col] / wide);
    return rows[row] && cols[col] ? FAINTEST + (1 - FAINTEST) * share : 0;
  };
}

function pixelsOf(palette, height, width, shareAt) {
  const shades = palette.counts.pixels;
  return tileOf(width, height, (i) => shades[Math.round(shareAt(Math.floor(i / width), i % width) * 255)]);
}

function gridLines(pen, { map: [height, width], x, y, cell }) {
  pen.beginPath();
  for (let row = 1; row < height; row++) pen.moveTo(x, y + row * cell), pen.lineTo(x + width * cell, y + row * cell);
  for (let col = 1; col < width; col++) pen.moveTo(x + col * cell, y), pen.lineTo(x + col * cell, y + height * cell);
  pen.stroke();
}

/** A frame around a box of cells, cut off where it leaves the map for the padding. */
function frame(pen, { map: [height, width], x, y, cell }, [top, left, rows, cols], colour, line) {
  pen.save();
  pen.beginPath();
  pen.rect(x - 3, y - 3, width * cell + 6, height * cell + 6);
  pen.clip();
  pen.strokeStyle = colour;
  pen.lineWidth = line;
  pen.strokeRect(x + left * cell, y + top * cell, cols * cell, rows * cell);
  pen.restore();
}

function inner([top, left, rows, cols], [height, width]) {
  return [top + (rows - height) / 2, left + (cols - width) / 2, height, width];
}
