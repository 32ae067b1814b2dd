/**
 * A sample in the page: its canvas, its caption, and its values under the pointer or the arrows.
 */
import { element } from "./controls.js";
import {
  BAR_HEIGHT,
  FIRST_COLUMNS,
  aspect,
  columnOrder,
  describe,
  draw,
  lengthOf,
  valueWords,
} from "./sample.js";
import { onTheme } from "./theme.js";
import { number } from "./words.js";

/** A sample with its caption. */
export class SampleFigure {
  /**
   * @param {object} session
   * @param {{caption?: string, size?: number, columns?: number}} options size is the greatest
   *     height of a picture, in CSS pixels; columns are those of a row that are shown first
   */
  constructor(session, { caption = "", size = 140, columns = FIRST_COLUMNS } = {}) {
    this.session = session;
    this.size = size;
    this.canvas = element("canvas", { role: "img" });
    this.text = element("p.sample-text", { hidden: true });
    this.readout = element("p.readout", { role: "status", hidden: true });
    this.more = element("button.button.quiet", {
      type: "button",
      hidden: true,
      onclick: () => this.toggle(),
    });
    this.caption = element("figcaption", {}, caption);
    this.element = element(
      "figure.sample",
      {},
      this.canvas,
      this.text,
      this.readout,
      this.more,
      this.caption,
    );
    this.columns = columns;
    this.limit = columns;
    this.name = caption;
    this.listen();
    this.offTheme = onTheme(() => this.redraw());
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.element);
  }

  /** Show a sample, beside another of its kind where given. */
  show(sample, { beside = null, caption = null } = {}) {
    this.sample = sample;
    this.beside = beside;
    if (caption !== null && caption !== this.name) {
      this.name = caption;
      this.caption.textContent = caption;
    }
    this.element.classList.toggle("empty", !sample);
    this.redraw();
  }

  /** Show nothing. */
  clear(caption = "") {
    this.show(null, { caption });
  }

  /** Stop listening, for a figure that goes from the page. */
  end() {
    this.offTheme();
    this.observer.disconnect();
  }

  resized() {
    const width = this.element.clientWidth;
    if (width === this.width) return;
    this.width = width;
    this.redraw();
  }

  /** Size in CSS pixels: as large as the place allows, no larger than asked for. */
  box() {
    const { sample, size } = this;
    const room = Math.max(48, this.element.clientWidth || size);
    if (sample.kind === "row") {
      if (room < 150) return { width: room, height: size };
      const bars = Math.min(this.limit, sample.values.length);
      return { width: Math.min(room, 520), height: bars * BAR_HEIGHT };
    }
    if (sample.kind === "sequence") {
      const lanes = Math.min(sample.channels, 6);
      return { width: Math.min(room, 520), height: Math.max(size * 0.7, lanes * 36) };
    }
    const width = Math.min(room, size * Math.max(1, aspect(sample)));
    return { width, height: width / aspect(sample) };
  }

  redraw() {
    const { sample, session } = this;
    const isText = sample?.kind === "text";
    this.canvas.hidden = !sample || isText;
    this.text.hidden = !isText;
    if (!sample) {
      this.readout.hidden = true;
      this.more.hidden = true;
      return;
    }
    if (isText) this.text.textContent = sample.text || "–";
    else this.drawCanvas();
    const words = describe(sample, session.info.data, session.t);
    this.canvas.setAttribute("aria-label", this.name ? `${this.name}: ${words}` : words);
  }

  drawCanvas() {
    const { sample, beside, session } = this;
    const { data } = session.info;
    const options = { data, beside, current: this.current, ...this.box() };
    if (sample.kind === "row") {
      this.order = columnOrder(sample.values, beside?.values, data.low, data.high, this.limit);
      this.order = this.order.slice(0, this.limit);
      options.order = this.order;
      this.offerRest();
    }
    if (sample.kind !== "picture") this.canvas.tabIndex = 0;
    draw(this.canvas, sample, options);
  }

  /** Rows of many columns show some first; a button shows all. */
  offerRest() {
    const count = this.sample.values.length;
    this.more.hidden = count <= this.columns || this.element.clientWidth < 150;
    const key = this.limit < count ? "sample.all" : "sample.fewer";
    this.more.textContent = this.session.t(key, { count });
  }

  toggle() {
    this.limit = this.limit > this.columns ? this.columns : this.sample.values.length;
    this.redraw();
  }

  listen() {
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.read(undefined));
    this.canvas.addEventListener("blur", () => this.read(undefined));
    this.canvas.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
      if (!step || !this.sample || this.sample.kind === "picture") return;
      event.preventDefault();
      event.stopPropagation();
      this.step(step);
    });
  }

  point(event) {
    const { sample, canvas } = this;
    if (sample?.kind === "row" && this.order) {
      this.read(this.order[Math.floor((event.offsetY / canvas.clientHeight) * this.order.length)]);
    } else if (sample?.kind === "sequence") {
      const steps = this.steps();
      this.read(Math.round((event.offsetX / canvas.clientWidth) * (steps - 1)));
    }
  }

  step(by) {
    if (this.sample.kind === "sequence") {
      const last = this.steps() - 1;
      this.read(Math.min(Math.max((this.current ?? -by) + by, 0), last));
      return;
    }
    const at = this.current === undefined ? -by : this.order.indexOf(this.current);
    this.read(this.order[Math.min(Math.max(at + by, 0), this.order.length - 1)]);
  }

  steps() {
    return Math.max(lengthOf(this.sample), this.beside ? lengthOf(this.beside) : 0, 2);
  }

  /** Say the values of a column or of a moment. */
  read(current) {
    if (current === this.current || this.sample?.kind === "picture") return;
    this.current = current;
    this.readout.hidden = current === undefined;
    if (current !== undefined) this.readout.textContent = this.valuesAt(current);
    if (this.sample) this.drawCanvas();
  }

  valuesAt(current) {
    const { sample, beside, session } = this;
    const { t, info } = session;
    if (sample.kind === "row") {
      const name = info.data.features?.[current] ?? String(current);
      const write = ({ values }) => valueWords(info.data, current, values[current]);
      if (!beside) return t("sample.value", { name, value: write(sample) });
      return t("sample.values", { name, value: write(sample), original: write(beside) });
    }
    const of = ({ values, channels }) =>
      Array.from({ length: Math.min(channels, 6) }, (_, c) =>
        number(values[current * channels + c] ?? NaN),
      );
    const values = { name: t("sample.step", { step: current }), value: of(sample).join(" · ") };
    if (!beside) return t("sample.value", values);
    return t("sample.values", { ...values, original: of(beside).join(" · ") });
  }
}

/** Two words and their marks, where two samples are drawn into each other; null where they are not. */
export function legend(session, drawn, beside) {
  const { kind, texts } = session.info.data;
  if (kind === "pictures" || texts) return null;
  return element(
    "p.legend-marks",
    {},
    element(`span.mark-${kind === "rows" ? "bar" : "stroke"}`),
    element("span", {}, drawn),
    element(`span.mark-${kind === "rows" ? "tick" : "dashes"}`),
    element("span", {}, beside),
  );
}
