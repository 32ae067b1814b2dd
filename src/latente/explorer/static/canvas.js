/**
 * Pixels that a person draws on: pencil and eraser in the model's own picture, as plain numbers.
 */

/** A picture that can be drawn on. */
export class Pixels {
  /** @param {number[]} background one value a channel, 0 to 255 */
  constructor(width, height, channels, background) {
    this.width = width;
    this.height = height;
    this.channels = channels;
    this.background = background;
    this.pixels = new Uint8Array(width * height * channels);
    this.clear();
  }

  clear() {
    for (let i = 0; i < this.pixels.length; i += 1)
      this.pixels[i] = this.background[i % this.channels];
  }

  invert() {
    this.pixels = this.pixels.map((value) => 255 - value);
    this.background = this.background.map((value) => 255 - value);
  }

  get empty() {
    return this.pixels.every((value, i) => value === this.background[i % this.channels]);
  }

  /** Take another picture of the same size. */
  take(pixels) {
    this.pixels = Uint8Array.from(pixels);
  }

  /**
   * Draw a line with a round tip, its edge softened over one pixel.
   *
   * @param {[number, number]} from in pixels, from the left and the top
   * @param {[number, number]} to
   * @param {number} thickness in pixels
   * @param {number[]} colour one value a channel, 0 to 255
   */
  stroke(from, to, thickness, colour) {
    const radius = thickness / 2;
    const reach = radius + 1;
    const [left, right] = span(from[0], to[0], reach, this.width);
    const [top, bottom] = span(from[1], to[1], reach, this.height);
    for (let y = top; y <= bottom; y += 1) {
      for (let x = left; x <= right; x += 1) {
        const cover = radius + 0.5 - distance([x + 0.5, y + 0.5], from, to);
        if (cover > 0) this.blend(y * this.width + x, Math.min(cover, 1), colour);
      }
    }
  }

  /** A softened edge never takes away what an earlier part of the line has covered. */
  blend(at, cover, colour) {
    for (let c = 0; c < this.channels; c += 1) {
      const i = at * this.channels + c;
      const away = Math.abs(colour[c] - this.background[c]);
      const mixed = this.background[c] + (colour[c] - this.background[c]) * cover;
      const now = this.pixels[i];
      const nearer = Math.abs(mixed - colour[c]) < Math.abs(now - colour[c]);
      if (cover === 1) this.pixels[i] = colour[c];
      else if (away === 0) this.pixels[i] = Math.round(now + (colour[c] - now) * cover);
      else if (nearer) this.pixels[i] = Math.round(mixed);
    }
  }
}

function span(one, other, reach, size) {
  return [
    Math.max(0, Math.floor(Math.min(one, other) - reach)),
    Math.min(size - 1, Math.ceil(Math.max(one, other) + reach)),
  ];
}

function distance([x, y], [fromX, fromY], [toX, toY]) {
  const [wayX, wayY] = [toX - fromX, toY - fromY];
  const length = wayX * wayX + wayY * wayY;
  const ahead = length ? ((x - fromX) * wayX + (y - fromY) * wayY) / length : 0;
  const part = Math.min(Math.max(ahead, 0), 1);
  return Math.hypot(x - fromX - part * wayX, y - fromY - part * wayY);
}

/** The colour of the border that most pictures share: the middle one of each channel. */
export function borderColour(pictures) {
  const { width, height, channels } = pictures[0];
  return Array.from({ length: channels }, (_, c) => {
    const values = [];
    for (const { pixels } of pictures) {
      for (let x = 0; x < width; x += 1) {
        values.push(pixels[x * channels + c], pixels[((height - 1) * width + x) * channels + c]);
      }
    }
    return values.sort((a, b) => a - b)[values.length >> 1];
  });
}

/** Red, green and blue of "#rrggbb" as one value a channel: their lightness where there is one. */
export function channelsOf(colour, channels) {
  const rgb = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  if (channels >= 3) return rgb.concat(new Array(channels - 3).fill(255));
  return [Math.round(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2])];
}

/** "#rrggbb" of one value a channel. */
export function hexOf(values) {
  const rgb = values.length >= 3 ? values.slice(0, 3) : [values[0], values[0], values[0]];
  return `#${rgb.map((value) => Math.round(value).toString(16).padStart(2, "0")).join("")}`;
}
