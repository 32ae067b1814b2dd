/** How near training codes are to a place: a sign with a shape and words. */
import { element } from "./controls.js";

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = {
  dense: '<circle cx="8" cy="8" r="6" fill="currentColor"/>',
  middle:
    '<circle cx="8" cy="8" r="5.2" fill="none" stroke="currentColor" stroke-width="1.6"/>' +
    '<path d="M8 2.8a5.2 5.2 0 0 1 0 10.4z" fill="currentColor"/>',
  sparse: '<circle cx="8" cy="8" r="5.2" fill="none" stroke="currentColor" stroke-width="1.6"/>',
  edge:
    '<circle cx="8" cy="8" r="5.2" fill="none" stroke="currentColor" stroke-width="1.6"' +
    ' stroke-dasharray="2.2 2.2"/>',
  hole:
    '<path d="M8 1.5 15 14H1z" fill="none" stroke="currentColor" stroke-width="1.6"' +
    ' stroke-linejoin="round"/><path d="M8 6v4M8 11.6v1" stroke="currentColor" stroke-width="1.6"/>',
};

/**
 * How near training codes are.
 *
 * @param {number} inside 0.5, 0.8, 0.95 or 1: the smallest region of training codes with the place
 * @param {number|null} distance to the nearest shown row, on the map; null where not known
 * @param {number} near distance on the map beyond which no training code is near
 * @returns {"dense"|"middle"|"sparse"|"edge"|"hole"}
 */
export function nearness(inside, distance, near) {
  if (inside < 0.65) return "dense";
  if (inside < 0.875) return "middle";
  if (distance !== null && distance > near) return "hole";
  return inside < 0.975 ? "sparse" : "edge";
}

/** The sign's element; `show(level)` changes it, null hides it. */
export function sign(session) {
  const shape = document.createElementNS(SVG, "svg");
  shape.setAttribute("viewBox", "0 0 16 16");
  shape.setAttribute("aria-hidden", "true");
  const words = element("span");
  const whole = element("p.nearness", { hidden: true }, shape, words);
  let shown;
  const show = (level) => {
    if (level === shown) return;
    shown = level;
    whole.hidden = level === null;
    if (level === null) return;
    whole.dataset.level = level;
    shape.innerHTML = SHAPES[level];
    words.textContent = session.t(`nearness.${level}`);
  };
  return { element: whole, show };
}
