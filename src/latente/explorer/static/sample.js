/**
 * One sample, drawn into a canvas: a picture, a row's columns as bars, a series as lines, a text.
 *
 * @typedef {{kind: "picture", width: number, height: number, channels: number,
 *            pixels: Uint8Array|Uint8ClampedArray, ink?: boolean}
 *         | {kind: "picture", width: number, height: number, sheet: ImageBitmap, x: number, y: number,
 *            ink?: boolean}
 *         | {kind: "row", values: Float32Array}
 *         | {kind: "sequence", length: number, channels: number, values: Float32Array}
 *         | {kind: "text", text: string}} Sample
 */
import { channels as rgb, colours as themeColours } from "./theme.js";
import { number, shortened } from "./words.js";

/** Columns drawn before the rest is asked for. */
export const FIRST_COLUMNS = 12;
/** Height of one column's bar, in CSS pixels. */
export const BAR_HEIGHT = 22;
const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif";
const NAMES_FROM = 150;

/**
 * One sample of an array of samples in an answer of the backend.
 *
 * @param {object} data `info.data`
 * @param {object} answer what the backend returned
 * @param {string} name of the array: "decoded", "originals", "damaged"
 * @param {number} index which of its samples
 * @returns {Sample|null} null where the answer has no such array
 */
export function sampleOf(data, answer, name, index = 0) {
  const texts = answer.meta?.texts?.[name] ?? answer.meta?.texts;
  if (Array.isArray(texts)) return { kind: "text", text: String(texts[index] ?? "") };
  const array = answer[name];
  if (!array) return null;
  const size = array.shape.slice(1).reduce((product, length) => product * length, 1);
  const values = array.data.subarray(index * size, (index + 1) * size);
  if (data.kind === "pictures") {
    const [height, width, channels = 1] = array.shape.slice(1);
    return { kind: "picture", width, height, channels, pixels: values, ink: data.ink };
  }
  if (data.kind === "rows") return { kind: "row", values };
  return { kind: "sequence", length: array.shape[1], channels: array.shape[2] ?? 1, values };
}

/** A picture's pixels as RGBA; the grey levels of one of ink go from paper to ink. */
export function rgba({ width, height, channels, pixels, ink }) {
  const out = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < width * height; i += 1) {
    for (let c = 0; c < 3; c += 1)
      out[4 * i + c] = pixels[channels >= 3 ? channels * i + c : channels * i];
    out[4 * i + 3] = channels === 4 ? pixels[4 * i + 3] : 255;
  }
  return ink && channels === 1 ? inked(out) : out;
}

/** The same pixels, whose grey levels go from the theme's paper to its ink. */
function inked(pixels) {
  const { tile, ink } = themeColours();
  const [paper, full] = [rgb(tile), rgb(ink)];
  for (let i = 0; i < pixels.length; i += 4) {
    const level = pixels[i] / 255;
    for (let c = 0; c < 3; c += 1) pixels[i + c] = paper[c] + level * (full[c] - paper[c]);
  }
  return pixels;
}

/** The picture of how far two pictures lie apart, pixel by pixel: black is the same. */
export function difference(one, other) {
  const pixels = one.pixels.map((value, i) => Math.min(255, Math.abs(value - other.pixels[i])));
  return { ...one, pixels };
}

/** Where a value lies between a column's limits, from 0 to 1; NaN for none. */
export function share(value, low, high) {
  if (!(high > low)) return Number.isNaN(value) ? NaN : 0.5;
  return Math.min(Math.max((value - low) / (high - low), 0), 1);
}

/** A column's value in words: the text it stands for where the column is of text. */
export function valueWords(data, column, value) {
  const levels = data.levels?.[column];
  if (!levels || Number.isNaN(value)) return number(value);
  return String(levels[Math.min(Math.max(Math.round(value), 0), levels.length - 1)]);
}

/** The columns of a row in the order they are shown: the most different first if they are many. */
export function columnOrder(values, beside, low, high, many = FIRST_COLUMNS) {
  const order = Array.from(values, (_, i) => i);
  if (!beside || values.length <= many) return order;
  const apart = (i) => {
    const width = high?.[i] - low?.[i] || 1;
    const distance = Math.abs(values[i] - beside[i]) / width;
    return Number.isNaN(distance) ? -1 : distance;
  };
  return order.sort((a, b) => apart(b) - apart(a) || a - b);
}

/** How many steps of a sequence hold values: those behind its end are NaN. */
export function lengthOf({ values, length, channels }) {
  let end = length;
  const empty = (step) => {
    for (let c = 0; c < channels; c += 1)
      if (!Number.isNaN(values[step * channels + c])) return false;
    return true;
  };
  while (end > 0 && empty(end - 1)) end -= 1;
  return end;
}

/** Width divided by height that suits a sample. */
export function aspect(sample, data) {
  if (sample.kind === "picture") return sample.width / sample.height;
  if (sample.kind === "row") return data.shape[0] > 40 ? 2.4 : 1.6;
  return 1.8;
}

/**
 * Draw a sample into a canvas of any size; its backing store follows the screen's resolution.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Sample} sample
 * @param {{data: object, width: number, height: number, beside?: Sample, order?: number[],
 *          current?: number, names?: boolean}} options
 *     `beside` is a second sample of the same kind (the original of a reconstruction), drawn as a
 *     second mark where samples are rows or sequences; width and height are in CSS pixels
 */
export function draw(canvas, sample, options) {
  const { width, height } = options;
  if (sample.kind === "picture") {
    drawPixels(canvas, sample);
  } else {
    const scale = globalThis.devicePixelRatio || 1;
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    paint(context, { left: 0, top: 0, width, height }, sample, options);
  }
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const enlarged = sample.kind === "picture" && width >= sample.width;
  canvas.style.imageRendering = enlarged ? "pixelated" : "auto";
}

function drawPixels(canvas, sample) {
  if (canvas.width !== sample.width) canvas.width = sample.width;
  if (canvas.height !== sample.height) canvas.height = sample.height;
  const context = canvas.getContext("2d");
  const { sheet, x, y, width, height, ink } = sample;
  if (!sheet) {
    context.putImageData(new ImageData(rgba(sample), width, height), 0, 0);
    return;
  }
  context.drawImage(sheet, x, y, width, height, 0, 0, width, height);
  if (!ink) return;
  const image = context.getImageData(0, 0, width, height);
  inked(image.data);
  context.putImageData(image, 0, 0);
}

/**
 * Draw a sample into a box of a context, such as a cell of a strip.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {{left: number, top: number, width: number, height: number}} box
 * @param {Sample} sample
 * @param {object} options as those of `draw`, and `colours` in the place of the theme's
 */
export function paint(context, box, sample, options) {
  context.save();
  context.translate(box.left, box.top);
  const painter = {
    picture: paintPicture,
    row: paintRow,
    sequence: paintSequence,
    text: paintText,
  };
  painter[sample.kind](context, box.width, box.height, sample, {
    colours: themeColours(),
    ...options,
  });
  context.restore();
}

function paintPicture(context, width, height, sample) {
  const source = document.createElement("canvas");
  drawPixels(source, sample);
  const scale = Math.min(width / sample.width, height / sample.height);
  const [w, h] = [sample.width * scale, sample.height * scale];
  context.imageSmoothingEnabled = scale < 1;
  context.imageSmoothingQuality = "high";
  context.drawImage(source, (width - w) / 2, (height - h) / 2, w, h);
}

function limits(data, sample, beside, index) {
  const levels = data.levels?.[index];
  if (levels) return [-1, levels.length - 1];
  const [low, high] = [data.low?.[index], data.high?.[index]];
  if (Number.isFinite(low) && Number.isFinite(high) && high > low) return [low, high];
  const values = [sample.values[index], beside?.values[index]].filter(Number.isFinite);
  return [Math.min(0, ...values), Math.max(1, ...values)];
}

function paintRow(context, width, height, sample, options) {
  const named = width >= NAMES_FROM && options.names !== false;
  (named ? paintNamedBars : paintBareBars)(context, width, height, sample, options);
}

/** Horizontal bars, each with its column's name and value. */
function paintNamedBars(context, width, height, sample, options) {
  const { data, beside, colours, current } = options;
  const order = options.order ?? Array.from(sample.values, (_, i) => i);
  const step = Math.min(BAR_HEIGHT, height / order.length);
  const track = { left: Math.round(width * 0.42), width: Math.round(width * 0.38) };
  context.font = `${Math.min(12, step * 0.6)}px ${FONT}`;
  context.textBaseline = "middle";
  order.forEach((column, place) => {
    const middle = (place + 0.5) * step;
    if (column === current) {
      context.fillStyle = colours.tile;
      context.fillRect(0, place * step, width, step);
    }
    const [low, high] = limits(data, sample, beside, column);
    context.fillStyle = column === current ? colours.ink : colours.muted;
    fillShort(context, data.features?.[column] ?? String(column), 4, middle, track.left - 12);
    context.fillStyle = colours.line;
    context.fillRect(track.left, middle - 1, track.width, 2);
    bar(context, track, middle, step, share(sample.values[column], low, high), colours);
    if (beside)
      tick(context, track, middle, step, share(beside.values[column], low, high), colours);
    context.fillStyle = colours.ink;
    const text = valueWords(data, column, sample.values[column]);
    const left = track.left + track.width + 8;
    if (data.levels?.[column]) fillShort(context, text, left, middle, width - left);
    else context.fillText(text, left, middle, width - left);
  });
}

function bar(context, track, middle, step, part, colours) {
  if (Number.isNaN(part)) return;
  const thick = Math.max(3, step * 0.42);
  context.fillStyle = colours.accent;
  context.fillRect(track.left, middle - thick / 2, Math.max(2, part * track.width), thick);
}

function tick(context, track, middle, step, part, colours) {
  if (Number.isNaN(part)) return;
  const tall = Math.max(6, step * 0.8);
  const x = track.left + part * track.width;
  context.fillStyle = colours.paper;
  context.fillRect(x - 2.5, middle - tall / 2, 5, tall);
  context.fillStyle = colours.ink;
  context.fillRect(x - 1, middle - tall / 2, 2, tall);
}

/** Upright bars without names, for small sizes. */
function paintBareBars(context, width, height, sample, options) {
  const { data, beside, colours } = options;
  const count = sample.values.length;
  const step = width / count;
  context.fillStyle = colours.line;
  context.fillRect(0, height - 1, width, 1);
  for (let column = 0; column < count; column += 1) {
    const [low, high] = limits(data, sample, beside, column);
    const part = share(sample.values[column], low, high);
    context.fillStyle = colours.accent;
    const thick = Math.max(1, step * 0.7);
    if (!Number.isNaN(part)) {
      const tall = Math.max(1, part * (height - 2));
      context.fillRect(column * step + (step - thick) / 2, height - 1 - tall, thick, tall);
    }
    const other = beside ? share(beside.values[column], low, high) : NaN;
    context.fillStyle = colours.ink;
    if (!Number.isNaN(other)) {
      context.fillRect(column * step, height - 2 - other * (height - 2), step, 2);
    }
  }
}

/** A text whose middle is left out where it would be too wide. */
function fillShort(context, text, left, middle, width) {
  let shown = text;
  for (let most = text.length; most > 3 && context.measureText(shown).width > width; ) {
    most -= 1;
    shown = shortened(text, most);
  }
  context.fillText(shown, left, middle);
}

/** Lines over time: one lane a channel, the original dashed behind the reconstruction. */
function paintSequence(context, width, height, sample, options) {
  const { beside, colours } = options;
  const lanes = Math.min(sample.channels, options.lanes ?? 6);
  const gap = lanes > 1 ? 4 : 0;
  const tall = (height - gap * (lanes - 1)) / lanes;
  const steps = Math.max(lengthOf(sample), beside ? lengthOf(beside) : 0, 2);
  for (let lane = 0; lane < lanes; lane += 1) {
    const box = { top: lane * (tall + gap), width, height: tall, steps };
    context.fillStyle = colours.tile;
    context.fillRect(0, box.top, width, tall);
    const range = laneLimits(options.data, sample, beside, lane);
    if (beside) {
      context.setLineDash([5, 3]);
      line(context, box, beside, lane, range, colours.ink, 1.25);
      context.setLineDash([]);
    }
    line(context, box, sample, lane, range, colours.accent, 2);
  }
  if (options.current !== undefined) {
    context.fillStyle = colours.muted;
    context.fillRect((options.current / (steps - 1)) * (width - 4) + 1.5, 0, 1, height);
  }
}

/** Limits of a channel: the data's own, wider where these samples leave them. */
export function laneLimits(data, sample, beside, lane) {
  let [low, high] = [data.low?.[lane] ?? Infinity, data.high?.[lane] ?? -Infinity];
  for (const { values, channels } of [sample, beside].filter(Boolean)) {
    for (let i = lane; i < values.length; i += channels) {
      if (values[i] < low) low = values[i];
      if (values[i] > high) high = values[i];
    }
  }
  return high > low ? [low, high] : [low - 1, low + 1];
}

function line(context, box, sample, lane, [low, high], colour, thick) {
  context.strokeStyle = colour;
  context.lineWidth = thick;
  context.lineJoin = "round";
  context.beginPath();
  let pen = false;
  for (let step = 0; step < sample.length; step += 1) {
    const value = sample.values[step * sample.channels + lane];
    if (Number.isNaN(value)) {
      pen = false;
      continue;
    }
    const x = 2 + (step / (box.steps - 1)) * (box.width - 4);
    const y = box.top + box.height - 3 - ((value - low) / (high - low)) * (box.height - 6);
    if (pen) context.lineTo(x, y);
    else context.moveTo(x, y);
    pen = true;
  }
  context.stroke();
}

function paintText(context, width, height, { text }, { colours }) {
  const size = Math.max(9, Math.min(13, height / 4));
  context.fillStyle = colours.ink;
  context.font = `${size}px ${FONT}`;
  context.textBaseline = "top";
  let [shown, top] = ["", 2];
  for (const letter of `${text}\n`) {
    if (letter === "\n" || context.measureText(shown + letter).width > width - 4) {
      context.fillText(shown, 2, top);
      [shown, top] = [letter.trim(), top + size * 1.3];
      if (top + size > height) return;
    } else shown += letter;
  }
}

/** What a sample shows, in words, for those who do not see it. */
export function describe(sample, data, t) {
  if (sample.kind === "text") return sample.text;
  if (sample.kind === "picture") {
    return t("sample.picture", { width: sample.width, height: sample.height });
  }
  if (sample.kind === "sequence") {
    return t("sample.sequence", { steps: lengthOf(sample), channels: sample.channels });
  }
  const few = sample.values.slice(0, 6);
  const first = Array.from(
    few,
    (value, i) => `${data.features?.[i] ?? i} ${valueWords(data, i, value)}`,
  );
  const rest = sample.values.length - first.length;
  const words = t("sample.row", { values: first.join(", ") });
  return rest > 0 ? `${words} ${t("sample.more", { count: rest })}` : words;
}
