/**
 * Samples one after the other: as a strip (PNG) and as an animation (GIF).
 */
import { GIFEncoder, applyPalette, quantize } from "./vendor/gifenc.js";
import { aspect, paint, rgba } from "./sample.js";

const SMALLEST = 160;
const WIDEST = 4096;
const GAP = 2;
const HOLD = 500;
const COLOURS = 256;

/**
 * The order in which an animation shows its frames and how long each stays.
 *
 * @param {number} steps frames there are
 * @param {number} seconds from the first to the last
 * @param {boolean} back whether it comes back the same way
 * @returns {{frame: number, delay: number}[]} delays in milliseconds, in tens, 20 at least
 */
export function timing(steps, seconds, back) {
  const delay = Math.max(20, Math.round((seconds * 100) / Math.max(steps - 1, 1)) * 10);
  const there = Array.from({ length: steps }, (_, i) => i);
  const order = back && steps > 2 ? [...there, ...there.slice(1, -1).reverse()] : there;
  const rest = (frame) => (frame === 0 || frame === steps - 1 ? Math.max(delay, HOLD) : delay);
  return order.map((frame) => ({ frame, delay: rest(frame) }));
}

/** The frame shown after some milliseconds of an animation that repeats, as its place in the order. */
export function frameAt(order, milliseconds) {
  const whole = order.reduce((sum, { delay }) => sum + delay, 0);
  let rest = whole > 0 ? milliseconds % whole : 0;
  for (let i = 0; i < order.length; i += 1) {
    if (rest < order[i].delay) return i;
    rest -= order[i].delay;
  }
  return order.length - 1;
}

/**
 * Size of a frame in pixels: pictures enlarged by a whole number, so that their pixels stay square.
 */
export function frameSize(sample, data, smallest = SMALLEST) {
  if (sample.kind === "picture") {
    const scale = Math.max(1, Math.ceil(smallest / Math.max(sample.width, sample.height)));
    return { width: sample.width * scale, height: sample.height * scale };
  }
  if (sample.kind === "row") {
    return { width: 320, height: Math.min(sample.values.length, 24) * 18 };
  }
  return { width: 320, height: Math.round(320 / aspect(sample, data)) };
}

/**
 * Where the frames of a strip lie: in one line, in more where one would be too wide.
 *
 * @returns {{width: number, height: number, cells: {left: number, top: number}[]}}
 */
export function stripLayout(count, cell, gap = GAP, widest = WIDEST) {
  const fitting = Math.max(1, Math.floor((widest + gap) / (cell.width + gap)));
  const lines = Math.ceil(count / fitting);
  const columns = Math.ceil(count / lines);
  return {
    width: columns * (cell.width + gap) - gap,
    height: lines * (cell.height + gap) - gap,
    cells: Array.from({ length: count }, (_, i) => ({
      left: (i % columns) * (cell.width + gap),
      top: Math.floor(i / columns) * (cell.height + gap),
    })),
  };
}

/** The colours that frames hold, if they are few enough for a GIF to keep each; null otherwise. */
export function exactPalette(frames, most = COLOURS) {
  const seen = new Map();
  for (const pixels of frames) {
    for (let i = 0; i < pixels.length; i += 4) {
      const key = (pixels[i] << 16) | (pixels[i + 1] << 8) | pixels[i + 2];
      if (seen.has(key)) continue;
      if (seen.size === most) return null;
      seen.set(key, seen.size);
    }
  }
  return seen;
}

function indexed(pixels, palette) {
  const out = new Uint8Array(pixels.length / 4);
  for (let i = 0; i < out.length; i += 1) {
    out[i] = palette.get((pixels[4 * i] << 16) | (pixels[4 * i + 1] << 8) | pixels[4 * i + 2]);
  }
  return out;
}

/**
 * Write an animated GIF.
 *
 * Colours are kept exactly where all frames together have 256 or fewer (every grey picture);
 * otherwise each frame has a palette of its own.
 *
 * @param {Uint8ClampedArray[]} frames RGBA, all of one size
 * @param {{frame: number, delay: number}[]} order of `timing`
 * @returns {Uint8Array} the file
 */
export function gif(frames, width, height, order) {
  const exact = exactPalette(frames);
  const coloured = frames.map((pixels) => (exact ? indexed(pixels, exact) : quantized(pixels)));
  const shared = exact && [...exact.keys()].map((key) => [key >> 16, (key >> 8) & 255, key & 255]);
  const encoder = GIFEncoder();
  order.forEach(({ frame, delay }, i) => {
    const index = exact ? coloured[frame] : coloured[frame].index;
    const palette = exact ? (i === 0 ? shared : undefined) : coloured[frame].palette;
    encoder.writeFrame(index, width, height, { palette, delay, repeat: 0 });
  });
  encoder.finish();
  return encoder.bytes();
}

function quantized(pixels) {
  const palette = quantize(pixels, COLOURS);
  return { palette, index: applyPalette(pixels, palette) };
}

function frameCanvas(width, height, colours) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = colours.paper;
  context.fillRect(0, 0, width, height);
  return { canvas, context };
}

/** The animation of samples as a GIF file. */
export function gifOf(samples, order, options) {
  const { width, height } = frameSize(samples[0], options.data);
  const frames = samples.map((sample) => {
    if (sample.kind === "picture") return enlarged(sample, width / sample.width);
    const { context } = frameCanvas(width, height, options.colours);
    paint(context, { left: 0, top: 0, width, height }, sample, options);
    return context.getImageData(0, 0, width, height).data;
  });
  return new Blob([gif(frames, width, height, order)], { type: "image/gif" });
}

/** A picture's pixels as RGBA, each made a square of some pixels. */
export function enlarged(sample, scale) {
  const small = new Uint32Array(rgba(sample).buffer);
  const wide = sample.width * scale;
  const large = new Uint32Array(wide * sample.height * scale);
  for (let y = 0; y < sample.height * scale; y += 1) {
    const line = Math.floor(y / scale) * sample.width;
    for (let x = 0; x < wide; x += 1) large[y * wide + x] = small[line + Math.floor(x / scale)];
  }
  return new Uint8ClampedArray(large.buffer);
}

/** Samples beside each other as a PNG file. */
export function stripOf(samples, options) {
  const cell = frameSize(samples[0], options.data, 56);
  const layout = stripLayout(samples.length, cell);
  const { canvas, context } = frameCanvas(layout.width, layout.height, options.colours);
  samples.forEach((sample, i) => paint(context, { ...layout.cells[i], ...cell }, sample, options));
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
