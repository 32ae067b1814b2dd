// Damages of samples in an exported page, as damage.py names them.

/** Random numbers of a seed (mulberry32). */
export function random(seed) {
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
export const DAMAGES = {
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
