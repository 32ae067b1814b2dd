/** What the points' colours say: a class, a number, or nothing. */

import { channels, classColour, colours, numberColour } from "./theme.js";

/** The name for "all in one colour" in the address. */
export const PLAIN = "-";

const STEPS = 256;

/**
 * The columns that can be chosen for a model; of those of one model, only its own.
 *
 * @returns {object[]} Entries of `info.columns`.
 */
export function columnsOf(info, model) {
  return info.columns.filter(
    (column) => column.model === undefined || column.model === null || column.model === model,
  );
}

/** The column that gives colours, or null: what the address says, else classes, else the error. */
export function chosenColumn(info, model, name) {
  if (name === PLAIN) return null;
  const columns = columnsOf(info, model);
  return (
    columns.find((column) => column.name === name) ??
    columns.find(({ kind }) => kind === "class") ??
    columns.find((column) => column.name === "reconstruction error") ??
    columns[0] ??
    null
  );
}

/** The column of classes that may be switched off: the one that is shown, else the first. */
export function classColumn(info, chosen) {
  return chosen?.kind === "class" ? chosen : null;
}

/** The colours of points on one map. */
export class Coloring {
  #indices = null;

  /**
   * @param {object|null} column An entry of `info.columns`, or null for one colour.
   * @param {Float32Array} values A value for each point; NaN for none.
   */
  constructor(column, values) {
    this.column = column;
    this.values = values;
  }

  /** The colours: [red, green, blue] each; the last one is of points without a value. */
  palette() {
    const { column } = this;
    const none = channels(colours().muted);
    if (column === null) return [channels(colours().classes[0]), none];
    if (column.kind === "class") {
      return [...column.classes.map((_, index) => channels(classColour(index))), none];
    }
    return [...Array.from({ length: STEPS }, (_, step) => numberColour(step / (STEPS - 1))), none];
  }

  /** Which of the colours each point has. */
  indices() {
    this.#indices ??= this.#index();
    return this.#indices;
  }

  #index() {
    const { column, values } = this;
    if (column === null) return new Uint16Array(values.length);
    const last = column.kind === "class" ? column.classes.length : STEPS;
    const { low, high } = column;
    const step = (value) =>
      Math.round(Math.min(Math.max((value - low) / (high - low || 1), 0), 1) * (STEPS - 1));
    const index = column.kind === "class" ? (value) => value : step;
    return Uint16Array.from(values, (value) => (Number.isNaN(value) ? last : index(value)));
  }
}

/** A number for each class: how many points it has. */
export function countClasses(values, classes) {
  const counts = new Uint32Array(classes);
  for (const value of values) if (value >= 0) counts[value]++;
  return counts;
}
