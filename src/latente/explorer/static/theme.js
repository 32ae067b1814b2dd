/** Light and dark, and the colours of canvases in each. */

const LIGHT = {
  ink: "#1c2733",
  muted: "#5d6975",
  line: "#d5dbe2",
  tile: "#f1f3f6",
  paper: "#ffffff",
  accent: "#1f66bd",
  classes: [
    "#2f7bd8",
    "#e76300",
    "#2bdbb7",
    "#3a1383",
    "#f1b10f",
    "#b14781",
    "#0300e8",
    "#9fa5fe",
    "#65001b",
    "#764f01",
  ],
  scale: [0, 0.93],
  dark: false,
};

const DARK = {
  ink: "#e8edf2",
  muted: "#9aa7b4",
  line: "#3a4654",
  tile: "#1f2833",
  paper: "#141b23",
  accent: "#6cb0ff",
  classes: [
    "#5ca3ff",
    "#fa801a",
    "#26f0ff",
    "#b50dad",
    "#ffc61e",
    "#b4779a",
    "#6f55fe",
    "#caffb4",
    "#dc232f",
    "#9dbea1",
  ],
  scale: [0.2, 1],
  dark: true,
};

/** The colour map "viridis", which is even in lightness, at equal steps. */
const VIRIDIS = [
  "#440154",
  "#481467",
  "#482576",
  "#453781",
  "#404688",
  "#39558c",
  "#33638d",
  "#2d718e",
  "#287d8e",
  "#238a8d",
  "#1f968b",
  "#20a386",
  "#29af7f",
  "#3dbc74",
  "#56c667",
  "#75d054",
  "#95d840",
  "#bade28",
  "#dde318",
  "#fde725",
].map(channels);

/** "#rrggbb" of red, green and blue from 0 to 255. */
export function hex(values) {
  return `#${values.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

const listeners = new Set();
const system = matchMedia("(prefers-color-scheme: dark)");
let chosen = null;

/** Red, green and blue of "#rrggbb", from 0 to 255. */
export function channels(color) {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
}

/** The colours of the theme that is shown now. */
export const colours = () => (isDark() ? DARK : LIGHT);

/** Whether the theme that is shown now is dark. */
export const isDark = () => (chosen === null ? system.matches : chosen === "dark");

/** Whether the reader asked for less motion. */
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/**
 * A class's colour; from the eleventh class on colours come again, lighter or darker.
 *
 * @param {number} index The class's number.
 */
export function classColour(index) {
  const { classes, dark } = colours();
  const round = Math.floor(index / classes.length);
  const color = classes[index % classes.length];
  if (round === 0) return color;
  const share = Math.min(0.25 * round, 0.6);
  return blend(color, round % 2 === (dark ? 0 : 1) ? "#ffffff" : "#000000", share);
}

/** Mix two colours: `share` of the second. */
export function blend(one, other, share) {
  const [from, to] = [channels(one), channels(other)];
  return hex(from.map((value, at) => Math.round(value + share * (to[at] - value))));
}

/** The colour of a number from 0 (low) to 1 (high): [red, green, blue] from 0 to 255. */
export function numberColour(share) {
  const [low, high] = colours().scale;
  const at = (low + (high - low) * Math.min(Math.max(share, 0), 1)) * (VIRIDIS.length - 1);
  const below = Math.min(Math.floor(at), VIRIDIS.length - 2);
  const [from, to] = [VIRIDIS[below], VIRIDIS[below + 1]];
  return from.map((value, channel) => Math.round(value + (at - below) * (to[channel] - value)));
}

/** Call a function whenever the colours change; returns what ends that. */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Show a theme: "light", "dark", or null for the system's. */
export function setTheme(name) {
  chosen = name === "light" || name === "dark" ? name : null;
  document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  for (const listener of [...listeners]) listener();
}

system.addEventListener("change", () => chosen === null && setTheme(null));
