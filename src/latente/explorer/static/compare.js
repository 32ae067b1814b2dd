/**
 * Two maps under one cursor: the sample that is pointed at on one is marked on both, and under each
 * map is what its model makes of it.
 */

import { draw, sampleOf } from "./sample.js";
import { onTheme } from "./theme.js";
import { number, t } from "./words.js";

const HEIGHT = 64;
const WIDTH = 110;

export class Compare {
  #wanted = 0;
  #busy = false;
  #shown = null;

  constructor(session) {
    this.session = session;
    this.cards = session.maps.map((map) => new Card(session, map));
    const { state } = session;
    state.on(["hover", "sample"], () => this.#follow());
    state.on("lang", () => this.#redraw());
    onTheme(() => this.#redraw());
    this.#follow();
  }

  /** The row that both maps show: the one under the pointer, else the one that was chosen. */
  get id() {
    const { state, info } = this.session;
    const sample = state.get("sample");
    return state.get("hover")?.id ?? (sample !== null && sample < info.n ? sample : null);
  }

  async #follow() {
    if (this.#busy) return;
    this.#busy = true;
    while (this.id !== this.#shown) {
      const id = this.id;
      try {
        await this.#show(id);
      } catch (error) {
        this.session.trouble(error);
      }
      this.#shown = id;
    }
    this.#busy = false;
  }

  async #show(id) {
    if (id === null) return;
    const { backend } = this.session;
    const answers = await Promise.all(this.cards.map((_, model) => backend.samples(model, [id])));
    this.cards.forEach((card, model) => card.show(id, answers[model]));
  }

  #redraw() {
    for (const card of this.cards) card.draw();
  }
}

/** What one model makes of the sample, in a corner of its map. */
class Card {
  #answer = null;
  #id = null;

  constructor(session, map) {
    this.session = session;
    this.element = document.createElement("div");
    this.element.className = "twin";
    this.element.hidden = true;
    map.element.append(this.element);
  }

  show(id, answer) {
    this.#id = id;
    this.#answer = answer;
    this.draw();
  }

  draw() {
    this.element.hidden = this.#answer === null;
    if (this.#answer === null) return;
    const { data } = this.session.info;
    const original = sampleOf(data, this.#answer, "originals");
    const decoded = sampleOf(data, this.#answer, "decoded");
    const error = number(this.#answer.errors.data[0]);
    this.element.replaceChildren(
      this.#figure(original, null, t("compare.original")),
      this.#figure(decoded, original, `${t("compare.decoded")} · ${t("compare.error", { error })}`),
    );
    this.element.setAttribute("role", "img");
    this.element.setAttribute("aria-label", t("compare.same", { id: this.#id }));
  }

  #figure(sample, beside, caption) {
    const figure = document.createElement("figure");
    const canvas = document.createElement("canvas");
    const words = document.createElement("figcaption");
    words.textContent = caption;
    figure.append(canvas, words);
    if (sample) this.#paint(canvas, sample, beside);
    return figure;
  }

  #paint(canvas, sample, beside) {
    const { data } = this.session.info;
    const picture = data.kind === "pictures";
    const width = picture ? (HEIGHT * sample.width) / sample.height : WIDTH;
    draw(canvas, sample, {
      data,
      width,
      height: HEIGHT,
      ...(beside && !picture ? { beside } : {}),
    });
  }
}
