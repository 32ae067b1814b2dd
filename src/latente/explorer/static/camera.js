/** Which part of a map is seen: from places on the map to pixels of its canvas, and back. */

const MARGIN = 0.04;
const FARTHEST = 0.2;
const CLOSEST = 4000;

/** Both axes have the same scale, so that distances are true. */
export class Camera {
  width = 1;
  height = 1;
  x = 0;
  y = 0;
  /** Pixels for one unit of the map. */
  scale = 1;
  #whole = [-1, 1, -1, 1];

  /** Say how large the canvas is, in pixels; what was seen in the middle stays there. */
  resize(width, height) {
    this.width = Math.max(width, 1);
    this.height = Math.max(height, 1);
  }

  /** Say what "everything" is: [left, right, bottom, top]. */
  setWhole(limits) {
    this.#whole = limits;
  }

  /** Pixels for one unit of the map when everything is seen. */
  get wholeScale() {
    return this.#scaleFor(this.#whole, MARGIN);
  }

  /** How many times closer than when everything is seen. */
  get closeness() {
    return this.scale / this.wholeScale;
  }

  #scaleFor([left, right, bottom, top], margin = 0) {
    const share = 1 - 2 * margin;
    const [across, up] = [Math.max(right - left, 1e-12), Math.max(top - bottom, 1e-12)];
    return Math.min((this.width * share) / across, (this.height * share) / up);
  }

  /** See everything, with a margin. */
  fitWhole() {
    this.fit(this.#whole, MARGIN);
  }

  /** See a part: all of it, in the middle, as large as it goes. */
  fit(limits, margin = 0) {
    const [left, right, bottom, top] = limits;
    this.x = (left + right) / 2;
    this.y = (bottom + top) / 2;
    this.scale = this.#scaleFor(limits, margin);
  }

  /** The part that is seen: [left, right, bottom, top]. */
  limits() {
    const [across, up] = [this.width / this.scale / 2, this.height / this.scale / 2];
    return [this.x - across, this.x + across, this.y - up, this.y + up];
  }

  /** The pixel of a place. */
  screen(x, y) {
    return [
      this.width / 2 + (x - this.x) * this.scale,
      this.height / 2 - (y - this.y) * this.scale,
    ];
  }

  /** The place of a pixel. */
  place(across, down) {
    return [
      this.x + (across - this.width / 2) / this.scale,
      this.y - (down - this.height / 2) / this.scale,
    ];
  }

  /** Move what is seen by pixels. */
  pan(across, down) {
    this.x -= across / this.scale;
    this.y += down / this.scale;
  }

  /** Come closer by a factor; the pixel's place stays under it. */
  zoom(factor, across = this.width / 2, down = this.height / 2) {
    const whole = this.wholeScale;
    const scale = Math.min(Math.max(this.scale * factor, whole * FARTHEST), whole * CLOSEST);
    const [x, y] = this.place(across, down);
    this.x = x - (across - this.width / 2) / scale;
    this.y = y + (down - this.height / 2) / scale;
    this.scale = scale;
  }
}

const SAMPLED = 20000;

/**
 * Limits that hold all points but the few far outside; of many points, as some of them say.
 *
 * @param {Float32Array} points x and y in turns.
 * @param {number} share Of the points outside, at each of the four sides.
 */
export function robustLimits(points, share = 0.002) {
  const every = Math.max(Math.floor(points.length / 2 / SAMPLED), 1);
  const axis = (offset) => {
    const values = sorted(points, offset, every);
    if (values.length === 0) return [-1, 1];
    const last = values.length - 1;
    const low = values[Math.floor(last * share)];
    const high = values[Math.ceil(last * (1 - share))];
    const room = Math.max((high - low) * 0.05, Math.abs(high) * 1e-6, 1e-9);
    return [low - room, high + room];
  };
  return [...axis(0), ...axis(1)];
}

function sorted(points, offset, every) {
  const values = new Float32Array(Math.ceil(points.length / 2 / every));
  let n = 0;
  for (let at = offset; at < points.length; at += 2 * every) {
    if (Number.isFinite(points[at])) values[n++] = points[at];
  }
  return values.subarray(0, n).sort();
}

/** The limits of all points: [left, right, bottom, top]. */
export function extent(points) {
  const limits = [Infinity, -Infinity, Infinity, -Infinity];
  for (let at = 0; at < points.length; at++) {
    const low = 2 * (at % 2);
    if (points[at] < limits[low]) limits[low] = points[at];
    if (points[at] > limits[low + 1]) limits[low + 1] = points[at];
  }
  return limits.every(Number.isFinite) ? limits : [-1, 1, -1, 1];
}
