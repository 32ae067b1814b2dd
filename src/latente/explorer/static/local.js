// A backend without a server: the site that `latente explore --export` writes, worked on in the page.
//
//   page ── LocalBackend ──messages──▶ worker ── Engine ── Network (network.js)
//
// The worker is made of a blob, so that it runs where a page is opened as a file too; where workers
// are refused, the engine works in the page itself.

import { Network } from "./network.js";

/** @typedef {{data: any, shape: number[]}} Values */

// ── reading ───────────────────────────────────────────────────────────────────────────────────

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

const TYPES = { u1: Uint8Array, i4: Int32Array, u4: Uint32Array, f4: Float32Array };

/** Packed arrays: a length, JSON, and the arrays, each at a multiple of 8 bytes. */
function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = { meta: head.meta };
  let start = 4 + length;
  for (const { name, dtype, shape } of head.arrays) {
    const size = shape.reduce((product, side) => product * side, 1);
    arrays[name] = { data: new TYPES[dtype](buffer, start, size), shape };
    start += Math.ceil((size * TYPES[dtype].BYTES_PER_ELEMENT) / 8) * 8;
  }
  return arrays;
}

// ── the map ───────────────────────────────────────────────────────────────────────────────────

const AROUND = 8;
const GOLDEN = 0.618034;

/** Weighted mean of the values of those nearest to a query. */
function between(known, width, values, size, query) {
  const near = nearest(known, width, query, AROUND);
  const out = new Float32Array(size);
  const weights = near.map(([distance]) => 1 / Math.max(distance, 1e-9) ** 2);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  for (let j = 0; j < size; j++) {
    let sum = 0;
    near.forEach(([, row], i) => { sum += weights[i] * values[row * size + j]; });
    out[j] = sum / total;
  }
  return out;
}

/** The nearest rows to a query: [distance, row], nearest first. */
function nearest(known, width, query, count) {
  const rows = known.length / width;
  const best = [];
  for (let row = 0; row < rows; row++) {
    const worst = best.length < count ? Infinity : best[best.length - 1][0];
    let distance = 0;
    for (let j = 0; j < width && distance < worst; j++) {
      const away = known[row * width + j] - query[j];
      distance += away * away;
    }
    if (!(distance < worst)) continue;
    let place = best.length;
    while (place > 0 && best[place - 1][0] > distance) place--;
    best.splice(place, 0, [distance, row]);
    if (best.length > count) best.pop();
  }
  return best.map(([distance, row]) => [Math.sqrt(distance), row]);
}

/** Maps by kind: `points(code, i, n)` and `code(point, base)`. */
const PLANES = {
  dims: ({ dims, mean }) => ({
    points: (code) => [code[dims[0]], code[dims[1]]],
    code: (point, base) => {
      const out = Float32Array.from(base ?? mean);
      dims.forEach((dim, i) => { out[dim] = point[i]; });
      return out;
    },
  }),
  line: () => ({
    points: (code, i, n) => [code[0], n > 1 ? (i * GOLDEN) % 1 : 0.5],
    code: (point) => Float32Array.of(point[0]),
  }),
  pca: ({ mean, components }) => {
    const along = (away) => components.map((axis) => axis.reduce((sum, x, j) => sum + x * away[j], 0));
    return {
      points: (code) => along(mean.map((m, j) => code[j] - m)),
      code: (point, base) => {
        const off = base ? mean.map((m, j) => base[j] - m) : null;
        const inside = off ? along(off) : [0, 0];
        return Float32Array.from(mean, (m, j) => m + (off ? off[j] : 0)
          + (point[0] - inside[0]) * components[0][j] + (point[1] - inside[1]) * components[1][j]);
      },
    };
  },
  placed: (_, { codes, points, latent }) => ({
    points: (code) => between(codes, latent, points, 2, code),
    code: (point) => between(points, 2, codes, latent, point),
  }),
};

// ── damage ────────────────────────────────────────────────────────────────────────────────────

/** Random numbers of a seed (mulberry32). */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function normal(draw) {
  return Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
}

/**
 * Damages by name, in the model's scale, of samples (pixels, channels): a pixel is changed in all
 * its channels at once.
 */
const DAMAGES = {
  noise: (x, amount, draw) => x.map((value) => value + amount * normal(draw)),
  mask: (x, amount, draw, form) => perPixel(x, form, () => (draw() < amount ? () => 0 : null)),
  salt_and_pepper: (x, amount, draw, { bounds, ...form }) => perPixel(x, form, () => {
    if (draw() >= amount) return null;
    const value = draw() < 0.5 ? bounds[0] : bounds[1];
    return () => value;
  }),
  blur: (x, amount, draw, form) => blurred(blurred(x, amount, form, true), amount, form, false),
  downsample: (x, amount, draw, form) => coarse(x, Math.round(amount), form),
  erase: (x, amount, draw, form) => {
    const { height, width } = form;
    const h = Math.min(height, Math.max(1, Math.round(height * Math.sqrt(amount))));
    const w = Math.min(width, Math.max(1, Math.round(width * Math.sqrt(amount))));
    const top = Math.floor(draw() * (height - h + 1)), left = Math.floor(draw() * (width - w + 1));
    return perPixel(x, form, (i) => {
      const row = Math.floor(i / width), column = i % width;
      const inside = row >= top && row < top + h && column >= left && column < left + w;
      return inside ? () => 0 : null;
    });
  },
};

/** The damages of this page, in the order in which they are done, and which need pictures. */
export const DAMAGE_ORDER = ["noise", "mask", "salt_and_pepper", "blur", "downsample", "erase"];

function perPixel(x, { channels }, change) {
  const out = Float64Array.from(x);
  for (let i = 0; i < x.length / channels; i++) {
    const f = change(i);
    if (f) for (let c = 0; c < channels; c++) out[i * channels + c] = f(x[i * channels + c]);
  }
  return out;
}

function blurred(x, std, { height, width, channels }, across) {
  if (std <= 0) return x;
  const reach = Math.ceil(3 * std);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, i) => Math.exp(-0.5 * ((i - reach) / std) ** 2));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const length = across ? width : height;
  const out = new Float64Array(x.length);
  const mirrored = (i) => {
    if (length === 1) return 0;
    const turn = ((i % (2 * length - 2)) + 2 * length - 2) % (2 * length - 2);
    return turn < length ? turn : 2 * length - 2 - turn;
  };
  for (let r = 0; r < height; r++) {
    for (let q = 0; q < width; q++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let i = -reach; i <= reach; i++) {
          const [y, z] = across ? [r, mirrored(q + i)] : [mirrored(r + i), q];
          sum += weights[i + reach] * x[(y * width + z) * channels + c];
        }
        out[(r * width + q) * channels + c] = sum / total;
      }
    }
  }
  return out;
}

function coarse(x, factor, { height, width, channels }) {
  const out = new Float64Array(x.length);
  for (let top = 0; top < height; top += factor) {
    for (let left = 0; left < width; left += factor) {
      const bottom = Math.min(height, top + factor), right = Math.min(width, left + factor);
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let r = top; r < bottom; r++) for (let q = left; q < right; q++) sum += x[(r * width + q) * channels + c];
        const mean = sum / ((bottom - top) * (right - left));
        for (let r = top; r < bottom; r++) for (let q = left; q < right; q++) out[(r * width + q) * channels + c] = mean;
      }
    }
  }
  return out;
}

// ── the engine ────────────────────────────────────────────────────────────────────────────────

/** What a server would answer, from what the site holds. */
export class Engine {
  /** @param {{site: string, rows: string}} parts  base64 of packed arrays, made smaller by zlib */
  static async of(parts) {
    const missing = ["site", "rows"].find((name) => !parts[name]);
    if (missing) throw new Error(`a part of this site is missing: data/${missing}.js`);
    const [site, rows] = await Promise.all(
      [parts.site, parts.rows].map(async (part) => unpacked(await inflated(fromBase64(part)))),
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
      return Float32Array.from(values, (value, i) => this.#number(value, input.levels?.[i]));
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

  #number(value, levels) {
    if (value === null || value === undefined || value === "") return NaN;
    if (typeof value === "number") return value;
    const place = levels ? levels.indexOf(value) : -1;
    return place >= 0 ? place : Number(value);
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
    const [low, high] = pictures ? [0, 1] : input.bounds;
    const channels = pictures ? input.shape[2] : 1;
    const form = { channels, height: input.shape[0], width: input.shape[1], bounds: [low, high] };
    const span = (i) => (pictures ? 255 : input.span[i % input.span.length]);
    const shift = (i) => (pictures ? 0 : input.shift[i % input.shift.length]);
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

/** Something that a site cannot do, in one sentence. */
class SiteError extends Error {
  constructor(sentence) {
    super(sentence);
    this.name = "SiteError";
    this.kind = "wrong";
  }
}

/** The backend of an exported page: the methods of `HttpBackend`. */
export class LocalBackend {
  #ask;
  #pointers = new Map();

  /** @param {{parts: Object<string, string>, worker: string}} site  `window.LATENTE_SITE` */
  constructor(site) {
    this.#ask = this.#opened(site).catch((error) => { throw new SiteError(error.message); });
    this.#ask.catch(() => {});
  }

  async #opened(site) {
    let ask = fromWorker(site.worker);
    if (ask === null) {
      const engine = await Engine.of(site.parts);
      return async (method, ...args) => engine[method](...args);
    }
    await ask("open", site.parts);
    site.parts = null;
    return ask;
  }

  async #call(method, ...args) {
    return (await this.#ask)(method, ...args);
  }

  info() {
    return this.#call("info");
  }

  points(model) {
    return this.#call("points", model);
  }

  column(name, model = 0) {
    return this.#call("column", name, model);
  }

  density(model) {
    return this.#call("density", model);
  }

  async thumbnails(first, count) {
    const sheet = await this.#call("thumbnails", first, count);
    if (sheet === null || sheet.height === 0) return null;
    return createImageBitmap(new ImageData(sheet.rgba, sheet.width, sheet.height));
  }

  samples(model, ids) {
    return this.#call("samples", model, Array.from(ids));
  }

  /** Of the requests with the same `pointer` one is under way and one waits: the newest. */
  decode(request) {
    const { pointer } = request;
    if (pointer === undefined || pointer === null) return this.#call("decode", request);
    return new Promise((resolve, reject) => {
      const line = this.#pointers.get(pointer) ?? { busy: false, next: null };
      this.#pointers.set(pointer, line);
      line.next?.resolve(null);
      line.next = { request, resolve, reject };
      if (!line.busy) this.#advance(line);
    });
  }

  async #advance(line) {
    line.busy = true;
    while (line.next) {
      const { request, resolve, reject } = line.next;
      line.next = null;
      await this.#call("decode", request).then(resolve, reject);
    }
    line.busy = false;
  }

  async encode(model, body) {
    if (!body.file) return this.#call("encode", model, body);
    return this.#call("encode", model, { pixels: await this.#pixels(body.file) });
  }

  /** A picture file at the model's size, over the usual ground. */
  async #pixels(file) {
    const { kind, shape: [height, width], channels, ground = [0] } = (await this.info()).data;
    if (kind !== "pictures") throw new SiteError("this model takes no pictures");
    const picture = await createImageBitmap(file).catch(() => {
      throw new SiteError("the file is broken, or no picture of a kind that this browser knows");
    });
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const [red, green = red, blue = red] = ground;
    context.fillStyle = `rgb(${red}, ${green}, ${blue})`;
    context.fillRect(0, 0, width, height);
    const scale = Math.min(width / picture.width, height / picture.height);
    const w = picture.width * scale, h = picture.height * scale;
    context.imageSmoothingQuality = "high";
    context.drawImage(reduced(picture, w, h), (width - w) / 2, (height - h) / 2, w, h);
    const { data } = context.getImageData(0, 0, width, height);
    const pixels = new Uint8Array(height * width * channels);
    for (let i = 0; i < height * width; i++) {
      const [r, g, b] = data.subarray(4 * i, 4 * i + 3);
      if (channels === 1) pixels[i] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
      else pixels.set([r, g, b], 3 * i);
    }
    return pixels;
  }

  damage(request) {
    return this.#call("damage", request);
  }

  direction(model, withIds, withoutIds) {
    return this.#call("direction", model, Array.from(withIds), Array.from(withoutIds));
  }

  /** An exported model is learned already. */
  learning() {
    return () => {};
  }
}

/** A large picture, halved until less than twice the size that is wanted: canvases look at few pixels. */
function reduced(picture, width, height) {
  let source = picture;
  while (source.width >= 2 * width && source.height >= 2 * height && Math.min(source.width, source.height) > 1) {
    const half = document.createElement("canvas");
    half.width = Math.floor(source.width / 2);
    half.height = Math.floor(source.height / 2);
    const context = half.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(source, 0, 0, half.width, half.height);
    source = half;
  }
  return source;
}

/** Ask a worker made of its source; null where the browser refuses one. */
function fromWorker(source) {
  if (!source || typeof Worker === "undefined") return null;
  let worker;
  try {
    worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  } catch {
    return null;
  }
  const waiting = new Map();
  let count = 0;
  worker.onmessage = ({ data: { id, result, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(result);
    else reject(new SiteError(error));
  };
  worker.onerror = (event) => {
    for (const { reject } of waiting.values()) reject(new SiteError(event.message || "the page's worker failed"));
    waiting.clear();
  };
  return (method, ...args) => new Promise((resolve, reject) => {
    count += 1;
    waiting.set(count, { resolve, reject });
    worker.postMessage({ id: count, method, args });
  });
}
