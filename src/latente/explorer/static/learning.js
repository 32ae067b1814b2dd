/** Watching a fit: its losses as they come, the map of each epoch, and a way back through them. */

import { calm, colours, onTheme } from "./theme.js";
import { number, t } from "./words.js";

const STEP = 450;
const PAD = { left: 44, right: 10, top: 10, bottom: 22 };

/** What a record says that is no loss. */
const NO_LOSS = new Set(["epoch", "kept", "learning_rate", "seconds", "samples_per_second"]);
const HELD_OUT = "validation_";
const TOTAL = "total";

/** The curves of a term of the loss: in training, and on held-out rows. */
const CURVES = [
  { before: "", word: "learning.train", color: 0 },
  { before: HELD_OUT, word: "learning.validation", color: 1 },
];

class Learning {
  #records = new Map();
  #timer = 0;
  #stop = null;
  #stale = false;

  constructor(session, element) {
    Object.assign(this, { session, element });
    const { learning } = session.info;
    this.total = learning.epochs;
    this.kept = [...learning.kept];
    this.done = learning.done;
    this.end = null;
    this.error = null;
    this.#build();
    session.state.on("epoch", () => this.draw());
    session.state.on("lang", () => this.draw());
    onTheme(() => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.chart);
    this.#listen();
  }

  #build() {
    const make = (tag, className, parts = {}) =>
      Object.assign(document.createElement(tag), { className, ...parts });
    this.status = make("p", "note");
    this.status.setAttribute("role", "status");
    this.heading = make("h2", "");
    this.term = make("select", "field small", { onchange: () => this.draw() });
    const head = make("div", "learning-head");
    head.append(this.heading, this.term);
    this.chart = make("canvas", "learning-chart");
    this.chart.setAttribute("role", "img");
    this.legend = make("div", "row note");
    this.slider = make("input", "slider", { type: "range", min: "0", step: "1" });
    this.slider.oninput = () => this.#go(Number(this.slider.value));
    this.playing = make("button", "button primary", {
      type: "button",
      onclick: () => this.#play(),
    });
    this.latest = make("button", "button", { type: "button", onclick: () => this.#follow() });
    this.where = make("span", "note");
    const times = make("div", "learning-times");
    times.append(this.playing, this.latest, this.where);
    this.note = make("p", "note");
    this.element.append(head, this.status, this.chart, this.legend, this.slider, times, this.note);
    this.draw();
  }

  #listen() {
    this.#stop = this.session.backend.learning({
      epoch: (record, epoch) => this.#arrived(record, epoch),
      done: (end) => this.#ended(end).catch((error) => this.session.trouble(error)),
      failed: (error) => this.#failed(error),
      trouble: () => this.session.trouble({ kind: "gone", message: "" }, () => this.#again()),
    });
  }

  #again() {
    this.#stop();
    this.#listen();
  }

  #arrived(record, epoch) {
    this.#records.set(epoch, record);
    this.#stale = true;
    requestAnimationFrame(() => this.#settle());
  }

  /** Draw once for all epochs that came together, and let the map follow the last one. */
  #settle() {
    if (!this.#stale) return;
    this.#stale = false;
    const epochs = [...this.#records.keys()].sort((one, other) => one - other);
    if (!this.done) this.kept = epochs.filter((epoch) => this.#records.get(epoch).kept !== false);
    this.session.state.set("learned", epochs.at(-1));
    if (!this.done && this.session.state.get("epoch") === null) this.#moveMaps(null);
    this.draw();
  }

  #moveMaps(epoch) {
    for (const map of this.session.maps) {
      map.showEpoch(epoch).catch((error) => this.session.trouble(error));
    }
  }

  async #ended(end) {
    this.done = true;
    this.end = end;
    const { session } = this;
    session.info = await session.backend.info();
    this.kept = [...session.info.learning.kept];
    session.state.set("info", session.info);
    await Promise.all(session.maps.map((map) => map.renew()));
    if (session.state.get("epoch") === null) this.#moveMaps(null);
    this.draw();
  }

  #failed(error) {
    this.done = true;
    this.error = error;
    this.draw();
  }

  /* Back through the epochs */

  async #go(index) {
    const last = index >= this.kept.length - 1;
    const wanted = this.kept[index];
    if (!last && !this.done) await this.#askKept();
    const epoch = this.kept.filter((kept) => kept <= wanted).at(-1) ?? this.kept[0];
    this.session.state.set("epoch", last ? null : epoch);
  }

  /** While a long fit goes on, epochs that were kept at first are let go. */
  async #askKept() {
    try {
      this.kept = (await this.session.backend.info()).learning.kept;
    } catch (error) {
      this.session.trouble(error);
    }
  }

  #follow() {
    this.#halt();
    this.session.state.set("epoch", null);
  }

  /** Where the slider is: the last kept epoch that is not after the one that is shown. */
  get #index() {
    const epoch = this.session.state.get("epoch");
    if (epoch === null) return this.kept.length - 1;
    const after = this.kept.findIndex((kept) => kept > epoch);
    return after === -1 ? this.kept.length - 1 : Math.max(after - 1, 0);
  }

  #play() {
    if (this.#timer) return this.#halt();
    this.#go(0);
    this.#timer = setInterval(() => this.#next(), calm() ? 2 * STEP : STEP);
    return this.draw();
  }

  #next() {
    const next = this.#index + 1;
    this.#go(next);
    if (next >= this.kept.length - 1) this.#halt();
  }

  #halt() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.draw();
  }

  /* Drawing */

  draw() {
    const epoch = this.kept[this.#index];
    this.heading.textContent = t("learning.loss");
    this.#offerTerms();
    this.status.textContent = this.#statusWords();
    this.status.classList.toggle("warn", this.error !== null);
    this.slider.max = String(Math.max(this.kept.length - 1, 0));
    this.slider.value = String(this.#index);
    this.slider.disabled = this.kept.length < 2;
    this.slider.setAttribute("aria-label", t("learning.epoch"));
    this.slider.setAttribute("aria-valuetext", String(epoch ?? ""));
    this.playing.textContent = t(this.#timer ? "learning.stop" : "learning.play");
    this.playing.disabled = this.kept.length < 2;
    this.latest.textContent = t("learning.latest");
    const latest = this.session.state.get("epoch") === null;
    this.latest.disabled = latest;
    this.note.textContent = latest ? "" : t("learning.decoder");
    this.note.hidden = latest;
    this.where.textContent =
      epoch === undefined ? "" : t("learning.of", { epoch, epochs: this.total });
    this.#drawChart(epoch);
  }

  #statusWords() {
    if (this.error !== null) return t("learning.failed", { error: this.error });
    if (this.done && this.end?.best_epoch) {
      return t("learning.done", { epochs: this.end.epochs, best: this.end.best_epoch });
    }
    if (this.done) return t("learning.done.plain", { epochs: this.end?.epochs ?? this.total });
    return t(this.#records.size ? "learning.running" : "learning.waiting");
  }

  /** Offer the terms of the loss that the records hold. */
  #offerTerms() {
    const record = this.#records.values().next().value ?? {};
    const terms = Object.keys(record).filter(
      (key) => !NO_LOSS.has(key) && !key.startsWith(HELD_OUT),
    );
    this.term.hidden = terms.length < 2;
    this.term.setAttribute("aria-label", t("learning.term"));
    if (terms.length === this.term.options.length) return;
    this.term.replaceChildren(...terms.map((term) => new Option(term.replaceAll("_", " "), term)));
    if (terms.includes(TOTAL)) this.term.value = TOTAL;
  }

  #curves() {
    const epochs = [...this.#records.keys()].sort((one, other) => one - other);
    const term = this.term.value || TOTAL;
    return CURVES.map(({ before, word, color }) => ({
      word,
      color: colours().classes[color],
      points: epochs
        .map((epoch) => [epoch, this.#records.get(epoch)[before + term] ?? NaN])
        .filter(([, value]) => Number.isFinite(value)),
    })).filter(({ points }) => points.length > 0);
  }

  #drawChart(epoch) {
    const { chart } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [chart.clientWidth, chart.clientHeight];
    if (width === 0) return;
    Object.assign(chart, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const context = chart.getContext("2d");
    context.scale(ratio, ratio);
    const curves = this.#curves();
    this.#drawLegend(curves);
    if (curves.length === 0) return;
    const axes = new Axes(context, width, height, curves, this.total);
    axes.draw();
    if (epoch !== undefined) axes.line(epoch);
    for (const curve of curves) axes.curve(curve);
  }

  #drawLegend(curves) {
    this.legend.replaceChildren(
      ...curves.map(({ word, color }) => {
        const item = document.createElement("span");
        const dot = document.createElement("i");
        dot.className = "dot";
        dot.style.background = color;
        item.append(dot, ` ${t(word)}`);
        return item;
      }),
    );
    this.chart.setAttribute(
      "aria-label",
      t("learning.chart", {
        names: curves.map(({ word }) => t(word)).join(", "),
        values: curves.map(({ points }) => number(points.at(-1)[1])).join(", "),
      }),
    );
  }
}

/** A chart's axes: epochs to the right, loss upwards. */
class Axes {
  constructor(context, width, height, curves, epochs) {
    Object.assign(this, { context, width, height, epochs: Math.max(epochs, 2) });
    const values = curves.flatMap(({ points }) => points.map(([, value]) => value));
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const room = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
    Object.assign(this, { low: low - room, high: high + room });
  }

  x(epoch) {
    const share = (epoch - 1) / (this.epochs - 1);
    return PAD.left + share * (this.width - PAD.left - PAD.right);
  }

  y(value) {
    const share = (value - this.low) / (this.high - this.low);
    return this.height - PAD.bottom - share * (this.height - PAD.top - PAD.bottom);
  }

  draw() {
    const { context } = this;
    const { line, muted } = colours();
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = muted;
    context.strokeStyle = line;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const share of [0.1, 0.5, 0.9]) {
      const value = this.low + share * (this.high - this.low);
      const y = Math.round(this.y(value)) + 0.5;
      context.beginPath();
      context.moveTo(PAD.left, y);
      context.lineTo(this.width - PAD.right, y);
      context.stroke();
      context.fillText(number(value), PAD.left - 6, y);
    }
    context.textAlign = "center";
    for (const epoch of new Set([1, Math.round((1 + this.epochs) / 2), this.epochs])) {
      context.fillText(String(epoch), this.x(epoch), this.height - 8);
    }
  }

  line(epoch) {
    const { context } = this;
    context.strokeStyle = colours().muted;
    context.setLineDash([3, 3]);
    context.beginPath();
    context.moveTo(this.x(epoch), PAD.top);
    context.lineTo(this.x(epoch), this.height - PAD.bottom);
    context.stroke();
    context.setLineDash([]);
  }

  curve({ points, color }) {
    const { context } = this;
    context.strokeStyle = context.fillStyle = color;
    context.lineWidth = 2;
    context.lineJoin = "round";
    context.beginPath();
    points.forEach(([epoch, value], at) => {
      if (at) context.lineTo(this.x(epoch), this.y(value));
      else context.moveTo(this.x(epoch), this.y(value));
    });
    context.stroke();
    const [epoch, value] = points.at(-1);
    context.beginPath();
    context.arc(this.x(epoch), this.y(value), 3, 0, 2 * Math.PI);
    context.fill();
  }
}

/** The panel: see `panels.js`. */
export function create(session, element) {
  const learning = new Learning(session, element);
  return { show: () => learning.draw(), hide: () => {} };
}
