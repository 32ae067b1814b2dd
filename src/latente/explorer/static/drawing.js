/**
 * Something of one's own, encoded live: a drawing or a picture file, a row's columns set by hand, a
 * line drawn over time, a text. Where it lands, what comes back, how unusual it is, what is similar.
 */
import { element } from "./controls.js";
import { RowEditor, SeriesPad, TextEditor } from "./editors.js";
import { SampleFigure, legend } from "./figure.js";
import { Pad } from "./pad.js";
import { Panel, shown } from "./panel.js";
import { Latest } from "./request.js";
import { sampleOf } from "./sample.js";
import { vectorOf } from "./samples.js";
import { number } from "./words.js";

/** A share of the rows as a whole number of a hundred; never 0 or 100 unless it is all or none. */
export function ofHundred(share) {
  if (share <= 0 || share >= 1) return share <= 0 ? 0 : 100;
  return Math.min(99, Math.max(1, Math.round(share * 100)));
}

/** What is drawn now, for other panels; compared by its number, not by its pixels. */
class Drawn {
  static count = 0;

  constructor(pixels) {
    this.pixels = pixels;
    this.number = Drawn.count += 1;
  }

  toJSON() {
    return this.number;
  }
}

class Drawing extends Panel {
  constructor(session, root) {
    super(session, root);
    this.line = new Latest(
      (asked) => this.encode(asked),
      (answer, asked) => this.encoded(answer, asked),
      (e) => this.failed(e),
    );
    this.similarLine = new Latest(
      ({ model, ids }) => this.rows.many(model, ids),
      (rows) => this.showSimilar(rows),
      (e) => this.failed(e),
    );
    this.when("sample", () => this.offerSample());
    this.when("model", () => this.ask());
    document.addEventListener("paste", (event) => this.pasted(event));
  }

  get pictures() {
    return this.data.kind === "pictures";
  }

  build() {
    const { session } = this;
    this.editor = this.makeEditor();
    this.restored = this.keep(
      new SampleFigure(session, { size: 112, caption: this.t("draw.decoded") }),
    );
    this.score = element("p", {});
    this.code = element("p.note", {});
    const words = legend(session, this.t("draw.decoded"), this.t("draw.yours"));
    this.result = element(
      "div.result",
      { hidden: true },
      this.restored.element,
      ...[words].filter(Boolean),
      this.score,
      this.code,
    );
    this.similarTitle = element("h3", { hidden: true }, this.t("draw.similar"));
    this.similar = element("ul.similar");
    this.hint = element("p.note", {}, this.t(`draw.hint.${this.kind}`));
    const tools = this.editor.tools ?? [];
    this.root.append(
      this.hint,
      element(`div.${this.pictures ? "easel" : "stack"}`, {}, this.editor.element, this.result),
      ...tools,
      this.similarTitle,
      this.similar,
    );
    this.offerSample();
  }

  /** What the model takes: "pictures", "rows", "sequences" or "text". */
  get kind() {
    return this.data.texts ? "text" : this.data.kind;
  }

  makeEditor() {
    if (this.pictures) {
      const pad = new Pad(this, {
        changed: (pixels) => this.change({ pixels }),
        chosen: (file) => this.change({ file }),
      });
      pad.start().then(
        () => {
          this.kept = pad.pixels;
        },
        (error) => this.failed(error),
      );
      return pad;
    }
    const Editor = { rows: RowEditor, sequences: SeriesPad, text: TextEditor }[this.kind];
    const editor = new Editor(this, (body) => this.change(body));
    editor.start?.().catch((error) => this.failed(error));
    return editor;
  }

  refresh() {
    this.offerSample();
    if (this.answer) this.display();
  }

  learned() {
    this.ask();
  }

  unmark() {
    this.mark("drawing", []);
  }

  offerSample() {
    const id = this.state.get("sample");
    const offer = this.editor.fromSample;
    if (!offer) return;
    offer.disabled = id === null;
    offer.textContent =
      id === null ? this.t("draw.sample.none") : this.t("draw.sample", { id: String(id) });
  }

  async startFromSample() {
    try {
      const { original } = await this.rows.one(this.model, this.state.get("sample"));
      this.editor.take(original.pixels ?? original.values ?? original.text);
      this.change(this.pictures ? { pixels: this.editor.pixels.pixels } : this.editor.body());
    } catch (error) {
      this.failed(error);
    }
  }

  pasted(event) {
    if (!this.seen || !this.pictures) return;
    const file = [...(event.clipboardData?.files ?? [])].find(({ type }) =>
      type.startsWith("image/"),
    );
    if (!file) return;
    event.preventDefault();
    this.change({ file });
  }

  change(body) {
    this.body = body.pixels ? { pixels: body.pixels.slice() } : body;
    this.ask();
  }

  ask() {
    if (this.body) this.line.ask({ model: this.model, body: this.body });
  }

  encode({ model, body }) {
    return this.session.backend.encode(model, body);
  }

  encoded(answer, { model, body }) {
    this.answer = { answer, model };
    const original = sampleOf(this.data, answer, "originals");
    if (body.file && this.body === body) {
      this.editor.take(original.pixels);
      this.body = { pixels: original.pixels.slice() };
    }
    if (this.pictures) this.state.set("drawing", new Drawn(original.pixels.slice()));
    this.say();
    if (this.seen) this.display();
  }

  display() {
    const { answer, model } = this.answer;
    const original = sampleOf(this.data, answer, "originals");
    const decoded = sampleOf(this.data, answer, "decoded");
    this.result.hidden = false;
    this.restored.show(decoded, { beside: this.pictures ? null : original });
    this.score.textContent = this.scoreWords(answer.percentile.data[0], answer.scores.data[0]);
    this.score.title = this.session.info.models[model].scores ?? "";
    const [x, y] = vectorOf(answer.points, 0);
    this.code.textContent = this.t("draw.lands", {
      x: number(x),
      y: number(y),
      error: number(answer.errors.data[0]),
    });
    this.mark("drawing", [{ kind: "cross", x, y, label: this.t("draw.mark") }], model);
    const ids = Array.from(vectorOf(answer.similar, 0)).filter((id) => id >= 0);
    this.similarLine.ask({ model, ids });
  }

  scoreWords(percentile, score) {
    if (Number.isNaN(percentile)) return "";
    const share = ofHundred(percentile);
    if (share === 0) return this.t("draw.score.least", { score });
    if (share === 100) return this.t("draw.score.most", { score });
    return this.t("draw.score", { percentile: String(share), score });
  }

  showSimilar(rows) {
    this.similarTitle.hidden = rows.length === 0;
    const focused = [...this.similar.children].findIndex((item) =>
      item.contains(document.activeElement),
    );
    while (this.similar.children.length > rows.length) this.similar.lastChild.remove();
    while (this.similar.children.length < rows.length) this.similar.append(this.similarItem());
    rows.forEach((row, i) => this.similar.children[i].fill(row));
    if (focused >= 0) this.similar.children[focused]?.querySelector("button")?.focus();
  }

  similarItem() {
    const figure = this.keep(new SampleFigure(this.session, { size: this.pictures ? 44 : 60 }));
    figure.canvas.tabIndex = -1;
    const choose = element("button.similar-one", { type: "button" }, figure.element);
    const item = element("li", {}, choose);
    item.fill = (row) => {
      figure.show(row.original, { caption: `${row.id}` });
      choose.setAttribute("aria-label", this.t("draw.choose", { id: String(row.id) }));
      choose.onclick = () => this.state.set("sample", row.id);
    };
    return item;
  }
}

/** Fill an element with a sheet to draw on, or what takes its place for other data. */
export function create(session, root) {
  return shown(new Drawing(session, root));
}
