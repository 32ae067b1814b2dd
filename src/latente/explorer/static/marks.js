/** What is drawn over a map's points: axes, names of classes, marks, crosshair and lasso. */

import { blend, colours } from "./theme.js";
import { number, shortened } from "./words.js";

const FONT =
  'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif';
const TICK_ROOM = 90;

/** Round steps of 1, 2 or 5 between which there is room for numbers. */
function step(scale) {
  const least = TICK_ROOM / scale;
  const ten = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * ten).find((value) => value >= least);
}

function* ticks(low, high, by) {
  for (let k = Math.ceil(low / by); k * by <= high; k++) yield k * by;
}

function write(context, text, x, y, { color, halo, align = "left", size = 11, weight = 400 }) {
  context.font = `${weight} ${size}px ${FONT}`;
  context.textAlign = align;
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = 3.5;
  context.strokeStyle = halo;
  context.strokeText(text, x, y);
  context.fillStyle = color;
  context.fillText(text, x, y);
}

/** Draw a light grid. */
export function drawGrid(context, camera) {
  const [left, right, bottom, top] = camera.limits();
  const by = step(camera.scale);
  context.strokeStyle = colours().line;
  context.lineWidth = 1;
  context.globalAlpha = 0.4;
  context.beginPath();
  for (const x of ticks(left, right, by)) {
    const at = Math.round(camera.screen(x, 0)[0]) + 0.5;
    context.moveTo(at, 0);
    context.lineTo(at, camera.height);
  }
  for (const y of ticks(bottom, top, by)) {
    const at = Math.round(camera.screen(0, y)[1]) + 0.5;
    context.moveTo(0, at);
    context.lineTo(camera.width, at);
  }
  context.stroke();
  context.globalAlpha = 1;
}

/** Write the grid's numbers at the lower and left sides, and what the axes are. */
export function drawAxes(context, camera, names) {
  const { muted, paper } = colours();
  const [left, right, bottom, top] = camera.limits();
  const by = step(camera.scale);
  const style = { color: muted, halo: paper };
  const size = camera.width < 500 ? 10 : 11;
  const text = (value) => number(Math.abs(value) < by / 1e6 ? 0 : value, 6);
  for (const x of ticks(left, right, by)) {
    const [at] = camera.screen(x, 0);
    if (at > 70 && at < camera.width - 90) {
      write(context, text(x), at, camera.height - 10, { ...style, align: "center", size });
    }
  }
  for (const y of ticks(bottom, top, by)) {
    const [, at] = camera.screen(0, y);
    if (at > 70 && at < camera.height - 92) write(context, text(y), 8, at, { ...style, size });
  }
  write(context, `${names[0]} →`, camera.width - 10, camera.height - 10, {
    ...style,
    align: "right",
    size,
  });
  context.save();
  context.translate(11, camera.height - 24);
  context.rotate(-Math.PI / 2);
  write(context, `${names[1]} →`, 0, 0, { ...style, size });
  context.restore();
}

const CELLS = 28;
/** Letters of a name beyond which its middle is left out. */
const LONG_NAME = 24;

/**
 * Where each class's name belongs: its densest spot, which lies among its points also where the
 * class has more than one part.
 *
 * @param {Float32Array} points x and y in turns.
 * @param {Float32Array} values Each point's class; NaN for none.
 * @param {number} classes How many there are.
 * @param {number[]} limits Outside of which points count as being at the edge.
 * @returns {{x: number, y: number, count: number}[]}
 */
export function centres(points, values, classes, [left, right, bottom, top]) {
  const counts = new Float64Array(classes * CELLS * CELLS);
  const n = new Uint32Array(classes);
  const cell = (value, low, high) =>
    Math.min(Math.max(Math.floor(((value - low) / (high - low)) * CELLS), 0), CELLS - 1);
  const cellOf = (id) =>
    cell(points[2 * id + 1], bottom, top) * CELLS + cell(points[2 * id], left, right);
  for (let id = 0; id < values.length; id++) {
    if (!(values[id] >= 0)) continue;
    counts[values[id] * CELLS * CELLS + cellOf(id)]++;
    n[values[id]]++;
  }
  return Array.from({ length: classes }, (_, index) => {
    const own = counts.subarray(index * CELLS * CELLS, (index + 1) * CELLS * CELLS);
    const [column, row] = densest(own);
    return {
      x: left + ((column + 0.5) * (right - left)) / CELLS,
      y: bottom + ((row + 0.5) * (top - bottom)) / CELLS,
      count: n[index],
    };
  });
}

/** The middle of the 5 × 5 cells that hold most, weighted by what they hold. */
function densest(counts) {
  let [best, most] = [[CELLS / 2, CELLS / 2], 0];
  for (let row = 0; row < CELLS; row++) {
    for (let column = 0; column < CELLS; column++) {
      let [sum, x, y] = [0, 0, 0];
      for (let r = Math.max(row - 2, 0); r <= Math.min(row + 2, CELLS - 1); r++) {
        for (let c = Math.max(column - 2, 0); c <= Math.min(column + 2, CELLS - 1); c++) {
          const count = counts[r * CELLS + c];
          sum += count;
          x += count * c;
          y += count * r;
        }
      }
      if (sum > most) [best, most] = [[x / sum, y / sum], sum];
    }
  }
  return best;
}

/**
 * Draw names of classes where they belong, moved a little or left out where others are already.
 *
 * @param {number} most How many there may be: the first ones that are seen.
 */
export function drawNames(context, camera, names, most = Infinity) {
  const { paper, ink } = colours();
  const taken = [];
  const size = camera.width < 500 ? 12 : 14;
  context.font = `600 ${size}px ${FONT}`;
  for (const { text: whole, x, y, color } of names) {
    if (taken.length >= most) break;
    const text = shortened(whole, LONG_NAME);
    const [across, down] = camera.screen(x, y);
    const half = context.measureText(text).width / 2 + 5;
    const box = [0, -1, 1, -2, 2]
      .map((rows) => {
        const at = down + rows * (size + 6);
        return [across - half, across + half, at - size / 2 - 3, at + size / 2 + 3];
      })
      .find((one) => !taken.some((other) => overlap(one, other)));
    if (!box || box[1] < 0 || box[0] > camera.width || box[3] < 0 || box[2] > camera.height)
      continue;
    taken.push(box);
    const middle = (box[2] + box[3]) / 2;
    context.fillStyle = paper;
    context.globalAlpha = 0.82;
    context.beginPath();
    context.roundRect(box[0], box[2], box[1] - box[0], box[3] - box[2], 4);
    context.fill();
    context.globalAlpha = 1;
    write(context, text, across, middle + 0.5, {
      color: blend(color, ink, 0.45),
      halo: "transparent",
      align: "center",
      size,
      weight: 600,
    });
  }
}

const overlap = (one, other) =>
  one[0] < other[1] && other[0] < one[1] && one[2] < other[3] && other[2] < one[3];

/** How each kind of mark is drawn: (context, across, down, mark, color). */
const KINDS = {
  pin(context, across, down, mark, color) {
    context.beginPath();
    context.arc(across, down, 7, 0, 2 * Math.PI);
    outlined(context, color, true);
    if (mark.label) beside(context, mark.label, across, down);
  },
  ring(context, across, down, mark, color) {
    context.beginPath();
    context.arc(across, down, 8, 0, 2 * Math.PI);
    outlined(context, color);
    if (mark.label) beside(context, mark.label, across, down);
  },
  cross(context, across, down, mark, color) {
    context.beginPath();
    for (const [x, y] of [
      [1, 0],
      [-1, 0],
      [0, 1],
      [0, -1],
    ]) {
      context.moveTo(across + 4 * x, down + 4 * y);
      context.lineTo(across + 11 * x, down + 11 * y);
    }
    outlined(context, color);
    if (mark.label) beside(context, mark.label, across, down);
  },
};

function outlined(context, color, filled = false) {
  const { paper } = colours();
  context.lineCap = "round";
  context.strokeStyle = paper;
  context.lineWidth = 5;
  context.stroke();
  if (filled) {
    context.fillStyle = color;
    context.fill();
  }
  context.strokeStyle = filled ? paper : color;
  context.lineWidth = 2;
  context.stroke();
}

function beside(context, text, across, down) {
  const { ink, paper } = colours();
  write(context, String(text), across + 13, down, {
    color: ink,
    halo: paper,
    size: 12,
    weight: 600,
  });
}

function drawLine(context, camera, { points, kind, dashed, label }, color) {
  if (!points || points.length < 2) return;
  const pixels = points.map(([x, y]) => camera.screen(x, y));
  context.save();
  context.lineJoin = "round";
  context.setLineDash(dashed ? [6, 6] : []);
  context.beginPath();
  pixels.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
  if (kind === "arrow") head(context, pixels.at(-2), pixels.at(-1));
  outlined(context, color);
  context.restore();
  if (label) beside(context, label, ...pixels.at(-1));
}

function head(context, [x0, y0], [x1, y1]) {
  const angle = Math.atan2(y1 - y0, x1 - x0);
  for (const turn of [2.6, -2.6]) {
    context.moveTo(x1, y1);
    context.lineTo(x1 + 10 * Math.cos(angle + turn), y1 + 10 * Math.sin(angle + turn));
  }
}

/** Draw a mark; lines are under what has a place. */
export function drawMarks(context, camera, marks) {
  const { accent } = colours();
  for (const mark of marks.filter(({ kind }) => !(kind in KINDS))) {
    drawLine(context, camera, mark, mark.color ?? accent);
  }
  for (const mark of marks.filter(({ kind }) => kind in KINDS)) {
    const [across, down] = camera.screen(mark.x, mark.y);
    context.save();
    KINDS[mark.kind](context, across, down, mark, mark.color ?? accent);
    context.restore();
  }
}

/** Draw the crosshair that the keyboard moves. */
export function drawCrosshair(context, camera, { x, y }) {
  const { ink } = colours();
  const [across, down] = camera.screen(x, y);
  context.save();
  context.strokeStyle = ink;
  context.lineWidth = 1;
  context.globalAlpha = 0.35;
  context.beginPath();
  context.moveTo(0, Math.round(down) + 0.5);
  context.lineTo(camera.width, Math.round(down) + 0.5);
  context.moveTo(Math.round(across) + 0.5, 0);
  context.lineTo(Math.round(across) + 0.5, camera.height);
  context.stroke();
  context.restore();
  drawMarks(context, camera, [{ kind: "cross", x, y, color: ink }]);
}

/** Draw a lasso's line so far. */
export function drawLasso(context, polygon) {
  const { accent } = colours();
  context.save();
  context.beginPath();
  polygon.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
  context.fillStyle = accent;
  context.globalAlpha = 0.1;
  context.fill();
  context.globalAlpha = 1;
  context.setLineDash([5, 4]);
  context.strokeStyle = accent;
  context.lineWidth = 1.5;
  context.stroke();
  context.restore();
}
