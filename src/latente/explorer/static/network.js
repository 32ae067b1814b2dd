// A network run in the page: the programs that latente.explorer.weights writes, without Python.
//
//   const network = new Network(program, bytes);
//   network.run(rows, n)      Float32Array (n · input size) → Float32Array (n · output size)
//
// A program is a list of operations on flat arrays of float32, for one sample. All buffers are laid
// out once, when the network is made; a value's buffer is used again as soon as nobody reads it any
// more. Sums are kept in float64.

/**
 * @typedef {[number, "i4"|"f2"|"f4", number, number]} Constant  value, type, first byte, length
 * @typedef {[string, number[], number, Object<string, any>]} Operation  name, inputs, output, how
 * @typedef {{input: number[], output: number[], sizes: number[], constants: Constant[],
 *            operations: Operation[], result: number}} Program
 */

/** A program with its buffers, ready to run. */
export class Network {
  /**
   * @param {Program} program
   * @param {ArrayBuffer} bytes  of the constants; offsets count from `offset`
   * @param {number} [offset]
   */
  constructor(program, bytes, offset = 0) {
    this.inputShape = program.input;
    this.outputShape = program.output;
    this.inputSize = program.sizes[0];
    this.outputSize = program.sizes[program.result];
    /** @type {(Float32Array|Int32Array)[]} */
    this.values = new Array(program.sizes.length);
    this.values[0] = new Float32Array(this.inputSize);
    for (const constant of program.constants) {
      this.values[constant[0]] = decoded(constant, bytes, offset);
    }
    this.steps = planned(program, this.values);
    this.result = this.values[program.result];
  }

  /**
   * Run samples one after the other.
   * @param {ArrayLike<number>} rows  n · inputSize numbers
   * @param {number} [n]
   * @returns {Float32Array} n · outputSize numbers
   */
  run(rows, n = rows.length / this.inputSize) {
    if (rows.length !== n * this.inputSize) {
      throw new Error(`a sample has ${rows.length / n} numbers, the network takes ${this.inputSize}`);
    }
    const { inputSize, outputSize, steps } = this;
    const out = new Float32Array(n * outputSize);
    const input = this.values[0];
    for (let row = 0; row < n; row++) {
      const first = row * inputSize;
      for (let i = 0; i < inputSize; i++) input[i] = rows[first + i];
      for (let i = 0; i < steps.length; i++) steps[i]();
      out.set(this.result, row * outputSize);
    }
    return out;
  }
}

// ── laying out ────────────────────────────────────────────────────────────────────────────────

/**
 * Give each operation its buffers; what depends on constants alone is run here, once.
 * @param {Program} program
 * @param {(Float32Array|Int32Array)[]} values  filled with the buffers
 * @returns {(() => void)[]}
 */
function planned(program, values) {
  const known = new Set(program.constants.map(([number]) => number));
  const last = new Map([[program.result, Infinity]]);
  program.operations.forEach(([, inputs], i) => {
    for (const input of inputs) last.set(input, Math.max(i, last.get(input) ?? 0));
  });
  const pool = new Pool();
  const owned = new Map();
  const steps = [];
  program.operations.forEach(([name, inputs, output, how], i) => {
    if (!(name in KERNELS)) throw new Error(`this page does not know the operation ${name}`);
    const constant = inputs.every((input) => known.has(input));
    const size = program.sizes[output];
    const buffer = constant ? new Float32Array(size) : pool.take(size);
    values[output] = buffer.length === size ? buffer : buffer.subarray(0, size);
    const fixed = inputs.map((input) => known.has(input));
    const step = KERNELS[name](inputs.map((input) => values[input]), values[output], how, fixed);
    if (constant) {
      step();
      known.add(output);
      return;
    }
    steps.push(step);
    owned.set(output, buffer);
    for (const value of new Set([...inputs, output])) {
      if (owned.has(value) && (last.get(value) ?? i) <= i) {
        pool.give(owned.get(value));
        owned.delete(value);
      }
    }
  });
  return steps;
}

/** Buffers that are free again. */
class Pool {
  constructor() {
    /** @type {Float32Array[]} */
    this.free = [];
  }

  /** @param {number} size */
  take(size) {
    let best = -1;
    this.free.forEach((buffer, i) => {
      const fits = buffer.length >= size && buffer.length <= 8 * size + 64;
      if (fits && (best < 0 || buffer.length < this.free[best].length)) best = i;
    });
    return best < 0 ? new Float32Array(size) : this.free.splice(best, 1)[0];
  }

  /** @param {Float32Array} buffer */
  give(buffer) {
    this.free.push(buffer);
  }
}

/**
 * @param {Constant} constant
 * @param {ArrayBuffer} bytes
 * @param {number} offset
 */
function decoded([, dtype, first, length], bytes, offset) {
  if (dtype === "i4") return new Int32Array(bytes, offset + first, length);
  if (dtype === "f4") return new Float32Array(bytes, offset + first, length);
  return halves(new Uint16Array(bytes, offset + first, length));
}

/**
 * Return float16 numbers as float32.
 * @param {Uint16Array} bits
 */
export function halves(bits) {
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const exponent = (bits[i] >> 10) & 31;
    const fraction = bits[i] & 1023;
    const size = exponent === 0 ? fraction * 2 ** -24
      : exponent === 31 ? (fraction ? NaN : Infinity)
        : (1024 + fraction) * 2 ** (exponent - 25);
    out[i] = bits[i] & 0x8000 ? -size : size;
  }
  return out;
}

// ── products of matrices ──────────────────────────────────────────────────────────────────────

/**
 * out[i · row + j · column] = bias + Σ a[i, p] · b[j, p], four columns and two rows at a time.
 * @param {ArrayLike<number>} a  (m, k) from aFirst
 * @param {ArrayLike<number>} b  (n, k) from bFirst
 * @param {ArrayLike<number>|null} bias  of each j, from biasFirst
 * @param {Float32Array} out
 */
function dots(a, aFirst, m, b, bFirst, n, k, bias, biasFirst, out, outFirst, row, column) {
  for (let j = 0; j < n; j += 4) {
    const b0 = bFirst + j * k;
    const b1 = j + 1 < n ? b0 + k : b0;
    const b2 = j + 2 < n ? b0 + 2 * k : b0;
    const b3 = j + 3 < n ? b0 + 3 * k : b0;
    const many = Math.min(4, n - j);
    let i = 0;
    for (; i + 1 < m; i += 2) {
      const a0 = aFirst + i * k;
      const a1 = a0 + k;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0, t0 = 0, t1 = 0, t2 = 0, t3 = 0;
      for (let p = 0; p < k; p++) {
        const x = a[a0 + p], y = a[a1 + p];
        const w0 = b[b0 + p], w1 = b[b1 + p], w2 = b[b2 + p], w3 = b[b3 + p];
        s0 += x * w0; s1 += x * w1; s2 += x * w2; s3 += x * w3;
        t0 += y * w0; t1 += y * w1; t2 += y * w2; t3 += y * w3;
      }
      const place = outFirst + i * row + j * column;
      store(out, place, column, many, bias, biasFirst + j, s0, s1, s2, s3);
      store(out, place + row, column, many, bias, biasFirst + j, t0, t1, t2, t3);
    }
    if (i < m) {
      const a0 = aFirst + i * k;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
      for (let p = 0; p < k; p++) {
        const x = a[a0 + p];
        s0 += x * b[b0 + p]; s1 += x * b[b1 + p]; s2 += x * b[b2 + p]; s3 += x * b[b3 + p];
      }
      store(out, outFirst + i * row + j * column, column, many, bias, biasFirst + j, s0, s1, s2, s3);
    }
  }
}

function store(out, place, column, many, bias, first, s0, s1, s2, s3) {
  out[place] = bias === null ? s0 : s0 + bias[first];
  if (many > 1) out[place + column] = bias === null ? s1 : s1 + bias[first + 1];
  if (many > 2) out[place + 2 * column] = bias === null ? s2 : s2 + bias[first + 2];
  if (many > 3) out[place + 3 * column] = bias === null ? s3 : s3 + bias[first + 3];
}

/** Write the transpose of a matrix (rows, columns). */
function transpose(x, first, rows, columns, out) {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) out[j * rows + i] = x[first + i * columns + j];
  }
}

function matmul([a, b, bias = null], out, { batch, m, k, n, transposed }, [, fixed]) {
  const side = n * k;
  const count = b.length / side;
  let right = b;
  let turn = null;
  if (!transposed) {
    right = new Float32Array(b.length);
    turn = () => {
      for (let i = 0; i < count; i++) transpose(b, i * side, k, n, right.subarray(i * side));
    };
    if (fixed) {
      turn();
      turn = null;
    }
  }
  const rows = count === 1 ? batch * m : m;
  return () => {
    if (turn) turn();
    for (let i = 0; i < count; i++) {
      dots(a, i * m * k, rows, right, i * side, n, k, bias, 0, out, i * m * n, n, 1);
    }
  };
}

// ── convolutions ──────────────────────────────────────────────────────────────────────────────

function conv([x, weight, bias = null], out, how) {
  const { from: [channels, h, w], to: [outputs, oh, ow], groups } = how;
  const { kernel: [kh, kw], stride, padding, dilation } = how;
  const each = channels / groups, made = outputs / groups, k = each * kh * kw;
  const seen = new Float32Array(oh * ow * k);
  const columns = places(ow, kw, stride[1], padding[1], dilation[1]);
  const rows = places(oh, kh, stride[0], padding[0], dilation[0]);
  const look = (group) => {
    let place = 0;
    for (let r = 0; r < oh; r++) {
      for (let q = 0; q < ow; q++) {
        for (let c = group * each; c < (group + 1) * each; c++) {
          for (let i = 0; i < kh; i++) {
            const y = rows[r * kh + i];
            const line = (c * h + y) * w;
            const inside = y >= 0 && y < h;
            for (let j = 0; j < kw; j++) {
              const z = columns[q * kw + j];
              seen[place++] = inside && z >= 0 && z < w ? x[line + z] : 0;
            }
          }
        }
      }
    }
  };
  return () => {
    for (let g = 0; g < groups; g++) {
      look(g);
      const first = g * made;
      dots(seen, 0, oh * ow, weight, first * k, made, k, bias, first, out, first * oh * ow, 1, oh * ow);
    }
  };
}

/** Where along an axis each of `many` windows looks. */
function places(many, kernel, stride, padding, dilation) {
  const found = new Int32Array(many * kernel);
  for (let i = 0; i < many; i++) {
    for (let j = 0; j < kernel; j++) found[i * kernel + j] = i * stride - padding + j * dilation;
  }
  return found;
}

function convTranspose([x, weight, bias = null], out, how, [, fixed]) {
  const { from: [channels, h, w], to: [outputs, oh, ow], groups } = how;
  const { kernel: [kh, kw], stride, padding, dilation } = how;
  const each = channels / groups, made = outputs / groups, n = made * kh * kw;
  const turned = new Float32Array(weight.length);
  const turn = () => {
    for (let g = 0; g < groups; g++) {
      transpose(weight, g * each * n, each, n, turned.subarray(g * each * n));
    }
  };
  if (fixed) turn();
  const pixels = new Float32Array(h * w * each);
  const spread = new Float32Array(h * w * n);
  const columns = places(w, kw, stride[1], padding[1], dilation[1]);
  const rows = places(h, kh, stride[0], padding[0], dilation[0]);
  const add = (group) => {
    let place = 0;
    for (let r = 0; r < h; r++) {
      for (let q = 0; q < w; q++) {
        for (let c = group * made; c < (group + 1) * made; c++) {
          for (let i = 0; i < kh; i++) {
            const y = rows[r * kh + i];
            if (y < 0 || y >= oh) {
              place += kw;
              continue;
            }
            const line = (c * oh + y) * ow;
            for (let j = 0; j < kw; j++, place++) {
              const z = columns[q * kw + j];
              if (z >= 0 && z < ow) out[line + z] += spread[place];
            }
          }
        }
      }
    }
  };
  return () => {
    if (!fixed) turn();
    for (let c = 0; c < outputs; c++) {
      out.fill(bias === null ? 0 : bias[c], c * oh * ow, (c + 1) * oh * ow);
    }
    for (let g = 0; g < groups; g++) {
      transpose(x, g * each * h * w, each, h * w, pixels);
      dots(pixels, 0, h * w, turned, g * each * n, n, each, null, 0, spread, 0, n, 1);
      add(g);
    }
  };
}

// ── number by number ──────────────────────────────────────────────────────────────────────────

/** The error function, to 1e-15 for small and large numbers alike. */
export function erf(x) {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  if (size < 3) {
    let term = size, sum = size;
    for (let i = 1; Math.abs(term) > 1e-17 * sum; i++) {
      term *= -size * size / i;
      sum += term / (2 * i + 1);
    }
    return Math.sign(x) * sum * 2 / Math.sqrt(Math.PI);
  }
  let fraction = 0;
  for (let i = 60; i > 0; i--) fraction = i / 2 / (size + fraction);
  return Math.sign(x) * (1 - Math.exp(-size * size) / ((size + fraction) * Math.sqrt(Math.PI)));
}

/** Round halves to the even number, as NumPy and torch do. */
export function rounded(x) {
  const down = Math.floor(x);
  const over = x - down;
  return over < 0.5 ? down : over > 0.5 ? down + 1 : down % 2 === 0 ? down : down + 1;
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** @type {Object<string, (x: number, a: number, b: number, c: number) => number>} */
const MAPS = {
  relu: (x) => (x < 0 ? 0 : x),
  leaky_relu: (x, slope) => (x > 0 ? x : x * slope),
  elu: (x, a, scale, inside) => (x > 0 ? scale * x : scale * a * Math.expm1(x * inside)),
  gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  gelu_tanh: (x) => 0.5 * x * (1 + Math.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x))),
  silu: (x) => x * sigmoid(x),
  softplus: (x, beta, end) => (x * beta > end ? x : Math.log1p(Math.exp(x * beta)) / beta),
  sigmoid,
  tanh: Math.tanh,
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  abs: Math.abs,
  neg: (x) => -x,
  sign: Math.sign,
  sin: Math.sin,
  cos: Math.cos,
  atan: Math.atan,
  erf,
  round: rounded,
  floor: Math.floor,
  ceil: Math.ceil,
  trunc: Math.trunc,
  not: (x) => (x === 0 ? 1 : 0),
  isnan: (x) => (Number.isNaN(x) ? 1 : 0),
  clamp: (x, low, high) => {
    const least = low !== null && x < low ? low : x;
    return high !== null && least > high ? high : least;
  },
};

/** A setting; JSON has texts for what it has no numbers for: NaN and Infinity. */
const number = (setting) => (typeof setting === "string" ? Number(setting) : setting);

function map([x], out, how) {
  const f = MAPS[how.f];
  const [a = 0, b = 0, c = 0] = how.with.map(number);
  if (how.f === "relu") {
    return () => {
      for (let i = 0; i < out.length; i++) out[i] = x[i] < 0 ? 0 : x[i];
    };
  }
  return () => {
    for (let i = 0; i < out.length; i++) out[i] = f(x[i], a, b, c);
  };
}

/** What is left of a division, with the sign of the divisor; exact, unlike `x - y * floor(x / y)`. */
function remainder(x, y) {
  const left = x % y;
  return left !== 0 && left < 0 !== y < 0 ? left + y : left;
}

/** @type {Object<string, (x: number, y: number) => number>} */
const PAIRS = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  floor_div: (x, y) => (y === 0 ? x / y : Math.round((x - remainder(x, y)) / y)),
  remainder,
  pow: (x, y) => (x === 1 ? 1 : x ** y),
  maximum: (x, y) => Math.max(x, y),
  minimum: (x, y) => Math.min(x, y),
  eq: (x, y) => (x === y ? 1 : 0),
  ne: (x, y) => (x !== y ? 1 : 0),
  lt: (x, y) => (x < y ? 1 : 0),
  le: (x, y) => (x <= y ? 1 : 0),
  gt: (x, y) => (x > y ? 1 : 0),
  ge: (x, y) => (x >= y ? 1 : 0),
  and: (x, y) => (x !== 0 && y !== 0 ? 1 : 0),
  or: (x, y) => (x !== 0 || y !== 0 ? 1 : 0),
};

function pair([x, y], out, { f }) {
  const g = PAIRS[f];
  const a = x.length === 1 ? 0 : 1, b = y.length === 1 ? 0 : 1;
  return () => {
    for (let i = 0; i < out.length; i++) out[i] = g(x[i * a], y[i * b]);
  };
}

function where([test, x, y], out) {
  const [a, b, c] = [test, x, y].map((each) => (each.length === 1 ? 0 : 1));
  return () => {
    for (let i = 0; i < out.length; i++) out[i] = test[i * a] !== 0 ? x[i * b] : y[i * c];
  };
}

// ── several numbers ───────────────────────────────────────────────────────────────────────────

/** NaN counts as the largest and as the smallest, as with NumPy and torch. */
const firstNaN = (x, i, best) => Number.isNaN(x[i]) && !Number.isNaN(x[best]);

/** @type {Object<string, (x: ArrayLike<number>, first: number, end: number) => number>} */
const REDUCTIONS = {
  sum: (x, first, end) => {
    let sum = 0;
    for (let i = first; i < end; i++) sum += x[i];
    return sum;
  },
  mean: (x, first, end) => REDUCTIONS.sum(x, first, end) / (end - first),
  prod: (x, first, end) => {
    let product = 1;
    for (let i = first; i < end; i++) product *= x[i];
    return product;
  },
  max: (x, first, end) => x[first + REDUCTIONS.argmax(x, first, end)],
  min: (x, first, end) => x[first + REDUCTIONS.argmin(x, first, end)],
  argmax: (x, first, end) => {
    let best = first;
    for (let i = first + 1; i < end; i++) if (x[i] > x[best] || firstNaN(x, i, best)) best = i;
    return best - first;
  },
  argmin: (x, first, end) => {
    let best = first;
    for (let i = first + 1; i < end; i++) if (x[i] < x[best] || firstNaN(x, i, best)) best = i;
    return best - first;
  },
};

function reduce([x], out, { f, width }) {
  const g = REDUCTIONS[f];
  return () => {
    for (let i = 0; i < out.length; i++) out[i] = g(x, i * width, (i + 1) * width);
  };
}

function order([x], out, { width, falling }) {
  const places = Array.from({ length: width }, (_, i) => i);
  const sign = falling ? -1 : 1;
  return () => {
    for (let first = 0; first < out.length; first += width) {
      const sorted = places.slice().sort((a, b) => sign * (x[first + a] - x[first + b]) || a - b);
      out.set(sorted, first);
    }
  };
}

// ── rearrangements ────────────────────────────────────────────────────────────────────────────

function gather([x, index], out, { width }) {
  const each = out.length / (x.length / width);
  return () => {
    for (let i = 0; i < out.length; i++) out[i] = x[Math.floor(i / each) * width + index[i]];
  };
}

/** Rows by their places, those below 0 counted from the end. */
function lookup([x, index], out, { width }) {
  return () => {
    for (let i = 0; i < index.length; i++) {
      const first = index[i] * width + (index[i] < 0 ? x.length : 0);
      for (let j = 0; j < width; j++) out[i * width + j] = x[first + j];
    }
  };
}

function join(inputs, out, { rows }) {
  const width = out.length / rows;
  return () => {
    let first = 0;
    for (const x of inputs) {
      const part = x.length / rows;
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < part; j++) out[i * width + first + j] = x[i * part + j];
      }
      first += part;
    }
  };
}

function take([x, listed], out, how) {
  const from = listed ?? regular(how);
  const fill = number(how.fill ?? 0);
  const { first, lengths, steps } = how;
  if (!listed && lengths.length === 1 && steps[0] === 1) {
    const part = x.subarray(first, first + out.length);
    return () => out.set(part);
  }
  return () => {
    for (let i = 0; i < out.length; i++) out[i] = from[i] < 0 ? fill : x[from[i]];
  };
}

/** The places of nested regular steps, the last fastest. */
function regular({ first, lengths, steps }) {
  let found = Int32Array.of(first);
  lengths.forEach((length, axis) => {
    const next = new Int32Array(found.length * length);
    found.forEach((place, i) => {
      for (let j = 0; j < length; j++) next[i * length + j] = place + j * steps[axis];
    });
    found = next;
  });
  return found;
}

/** From buffers to what is run: (inputs, output, settings, which inputs are constants). */
const KERNELS = {
  map, pair, where, matmul, conv, conv_transpose: convTranspose, reduce, order, gather, lookup, join,
  take,
};
