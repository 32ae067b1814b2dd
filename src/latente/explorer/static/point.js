/**
 * What the decoder makes of the place under the pointer, beside the nearest sample.
 *
 * This part is always seen. It owns the pins: a click sets one.
 */
import { choice, element } from "./controls.js";
import { SampleFigure, legend } from "./figure.js";
import { nearness, sign } from "./nearness.js";
import { Panel, shown } from "./panel.js";
import { MOST_PINS, pinName, withPin } from "./path.js";
import { Latest, pointer } from "./request.js";
import { sampleOf } from "./sample.js";
import { number } from "./words.js";

const NARROW = matchMedia("(max-width: 860px)");
/** The row whose place on the map, of x and y in turns, is nearest to a place. */
export function nearestRow(points, x, y) {
  let [best, least] = [0, Infinity];
  for (let id = 0; 2 * id < points.length; id += 1) {
    const squared = (points[2 * id] - x) ** 2 + (points[2 * id + 1] - y) ** 2;
    if (squared < least) [best, least] = [id, squared];
  }
  return best;
}

class Point extends Panel {
  constructor(session, root) {
    super(session, root);
    this.rest = "mean";
    this.place = null;
    this.line = new Latest(
      (place) => this.decode(place),
      (answer, place) => this.decoded(answer, place),
      (error) => this.failed(error),
    );
    this.nearest = new Latest(
      ({ model, id }) => this.rows.one(model, id),
      (row) => this.showNearest(row),
      (error) => this.failed(error),
    );
    session.state.on("hover", (hover) => hover && this.point(hover));
    session.state.on("click", (click) => click && this.clicked(click));
    session.state.on("escape", () => this.escape());
    session.state.on(["pins", "panel"], () => this.offerWalk());
    session.state.on("model", () => this.restart());
    this.when("sample", () => this.rest === "sample" && this.place && this.line.ask(this.place));
  }

  build() {
    const { session } = this;
    const apart = this.sideBySide;
    this.here = this.keep(
      new SampleFigure(session, {
        size: 104,
        columns: NARROW.matches ? 3 : 6,
        caption: this.t("point.decoded"),
      }),
    );
    this.near = this.keep(
      new SampleFigure(session, { size: 104, caption: this.t("point.nearest") }),
    );
    this.sign = sign(session);
    this.facts = element("dl.point-facts");
    this.near.element.hidden = !apart;
    this.whole = element(
      `div.point-${apart ? "pictures" : "values"}`,
      {},
      this.here.element,
      this.near.element,
      this.facts,
    );
    this.live = element("p.unseen", { role: "status" });
    this.restChoice = choice(
      this.t("point.rest"),
      [
        ["mean", this.t("point.rest.mean")],
        ["sample", this.t("point.rest.sample")],
      ],
      this.rest,
      (value) => {
        this.rest = value;
        if (this.place) this.line.ask(this.place);
      },
    );
    this.walk = element("button.button.walk-on", {
      type: "button",
      hidden: true,
      onclick: () => this.state.set("panel", "walk"),
    });
    const words = legend(session, this.t("point.legend.decoded"), this.t("point.legend.nearest"));
    this.root.append(this.whole, this.sign.element, this.live);
    if (words) this.root.append(words);
    this.root.append(element("div.row", {}, this.restChoice.element, this.walk));
    this.offerRest();
    this.offerWalk();
  }

  refresh() {
    if (this.row && this.answer) this.near.show(this.row.original);
    if (this.answer) this.draw();
    if (this.place?.model === this.model && !this.place.first) this.line.ask(this.place);
    else this.point({ model: this.model, ...middle(this.limits), first: true });
  }

  /** The part of the map that holds the codes; of a model that learns, where they are by now. */
  get limits() {
    const { learning } = this.session.info;
    const map = learning && !learning.done ? this.session.maps[this.model] : null;
    return map?.limits ?? this.about.map.limits;
  }

  /** The model that is watched has become another one: pins of rows go where these are now. */
  learned() {
    super.learned();
    this.followRows().catch((error) => this.failed(error));
  }

  async followRows() {
    const ids = this.state.get("pins").flatMap(([, , id]) => (id === undefined ? [] : [id]));
    if (!ids.length) return;
    const rows = await this.rows.many(this.model, ids);
    const places = new Map(rows.map(({ id, point }) => [id, point]));
    const moved = (pin) => (places.has(pin[2]) ? [...places.get(pin[2]), pin[2]] : pin);
    this.state.set("pins", this.state.get("pins").map(moved));
  }

  /** The rest of the code can be chosen only where the map leaves out a part of it. */
  offerRest() {
    const about = this.session.info.models[this.place?.model ?? this.model];
    this.restChoice.element.hidden =
      !about.generative || about.map.kind !== "pca" || about.latent <= 2;
  }

  /** Whether the panel of pins is shown: it is the first unless a fit is watched. */
  get walking() {
    return (
      (this.state.get("panel") ?? (this.session.info.learning ? "learning" : "walk")) === "walk"
    );
  }

  offerWalk() {
    const n = this.state.get("pins").length;
    this.walk.hidden = n === 0 || this.walking;
    this.walk.textContent = this.t(n > 1 ? "point.walk" : "point.pinned", { n });
  }

  restart() {
    this.answer = null;
    this.row = null;
    this.offerRest();
    this.replacePins().catch((error) => this.failed(error));
    if (this.seen) this.refresh();
  }

  /** Pins of rows move to where another model puts these; those of places alone belong to one map. */
  async replacePins() {
    const { model } = this;
    const ids = this.state
      .get("pins")
      .filter((pin) => pin.length > 2)
      .map((pin) => pin[2]);
    this.state.set("pins", []);
    const rows = await this.rows.many(model, ids);
    if (model !== this.model || !rows.length) return;
    const placed = rows.map(({ id, point: [x, y] }) => [x, y, id]);
    this.state.set("pins", [...placed, ...this.state.get("pins")].slice(0, MOST_PINS));
  }

  point(place) {
    const other = this.place?.model !== place.model;
    this.place = place;
    if (other) this.offerRest();
    this.line.ask(place);
  }

  async decode({ model, x, y }) {
    if (!this.session.info.models[model].generative) return this.reconstructed(model, x, y);
    const request = { model, at: [[x, y]], pointer: pointer("point") };
    const chosen = this.state.get("sample");
    if (this.rest === "sample" && chosen !== null && !this.restChoice.element.hidden) {
      request.base = Array.from((await this.rows.one(model, chosen)).code);
    }
    return this.session.backend.decode(request);
  }

  /** What comes back of the nearest sample, where a model cannot decode codes alone. */
  async reconstructed(model, x, y) {
    const { points } = this.session.maps[model] ?? {};
    if (!points?.length) return null;
    return { row: await this.rows.one(model, nearestRow(points, x, y)) };
  }

  showReconstructed({ row }, place) {
    const [x, y] = row.point;
    this.answer = null;
    this.distance = Math.hypot(x - place.x, y - place.y);
    const pictures = this.data.kind === "pictures";
    this.here.show(row.decoded, {
      beside: pictures ? null : row.original,
      caption: this.t("selected.decoded"),
    });
    this.near.show(row.original);
    this.sign.show(null);
    this.showFacts(place, row.id, row);
  }

  decoded(answer, place) {
    if (answer.row) {
      this.showReconstructed(answer, place);
      return;
    }
    const id = answer.nearest.data[0];
    this.answer = { answer, place, id };
    this.say();
    this.draw();
    const small = this.thumbnail(place.model, id);
    if (small) this.showNearest(this.row?.id === id ? this.row : { id, original: small });
    else this.nearest.ask({ model: place.model, id });
  }

  /** A row's picture from the map's small ones, if it is there and as large as the picture is. */
  thumbnail(model, id) {
    const small = this.session.maps[model]?.thumbnails?.get(id);
    const [height, width] = this.data.shape;
    if (!small || small.width !== width || small.height !== height) return null;
    return { kind: "picture", ...small, ink: this.data.ink };
  }

  draw() {
    const { answer, place, id } = this.answer;
    this.distance = answer.distance.data[0];
    const { near } = this.session.info.models[place.model];
    const level = nearness(answer.inside.data[0], this.distance, near);
    const known = this.row?.id === id ? this.row : null;
    this.here.show(sampleOf(this.data, answer, "decoded"), {
      beside: known?.original ?? null,
      caption: this.t("point.decoded"),
    });
    this.sign.show(level);
    this.showFacts(place, id, known);
    this.tell(level, id);
  }

  showFacts(place, id, row) {
    const at = this.t("walk.place", { x: number(place.x), y: number(place.y) });
    const facts = [
      [this.t(place.first ? "point.middle" : "point.at"), at],
      [this.t("point.sample"), String(id)],
      ...(row?.labels ?? []).slice(0, 1).map(([name, word]) => [this.columnName(name), word]),
      [this.t("point.distance"), number(this.distance < 1e-6 ? 0 : this.distance)],
    ];
    this.facts.replaceChildren(
      ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
    );
  }

  /** Said to screen readers once the pointer rests; a map crossed quickly stays silent. */
  tell(level, id) {
    clearTimeout(this.telling);
    this.telling = setTimeout(() => {
      this.live.textContent = this.t("point.said", {
        near: this.t(`nearness.${level}`),
        id: String(id),
        distance: this.distance,
      });
    }, 600);
  }

  async showNearest(row) {
    this.row = row;
    this.near.show(row.original);
    if (this.data.kind !== "pictures") this.draw();
    if (row.labels) return;
    row.labels = await this.rows.classes(row.id).catch(() => []);
    if (this.row === row && this.answer?.id === row.id)
      this.showFacts(this.answer.place, row.id, row);
  }

  clicked({ model, x, y, id }) {
    const onSample = id !== null && id !== undefined;
    if (onSample) this.state.set("sample", id);
    if (onSample && !this.walking) return;
    if (model !== this.model) this.state.set("model", model);
    const pin = onSample ? [...this.session.maps[model].pointOf(id), id] : [x, y];
    const pins = withPin(this.state.get("pins"), pin);
    this.state.set("pins", pins);
    if (pins.length >= MOST_PINS) this.say(this.t("walk.most", { n: MOST_PINS }));
    this.live.textContent = this.t("point.set", { name: pinName(pins.length - 1) });
  }

  /** Esc takes the last pin away. */
  escape() {
    const pins = this.state.get("pins");
    if (pins.length) this.state.set("pins", pins.slice(0, -1));
  }
}

function middle([left, right, bottom, top]) {
  return { x: (left + right) / 2, y: (bottom + top) / 2 };
}

/** Fill an element with what the decoder makes of the place under the pointer. */
export function create(session, root) {
  const panel = new Point(session, root);
  const methods = shown(panel);
  panel.show();
  return methods;
}
