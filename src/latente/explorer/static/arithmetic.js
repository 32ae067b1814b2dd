/** The direction from samples without something to samples with it, applied to any sample. */
import { button, choice, element, slider } from "./controls.js";
import { SampleFigure, legend } from "./figure.js";
import { nearness, sign } from "./nearness.js";
import { Panel, shown } from "./panel.js";
import { moved } from "./path.js";
import { Latest, pointer, settled } from "./request.js";
import { sampleOf } from "./sample.js";
import { vectorOf } from "./samples.js";
import { Strip } from "./strip.js";
import { number, percent } from "./words.js";

const MOST = 3;
const CELLS = 7;
const REST = 120;
const SIDES = ["with", "without"];

/** Rows of a class among the values of a column. */
export function members(values, number) {
  const ids = [];
  values.forEach((value, id) => value === number && ids.push(id));
  return ids;
}

/** Steps along a direction, from the least to the most, 0 in the middle. */
export function amounts(cells = CELLS, most = MOST) {
  return Array.from({ length: cells }, (_, i) => -most + (2 * most * i) / (cells - 1));
}

class Arithmetic extends Panel {
  static decodes = true;

  constructor(session, root) {
    super(session, root);
    this.amount = 1;
    this.finding = new Latest(
      (asked) => this.find(asked),
      (answer, asked) => this.found(answer, asked),
      (e) => this.failed(e),
    );
    this.line = new Latest(
      (asked) => this.apply(asked),
      (answer, asked) => this.applied(answer, asked),
      (e) => this.failed(e),
    );
    this.cells = new Latest(
      (asked) => this.applyAll(asked),
      (answer, asked) => this.allApplied(answer, asked),
      (e) => this.failed(e),
    );
    this.askCells = settled((asked) => this.cells.ask(asked), REST);
    this.when("selection", () => this.offerSelection());
    this.when("sample", () => this.ask());
    this.when("groups", () => this.groupsChanged());
    session.state.on("model", () => {
      this.direction = null;
      if (this.seen && this.built) this.groupsChanged();
    });
  }

  get groups() {
    return this.state.get("groups") ?? { with: [], without: [] };
  }

  build() {
    const { session } = this;
    this.striped = null;
    this.sides = Object.fromEntries(SIDES.map((side) => [side, this.side(side)]));
    this.swap = button(this.t("arithmetic.swap"), () =>
      this.set({ with: this.groups.without, without: this.groups.with }),
    );
    this.clear = button(this.t("arithmetic.clear"), () => this.set({ with: [], without: [] }), {
      className: "button quiet",
    });
    this.separation = element("p.separation", { role: "status" });
    this.figure = this.keep(
      new SampleFigure(session, { size: 132, caption: this.t("arithmetic.before") }),
    );
    this.after = this.keep(new SampleFigure(session, { size: 132 }));
    this.figure.element.hidden = !this.sideBySide;
    this.sign = sign(session);
    this.slider = slider({
      label: this.t("arithmetic.amount"),
      low: -MOST,
      high: MOST,
      step: 0.05,
      value: this.amount,
      words: (value) => this.words(value),
      oninput: (value) => this.go(value),
    });
    this.strip = this.keep(new Strip(session, { onpick: (i) => this.go(amounts()[i]) }));
    const words = legend(session, this.t("arithmetic.moved"), this.t("arithmetic.before"));
    this.hint = element("p.note", {}, this.t("arithmetic.none"));
    this.work = element(
      "div.stack",
      { hidden: true },
      element(`div.figures${this.sideBySide ? "" : ".one"}`, {}, this.figure.element, this.after.element),
      this.sign.element,
      ...[words].filter(Boolean),
      this.slider.element,
      this.strip.canvas,
    );
    this.root.append(
      element("p.note", {}, this.t("arithmetic.hint")),
      ...SIDES.map((side) => this.sides[side].element),
      element("div.row", {}, this.swap, this.clear),
      this.separation,
      this.hint,
      this.work,
    );
  }

  /** One of the two groups: its count, the lasso's selection for it, or a class. */
  side(side) {
    const count = element("output.count");
    const take = button(this.t("arithmetic.take"), () => {
      this.set({ ...this.groups, [side]: Array.from(this.state.get("selection") ?? []) });
    });
    const classes = this.classChoice(side);
    const whole = element(
      "fieldset.group",
      {},
      element("legend", {}, this.t(`arithmetic.${side}`), " ", count),
      element("div.row", {}, take, classes?.element),
    );
    return { element: whole, count, take, classes };
  }

  classChoice(side) {
    const columns = this.session.info.columns.filter(({ kind }) => kind === "class");
    if (!columns.length) return null;
    const options = columns.flatMap(({ name, classes }) =>
      classes.map((word, i) => [`${i} ${name}`, `${this.columnName(name)}: ${word}`]),
    );
    const made = choice(
      this.t("arithmetic.class"),
      [["", this.t("arithmetic.choose")], ...options],
      "",
      (value) => {
        if (value) this.takeClass(side, value);
      },
    );
    return made;
  }

  async takeClass(side, value) {
    const [index, ...name] = value.split(" ");
    try {
      const values = await this.rows.column(name.join(" "), 0);
      const ids = members(values, Number(index));
      const other = side === "with" ? "without" : "with";
      const groups = { ...this.groups, [side]: ids };
      if (!groups[other].length) groups[other] = this.others(ids);
      this.set(groups);
    } catch (error) {
      this.failed(error);
    }
  }

  /** The rest of the rows: what a first group is compared with until another is chosen. */
  others(ids) {
    const inside = new Set(ids);
    return Array.from({ length: this.session.info.n }, (_, id) => id).filter(
      (id) => !inside.has(id),
    );
  }

  set(groups) {
    for (const side of SIDES) {
      if (groups[side] !== this.groups[side] && this.sides[side].classes && !groups[side].length) {
        this.sides[side].classes.select.value = "";
      }
    }
    this.state.set("groups", groups);
  }

  refresh() {
    this.offerSelection();
    this.groupsChanged();
  }

  unmark() {
    this.mark("arithmetic", []);
  }

  offerSelection() {
    const n = this.state.get("selection")?.length ?? 0;
    for (const side of SIDES) {
      this.sides[side].take.disabled = n === 0;
      this.sides[side].take.textContent = n
        ? this.t("arithmetic.take", { n })
        : this.t("arithmetic.lasso");
    }
  }

  groupsChanged() {
    const { groups } = this;
    for (const side of SIDES) {
      this.sides[side].count.textContent = this.t("arithmetic.count", { n: groups[side].length });
    }
    const ready = SIDES.every((side) => groups[side].length > 0);
    this.swap.disabled = SIDES.every((side) => !groups[side].length);
    this.direction = null;
    if (ready) this.finding.ask({ model: this.model, groups });
    else {
      this.finding.cancel();
      this.separation.textContent = "";
      this.ask();
    }
  }

  find({ model, groups }) {
    const most = this.session.info.limits?.ids ?? 200000;
    const [present, absent] = SIDES.map((side) => groups[side].slice(0, most));
    return this.session.backend.direction(model, present, absent);
  }

  found(answer, { model, groups }) {
    if (model !== this.model || groups !== this.state.get("groups")) return;
    this.direction = answer.direction.data;
    const { separation } = answer.meta;
    this.say();
    this.separation.textContent =
      separation === null || separation === undefined
        ? this.t("arithmetic.few")
        : this.separationWords(separation);
    this.ask();
  }

  separationWords(separation) {
    const level = separation >= 0.9 ? "clearly" : separation >= 0.7 ? "partly" : "hardly";
    return this.t(`arithmetic.${level}`, { share: percent(separation) });
  }

  words(amount) {
    return `${amount > 0 ? "+" : ""}${number(amount)}`;
  }

  ask() {
    const id = this.state.get("sample");
    const ready = this.direction !== null && this.direction !== undefined;
    this.work.hidden = !ready || id === null;
    this.hint.hidden = !ready || id !== null;
    if (!ready || id === null) {
      this.unmark();
      return;
    }
    const asked = { model: this.model, id, direction: this.direction };
    this.line.ask({ ...asked, amount: this.amount });
    if (this.striped?.id === id && this.striped.direction === asked.direction) return;
    this.striped = asked;
    this.askCells(asked);
  }

  go(amount) {
    this.amount = amount;
    this.slider.set(amount);
    this.strip.mark(Math.round(((amount + MOST) / (2 * MOST)) * (CELLS - 1)));
    this.ask();
  }

  async apply({ model, id, direction, amount }) {
    const row = await this.rows.one(model, id);
    const codes = [moved(row.code, direction, amount)];
    const answer = await this.session.backend.decode({ model, codes, pointer: pointer("arithmetic") });
    return answer && { answer, row };
  }

  applied({ answer, row }, { amount, direction }) {
    if (direction !== this.direction) return;
    const sample = sampleOf(this.data, answer, "decoded");
    this.figure.show(row.decoded, {
      caption: this.t("arithmetic.before.of", { id: String(row.id) }),
    });
    const beside = this.data.kind === "pictures" ? null : row.decoded;
    this.after.show(sample, {
      beside,
      caption: this.t("arithmetic.after", { amount: this.words(amount) }),
    });
    this.sign.show(nearness(answer.inside.data[0], null, this.about.near));
    this.here = Array.from(vectorOf(answer.points, 0));
    this.drawMarks();
  }

  /** All steps of the strip in one request, and with them the path on the map. */
  async applyAll({ model, id, direction }) {
    const row = await this.rows.one(model, id);
    const codes = amounts().map((amount) => moved(row.code, direction, amount));
    return this.session.backend.decode({ model, codes });
  }

  allApplied(answer, { direction }) {
    if (direction !== this.direction) return;
    const samples = amounts().map((_, i) => sampleOf(this.data, answer, "decoded", i));
    this.path = amounts().map((_, i) => Array.from(vectorOf(answer.points, i)));
    const current = Math.round(((this.amount + MOST) / (2 * MOST)) * (CELLS - 1));
    this.strip.show(samples, {
      label: this.t("arithmetic.strip", { low: number(-MOST), high: number(MOST) }),
      current,
    });
    this.drawMarks();
  }

  drawMarks() {
    if (!this.seen || !this.here) return;
    const [x, y] = this.here;
    const path = this.path ? [{ kind: "arrow", points: this.path }] : [];
    this.mark("arithmetic", [...path, { kind: "cross", x, y, label: this.words(this.amount) }]);
  }
}

/** Fill an element with the two groups and their direction. */
export function create(session, root) {
  return shown(new Arithmetic(session, root));
}
