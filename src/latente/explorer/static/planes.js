// The map of an exported page: from codes to places on it and back, as plane.py does.

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
export function nearest(known, width, query, count) {
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
export const PLANES = {
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
