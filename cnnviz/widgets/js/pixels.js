// Bytes as they come from Python, and small pictures with a pixel for each number.

/** A block of bytes: part of a message in a notebook, base64 in a saved page. A copy, so that wider numbers fit its start. */
export function bytesOf(data) {
  if (typeof data === "string") return Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const { buffer = data, byteOffset = 0, byteLength } = data;
  return new Uint8Array(buffer.slice(byteOffset, byteOffset + byteLength));
}

/** A colour as one number of a canvas, little-endian. */
export function pixelOf(red, green, blue, alpha = 255) {
  return (alpha << 24) | (blue << 16) | (green << 8) | red;
}

/** A canvas of pixels, `pixelAt(i)` in reading order; `canvas` is used again when given. */
export function tileOf(wide, high, pixelAt, canvas = document.createElement("canvas")) {
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== high) canvas.height = high;
  const context = canvas.getContext("2d");
  const image = context.createImageData(wide, high);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = pixelAt(i);
  context.putImageData(image, 0, 0);
  return canvas;
}

/** A picture of bytes, red, green and blue, with this height and width. */
export function pictureOf(bytes, [high, wide]) {
  return tileOf(wide, high, (i) => pixelOf(bytes[3 * i], bytes[3 * i + 1], bytes[3 * i + 2]));
}
