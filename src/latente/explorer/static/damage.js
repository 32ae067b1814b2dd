/** Damage a sample, or the drawing, by sliders, and see what comes back. */
import { button, choice, element, slider } from "./controls.js";
import { SampleFigure, legend } from "./figure.js";
import { Panel, shown } from "./panel.js";
import { Latest } from "./request.js";
import { sampleOf } from "./sample.js";
import { vectorOf } from "./samples.js";
import { number } from "./words.js";

const SEEDS = 2 ** 31;
/** Pixels between two marks from which on both labels can be read. */
const LABEL = 24;

/** Bytes as base64, for pictures in JSON. */
export function base64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(text);
}

/** The damages that are more than none. */
export function chosenDamages(damages, values) {
  return Object.fromEntries(
    damages.filter(({ name, low }) => values[name] > low).map(({ name }) => [name, values[name]]),
  );
}

class Damage extends Panel {
  constructor(session, root) {
    super(session, root);
    const { damages } = session.info;
    this.values = Object.fromEntries(damages.map(({ name, low }) => [name, low]));
    if (damages.length) this.values[damages[0].name] = damages[0].value;
    this.seed = 1;
    this.of = "sample";
    this.line = new Latest(
      (asked) => this.damage(asked),
      (answer) => this.damaged(answer),
      (e) => this.failed(e),
    );
    this.when(["sample", "model"], () => this.ask());
    this.when("drawing", () => {
      this.offerDrawing();
      if (this.of === "drawing") this.ask();
    });
  }

  build() {
    const { session } = this;
    const pictures = this.data.kind === "pictures";
    const options = pictures ? { size: 112 } : { size: 112, columns: 6 };
    const figure = (key) =>
      this.keep(new SampleFigure(session, { ...options, caption: this.t(key) }));
    this.original = figure("damage.original");
    this.broken = figure("damage.damaged");
    this.restored = figure("damage.restored");
    this.original.element.hidden = !this.sideBySide;
    const figures = element(
      `div.figures${this.sideBySide ? ".three" : ".one"}`,
      {},
      this.original.element,
      this.broken.element,
      this.restored.element,
    );
    this.source = choice(
      this.t("damage.of"),
      [
        ["sample", this.t("damage.of.sample")],
        ["drawing", this.t("damage.of.drawing")],
      ],
      this.of,
      (value) => {
        this.of = value;
        this.ask();
      },
    );
    this.hint = element("p.note", { hidden: true }, this.t("damage.none"));
    this.quality = element("p.quality", { role: "status" });
    const words = legend(session, this.t("damage.now"), this.t("damage.original"));
    const sliders = session.info.damages.map((damage) => this.slider(damage));
    const seed = button(this.t("damage.seed"), () => {
      this.seed = Math.floor(Math.random() * SEEDS);
      this.ask();
    });
    this.body = element("div.stack", {}, figures, ...[words].filter(Boolean), this.quality);
    this.root.append(
      this.source.element,
      this.hint,
      this.body,
      ...sliders,
      element("div.row", {}, seed),
    );
    this.offerDrawing();
  }

  slider({ name, low, high, step }) {
    return slider({
      label: this.nameOf(name),
      low,
      high,
      step,
      value: this.values[name],
      words: (value) => (value > low ? number(value) : this.t("damage.off")),
      oninput: (value) => {
        this.values[name] = value;
        this.ask();
      },
    }).element;
  }

  /** A damage that has no words of its own is called by its name. */
  nameOf(name) {
    const keys = this.data.kind === "pictures" ? [] : [`damage.${name}.values`];
    for (const key of [...keys, `damage.${name}`]) {
      const words = this.t(key);
      if (words !== key) return words;
    }
    return name.replaceAll("_", " ");
  }

  offerDrawing() {
    this.source.element.hidden = !this.state.get("drawing");
  }

  refresh() {
    this.offerDrawing();
    this.ask();
  }

  unmark() {
    this.mark("damage", []);
  }

  /** What is damaged: null while nothing was chosen. */
  subject() {
    const drawing = this.state.get("drawing");
    if (this.of === "drawing" && drawing)
      return { picture: base64(drawing.pixels), pixels: drawing.pixels };
    const id = this.state.get("sample");
    return id === null ? null : { id };
  }

  ask() {
    const subject = this.subject();
    this.hint.hidden = subject !== null;
    this.body.hidden = subject === null;
    if (subject === null) {
      this.unmark();
      return;
    }
    const damages = chosenDamages(this.session.info.damages, this.values);
    this.line.ask({ model: this.model, subject, damages, seed: this.seed });
  }

  async damage({ model, subject, damages, seed }) {
    const { backend } = this.session;
    const { pixels, ...what } = subject;
    const before = pixels ? this.undamaged(model, pixels) : this.rows.one(model, subject.id);
    const [answer, row] = await Promise.all([
      backend.damage({ model, ...what, damages, seed }),
      before,
    ]);
    return { answer, row, model };
  }

  async undamaged(model, pixels) {
    const answer = await this.session.backend.encode(model, { pixels });
    return {
      original: sampleOf(this.data, answer, "originals"),
      point: Array.from(vectorOf(answer.points, 0)),
    };
  }

  damaged({ answer, row, model }) {
    const beside = this.data.kind === "pictures" ? null : row.original;
    this.say();
    this.original.show(row.original);
    this.broken.show(sampleOf(this.data, answer, "damaged"), { beside });
    this.restored.show(sampleOf(this.data, answer, "decoded"), { beside });
    this.quality.textContent = this.qualityWords(answer.meta);
    if (this.seen) this.markPlaces(row.point, Array.from(vectorOf(answer.points, 0)), model);
  }

  qualityWords({ psnr_damaged, psnr_decoded, mse_damaged, mse_decoded }) {
    if (psnr_decoded === undefined) {
      return this.t("damage.mse", { damaged: number(mse_damaged), decoded: number(mse_decoded) });
    }
    const decibels = (value) =>
      value === null || !Number.isFinite(value) ? this.t("damage.same") : `${number(value)} dB`;
    return this.t("damage.psnr", {
      damaged: decibels(psnr_damaged),
      decoded: decibels(psnr_decoded),
    });
  }

  markPlaces(before, after, model) {
    const map = this.session.maps[model];
    const apart = Math.hypot(...[0, 1].map((axis) => after[axis] - before[axis]));
    const close = apart * map.camera.scale < LABEL;
    this.mark(
      "damage",
      [
        { kind: "arrow", points: [before, after] },
        { kind: "ring", x: before[0], y: before[1], label: close ? "" : this.t("damage.original") },
        { kind: "cross", x: after[0], y: after[1], label: this.t("damage.damaged") },
      ],
      model,
    );
  }
}

/** Fill an element with the sliders of the damages. */
export function create(session, root) {
  return shown(new Damage(session, root));
}
