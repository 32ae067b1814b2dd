/** The chosen sample: the original, what comes back of it, how far they are apart, its columns. */
import { button, element, freshId } from "./controls.js";
import { SampleFigure, legend } from "./figure.js";
import { Panel, shown } from "./panel.js";
import { rootMeanSquare, withPin } from "./path.js";
import { Latest } from "./request.js";
import { difference } from "./sample.js";
import { number } from "./words.js";

class Selected extends Panel {
  constructor(session, root) {
    super(session, root);
    this.line = new Latest(
      ({ model, id }) => this.rows.one(model, id),
      (row) => this.showRow(row),
      (e) => this.failed(e),
    );
    session.state.on("sample", () => this.chosen());
    this.when("model", () => this.chosen());
  }

  build() {
    const { session } = this;
    const pictures = this.data.kind === "pictures";
    this.original = this.keep(
      new SampleFigure(session, { size: 112, caption: this.t("selected.original") }),
    );
    this.decoded = this.keep(
      new SampleFigure(session, { size: 112, caption: this.t("selected.decoded") }),
    );
    this.apart = this.keep(
      new SampleFigure(session, { size: 112, caption: this.t("selected.difference") }),
    );
    const both = this.sideBySide ? [this.original, this.decoded] : [this.decoded];
    const figures = pictures ? [this.original, this.decoded, this.apart] : both;
    this.figures = element(
      `div.figures${["", ".one", "", ".three"][figures.length]}`,
      {},
      ...figures.map((f) => f.element),
    );
    this.facts = element("dl.facts");
    this.hint = element("p.note", {}, this.t("selected.none"));
    const words = legend(session, this.t("selected.decoded"), this.t("selected.original"));
    this.body = element(
      "div.stack",
      { hidden: true },
      this.figures,
      words,
      this.facts,
      this.actions(),
    );
    this.root.append(this.chooser(), this.hint, this.body);
  }

  chooser() {
    const id = freshId("sample");
    const last = this.session.info.n - 1;
    this.input = element("input.field.small.number", {
      type: "number",
      id,
      min: 0,
      max: last,
      step: 1,
      onchange: () => this.choose(Math.round(Number(this.input.value))),
    });
    const step = (by) => this.choose((this.state.get("sample") ?? -by) + by);
    const before = element("button.icon", { type: "button", onclick: () => step(-1) }, "‹");
    before.setAttribute("aria-label", this.t("selected.before"));
    const after = element("button.icon", { type: "button", onclick: () => step(1) }, "›");
    after.setAttribute("aria-label", this.t("selected.after"));
    const any = button(this.t("selected.any"), () =>
      this.choose(Math.floor(Math.random() * (last + 1))),
    );
    const label = element("label", { htmlFor: id }, this.t("selected.number"));
    return element("div.row", {}, label, this.input, before, after, any);
  }

  choose(id) {
    const last = this.session.info.n - 1;
    if (!Number.isFinite(id)) return;
    this.state.set("sample", Math.min(Math.max(id, 0), last));
  }

  actions() {
    const pin = button(this.t("selected.pin"), () => {
      const [x, y] = this.row.point;
      this.state.set("pins", withPin(this.state.get("pins"), [x, y, this.row.id]));
    });
    const slide = button(this.t("selected.dims"), () => {
      this.state.set("dims", Array.from(this.row.code));
      this.state.set("panel", "dims");
    });
    const close = button(this.t("selected.close"), () => this.state.set("sample", null), {
      className: "button quiet",
    });
    return element("div.row", {}, pin, slide, close);
  }

  refresh() {
    this.chosen();
  }

  chosen() {
    const id = this.state.get("sample");
    const there = id !== null && id < this.session.info.n;
    if (!this.seen) return;
    this.input.value = there ? id : "";
    this.hint.hidden = there;
    this.body.hidden = !there;
    if (there) this.line.ask({ model: this.model, id });
    else this.line.cancel();
  }

  async showRow(row) {
    this.row = row;
    if (this.data.kind === "pictures") {
      this.original.show(row.original);
      this.decoded.show(row.decoded);
      this.apart.show(difference(row.original, row.decoded));
    } else {
      this.original.show(row.original);
      this.decoded.show(row.decoded, { beside: row.original });
    }
    this.say();
    try {
      this.showFacts(row, await this.rows.labels(row.id, number));
    } catch (error) {
      this.failed(error);
    }
  }

  showFacts(row, labels) {
    if (this.row !== row) return;
    const facts = labels.map(([name, value]) => [this.columnName(name), value]);
    if (this.data.kind === "pictures") {
      const far = rootMeanSquare(row.original.pixels, row.decoded.pixels);
      facts.push([this.t("selected.rms"), number(far)]);
    }
    if (Number.isFinite(row.error)) facts.push([this.t("selected.error"), number(row.error)]);
    if (Number.isFinite(row.score))
      facts.push([this.t("selected.score"), number(row.score), this.about.scores]);
    facts.push([this.t("selected.code"), codeWords(row.code)]);
    this.facts.replaceChildren(
      ...facts.flatMap(([name, value, note]) => [
        element("dt", {}, name),
        element("dd", note ? { title: note } : {}, value),
      ]),
    );
  }
}

/** The first numbers of a code. */
export function codeWords(code, most = 4) {
  const first = Array.from(code.slice(0, most), (value) => number(value)).join(" · ");
  return code.length > most ? `${first} · …` : first;
}

/** Fill an element with the chosen sample. */
export function create(session, root) {
  return shown(new Selected(session, root));
}
