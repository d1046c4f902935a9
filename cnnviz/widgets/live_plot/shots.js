// The time machine's pictures: a layer's filters and one picture's feature maps, as they were at an epoch.
import { pixelOf, tileOf } from "../js/pixels.js";

const GAP = 4, WORDS_HEIGHT = 22;
const LARGEST = 64, ALONE = 120; // pixels a side, the second in a saved page: there they are what the page is for

/** `scale`: the largest weight of all epochs, so that a filter that grows is seen to grow. */
export function drawShot(view, canvas, { epoch, filters, maps, scale: own }, scale, words, run) {
  const { palette } = view;
  const width = Math.floor(view.root.clientWidth - 26);
  const side = Math.min(view.session.model.alone ? ALONE : LARGEST, Math.floor((width + GAP) / Math.max(filters.shape[0], maps.shape[0])) - GAP);
  const row = WORDS_HEIGHT + side + GAP;
  const context = view.fitCanvas(canvas, width, 2 * row);
  context.clearRect(0, 0, width, 2 * row);
  context.imageSmoothingEnabled = false;
  context.font = `14px ${palette.font}`;
  context.textBaseline = "middle";
  const rows = [[`${words}, epoch ${epoch}${run}`, filters, (byte) => Math.round(128 + ((byte - 128) * own) / scale)], ["their maps of one picture of the test set", maps, (byte) => byte]];
  rows.forEach(([line, { shape, pixels }, shade], at) => {
    context.fillStyle = palette.ink;
    context.fillText(line, 0, at * row + WORDS_HEIGHT / 2);
    const [count, high, wide, channels = 1] = shape;
    for (let i = 0; i < count; i++) {
      const size = high * wide * channels;
      const tile = smallOf(pixels.subarray(i * size, (i + 1) * size), high, wide, channels, shade, at ? palette.photo.pixels : palette.signed.pixels);
      context.drawImage(tile, i * (side + GAP), at * row + WORDS_HEIGHT, side, side);
    }
  });
  const description = `${words} and their maps at epoch ${epoch}`;
  if (canvas.getAttribute("aria-label") !== description) canvas.setAttribute("aria-label", description);
}

function smallOf(bytes, high, wide, channels, shade, colours) {
  const pixelAt = channels === 3 ? (i) => pixelOf(shade(bytes[3 * i]), shade(bytes[3 * i + 1]), shade(bytes[3 * i + 2])) : (i) => colours[shade(bytes[i])];
  return tileOf(wide, high, pixelAt);
}
