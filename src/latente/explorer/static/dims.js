/** A slider for every dimension of the code, and what each changes. */
import { button, element, slider } from "./controls.js";
import { SampleFigure, legend } from "./figure.js";
import { nearness, sign } from "./nearness.js";
import { Panel, shown } from "./panel.js";
import { sweep } from "./path.js";
import { Latest, pointer, settled } from "./request.js";
import { sampleOf } from "./sample.js";
import { vectorOf } from "./samples.js";
import { Strip } from "./strip.js";
import { number } from "./words.js";

const FIRST = 12;
const CELLS = 5;
const REST = 120;

/**
 * The mean code, number by number in the order of the code.
 *
 * @param {{dim: number, mean: number}[]} dims
 * @param {ArrayLike<number>} rest the numbers that have no entry in `dims`
 */
export function meanCode(dims, rest = new Array(dims.length).fill(0)) {
  const code = Array.from(rest);
  for (const { dim, mean } of dims) code[dim] = mean;
  return code;
}

/**
 * A random code: each number from a normal distribution with its mean and as wide as its training
 * codes, whose low and high ends lie about two standard deviations from the middle.
 */
export function randomCode(dims, rest = new Array(dims.length).fill(0), random = Math.random) {
  const code = Array.from(rest);
  for (const { dim, low, high, mean } of dims)
    code[dim] = mean + normal(random) * ((high - low) / 4);
  return code;
}

function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** The cell of a strip from low to high in which a value lies. */
export function cellOf(value, low, high, cells) {
  const share = high > low ? (value - low) / (high - low) : 0;
  return Math.min(Math.max(Math.round(share * (cells - 1)), 0), cells - 1);
}

class Dims extends Panel {
  static decodes = true;

  constructor(session, root) {
    super(session, root);
    this.count = FIRST;
    this.line = new Latest(
      (code) => this.decode(code),
      (answer, asked) => this.decoded(answer, asked),
      (e) => this.failed(e),
    );
    this.strips = new Latest(
      (code) => this.decodeStrips(code),
      (answer) => this.stripsDecoded(answer),
      (e) => this.failed(e),
    );
    this.askStrips = settled(
      () => this.strips.ask({ code: this.code, model: this.model, dims: this.shownDims() }),
      REST,
    );
    this.when("dims", () => this.take());
    this.when("sample", () => this.offerSample());
    session.state.on("model", () => this.rebuild());
  }

  /** The present code: that of the address if it fits the model, the mean otherwise. */
  get code() {
    const code = this.state.get("dims");
    return code?.length === this.about.latent ? code : meanCode(this.about.dims, this.middle);
  }

  /** What stands for the numbers of long codes that `dims` leaves out: 0 until it is known. */
  get middle() {
    return this.middles?.get(this.model) ?? new Array(this.about.latent).fill(0);
  }

  /** Codes longer than `dims` start from what the middle of the map stands for. */
  async findMiddle() {
    const { model, about } = this;
    if (about.dims.length >= about.latent || this.middles?.has(model)) return;
    const [left, right, bottom, top] = about.map.limits;
    const at = [[(left + right) / 2, (bottom + top) / 2]];
    const answer = await this.session.backend.decode({ model, at });
    this.middles = (this.middles ?? new Map()).set(model, vectorOf(answer.codes, 0));
  }

  shownDims() {
    return this.about.dims.slice(0, this.count);
  }

  build() {
    const { session } = this;
    this.figure = this.keep(new SampleFigure(session, { size: 104, caption: this.t("dims.code") }));
    this.near = this.keep(new SampleFigure(session, { size: 104 }));
    this.near.element.hidden = !this.sideBySide;
    this.sign = sign(session);
    this.fromSample = button("", () => this.startFromSample());
    const reset = button(this.t("dims.reset"), () =>
      this.set(meanCode(this.about.dims, this.middle)),
    );
    const random = this.about.generative
      ? button(this.t("dims.random"), () => this.set(randomCode(this.about.dims, this.middle)))
      : null;
    this.rowsList = element("ol.dims");
    this.rest = button("", () => this.showRest(), { className: "button quiet" });
    const words = legend(session, this.t("point.legend.decoded"), this.t("point.legend.nearest"));
    this.root.append(
      element(
        `div.point-${this.sideBySide ? "pictures" : "values"}`,
        {},
        this.figure.element,
        this.near.element,
        element("div.stack", {}, reset, this.fromSample, random),
      ),
      this.sign.element,
      ...[words].filter(Boolean),
      element("p.note", {}, this.t("dims.order")),
      this.rowsList,
      this.rest,
    );
    this.controls = [];
    this.renderDims();
  }

  renderDims() {
    for (const about of this.shownDims().slice(this.controls.length)) this.addDim(about);
    const left = this.about.dims.length - this.controls.length;
    this.rest.hidden = left <= 0;
    this.rest.textContent = this.t("dims.more", { n: left });
  }

  addDim({ dim, low, high, effect }) {
    const { value: now, low: from, high: to } = this.range({ dim, low, high });
    const control = slider({
      label: this.t("dims.name", { dim: String(dim) }),
      low: from,
      high: to,
      value: now,
      words: number,
      oninput: (value) => this.move(dim, value),
    });
    const strip = this.keep(
      new Strip(this.session, {
        tallest: 52,
        onpick: (cell) => this.move(dim, low + ((high - low) * cell) / (CELLS - 1)),
      }),
    );
    const words = element(
      "span.effect",
      { title: this.t("dims.effect.title") },
      this.t("dims.effect", { effect }),
    );
    control.element.querySelector("label").append(" ", words);
    this.rowsList.append(element("li", {}, control.element, strip.canvas));
    this.controls.push({ dim, low, high, strip, ...control });
  }

  /** A slider's ends: those of the training codes, wider where the present code lies beyond. */
  range({ dim, low, high }) {
    const value = this.code[dim];
    return { value, low: Math.min(low, value), high: Math.max(high, value) };
  }

  showRest() {
    this.count = Math.min(this.count + FIRST, this.about.dims.length);
    this.renderDims();
    this.askStrips();
  }

  refresh() {
    this.offerSample();
    this.findMiddle().then(
      () => this.take(),
      (error) => this.failed(error),
    );
  }

  learned() {
    this.middles = null;
    this.refresh();
  }

  unmark() {
    this.mark("dims", []);
  }

  offerSample() {
    const id = this.state.get("sample");
    this.fromSample.disabled = id === null;
    this.fromSample.textContent =
      id === null ? this.t("dims.sample.none") : this.t("dims.sample", { id: String(id) });
  }

  async startFromSample() {
    try {
      const { code } = await this.rows.one(this.model, this.state.get("sample"));
      this.set(Array.from(code));
    } catch (error) {
      this.failed(error);
    }
  }

  move(dim, value) {
    const code = [...this.code];
    code[dim] = value;
    this.set(code);
  }

  set(code) {
    this.state.set("dims", code);
  }

  /** Show the present code. */
  take() {
    for (const control of this.controls) {
      const { value, low, high } = this.range(control);
      control.input.min = low;
      control.input.max = high;
      if (control.input !== document.activeElement || Number(control.input.value) !== value)
        control.set(value);
    }
    this.line.ask({ code: this.code, model: this.model });
    this.askStrips();
  }

  decode({ code, model }) {
    return this.session.backend.decode({ model, codes: [Array.from(code)], pointer: pointer("dims") });
  }

  async decoded(answer, { model }) {
    if (model !== this.model) return;
    this.say();
    const [x, y] = vectorOf(answer.points, 0);
    if (this.seen) this.mark("dims", [{ kind: "cross", x, y, label: this.t("dims.mark") }]);
    this.sign.show(nearness(answer.inside.data[0], null, this.about.near));
    const id = answer.nearest.data[0];
    const sample = sampleOf(this.data, answer, "decoded");
    this.figure.show(sample);
    try {
      const row = await this.rows.one(model, id);
      this.near.show(row.original, { caption: this.t("dims.nearest", { id: String(id) }) });
      if (this.data.kind !== "pictures") this.figure.show(sample, { beside: row.original });
    } catch (error) {
      this.failed(error);
    }
  }

  /** All strips in one request, or in as few as the limit of codes allows. */
  async decodeStrips({ code, model, dims }) {
    const codes = dims.flatMap(({ dim, low, high }) => sweep(code, dim, low, high, CELLS));
    const limit = this.session.info.limits?.codes ?? 1024;
    const samples = [];
    for (let at = 0; at < codes.length; at += limit) {
      const part = codes.slice(at, at + limit);
      const answer = await this.session.backend.decode({ model, codes: part });
      part.forEach((_, i) => samples.push(sampleOf(this.data, answer, "decoded", i)));
    }
    return { samples, dims, model, code };
  }

  stripsDecoded({ samples, dims, model, code }) {
    if (model !== this.model) return;
    dims.forEach(({ dim, low, high }, i) => {
      const control = this.controls[i];
      const label = this.t("dims.strip", {
        dim: String(dim),
        low: number(low),
        high: number(high),
      });
      const current = cellOf(code[dim], low, high, CELLS);
      control?.strip.show(samples.slice(i * CELLS, (i + 1) * CELLS), { label, current });
    });
  }
}

/** Fill an element with the sliders of the code. */
export function create(session, root) {
  return shown(new Dims(session, root));
}
