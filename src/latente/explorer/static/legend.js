/** Which column gives the colours, and what they mean; classes are switched on and off here. */

import { PLAIN, chosenColumn, columnsOf, countClasses } from "./coloring.js";
import { classColour, numberColour, onTheme } from "./theme.js";
import { number, shortened, t } from "./words.js";

/** Letters of a class beyond which its middle is left out. */
const LONG = 26;

/** The word for a column: ours in the page's language, the data's own as they are. */
export function columnWord(name) {
  const key = `column.${name}`;
  const word = t(key);
  return word === key ? name : word;
}

export class Legend {
  #counts = null;

  /** @param {object} session @param {HTMLSelectElement} select @param {HTMLElement} element */
  constructor(session, select, element) {
    Object.assign(this, { session, select, element });
    const { state } = session;
    select.onchange = () => state.set("color", select.value);
    state.on(["lang", "info"], () => this.draw());
    state.on(["color", "model"], () => this.load());
    state.on("off", () => this.#press());
    onTheme(() => this.draw());
  }

  get column() {
    const { info, state } = this.session;
    return chosenColumn(info, state.get("model"), state.get("color"));
  }

  /** Count the classes, and draw. */
  async load() {
    const { column } = this;
    this.#counts = null;
    this.draw();
    if (column?.kind !== "class") return;
    const { values } = await this.session.backend.column(
      column.name,
      this.session.state.get("model"),
    );
    this.#counts = countClasses(values.data, column.classes.length);
    if (column === this.column) this.draw();
  }

  draw() {
    this.#fillSelect();
    const { column } = this;
    if (column === null) this.element.replaceChildren();
    else if (column.kind === "class") this.#drawClasses(column);
    else this.#drawScale(column);
    this.#press();
  }

  #fillSelect() {
    const { info, state } = this.session;
    const columns = columnsOf(info, state.get("model"));
    this.select.replaceChildren(
      ...columns.map(({ name }) => new Option(columnWord(name), name)),
      new Option(t("map.color.none"), PLAIN),
    );
    this.select.value = this.column?.name ?? PLAIN;
  }

  #drawClasses({ classes }) {
    const buttons = classes.map((name, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "legend-class";
      button.dataset.index = String(index);
      const dot = document.createElement("i");
      dot.style.background = classColour(index);
      const word = document.createElement("span");
      word.textContent = shortened(String(name), LONG);
      button.append(dot, word);
      button.title = t("map.class.title", { name, n: this.#counts?.[index] ?? 0 });
      button.onclick = () => this.#toggle(index);
      button.ondblclick = () => this.#only(index, classes.length);
      return button;
    });
    const all = document.createElement("button");
    all.type = "button";
    all.className = "legend-class all";
    all.textContent = t("map.all");
    all.title = t("map.all.title");
    all.onclick = () => this.session.state.set("off", []);
    this.element.replaceChildren(...buttons, all);
  }

  #drawScale({ low, high }) {
    const scale = document.createElement("div");
    scale.className = "legend-scale";
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [160, 1];
    const context = canvas.getContext("2d");
    for (let x = 0; x < canvas.width; x++) {
      context.fillStyle = `rgb(${numberColour(x / (canvas.width - 1)).join(" ")})`;
      context.fillRect(x, 0, 1, 1);
    }
    scale.append(number(low), canvas, number(high));
    this.element.replaceChildren(scale);
  }

  #toggle(index) {
    const { state } = this.session;
    const off = new Set(state.get("off"));
    if (!off.delete(index)) off.add(index);
    state.set(
      "off",
      [...off].sort((one, other) => one - other),
    );
  }

  #only(index, classes) {
    const others = Array.from({ length: classes }, (_, other) => other);
    this.session.state.set(
      "off",
      others.filter((other) => other !== index),
    );
  }

  #press() {
    const off = new Set(this.session.state.get("off"));
    for (const button of this.element.querySelectorAll("button[data-index]")) {
      button.setAttribute("aria-pressed", String(!off.has(Number(button.dataset.index))));
    }
    const all = this.element.querySelector(".all");
    if (all) all.hidden = off.size === 0;
  }
}
