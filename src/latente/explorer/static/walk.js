/** Pins on the map, and the walk between them: a slider, an animation, files of it. */
import { frameAt, gifOf, stripOf, timing } from "./animation.js";
import { button, choice, download, element, freshId, slider, tickbox } from "./controls.js";
import { SampleFigure } from "./figure.js";
import { nearness, sign } from "./nearness.js";
import { Panel, shown } from "./panel.js";
import { along, nearestShare, pinName, shares, stepsThrough, withPin } from "./path.js";
import { Latest, pointer } from "./request.js";
import { sampleOf } from "./sample.js";
import { vectorOf } from "./samples.js";
import { Strip } from "./strip.js";
import { colours } from "./theme.js";
import { number, percent } from "./words.js";

const STEPS = { low: 2, high: 120, value: 16 };
const SECONDS = [1, 2, 4, 8];
const SHOWN = 8;
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** The frames of many that are shown where there is room for some: evenly spread, both ends. */
export function spread(count, most) {
  if (count <= most) return Array.from({ length: count }, (_, i) => i);
  return shares(most).map((share) => Math.round(share * (count - 1)));
}

class Walk extends Panel {
  static decodes = true;

  constructor(session, root) {
    super(session, root);
    this.steps = STEPS.value;
    this.seconds = 2;
    this.back = true;
    this.share = 0;
    this.frames = [];
    this.line = new Latest(
      (pins) => this.decodePath(pins),
      (path) => this.pathDecoded(path),
      (e) => this.failed(e),
    );
    this.place = new Latest(
      (code) => this.decodePlace(code),
      (answer) => this.placeDecoded(answer),
      (e) => this.failed(e),
    );
    session.state.on("pins", () => this.pinsChanged());
    this.when(["model"], () => this.refresh());
    this.when("sample", () => this.offerSample());
  }

  get pins() {
    return this.state.get("pins");
  }

  build() {
    const { session } = this;
    this.hint = element("p.note", {}, this.t("walk.hint"));
    this.list = element("ol.pins", { ariaLabel: this.t("walk.pins") });
    this.list.setAttribute("aria-label", this.t("walk.pins"));
    this.pinSample = button(this.t("walk.pin.sample"), () => this.addSample());
    this.clear = button(this.t("walk.clear"), () => this.state.set("pins", []), {
      className: "button quiet",
    });
    this.figure = this.keep(new SampleFigure(session, { size: 140 }));
    this.sign = sign(session);
    this.slider = slider({
      label: this.t("walk.position"),
      low: 0,
      high: 1,
      value: this.share,
      words: (share) => this.position(share),
      oninput: (share) => this.go(share),
    });
    this.play = button(this.t("walk.play"), () => this.toggle(), { className: "button primary" });
    this.strip = this.keep(
      new Strip(session, { onpick: (i) => this.go(shares(this.shownFrames.length)[i]) }),
    );
    const pictures = this.data.kind === "pictures";
    this.way = element(
      "div.way",
      {},
      element(
        `div.beside${pictures ? "" : ".values"}`,
        {},
        this.figure.element,
        element("div.stack", {}, this.play, this.speed(), this.bounce(), this.sign.element),
      ),
      this.slider.element,
      this.strip.canvas,
      this.exports(),
    );
    this.root.append(
      this.hint,
      this.list,
      element("div.row", {}, this.pinSample, this.clear),
      this.way,
    );
  }

  speed() {
    const options = SECONDS.map((seconds) => [
      String(seconds),
      this.t("walk.seconds", { n: seconds }),
    ]);
    return choice(this.t("walk.duration"), options, String(this.seconds), (value) => {
      this.seconds = Number(value);
      this.pace();
    }).element;
  }

  bounce() {
    return tickbox(this.t("walk.back"), this.back, (checked) => {
      this.back = checked;
      this.pace();
    });
  }

  exports() {
    const id = freshId("steps");
    this.stepsInput = element("input.field.small.number", {
      type: "number",
      id,
      min: STEPS.low,
      max: STEPS.high,
      step: 1,
      value: this.steps,
      onchange: () => this.setSteps(Number(this.stepsInput.value)),
    });
    this.gif = button(this.t("walk.gif"), () => this.save("gif"));
    this.png = button(this.t("walk.png"), () => this.save("png"));
    const label = element("label", { htmlFor: id }, this.t("walk.steps"));
    return element("div.row", {}, label, this.stepsInput, this.gif, this.png);
  }

  setSteps(steps) {
    const most = Math.min(STEPS.high, this.session.info.limits?.codes ?? STEPS.high);
    this.steps = Math.min(Math.max(Math.round(steps) || STEPS.value, STEPS.low), most);
    this.stepsInput.value = this.steps;
    this.askPath();
  }

  refresh() {
    this.renderPins();
    this.offerSample();
    this.askPath();
  }

  hide() {
    this.stop();
    super.hide();
  }

  pinsChanged() {
    if (this.pins.length < 2) {
      this.frames = [];
      this.stop();
    }
    this.drawMarks();
    if (!this.seen || !this.built) return;
    this.renderPins();
    this.askPath();
  }

  offerSample() {
    const id = this.state.get("sample");
    this.pinSample.disabled = id === null;
    this.pinSample.textContent =
      id === null ? this.t("walk.pin.none") : this.t("walk.pin.sample", { id: String(id) });
  }

  async addSample() {
    const id = this.state.get("sample");
    try {
      const { point } = await this.rows.one(this.model, id);
      this.state.set("pins", withPin(this.pins, [point[0], point[1], id]));
    } catch (error) {
      this.failed(error);
    }
  }

  /* Pins */

  renderPins() {
    const { pins } = this;
    this.hint.hidden = pins.length > 1;
    this.hint.textContent = this.t(pins.length ? "walk.hint.one" : "walk.hint");
    this.clear.hidden = pins.length === 0;
    this.way.hidden = pins.length < 2;
    const focused = [...this.list.children].findIndex((item) =>
      item.contains(document.activeElement),
    );
    const onRemove = document.activeElement?.classList?.contains("remove");
    this.list.replaceChildren(...pins.map((pin, i) => this.pinItem(pin, i)));
    const item = this.list.children[Math.min(focused, pins.length - 1)];
    if (focused >= 0) item?.querySelector(onRemove ? ".remove" : ".pin")?.focus();
  }

  pinItem([x, y, id], i) {
    const name = pinName(i);
    const place = this.t("walk.place", { x: number(x), y: number(y) });
    const words = id === undefined ? place : `${place} · ${this.t("walk.on", { id: String(id) })}`;
    const move = element(
      "button.button.pin",
      {
        type: "button",
        title: this.t("walk.move"),
        onkeydown: (event) => this.pinKey(event, i),
        onclick: () => this.go(this.pins.length > 1 ? i / (this.pins.length - 1) : 0),
      },
      element("b", {}, name),
      ` ${words}`,
    );
    move.setAttribute("aria-label", this.t("walk.pin.label", { name, words }));
    const remove = element(
      "button.icon.remove",
      { type: "button", onclick: () => this.remove(i) },
      "×",
    );
    remove.setAttribute("aria-label", this.t("walk.remove", { name }));
    return element("li", {}, move, remove);
  }

  pinKey(event, i) {
    if (event.key === "Delete" || event.key === "Backspace") this.remove(i);
    else if (MOVES[event.key]) this.moveBy(i, MOVES[event.key], event.shiftKey ? 0.05 : 0.01);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  moveBy(i, [right, up], part) {
    const [left, end, bottom, top] = this.state.get("view") ?? this.about.map.limits;
    const [x, y] = this.pins[i];
    this.movePin(i, x + right * part * (end - left), y + up * part * (top - bottom));
  }

  movePin(i, x, y) {
    this.state.set(
      "pins",
      this.pins.map((pin, at) => (at === i ? [x, y] : pin)),
    );
  }

  remove(i) {
    this.state.set(
      "pins",
      this.pins.filter((_, at) => at !== i),
    );
  }

  /* The path */

  askPath() {
    if (this.pins.length > 1)
      this.line.ask({ pins: this.pins, model: this.model, steps: this.steps });
    else {
      this.line.cancel();
      this.drawMarks();
    }
  }

  async codesOf(model, pins) {
    const places = pins.filter((pin) => pin.length === 2);
    const ids = pins.filter((pin) => pin.length > 2).map((pin) => pin[2]);
    const [answer, rows] = await Promise.all([
      places.length ? this.session.backend.decode({ model, at: places }) : null,
      this.rows.many(model, ids),
    ]);
    let [place, row] = [0, 0];
    return pins.map((pin) => (pin.length > 2 ? rows[row++].code : vectorOf(answer.codes, place++)));
  }

  async decodePath({ pins, model, steps }) {
    const stops = await this.codesOf(model, pins);
    const most = this.session.info.limits?.codes ?? STEPS.high;
    const count = stepsThrough(stops.length, steps, most);
    const codes = shares(count).map((share) => along(stops, share));
    const answer = await this.session.backend.decode({ model, codes });
    return { answer, stops, model, steps: count };
  }

  pathDecoded({ answer, stops, model, steps }) {
    if (this.pins.length < 2) return;
    this.stops = stops;
    this.pathModel = model;
    this.frames = Array.from({ length: steps }, (_, i) =>
      sampleOf(this.data, answer, "decoded", i),
    );
    this.inside = answer.inside.data;
    this.points = Array.from({ length: steps }, (_, i) => Array.from(vectorOf(answer.points, i)));
    this.shownFrames = spread(steps, SHOWN);
    this.say();
    this.pace();
    this.strip.show(
      this.shownFrames.map((i) => this.frames[i]),
      { label: this.t("walk.strip", { n: steps }) },
    );
    this.go(this.share);
  }

  pace() {
    this.order = timing(this.frames.length, this.seconds, this.back);
  }

  position(share) {
    const legs = this.pins.length - 1;
    if (legs < 1) return "";
    const leg = Math.min(Math.floor(share * legs), legs - 1);
    const values = { from: pinName(leg), to: pinName(leg + 1), share: percent(share * legs - leg) };
    return this.t("walk.at", values);
  }

  /** Go to a share of the way: a frame that is there at once, another place when decoded. */
  go(share, frame = null) {
    if (!this.frames.length) return;
    this.share = share;
    this.slider.set(share);
    const at = share * (this.frames.length - 1);
    this.strip.mark(Math.round(share * (this.shownFrames.length - 1)));
    const whole = frame ?? (Math.abs(at - Math.round(at)) < 1e-6 ? Math.round(at) : null);
    if (whole !== null) {
      this.place.cancel();
      this.display(this.frames[whole], this.inside[whole]);
    } else this.place.ask({ code: along(this.stops, share), model: this.pathModel });
    this.drawMarks();
  }

  decodePlace({ code, model }) {
    return this.session.backend.decode({ model, codes: [code], pointer: pointer("walk") });
  }

  placeDecoded(answer) {
    this.display(sampleOf(this.data, answer, "decoded"), answer.inside.data[0]);
  }

  display(sample, inside) {
    this.figure.show(sample, { caption: this.position(this.share) });
    this.sign.show(nearness(inside, null, this.about.near));
  }

  /* Marks on the map */

  drawMarks() {
    const { pins } = this;
    const marks = pins.map(([x, y], i) => ({
      kind: "pin",
      x,
      y,
      label: pinName(i),
      onDrag: (toX, toY) => this.movePin(i, toX, toY),
    }));
    this.mark("pins", marks);
    this.mark("walk", pins.length > 1 && this.frames.length && this.seen ? this.wayMarks() : []);
  }

  wayMarks() {
    const at = this.share * (this.points.length - 1);
    const before = Math.min(Math.floor(at), this.points.length - 2);
    const [x, y] = along([this.points[before], this.points[before + 1]], at - before);
    const onDrag = (toX, toY) => {
      this.stop();
      this.go(nearestShare(this.points, [toX, toY]));
    };
    return [
      { kind: "path", points: this.points },
      { kind: "ring", x, y, label: "", onDrag },
    ];
  }

  unmark() {
    this.mark("walk", []);
  }

  /* Playing and saving */

  toggle() {
    if (this.playing) this.stop();
    else this.start();
  }

  start() {
    if (!this.frames.length) return;
    this.playing = true;
    this.play.textContent = this.t("walk.pause");
    const begin = performance.now();
    const turn = (now) => {
      if (!this.playing) return;
      const { frame } = this.order[frameAt(this.order, Math.max(0, now - begin))];
      if (frame !== this.playedFrame) {
        this.playedFrame = frame;
        this.go(frame / (this.frames.length - 1), frame);
      }
      requestAnimationFrame(turn);
    };
    requestAnimationFrame(turn);
  }

  stop() {
    this.playing = false;
    this.playedFrame = null;
    if (this.play) this.play.textContent = this.t("walk.play");
  }

  async save(kind) {
    if (!this.frames.length) return;
    const options = { data: this.data, colours: colours() };
    const file =
      kind === "gif"
        ? gifOf(this.frames, this.order, options)
        : await stripOf(this.frames, options);
    const names = this.pins.map((_, i) => pinName(i)).join("-");
    download(file, `walk-${names}.${kind}`);
    this.say(
      this.t("walk.saved", { name: `walk-${names}.${kind}`, size: Math.ceil(file.size / 1024) }),
    );
  }
}

/** Fill an element with the pins and the walk between them. */
export function create(session, root) {
  return shown(new Walk(session, root));
}
