/** Small pictures at the points of a map, where these are far enough apart. */

import { channels, colours } from "./theme.js";

const BLOCK = 1024;
const COLUMNS = 32;
const MOST_BLOCKS = 32;
const AT_ONCE = 2;
const TILE = 40;
const APART = 46;
const MOST_SHOWN = 260;
const CROWD = 9;
const MOST_INKED = 1000;
/** Pictures that are inked for one frame: the others follow with the next ones. */
const INKED_AT_ONCE = 24;
/** Cells from one column of a net to the next, more than there are rows. */
const FAR = 2 ** 26;

/** Pictures of rows, by blocks of 1024; the blocks that were used last are kept. */
export class Thumbnails {
  #blocks = new Map();
  #inked = new Map();
  #waiting = [];
  #busy = 0;
  #none = false;
  #fresh = 0;

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
    return {
      sheet,
      x: (at % COLUMNS) * width,
      y: Math.floor(at / COLUMNS) * height,
      width,
      height,
    };
  }

  /** Say that a frame begins; when it could not ink all pictures it ends with another one. */
  begin() {
    this.#fresh = 0;
  }

  /** Whether a frame had to leave pictures to the next one. */
  get behind() {
    return this.#fresh >= INKED_AT_ONCE;
  }

  /**
   * A row's picture as ink: its grey levels are how much of the colour there is; null if that has
   * to wait for the next frame.
   */
  inked(id, color, ratio) {
    const key = `${id} ${color} ${ratio}`;
    if (!this.#inked.has(key) && this.#fresh >= INKED_AT_ONCE) return null;
    if (!this.#inked.has(key)) this.#fresh++;
    const inked = this.#inked.get(key) ?? ink(this.get(id), color, ratio);
    this.#inked.delete(key);
    this.#inked.set(key, inked);
    if (this.#inked.size > MOST_INKED) this.#inked.delete(this.#inked.keys().next().value);
    return inked;
  }

  /** The order in which rows are chosen: those whose pictures are here, then by number. */
  rank(id) {
    return this.#blocks.get(Math.floor(id / BLOCK)) ? id : id + this.n;
  }

  /** Of rows those whose pictures can all be kept: of blocks that are here, then of others. */
  affordable(ids) {
    const blocks = new Set(ids.map((id) => Math.floor(id / BLOCK)));
    if (blocks.size <= MOST_BLOCKS) return ids;
    const here = (block) => (this.#blocks.get(block) ? 0 : 1);
    const order = [...blocks].sort((one, other) => here(one) - here(other) || one - other);
    const kept = new Set(order.slice(0, MOST_BLOCKS));
    return ids.filter((id) => kept.has(Math.floor(id / BLOCK)));
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
      const sheet = await this.backend.thumbnails(
        block * BLOCK,
        Math.min(BLOCK, this.n - block * BLOCK),
      );
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

function ink({ sheet, x, y, width, height }, color, ratio) {
  const canvas = document.createElement("canvas");
  const side = Math.round((TILE - 4) * ratio);
  const larger = side / Math.max(width, height);
  Object.assign(canvas, { width: Math.round(width * larger), height: Math.round(height * larger) });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(sheet, x, y, width, height, 0, 0, canvas.width, canvas.height);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const [red, green, blue] = channels(color);
  for (let at = 0; at < pixels.data.length; at += 4) {
    pixels.data.set([red, green, blue, pixels.data[at]], at);
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/**
 * Which rows get a picture: in each cell of a net over the map the first one. The net moves with
 * the map, so that pictures stay when it is moved.
 *
 * @param {import("./nearest.js").Grid} grid
 * @param {import("./camera.js").Camera} camera
 * @param {(id: number) => boolean} counts Whether a row may be shown.
 * @param {Thumbnails} thumbnails
 * @returns {number[]} None where points are too close together.
 */
export function choose(grid, camera, counts, thumbnails) {
  const limits = camera.limits();
  const places = (camera.width * camera.height) / (APART * APART);
  if (grid.count(limits) > CROWD * places) return [];
  const rank = (id) => thumbnails.rank(id);
  const ids = firsts(grid, limits, netSide(camera.scale), counts, rank);
  return thumbnails.affordable(ids.slice(0, MOST_SHOWN));
}

const netSide = (scale) => APART / 2 ** (Math.round(Math.log2(scale) * 4) / 4);

function firsts(grid, limits, side, counts, rank) {
  const first = new Map();
  const wide = [limits[0] - side, limits[1] + side, limits[2] - side, limits[3] + side];
  grid.within(wide, (id, x, y) => {
    if (!counts(id)) return;
    const cell = Math.floor(x / side) * FAR + Math.floor(y / side);
    if (!first.has(cell) || rank(id) < rank(first.get(cell))) first.set(cell, id);
  });
  const ids = [...first.values()].sort((one, other) => rank(one) - rank(other));
  return apart(ids, grid.points, side * 0.8);
}

/** Leave out what is too close to one before it. */
function apart(ids, points, distance) {
  const kept = new Map();
  const cell = (value) => Math.floor(value / distance);
  return ids.filter((id) => {
    const [x, y] = [points[2 * id], points[2 * id + 1]];
    for (let column = cell(x) - 1; column <= cell(x) + 1; column++) {
      for (let row = cell(y) - 1; row <= cell(y) + 1; row++) {
        for (const other of kept.get(column * FAR + row) ?? []) {
          const [dx, dy] = [points[2 * other] - x, points[2 * other + 1] - y];
          if (Math.max(Math.abs(dx), Math.abs(dy)) < distance) return false;
        }
      }
    }
    const key = cell(x) * FAR + cell(y);
    kept.set(key, [...(kept.get(key) ?? []), id]);
    return true;
  });
}

/**
 * Draw pictures of rows at their points, framed in the points' colours; pictures of ink are drawn
 * in these colours instead.
 *
 * @param {(id: number) => string} colorOf A row's colour, "#rrggbb".
 * @param {boolean} ink Whether pictures are of ink: grey ones, mostly low.
 */
export function drawThumbnails(context, camera, points, ids, thumbnails, colorOf, ink) {
  const ratio = context.getTransform().a;
  thumbnails.begin();
  context.imageSmoothingEnabled = true;
  for (const id of ids) {
    const picture = thumbnails.get(id);
    if (!picture) continue;
    const [across, down] = camera.screen(points[2 * id], points[2 * id + 1]);
    const larger = (TILE - 4) / Math.max(picture.width, picture.height);
    const [width, height] = [picture.width * larger, picture.height * larger];
    const box = [Math.round(across - width / 2), Math.round(down - height / 2), width, height];
    const inked = ink ? thumbnails.inked(id, colorOf(id), ratio) : null;
    if (inked) drawInk(context, box, inked);
    else if (!ink) drawPhoto(context, box, picture, colorOf(id));
  }
  if (thumbnails.behind) thumbnails.arrived();
}

function drawPhoto(context, [left, top, width, height], { sheet, x, y, ...cell }, color) {
  context.fillStyle = color;
  context.beginPath();
  context.roundRect(left - 2, top - 2, width + 4, height + 4, 4);
  context.fill();
  context.drawImage(sheet, x, y, cell.width, cell.height, left, top, width, height);
}

function drawInk(context, [left, top, width, height], inked) {
  context.fillStyle = colours().paper;
  context.globalAlpha = 0.94;
  context.beginPath();
  context.roundRect(left - 2, top - 2, width + 4, height + 4, 6);
  context.fill();
  context.globalAlpha = 1;
  context.drawImage(inked, left, top, width, height);
}
