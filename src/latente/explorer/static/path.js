/**
 * Walks through codes: straight paths through two or more of them, as numbers alone.
 */

/** Names of pins: A to Z, then AA, AB and so on. */
export function pinName(index) {
  let name = "";
  for (let rest = index + 1; rest > 0; rest = Math.floor((rest - 1) / 26)) {
    name = String.fromCharCode(65 + ((rest - 1) % 26)) + name;
  }
  return name;
}

/** Pins there may be. */
export const MOST_PINS = 26;

/** Pins with one more; a place that has a pin already gets no second one. */
export function withPin(pins, pin, most = MOST_PINS) {
  if (pins.length >= most || pins.some(([x, y]) => x === pin[0] && y === pin[1])) return pins;
  return [...pins, pin];
}

/** The vector between two vectors, at a share from 0 to 1 of the way. */
export function between(start, end, share) {
  return Array.from(start, (value, i) => value + (end[i] - value) * share);
}

/**
 * The vector at a share of a path through vectors; every leg takes the same share.
 *
 * @param {ArrayLike<number>[]} stops at least one vector
 * @param {number} share from 0 (the first stop) to 1 (the last)
 * @returns {number[]}
 */
export function along(stops, share) {
  const legs = stops.length - 1;
  if (legs < 1) return Array.from(stops[0]);
  const whole = Math.min(Math.max(share, 0), 1) * legs;
  const leg = Math.min(Math.floor(whole), legs - 1);
  return between(stops[leg], stops[leg + 1], whole - leg);
}

/** Shares from 0 to 1 at which a path is stepped, both ends included. */
export function shares(steps) {
  if (steps < 2) return [0];
  return Array.from({ length: steps }, (_, i) => i / (steps - 1));
}

/**
 * How many steps a walk takes so that it stands still at every stop: the next number that divides
 * evenly among the legs, or as many as there may be.
 */
export function stepsThrough(stops, steps, most) {
  const legs = Math.max(stops - 1, 1);
  const each = Math.min(Math.ceil((steps - 1) / legs), Math.floor((most - 1) / legs));
  return each < 1 ? most : each * legs + 1;
}

/** The share of the path through places that comes nearest to a place. */
export function nearestShare(path, place) {
  let best = { share: 0, distance: Infinity };
  for (let leg = 0; leg + 1 < path.length; leg += 1) {
    const [start, end] = [path[leg], path[leg + 1]];
    const way = [end[0] - start[0], end[1] - start[1]];
    const length = way[0] ** 2 + way[1] ** 2;
    const ahead = (place[0] - start[0]) * way[0] + (place[1] - start[1]) * way[1];
    const part = length > 0 ? Math.min(Math.max(ahead / length, 0), 1) : 0;
    const [x, y] = between(start, end, part);
    const distance = (place[0] - x) ** 2 + (place[1] - y) ** 2;
    if (distance < best.distance) best = { share: (leg + part) / (path.length - 1), distance };
  }
  return best.share;
}

/** Codes from low to high in one dimension, the others as they are. */
export function sweep(code, dimension, low, high, steps) {
  return shares(steps).map((share) => {
    const moved = Array.from(code);
    moved[dimension] = low + (high - low) * share;
    return moved;
  });
}

/** A code moved along a direction: code + amount × direction. */
export function moved(code, direction, amount) {
  return Array.from(code, (value, i) => value + amount * direction[i]);
}

/** The root of the mean square of the difference of two vectors; NaN is left out. */
export function rootMeanSquare(one, other) {
  let [sum, count] = [0, 0];
  for (let i = 0; i < one.length; i += 1) {
    const difference = one[i] - other[i];
    if (Number.isNaN(difference)) continue;
    sum += difference * difference;
    count += 1;
  }
  return count ? Math.sqrt(sum / count) : NaN;
}
