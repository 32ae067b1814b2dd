/** Draws the points of a map, and the density under them, with WebGL. */

import * as twgl from "./vendor/twgl.js";

const POINTS = [
  `#version 300 es
  in vec2 from;
  in vec2 to;
  in float color;
  in float look;
  uniform vec2 middle;
  uniform vec2 scale;
  uniform float share;
  uniform float size;
  uniform float part;
  uniform sampler2D palette;
  out vec4 paint;
  void main() {
    bool chosen = look > 1.5;
    bool seen = look > 0.5 && (part < 0.5 || (part > 1.5) == chosen);
    gl_Position = seen ? vec4((mix(from, to, share) - middle) * scale, 0, 1) : vec4(2, 2, 2, 1);
    gl_PointSize = size;
    paint = texelFetch(palette, ivec2(int(color + 0.5), 0), 0);
    if (part > 0.5 && !chosen) paint *= 0.22;
  }`,
  `#version 300 es
  precision highp float;
  in vec4 paint;
  uniform float size;
  uniform float alpha;
  out vec4 pixel;
  void main() {
    float radius = length(gl_PointCoord - 0.5) * size;
    pixel = paint * alpha * smoothstep(size * 0.5, size * 0.5 - 1.0, radius);
  }`,
];

const SHADE = [
  `#version 300 es
  in vec2 position;
  uniform vec2 low;
  uniform vec2 high;
  out vec2 at;
  void main() {
    at = mix(low, high, position * 0.5 + 0.5);
    gl_Position = vec4(position, 0, 1);
  }`,
  `#version 300 es
  precision highp float;
  in vec2 at;
  uniform sampler2D density;
  uniform vec3 levels;
  uniform vec4 tint;
  out vec4 pixel;
  void main() {
    if (any(lessThan(at, vec2(0))) || any(greaterThan(at, vec2(1)))) discard;
    float value = texture(density, at).r;
    float width = max(fwidth(value), 1e-6);
    vec3 over = clamp((value - levels) / width + 0.5, 0.0, 1.0);
    float shade = dot(over, vec3(1.0)) * tint.a;
    pixel = vec4(tint.rgb, 1) * shade;
  }`,
];

const FINER = 4;

/**
 * A cubic B-spline over a density, at places four times as close: its contours are even, and the
 * graphics processor has one value to look up for each pixel.
 *
 * @param {Float32Array} values Rows of the density.
 * @param {number[]} shape Rows and columns.
 */
export function finer(values, [rows, columns]) {
  const across = spread(values, rows, columns, 1, columns);
  return spread(across, columns * FINER, rows, columns * FINER, 1);
}

/** Lines of a field made finer; they lie `apart`, and their values `step`, from each other. */
function spread(values, lines, length, step, apart) {
  const fine = new Float32Array(lines * length * FINER);
  const clamp = (at) => Math.min(Math.max(at, 0), length - 1);
  for (let part = 0; part < length * FINER; part++) {
    const place = (part + 0.5) / FINER - 0.5;
    const base = Math.floor(place);
    const weights = spline(place - base);
    for (let line = 0; line < lines; line++) {
      let sum = 0;
      for (let k = 0; k < 4; k++)
        sum += weights[k] * values[line * apart + clamp(base + k - 1) * step];
      fine[step === 1 ? line * length * FINER + part : part * lines + line] = sum;
    }
  }
  return fine;
}

/** The weights of four neighbours at a share of the way from the second to the third. */
function spline(share) {
  const rest = 1 - share;
  return [
    rest ** 3 / 6,
    (4 - 6 * share ** 2 + 3 * share ** 3) / 6,
    (4 - 6 * rest ** 2 + 3 * rest ** 3) / 6,
    share ** 3 / 6,
  ];
}

const ALL = 0;
const REST = 1;
const CHOSEN = 2;

/** The order in which points are drawn: mixed, so that no class lies above the others. */
function mixed(n) {
  const order = Uint32Array.from({ length: n }, (_, at) => at);
  let seed = 2463534242;
  for (let i = n - 1; i > 0; i--) {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    const j = (seed >>> 0) % (i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

/** Points with WebGL 2. */
export class PointsGL {
  #share = 1;
  #chosen = false;
  #density = null;
  #fence = null;
  #costs = [];

  /** @returns {PointsGL|null} null where there is no WebGL. */
  static create(canvas, n) {
    const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    return gl ? new PointsGL(gl, n) : null;
  }

  constructor(gl, n) {
    this.gl = gl;
    this.n = n;
    this.shown = n;
    this.order = mixed(n);
    this.points = twgl.createProgramInfo(gl, POINTS);
    this.shade = twgl.createProgramInfo(gl, SHADE);
    const place = () => ({ numComponents: 2, data: new Float32Array(2 * n) });
    this.buffers = twgl.createBufferInfoFromArrays(gl, {
      from: place(),
      to: place(),
      color: { numComponents: 1, data: new Uint16Array(n), normalize: false },
      look: { numComponents: 1, data: new Uint8Array(n).fill(1), normalize: false },
    });
    this.sheet = twgl.createBufferInfoFromArrays(gl, {
      position: { numComponents: 2, data: [-1, -1, 1, -1, -1, 1, 1, 1] },
    });
    this.palette = twgl.createTexture(gl, this.#paletteOptions([[127, 127, 127]]));
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  #paletteOptions(colors) {
    const { gl } = this;
    const data = new Uint8Array(colors.flatMap(([red, green, blue]) => [red, green, blue, 255]));
    return {
      src: data,
      width: colors.length,
      height: 1,
      min: gl.NEAREST,
      mag: gl.NEAREST,
      wrap: gl.CLAMP_TO_EDGE,
      auto: false,
    };
  }

  #upload(name, data) {
    twgl.setAttribInfoBufferFromArray(this.gl, this.buffers.attribs[name], data);
  }

  /** Points from which, and to which, a move goes; `share` says how far it is. */
  setPoints(from, to) {
    this.#upload("from", this.#gather(from));
    this.#upload("to", this.#gather(to));
  }

  #gather(points) {
    const gathered = new Float32Array(points.length);
    this.order.forEach((id, at) => {
      gathered[2 * at] = points[2 * id];
      gathered[2 * at + 1] = points[2 * id + 1];
    });
    return gathered;
  }

  setShare(share) {
    this.#share = share;
  }

  /** The colours, each [red, green, blue], and which of them each point has. */
  setColors(palette, indices) {
    const { gl } = this;
    gl.deleteTexture(this.palette);
    this.palette = twgl.createTexture(gl, this.#paletteOptions(palette));
    this.#upload(
      "color",
      Uint16Array.from(this.order, (id) => indices[id]),
    );
  }

  /** How each point looks: 0 hidden, 1 shown, 2 chosen; where some are chosen the rest pales. */
  setLooks(looks, anyChosen) {
    this.#chosen = anyChosen;
    this.#upload(
      "look",
      Uint8Array.from(this.order, (id) => looks[id]),
    );
  }

  /** The density, its limits, and its levels; null for none. */
  setDensity(density) {
    const { gl } = this;
    if (this.#density) gl.deleteTexture(this.#density.texture);
    this.#density = null;
    if (!density) return;
    const most = density.values.reduce((high, value) => Math.max(high, value), 1e-30);
    const texture = twgl.createTexture(gl, {
      src: finer(density.values, density.shape).map((value) => value / most),
      width: density.shape[1] * FINER,
      height: density.shape[0] * FINER,
      internalFormat: gl.R16F,
      format: gl.RED,
      type: gl.FLOAT,
      min: gl.LINEAR,
      mag: gl.LINEAR,
      wrap: gl.CLAMP_TO_EDGE,
      auto: false,
    });
    const levels = density.levels.map((level) => level / most);
    this.#density = { texture, limits: density.limits, levels };
  }

  /**
   * Draw.
   *
   * @param {import("./camera.js").Camera} camera
   * @param {{size: number, alpha: number, tint: number[]|null, ratio: number}} style Size of points
   *   in pixels of the page, `ratio` of the screen's to the page's; no shade without `tint`.
   */
  draw(camera, style) {
    const { gl } = this;
    const [width, height] = [camera.width * style.ratio, camera.height * style.ratio].map(
      Math.round,
    );
    if (gl.canvas.width !== width || gl.canvas.height !== height) {
      Object.assign(gl.canvas, { width, height });
    }
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (style.tint && this.#density) this.#drawShade(camera, style.tint);
    this.#drawPoints(camera, style);
    this.#clock();
  }

  /** Milliseconds that drawing takes until it is done: the least of the last times. */
  get cost() {
    return this.#costs.length ? Math.min(...this.#costs) : 0;
  }

  /** Take the time until the graphics processor has done what it was told. */
  #clock() {
    const { gl } = this;
    if (this.#fence) return;
    const begun = performance.now();
    this.#fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    gl.flush();
    const look = () => {
      if (gl.isContextLost()) return;
      if (gl.getSyncParameter(this.#fence, gl.SYNC_STATUS) !== gl.SIGNALED) {
        setTimeout(look, CLOCK);
        return;
      }
      gl.deleteSync(this.#fence);
      this.#fence = null;
      this.#costs = [...this.#costs, performance.now() - begun].slice(-TIMES);
    };
    setTimeout(look, CLOCK);
  }

  #drawShade(camera, tint) {
    const { gl } = this;
    const { texture, limits, levels } = this.#density;
    const [left, right, bottom, top] = camera.limits();
    const across = (x) => (x - limits[0]) / (limits[1] - limits[0]);
    const up = (y) => (y - limits[2]) / (limits[3] - limits[2]);
    gl.useProgram(this.shade.program);
    twgl.setBuffersAndAttributes(gl, this.shade, this.sheet);
    twgl.setUniforms(this.shade, {
      low: [across(left), up(bottom)],
      high: [across(right), up(top)],
      density: texture,
      levels,
      tint,
    });
    twgl.drawBufferInfo(gl, this.sheet, gl.TRIANGLE_STRIP);
  }

  #drawPoints(camera, { size, alpha, ratio }) {
    const { gl } = this;
    gl.useProgram(this.points.program);
    twgl.setBuffersAndAttributes(gl, this.points, this.buffers);
    twgl.setUniforms(this.points, {
      middle: [camera.x, camera.y],
      scale: [(2 * camera.scale) / camera.width, (2 * camera.scale) / camera.height],
      share: this.#share,
      size: size * ratio,
      alpha,
      palette: this.palette,
    });
    for (const part of this.#chosen ? [REST, CHOSEN] : [ALL]) {
      twgl.setUniforms(this.points, { part });
      twgl.drawBufferInfo(gl, this.buffers, gl.POINTS);
    }
  }
}

/** Milliseconds between looks at the clock, and how many times are kept. */
const CLOCK = 4;
const TIMES = 3;

const MOST_PLAIN = 20000;

/** Points on a plain canvas, where there is no WebGL: the first 20,000, and no density. */
export class PointsPlain {
  #share = 1;
  #chosen = false;
  /** Milliseconds that drawing took. */
  cost = 0;

  constructor(canvas, n) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.shown = Math.min(n, MOST_PLAIN);
    this.colors = ["#888888"];
    this.indices = new Uint16Array(n);
    this.looks = new Uint8Array(n).fill(1);
    this.from = this.to = new Float32Array(2 * n);
  }

  setPoints(from, to) {
    this.from = from;
    this.to = to;
  }

  setShare(share) {
    this.#share = share;
  }

  setColors(palette, indices) {
    this.colors = palette.map(([red, green, blue]) => `rgb(${red} ${green} ${blue})`);
    this.indices = indices;
  }

  setLooks(looks, anyChosen) {
    this.looks = looks;
    this.#chosen = anyChosen;
  }

  setDensity() {}

  draw(camera, { size, alpha, ratio }) {
    const { canvas, context } = this;
    const begun = performance.now();
    canvas.width = Math.round(camera.width * ratio);
    canvas.height = Math.round(camera.height * ratio);
    context.scale(ratio, ratio);
    for (const look of this.#chosen ? [1, 2] : [1]) {
      context.globalAlpha = this.#chosen && look === 1 ? alpha * 0.22 : alpha;
      this.#drawLook(camera, size, look);
    }
    this.cost = performance.now() - begun;
  }

  #drawLook(camera, size, look) {
    const { context, from, to } = this;
    const share = this.#share;
    for (let id = 0; id < this.shown; id++) {
      if (this.looks[id] !== look) continue;
      const x = from[2 * id] + share * (to[2 * id] - from[2 * id]);
      const y = from[2 * id + 1] + share * (to[2 * id + 1] - from[2 * id + 1]);
      const [across, down] = camera.screen(x, y);
      if (across < 0 || down < 0 || across > camera.width || down > camera.height) continue;
      context.fillStyle = this.colors[this.indices[id]];
      context.fillRect(across - size / 2, down - size / 2, size, size);
    }
  }
}
