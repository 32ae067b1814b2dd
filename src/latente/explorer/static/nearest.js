/** A grid over points on a plane: which is nearest to a place, and which lie in a part. */

const PER_CELL = 4;
const MOST_CELLS = 512;

export class Grid {
  /** @param {Float32Array} points x and y in turns. @param {number[]} limits Of the grid. */
  constructor(points, limits) {
    this.points = points;
    const n = points.length / 2;
    const [left, right, bottom, top] = limits;
    const side = Math.min(Math.max(Math.ceil(Math.sqrt(n / PER_CELL)), 1), MOST_CELLS);
    Object.assign(this, { side, left, bottom });
    this.across = side / Math.max(right - left, 1e-12);
    this.up = side / Math.max(top - bottom, 1e-12);
    this.#sort(n);
  }

  #sort(n) {
    const cells = new Int32Array(n);
    this.start = new Uint32Array(this.side * this.side + 1);
    for (let i = 0; i < n; i++) {
      cells[i] = this.#row(this.points[2 * i + 1]) * this.side + this.#column(this.points[2 * i]);
      this.start[cells[i] + 1]++;
    }
    for (let cell = 0; cell < this.start.length - 1; cell++)
      this.start[cell + 1] += this.start[cell];
    const next = this.start.slice();
    this.ids = new Uint32Array(n);
    for (let i = 0; i < n; i++) this.ids[next[cells[i]]++] = i;
  }

  #column(x) {
    return Math.min(Math.max(Math.floor((x - this.left) * this.across), 0), this.side - 1) | 0;
  }

  #row(y) {
    return Math.min(Math.max(Math.floor((y - this.bottom) * this.up), 0), this.side - 1) | 0;
  }

  /** About how many points are in a part: those of all cells that it touches. */
  count([left, right, bottom, top]) {
    const [first, last] = [this.#column(left), this.#column(right)];
    let count = 0;
    for (let row = this.#row(bottom); row <= this.#row(top); row++) {
      count += this.start[row * this.side + last + 1] - this.start[row * this.side + first];
    }
    return count;
  }

  /** Call `each(id, x, y)` for all points in a part. */
  within([left, right, bottom, top], each) {
    const [first, last] = [this.#column(left), this.#column(right)];
    for (let row = this.#row(bottom); row <= this.#row(top); row++) {
      const end = this.start[row * this.side + last + 1];
      for (let at = this.start[row * this.side + first]; at < end; at++) {
        const id = this.ids[at];
        const [x, y] = [this.points[2 * id], this.points[2 * id + 1]];
        if (x >= left && x <= right && y >= bottom && y <= top) each(id, x, y);
      }
    }
  }

  /** The nearest point within a distance for which `counts(id)` is true; null if there is none. */
  nearest(x, y, distance, counts = () => true) {
    let [best, least] = [null, distance * distance];
    this.within([x - distance, x + distance, y - distance, y + distance], (id, px, py) => {
      const square = (px - x) ** 2 + (py - y) ** 2;
      if (square <= least && counts(id)) [best, least] = [id, square];
    });
    return best;
  }
}

/** Whether a place is inside a polygon of [x, y]. */
export function inside(polygon, x, y) {
  let is = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [xi, yi] = polygon[i];
    const [xj, yj] = polygon[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) is = !is;
  }
  return is;
}
