// What a server would answer, from what an exported site holds: runs in a worker (local.js).

import { DAMAGE_ORDER, DAMAGES, random } from "./damages.js";
import { Network } from "./network.js";
import { unpack } from "./packed.js";
import { nearest, PLANES } from "./planes.js";

/** Bytes of base64. */
function fromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** What zlib made smaller, as an ArrayBuffer. */
async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/** The arrays of a part. */
async function read(part) {
  return unpack(await inflated(fromBase64(part)));
}

/** What a server would answer, from what the site holds. */
export class Engine {
  /** @param {{site: string, rows: string}} parts  base64 of packed arrays, made smaller by zlib */
  static async of(parts) {
    const missing = ["site", "rows"].find((name) => !parts[name]);
    if (missing) throw new Error(`a part of this site is missing: data/${missing}.js`);
    const [site, rows] = await Promise.all(
      ["site", "rows"].map((name) => read(parts[name]).catch(() => {
        throw new Error(`a part of this site is broken or cut short: ${name}; copy it once more`);
      })),
    );
    return new Engine(site, rows);
  }

  constructor(site, rows) {
    this.site = site;
    this.rows = rows;
    this.info_ = site.meta.info;
    this.n = this.info_.n;
    this.models = site.meta.models.map((about, i) => this.#model(about, i));
  }

  #model(about, i) {
    const { weights } = this.site;
    const network = (program) => program
      && new Network(program, weights.data.buffer, weights.data.byteOffset);
    const each = (name) => this.site[`${name}${i}`];
    const model = {
      about,
      facts: this.info_.models[i],
      latent: this.info_.models[i].latent,
      codes: each("codes"),
      points: each("points"),
      errors: each("errors"),
      scores: each("scores"),
      density: each("density"),
      sorted: each("scores").data.filter((score) => !Number.isNaN(score)).sort(),
      passing: network(about.passing),
      decoding: network(about.decoding),
    };
    const known = { codes: model.codes.data, points: model.points.data, latent: model.latent };
    model.plane = PLANES[about.plane.kind](about.plane, known);
    return model;
  }

  info() {
    return this.info_;
  }

  points(model) {
    return { points: copied(this.models[model].points), meta: {} };
  }

  column(name, model = 0) {
    const at = this.info_.columns.findIndex(
      (column) => column.name === name && (column.model ?? model) === model,
    );
    if (at < 0) throw new Error(`there is no column "${name}"`);
    return { values: copied(this.site[`column${at}`]), meta: {} };
  }

  density(model) {
    return { values: copied(this.models[model].density), meta: {} };
  }

  /** Rows as small pictures: RGBA of a sheet of 32 columns, or null where rows are no pictures. */
  thumbnails(first, count) {
    if (this.info_.data.kind !== "pictures") return null;
    const { data, shape: [, h, w, channels] } = this.rows.originals;
    const scale = Math.min(1, 48 / Math.max(h, w));
    const height = Math.max(1, Math.round(h * scale)), width = Math.max(1, Math.round(w * scale));
    const many = Math.max(0, Math.min(count, this.n - first));
    const down = Math.ceil(many / 32);
    const rgba = new Uint8ClampedArray(down * height * 32 * width * 4);
    for (let i = 0; i < many; i++) {
      const picture = data.subarray((first + i) * h * w * channels, (first + i + 1) * h * w * channels);
      const top = Math.floor(i / 32) * height, left = (i % 32) * width;
      for (let r = 0; r < height; r++) {
        for (let q = 0; q < width; q++) {
          const place = ((top + r) * 32 * width + left + q) * 4;
          for (let c = 0; c < 3; c++) {
            rgba[place + c] = shade(picture, h, w, channels, r, q, height, width, Math.min(c, channels - 1));
          }
          rgba[place + 3] = 255;
        }
      }
    }
    return { rgba, width: 32 * width, height: down * height };
  }

  samples(model, ids) {
    const { codes, points, errors, scores, latent, decoding } = this.models[model];
    const taken = rowsOf(codes, ids);
    const originals = rowsOf(this.rows.originals, ids);
    let back = null;
    if (decoding) back = decoding.run(taken.data, ids.length);
    else if (this.models[model].passing) back = this.#passed(model, originals.data, ids.length).back;
    return this.#answer({
      codes: taken, points: rowsOf(points, ids), errors: rowsOf(errors, ids), scores: rowsOf(scores, ids),
    }, { originals: [originals.data, false], decoded: [back ?? this.#nothing(ids.length), true] }, ids.length, { latent });
  }

  decode({ model, at, codes, base }) {
    const it = this.models[model];
    if (!it.decoding) throw new Error(it.about.refused?.decoding ?? "this model cannot decode a code alone");
    const m = (at ?? codes).length;
    const all = new Float32Array(m * it.latent);
    const points = new Float32Array(m * 2);
    const near = new Int32Array(m), distance = new Float32Array(m), inside = new Float32Array(m);
    for (let i = 0; i < m; i++) {
      const code = at ? it.plane.code(at[i], base) : codes[i];
      const point = at ? at[i] : it.plane.points(code, i, m);
      all.set(code, i * it.latent);
      points.set(point, i * 2);
      const [[away, row]] = at ? nearest(it.points.data, 2, point, 1)
        : nearest(it.codes.data, it.latent, code, 1);
      near[i] = row;
      distance[i] = away;
      inside[i] = this.#inside(it, point);
    }
    return this.#answer({
      codes: { data: all, shape: [m, it.latent] }, points: { data: points, shape: [m, 2] },
      nearest: { data: near, shape: [m] }, distance: { data: distance, shape: [m] },
      inside: { data: inside, shape: [m] },
    }, { decoded: [it.decoding.run(all, m), true] }, m);
  }

  encode(model, body) {
    const x = this.#read(body);
    const it = this.models[model];
    const { codes, back, errors, scores } = this.#passed(model, x, 1);
    if (!codes.every(Number.isFinite)) throw new Error("the model gives no finite code for this sample");
    const found = nearest(it.codes.data, it.latent, codes, 12);
    return this.#answer({
      codes: { data: codes, shape: [1, it.latent] },
      points: { data: Float32Array.from(it.plane.points(codes, 0, 1)), shape: [1, 2] },
      errors: { data: errors, shape: [1] }, scores: { data: scores, shape: [1] },
      percentile: { data: Float32Array.of(below(it.sorted, scores[0])), shape: [1] },
      similar: { data: Int32Array.from(found, ([, row]) => row), shape: [1, found.length] },
      similar_distance: { data: Float32Array.from(found, ([away]) => away), shape: [1, found.length] },
    }, { originals: [x, false], decoded: [back, true] }, 1);
  }

  damage({ model, id, picture, damages, seed = 0 }) {
    const it = this.models[model];
    const x = picture !== undefined ? fromBase64(picture) : rowsOf(this.rows.originals, [id]).data;
    const broken = this.#damaged(x, damages ?? {}, seed);
    const { codes, back } = this.#passed(model, broken, 1);
    const answer = this.#answer({
      codes: { data: codes, shape: [1, it.latent] },
      points: { data: Float32Array.from(it.plane.points(codes, 0, 1)), shape: [1, 2] },
    }, { damaged: [broken, false], decoded: [back, true] }, 1);
    Object.assign(answer.meta, this.#quality(x, broken, answer.decoded.data));
    return answer;
  }

  direction(model, present, absent) {
    const { codes: { data }, latent } = this.models[model];
    if (!present.length || !absent.length) throw new Error("choose rows with it and rows without it");
    const groups = [present, absent].map((ids) => Array.from(ids));
    const { step } = learned(data, latent, ...groups);
    let right = 0, total = 0;
    if (Math.min(...groups.map((ids) => ids.length)) >= 2) {
      for (const fold of [0, 1]) {
        const found = learned(data, latent, ...groups.map((ids) => ids.filter((_, i) => i % 2 !== fold)));
        groups.forEach((ids, group) => ids.forEach((id, i) => {
          if (i % 2 !== fold) return;
          right += (found.read(id) > 0.5) === (group === 0) ? 1 : 0;
          total += 1;
        }));
      }
    }
    return {
      direction: { data: Float32Array.from(step), shape: [latent] },
      meta: { with: present.length, without: absent.length, separation: total ? right / total : null },
    };
  }

  // ── what several share ──

  #passed(model, x, n) {
    const it = this.models[model];
    if (!it.passing) throw new Error(it.about.refused?.passing ?? "this model cannot encode in a page");
    const out = it.passing.run(x, n);
    const width = out.length / n, inner = width - it.latent - 2;
    const part = (first, size) => {
      const found = new Float32Array(n * size);
      for (let i = 0; i < n; i++) found.set(out.subarray(i * width + first, i * width + first + size), i * size);
      return found;
    };
    return {
      codes: part(0, it.latent), back: part(it.latent, inner),
      errors: part(it.latent + inner, 1), scores: part(it.latent + inner + 1, 1),
    };
  }

  /** The smallest region of training codes that holds a place of the map. */
  #inside({ facts: { density: { limits, levels, shape: [rows, columns] } }, density }, [x, y]) {
    const [left, right, bottom, top] = limits;
    const column = ((x - left) / (right - left)) * columns - 0.5;
    const row = ((y - bottom) / (top - bottom)) * rows - 0.5;
    if (column < -0.5 || row < -0.5 || column > columns - 0.5 || row > rows - 0.5) return 1;
    const c = Math.min(Math.max(column, 0), columns - 1), r = Math.min(Math.max(row, 0), rows - 1);
    const c0 = Math.floor(c), r0 = Math.floor(r);
    const c1 = Math.min(c0 + 1, columns - 1), r1 = Math.min(r0 + 1, rows - 1);
    const at = (i, j) => density.data[i * columns + j];
    const low = at(r0, c0) + (at(r0, c1) - at(r0, c0)) * (c - c0);
    const high = at(r1, c0) + (at(r1, c1) - at(r1, c0)) * (c - c0);
    const value = low + (high - low) * (r - r0);
    const place = [0.5, 0.8, 0.95].findIndex((_, i) => value >= levels[i]);
    return place < 0 ? 1 : [0.5, 0.8, 0.95][place];
  }

  /** What a page sends as the numbers of a sample. */
  #read({ pixels, values, text }) {
    const { input } = this.site.meta;
    const { kind, shape } = this.info_.data;
    if (text !== undefined) return this.#places(text);
    if (pixels) {
      const size = this.rows.originals.shape.slice(1).reduce((product, side) => product * side, 1);
      if (pixels.length !== size) throw new Error(`a picture has ${size} bytes, ${pixels.length} were given`);
      return pixels;
    }
    if (!Array.isArray(values)) throw new Error(`this model takes ${kind}`);
    if (kind === "rows") {
      if (values.length !== shape[0]) throw new Error(`a row has ${shape[0]} values`);
      return Float32Array.from(values, (value, i) => this.#number(value, i));
    }
    const steps = values.map((step) => (Array.isArray(step) ? step : [step]));
    if (steps.length > shape[0]) throw new Error(`a sequence has at most ${shape[0]} steps`);
    for (const step of steps) {
      if (step.length !== shape[1] || !step.every(Number.isFinite)) {
        throw new Error(`each step of a sequence has ${shape[1]} numbers`);
      }
    }
    const out = new Float32Array(shape[0] * shape[1]).fill(NaN);
    steps.forEach((step, i) => out.set(step, i * shape[1]));
    return out;
  }

  /** A value of a column as a number: text by its place among the known ones. */
  #number(value, i) {
    if (value === null || value === undefined || value === "") return NaN;
    const levels = this.site.meta.input.levels?.[i];
    if (levels?.includes(value)) return levels.indexOf(value);
    const known = typeof value === "number" && (!levels || (value >= 0 && value <= levels.length - 1));
    if (known) return levels ? Math.round(value) : value;
    const name = this.info_.data.features?.[i] ?? i;
    throw new Error(`${JSON.stringify(value)} is no ${levels ? "known value" : "number"} for the column "${name}"`);
  }

  /** A text by the places of its characters, from 1. */
  #places(text) {
    const { alphabet, steps } = this.site.meta.input;
    const points = Array.from(text, (character) => character.codePointAt(0));
    if (points.length > steps) throw new Error(`a text has at most ${steps} characters`);
    const out = new Float32Array(steps);
    points.forEach((point, i) => {
      const place = alphabet.indexOf(point);
      if (place < 0) throw new Error(`the model never saw the character "${String.fromCodePoint(point)}"`);
      out[i] = place + 1;
    });
    return out;
  }

  /** Named arrays and samples, as the page takes them. */
  #answer(arrays, samples, m) {
    const answer = { ...arrays, meta: {} };
    const texts = {};
    for (const [name, [numbers, given]] of Object.entries(samples)) {
      const { alphabet } = given ? this.site.meta.target : this.site.meta.input;
      if (alphabet) {
        const steps = numbers.length / m;
        texts[name] = Array.from({ length: m }, (_, i) => spelled(numbers.subarray(i * steps, (i + 1) * steps), alphabet));
        continue;
      }
      const form = given ? this.site.meta.target : this.site.meta.input;
      const data = form.kind === "pictures" && !(numbers instanceof Uint8Array)
        ? new Uint8Array(Uint8ClampedArray.from(numbers).buffer) : numbers;
      answer[name] = { data, shape: [m, ...form.shape] };
    }
    if (Object.keys(texts).length) answer.meta.texts = texts;
    return answer;
  }

  #nothing(m) {
    const { shape, alphabet, steps } = this.site.meta.target;
    const size = alphabet ? steps : shape.reduce((product, side) => product * side, 1);
    return new Float32Array(m * size).fill(alphabet ? 0 : NaN);
  }

  #damaged(x, amounts, seed) {
    const { input } = this.site.meta;
    const pictures = input.kind === "pictures";
    const channels = pictures ? input.shape[2] : 1;
    const form = { channels, height: input.shape[0], width: input.shape[1], bounds: input.bounds };
    const span = (i) => input.span[i % input.span.length];
    const shift = (i) => input.shift[i % input.shift.length];
    let scaled = Float64Array.from(x, (value, i) => (value - shift(i)) / span(i));
    const draw = random(seed);
    for (const name of DAMAGE_ORDER) {
      const amount = amounts[name] ?? 0;
      const slider = this.info_.damages.find((each) => each.name === name);
      if (!slider || !(amount > slider.low)) continue;
      scaled = DAMAGES[name](scaled, amount, draw, form);
    }
    const back = Float32Array.from(scaled, (value, i) => value * span(i) + shift(i));
    if (!pictures) return back.map((value, i) => (Number.isNaN(x[i]) ? NaN : value));
    return new Uint8Array(Uint8ClampedArray.from(back).buffer);
  }

  #quality(x, damaged, decoded) {
    const pictures = this.info_.data.kind === "pictures";
    const name = pictures ? "psnr" : "mse";
    const { span = [1] } = this.site.meta.input;
    const measured = (other) => {
      if (!other || other.length !== x.length || !this.site.meta.reconstructs) return null;
      let sum = 0, count = 0;
      for (let i = 0; i < x.length; i++) {
        const away = pictures ? x[i] - other[i] : (x[i] - other[i]) / span[i % span.length];
        if (Number.isNaN(away)) continue;
        sum += away * away;
        count += 1;
      }
      const mse = sum / Math.max(count, 1);
      if (!pictures) return mse;
      return mse > 0 ? 10 * Math.log10(255 ** 2 / mse) : null;
    };
    return { [`${name}_damaged`]: measured(damaged), [`${name}_decoded`]: measured(decoded) };
  }
}

/** A copy that may be sent away. */
function copied({ data, shape }) {
  return { data: data.slice(), shape };
}

/** Some rows of an array. */
function rowsOf({ data, shape }, ids) {
  const size = shape.slice(1).reduce((product, side) => product * side, 1);
  const out = new data.constructor(ids.length * size);
  Array.from(ids).forEach((id, i) => out.set(data.subarray(id * size, (id + 1) * size), i * size));
  return { data: out, shape: [ids.length, ...shape.slice(1)] };
}

/** The mean shade of the part of a picture that a pixel of a smaller one stands for. */
function shade(picture, h, w, channels, row, column, height, width, channel) {
  if (h === height && w === width) return picture[(row * w + column) * channels + channel];
  const top = Math.floor((row * h) / height), left = Math.floor((column * w) / width);
  const bottom = Math.max(top + 1, Math.floor(((row + 1) * h) / height));
  const right = Math.max(left + 1, Math.floor(((column + 1) * w) / width));
  let sum = 0;
  for (let r = top; r < bottom; r++) for (let q = left; q < right; q++) sum += picture[(r * w + q) * channels + channel];
  return sum / ((bottom - top) * (right - left));
}

/** The share of sorted numbers that are lower. */
function below(sorted, value) {
  if (!sorted.length || Number.isNaN(value)) return NaN;
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low / sorted.length;
}

/** The difference of two groups' mean codes, and where codes lie along it: 0 without, 1 with. */
function learned(codes, latent, present, absent) {
  const mean = (ids) => {
    const sums = new Float64Array(latent);
    for (const id of ids) for (let j = 0; j < latent; j++) sums[j] += codes[id * latent + j];
    return sums.map((sum) => sum / ids.length);
  };
  const origin = mean(absent);
  const step = mean(present).map((value, j) => value - origin[j]);
  const size = Math.max(step.reduce((sum, value) => sum + value * value, 0), 1e-30);
  const read = (id) => {
    let along = 0;
    for (let j = 0; j < latent; j++) along += (codes[id * latent + j] - origin[j]) * step[j];
    return along / size;
  };
  return { step, read };
}

function spelled(places, alphabet) {
  const end = places.findIndex((place) => place < 0.5);
  const known = end < 0 ? places : places.subarray(0, end);
  return Array.from(known, (place) => String.fromCodePoint(alphabet[Math.round(place) - 1])).join("");
}

// ── messages ──────────────────────────────────────────────────────────────────────────────────

/** Answer in a worker what a page asks. */
export function serve(scope) {
  let engine = null;
  scope.onmessage = async ({ data: { id, method, args } }) => {
    try {
      if (method === "open") {
        engine = Engine.of(...args);
        await engine;
        scope.postMessage({ id, result: null });
        return;
      }
      const result = (await engine)[method](...args);
      scope.postMessage({ id, result }, buffersOf(result, method));
    } catch (error) {
      scope.postMessage({ id, error: error.message });
    }
  };
}

/** The buffers of an answer, which need not be copied. */
function buffersOf(result, method) {
  if (method === "info" || result === null) return [];
  const found = new Set();
  for (const value of Object.values(result)) {
    const data = ArrayBuffer.isView(value) ? value : value?.data;
    if (ArrayBuffer.isView(data)) found.add(data.buffer);
  }
  return [...found];
}
