/** Small pictures at the points of a map, where these are far enough apart. */

import { colours } from "./theme.js";

const BLOCK = 1024;
const COLUMNS = 32;
const MOST_BLOCKS = 48;
const AT_ONCE = 2;
const TILE = 40;
const APART = 46;
const MOST_SHOWN = 260;
const CROWD = 14;

/** Pictures of rows, by blocks of 1024; the blocks that were used last are kept. */
export class Thumbnails {
  #blocks = new Map();
  #waiting = [];
  #busy = 0;
  #none = false;

  /** @param {() => void} arrived Called when pictures have come. */
  constructor(backend, n, arrived) {
    Object.assign(this, { backend, n, arrived });
  }

  /**
   * The sheet with a row's picture and where on it that is; null if it is not here yet.
   *
   * @returns {{sheet: ImageBitmap, x: number, y: number, width: number, height: number}|null}
   */
  get(id) {
    const block = Math.floor(id / BLOCK);
    const sheet = this.#blocks.get(block);
    if (sheet === undefined) this.#ask(block);
    if (!sheet) return null;
    this.#blocks.delete(block);
    this.#blocks.set(block, sheet);
    const [width, height] = this.#cell(sheet, block);
    const at = id % BLOCK;
    return { sheet, x: (at % COLUMNS) * width, y: Math.floor(at / COLUMNS) * height, width, height };
  }

  #cell(sheet, block) {
    const rows = Math.ceil(Math.min(BLOCK, this.n - block * BLOCK) / COLUMNS);
    return [sheet.width / COLUMNS, sheet.height / rows];
  }

  #ask(block) {
    if (this.#none || this.#waiting.includes(block)) return;
    this.#waiting.push(block);
    this.#next();
  }

  async #next() {
    if (this.#busy >= AT_ONCE || this.#waiting.length === 0) return;
    const block = this.#waiting[0];
    this.#busy++;
    this.#blocks.set(block, null);
    this.#waiting.shift();
    try {
      const sheet = await this.backend.thumbnails(block * BLOCK, Math.min(BLOCK, this.n - block * BLOCK));
      if (sheet === null) this.#none = true;
      else this.#keep(block, sheet);
    } catch {
      this.#blocks.delete(block);
      this.#none = true;
      setTimeout(() => (this.#none = false), 5000);
    }
    this.#busy--;
    this.#next();
    this.arrived();
  }

  #keep(block, sheet) {
    this.#blocks.delete(block);
    this.#blocks.set(block, sheet);
    if (this.#blocks.size <= MOST_BLOCKS) return;
    const [oldest, old] = this.#blocks.entries().next().value;
    old?.close();
    this.#blocks.delete(oldest);
  }
}

/**
 * Which rows get a picture: in each cell of a net over the map the first one. The net moves with
 * the map, so that pictures stay when it is moved.
 *
 * @param {import("./nearest.js").Grid} grid
 * @param {import("./camera.js").Camera} camera
 * @param {(id: number) => boolean} counts Whether a row may be shown.
 * @returns {number[]} None where points are too close together.
 */
export function choose(grid, camera, counts) {
  const limits = camera.limits();
  const places = (camera.width * camera.height) / (APART * APART);
  if (grid.count(limits) > CROWD * places) return [];
  return firsts(grid, limits, netSide(camera.scale), counts).slice(0, MOST_SHOWN);
}

const netSide = (scale) => APART / 2 ** (Math.round(Math.log2(scale) * 4) / 4);

function firsts(grid, limits, side, counts) {
  const first = new Map();
  const wide = [limits[0] - side, limits[1] + side, limits[2] - side, limits[3] + side];
  grid.within(wide, (id, x, y) => {
    if (!counts(id)) return;
    const cell = `${Math.floor(x / side)},${Math.floor(y / side)}`;
    if (!first.has(cell) || id < first.get(cell)) first.set(cell, id);
  });
  return apart([...first.values()].sort((one, other) => one - other), grid.points, side * 0.8);
}

/** Leave out what is too close to one before it. */
function apart(ids, points, distance) {
  const kept = new Map();
  const cell = (value) => Math.floor(value / distance);
  return ids.filter((id) => {
    const [x, y] = [points[2 * id], points[2 * id + 1]];
    for (let column = cell(x) - 1; column <= cell(x) + 1; column++) {
      for (let row = cell(y) - 1; row <= cell(y) + 1; row++) {
        for (const other of kept.get(`${column},${row}`) ?? []) {
          const [dx, dy] = [points[2 * other] - x, points[2 * other + 1] - y];
          if (Math.max(Math.abs(dx), Math.abs(dy)) < distance) return false;
        }
      }
    }
    const key = `${cell(x)},${cell(y)}`;
    kept.set(key, [...(kept.get(key) ?? []), id]);
    return true;
  });
}

/** Draw pictures of rows at their points, framed in the points' colours. */
export function drawThumbnails(context, camera, points, ids, thumbnails, colorOf) {
  const { tile } = colours();
  context.imageSmoothingEnabled = true;
  for (const id of ids) {
    const picture = thumbnails.get(id);
    if (!picture) continue;
    const [across, down] = camera.screen(points[2 * id], points[2 * id + 1]);
    const { sheet, x, y, width, height } = picture;
    const larger = (TILE - 4) / Math.max(width, height);
    const [w, h] = [width * larger, height * larger];
    const [left, top] = [Math.round(across - w / 2), Math.round(down - h / 2)];
    context.fillStyle = colorOf(id);
    context.beginPath();
    context.roundRect(left - 2, top - 2, w + 4, h + 4, 4);
    context.fill();
    context.fillStyle = tile;
    context.fillRect(left, top, w, h);
    context.drawImage(sheet, x, y, width, height, left, top, w, h);
  }
}
