/** One model's map: its points, what is drawn over them, and what mouse, touch and keys do. */

import { Camera, extent, robustLimits } from "./camera.js";
import { Coloring, chosenColumn, classColumn } from "./coloring.js";
import {
  centres,
  drawAxes,
  drawCrosshair,
  drawGrid,
  drawLasso,
  drawMarks,
  drawNames,
} from "./marks.js";
import { Grid, inside } from "./nearest.js";
import { PointsGL, PointsPlain } from "./points.js";
import { Pointer } from "./pointer.js";
import { blend, calm, channels, classColour, colours, hex, onTheme } from "./theme.js";
import { Thumbnails, choose, drawThumbnails } from "./thumbnails.js";
import { percent, t } from "./words.js";

const REACH = 14;
const REACH_TOUCH = 26;
const MOVE = 320;
const STEP = 12;
const GRAB = 11;
/** Milliseconds for the points from which on they are carried along while the view moves. */
const SLOW = 30;
/** Milliseconds without a move after which points that were carried are drawn anew. */
const REST = 120;
/** How far points are carried: times closer, times farther, share of the map moved. */
const FAR = { closer: 2, farther: 0.6, moved: 0.35 };
/** Screens finer than this are drawn as this fine: more cannot be told apart in points. */
const FINEST = 2;
/** Pixels of the map for each name that is written on it. */
const ROOM_OF_NAME = 20000;

const ICONS = {
  in: '<path d="M8 3v10M3 8h10"/>',
  out: '<path d="M3 8h10"/>',
  fit: '<path d="M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10"/>',
  lasso:
    '<path d="M8 2.5c3.3 0 6 1.8 6 4s-2.7 4-6 4-6-1.8-6-4 2.7-4 6-4z"/><path d="M4.3 9.6c-.9 1.2-.2 2.6 1.2 2.6s1.8 1.3.7 2.3"/>',
  layers:
    '<path d="M8 2l6 3.2-6 3.2-6-3.2zM2.6 8.6L8 11.5l5.4-2.9M2.6 11.4L8 14.3l5.4-2.9"/>',
};
/** The layers that can be hidden, in the address as `hide=…`. */
const LAYERS = ["shade", "names", "pictures", "grid"];

const make = (tag, className, parts = {}) => {
  const element = Object.assign(document.createElement(tag), parts);
  element.className = className;
  return element;
};

/** The word for what a map shows. */
function kindOf({ kind, latent, map }) {
  if (kind === "pca" && latent > 1) return latent > 2 ? "components.of" : "components";
  if (map.kind === "code" && latent !== 2) return latent === 1 ? "code.one" : "code.of";
  return map.kind === "pca" && !(map.share > 0) ? "pca.plain" : map.kind;
}

/** An axis in the language of the page. */
function axisWord(axis, { kind }) {
  const [, name, index] = /^(code|component) (\d+)$/.exec(axis) ?? [];
  if (name) return t(kind === "pca" ? "axis.component" : `axis.${name}`, { index });
  return axis === "spread out to be seen" ? t("axis.spread") : axis;
}

export class LatentMap {
  #marks = new Map();
  #frame = 0;
  #stale = null;
  #marked = null;
  #drawn = null;
  #rest = 0;
  #move = null;
  #grid = null;
  #names = [];
  #lasso = null;
  #lassoing = false;
  #cross = null;
  #wanted = 0;
  #looks = null;
  #touched = false;

  /**
   * @param {object} session What all parts of the page share.
   * @param {number} model The model's number.
   * @param {HTMLElement} parent Where the map goes.
   */
  constructor(session, model, parent) {
    Object.assign(this, { session, model });
    this.info = session.info.models[model];
    this.n = session.info.n;
    this.viewKey = model === 0 ? "view" : `view${model}`;
    this.camera = new Camera();
    this.points = new Float32Array(2 * this.n);
    this.limits = [-1, 1, -1, 1];
    this.colors = new Coloring(null, new Float32Array(this.n));
    this.#build(parent);
    this.thumbnails =
      session.info.data.kind === "pictures"
        ? new Thumbnails(session.backend, this.n, () => this.drawOver())
        : null;
    this.#listen();
  }

  /* Elements */

  #build(parent) {
    this.element = make("figure", "map");
    this.ground = make("canvas", "ground", { ariaHidden: "true" });
    this.canvas = make("canvas", "under", { ariaHidden: "true" });
    this.overlay = make("canvas", "overlay", { tabIndex: 0, id: `map${this.model}` });
    this.overlay.setAttribute("role", "application");
    this.title = make("figcaption", "map-title");
    this.tools = make("div", "map-tools");
    this.layers = make("div", "map-layers", { hidden: true });
    this.chosen = make("div", "map-selection", { hidden: true });
    this.element.append(
      this.ground,
      this.canvas,
      this.overlay,
      this.title,
      this.tools,
      this.layers,
      this.chosen,
    );
    parent.append(this.element);
    this.#buildTools();
    this.#buildLayers();
    this.#buildPainter();
    this.#label();
    this.context = this.overlay.getContext("2d");
    this.groundContext = this.ground.getContext("2d");
    new ResizeObserver(() => this.#resize()).observe(this.element);
    this.#resize();
  }

  #buildPainter() {
    this.painter = PointsGL.create(this.canvas, this.n) ?? new PointsPlain(this.canvas, this.n);
    this.canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    this.canvas.addEventListener("webglcontextrestored", () => {
      this.painter = PointsGL.create(this.canvas, this.n);
      this.#refill();
    });
    this.#warn();
  }

  #warn() {
    if (this.painter instanceof PointsGL) return;
    const note = document.getElementById("nowebgl");
    const { shown } = this.painter;
    note.textContent =
      shown < this.n ? t("map.nowebgl.many", { shown, n: this.n }) : t("map.nowebgl");
    note.hidden = false;
  }

  #buildTools() {
    const actions = {
      in: ["map.zoom.in", () => this.zoom(1.5)],
      out: ["map.zoom.out", () => this.zoom(1 / 1.5)],
      fit: ["map.fit", () => this.fit()],
      lasso: ["map.lasso", () => this.setLasso(!this.#lassoing)],
      layers: ["map.layers", () => this.#toggleLayers()],
    };
    for (const [name, [word, act]] of Object.entries(actions)) {
      const button = make("button", "icon", { type: "button", onclick: act });
      button.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true">${ICONS[name]}</svg>`;
      Object.assign(button.dataset, { tool: name, tLabel: word, tTitle: word });
      this.tools.append(button);
    }
    this.#tool("lasso").setAttribute("aria-pressed", "false");
    this.#tool("layers").setAttribute("aria-expanded", "false");
  }

  #tool(name) {
    return this.tools.querySelector(`[data-tool="${name}"]`);
  }

  #buildLayers() {
    const { state, info } = this.session;
    for (const name of LAYERS) {
      if (name === "pictures" && info.data.kind !== "pictures") continue;
      const label = make("label", "");
      const box = make("input", "", { type: "checkbox", value: name });
      const word = make("span", "");
      word.dataset.t = `map.layer.${name}`;
      box.onchange = () => {
        const hidden = state.get("hide").filter((other) => other !== name);
        state.set("hide", box.checked ? hidden : [...hidden, name]);
      };
      label.append(box, word);
      this.layers.append(label);
    }
    this.#tickLayers();
  }

  #tickLayers() {
    for (const box of this.layers.querySelectorAll("input")) box.checked = this.#shows(box.value);
  }

  #toggleLayers(open = this.layers.hidden) {
    this.layers.hidden = !open;
    this.#tool("layers").setAttribute("aria-expanded", String(open));
  }

  #shows(layer) {
    return !this.session.state.get("hide").includes(layer);
  }

  #label() {
    const { name, map, latent } = this.info;
    this.axes = map.axes.map((axis) => axisWord(axis, this.info));
    const about = t(`map.kind.${kindOf(this.info)}`, { d: latent, share: percent(map.share ?? 0) });
    const strong = make("b", "", { textContent: name });
    const note = make("span", "", { textContent: about });
    this.title.replaceChildren(...(this.session.info.models.length > 1 ? [strong, note] : [note]));
    this.overlay.setAttribute("aria-label", t("map.label", { name }));
    for (const element of this.element.querySelectorAll("[data-t-label]")) {
      element.setAttribute("aria-label", t(element.dataset.tLabel));
      element.title = t(element.dataset.tTitle);
    }
    for (const element of this.layers.querySelectorAll("[data-t]")) {
      element.textContent = t(element.dataset.t);
    }
    this.#showSelection();
  }

  #resize() {
    const { clientWidth, clientHeight } = this.element;
    if (clientWidth === 0 || clientHeight === 0) return;
    const { camera } = this;
    const closeness = this.#touched ? camera.closeness : 1;
    camera.resize(clientWidth, clientHeight);
    if (this.#touched) camera.scale = camera.wholeScale * closeness;
    else this.#see();
    this.draw();
  }

  /* Data */

  /** Fetch the points, the density and the colours; show everything, or what the address says. */
  async load() {
    const { backend, state } = this.session;
    this.#see();
    await Promise.all([
      this.#loadPoints(state.get("epoch"), false),
      this.#loadColors(),
      this.#loadDensity(),
    ]);
    this.#see();
    this.draw();
  }

  async #loadPoints(epoch, moving) {
    const wanted = ++this.#wanted;
    const learns = this.session.info.learning;
    const answer = await this.session.backend.points(this.model, learns ? epoch : null);
    if (wanted === this.#wanted) this.setPoints(answer.points.data, moving ? MOVE : 0);
  }

  async #loadColors() {
    const { backend, state, info } = this.session;
    const column = chosenColumn(info, this.model, state.get("color"));
    const values =
      column === null
        ? new Float32Array(this.n)
        : (await backend.column(column.name, this.model)).values.data;
    if (column !== chosenColumn(this.session.info, this.model, state.get("color"))) return;
    this.colors = new Coloring(column, values);
    this.#paint();
    this.#look();
  }

  async #loadDensity() {
    const about = this.info.density;
    if (!about) return;
    const { values } = await this.session.backend.density(this.model);
    this.density = { values: values.data, shape: values.shape, ...about };
    this.density.shape = values.shape;
    this.painter.setDensity(this.density);
    this.draw();
  }

  /** Take the model as it is now: after a fit that was watched its map is another one. */
  async renew() {
    this.info = this.session.info.models[this.model];
    this.#label();
    await Promise.all([this.#loadColors(), this.#loadDensity()]);
  }

  /** Show an epoch's points, moving there. */
  showEpoch(epoch) {
    return this.#loadPoints(epoch, true);
  }

  /** Show other points, after a move of so many milliseconds. */
  setPoints(points, duration = 0) {
    const from = this.#now();
    this.points = points;
    this.limits = robustLimits(points);
    this.#grid = null;
    const whole = this.#wholeLimits();
    this.camera.setWhole(whole);
    const moves = duration > 0 && !calm();
    this.painter.setPoints(moves ? from : points, points);
    this.painter.setShare(moves ? 0 : 1);
    this.#move = moves
      ? { from, begun: performance.now(), duration, view: this.#touched ? null : this.#state() }
      : null;
    this.#placeNames();
    if (!moves) this.#see();
    this.#markHover(true);
    this.draw();
  }

  #state() {
    const { x, y, scale } = this.camera;
    return { x, y, scale };
  }

  /** What everything is: as the model's map says, but for a fit that is watched: it grows. */
  #wholeLimits() {
    const { learning } = this.session.info;
    return learning ? this.limits : (this.info.map.limits ?? this.limits);
  }

  /** Where the points are now, also half-way. */
  #now() {
    if (!this.#move) return this.points;
    const share = this.#share(performance.now());
    return this.points.map(
      (value, at) => this.#move.from[at] + share * (value - this.#move.from[at]),
    );
  }

  #share(time) {
    const past = Math.min((time - this.#move.begun) / this.#move.duration, 1);
    return past * past * (3 - 2 * past);
  }

  #paint() {
    this.painter.setColors(this.colors.palette(), this.colors.indices());
    this.#placeNames();
    this.draw();
  }

  /** Say which points are hidden, shown and chosen. */
  #look() {
    const off = new Set(
      classColumn(this.session.info, this.colors.column) ? this.session.state.get("off") : [],
    );
    const selection = this.session.state.get("selection");
    const { values } = this.colors;
    const looks = new Uint8Array(this.n).fill(1);
    if (off.size) values.forEach((value, id) => (looks[id] = off.has(value) ? 0 : 1));
    for (const id of selection ?? []) looks[id] *= 2;
    this.#looks = looks;
    this.painter.setLooks(looks, Boolean(selection?.length));
    this.#placeNames();
    this.draw();
  }

  #refill() {
    this.painter.setPoints(this.points, this.points);
    this.painter.setDensity(this.density ?? null);
    this.#paint();
    this.#look();
  }

  #placeNames() {
    const { column, values } = this.colors;
    this.#names = [];
    if (column?.kind !== "class") return;
    const off = new Set(this.session.state.get("off"));
    const places = centres(this.points, values, column.classes.length, this.limits);
    this.#names = places
      .map((place, index) => ({ ...place, index, text: String(column.classes[index]) }))
      .filter(({ count, index }) => count > 0 && !off.has(index))
      .sort((one, other) => other.count - one.count);
  }

  /* What is seen */

  #see() {
    const view = this.session.state.get(this.viewKey);
    this.camera.setWhole(this.#wholeLimits());
    this.#touched = view !== null;
    if (view) this.camera.fit(view);
    else this.camera.fitWhole();
  }

  /** Show everything. */
  fit() {
    this.session.state.set(this.viewKey, null);
    this.#see();
    this.draw();
  }

  /** Come closer by a factor, around a pixel; around the crosshair or the middle without one. */
  zoom(factor, across, down) {
    if (across === undefined && this.#cross) {
      [across, down] = this.camera.screen(this.#cross.x, this.#cross.y);
    }
    this.camera.zoom(factor, across, down);
    this.#seen();
  }

  /** Move what is seen by pixels. */
  pan(across, down) {
    this.camera.pan(across, down);
    this.#seen();
  }

  #seen() {
    this.#touched = true;
    this.session.state.set(this.viewKey, this.camera.limits());
    this.#stale ??= "view";
    this.#soon();
  }

  #viewChanged(view) {
    if (view === null) return this.#touched ? this.fit() : undefined;
    const now = this.camera.limits();
    const side = now[1] - now[0];
    if (view.every((value, at) => Math.abs(value - now[at]) < side * 1e-3)) return undefined;
    this.#see();
    return this.draw();
  }

  /** The pixel of a place on the map. */
  screen(x, y) {
    return this.camera.screen(x, y);
  }

  /** The place on the map of a pixel. */
  place(across, down) {
    return this.camera.place(across, down);
  }

  /** A row's place on the map. */
  pointOf(id) {
    return [this.points[2 * id], this.points[2 * id + 1]];
  }

  /** The row at a place, if one is within some pixels; null otherwise. */
  sampleAt(x, y, reach = REACH) {
    return this.#points().nearest(x, y, reach / this.camera.scale, (id) => this.#visible(id));
  }

  #visible(id) {
    return (this.#looks?.[id] ?? 1) > 0 && id < this.painter.shown;
  }

  #points() {
    this.#grid ??= new Grid(this.points, extent(this.points));
    return this.#grid;
  }

  /* Marks */

  /**
   * Draw marks over the map, instead of those that the layer had.
   *
   * @param {string} layer Whose marks they are.
   * @param {{kind: string, x?: number, y?: number, label?: string, points?: number[][],
   *   color?: string, dashed?: boolean,
   *   onDrag?: (x: number, y: number, done: boolean) => void}[]} marks
   */
  mark(layer, marks) {
    if (marks.length === 0 && !this.#marks.get(layer)?.length) return;
    this.#marks.set(layer, marks);
    this.drawOver();
  }

  #grabbed(across, down) {
    const marks = [...this.#marks.values()].flat().reverse();
    return (
      marks.find(({ x, y, onDrag }) => {
        if (!onDrag) return false;
        const [left, top] = this.screen(x, y);
        return Math.hypot(left - across, top - down) <= GRAB;
      }) ?? null
    );
  }

  /* Drawing */

  /** Draw all of the map soon: once before the next frame, however often it is asked for. */
  draw() {
    this.#stale = "all";
    this.#soon();
  }

  /** Draw soon what lies over the points; these stay as they are. */
  drawOver() {
    this.#soon();
  }

  #soon() {
    this.#frame ||= requestAnimationFrame((time) => this.#render(time));
  }

  #render(time) {
    this.#frame = 0;
    if (this.#move) this.#advance(time);
    const ratio = Math.min(window.devicePixelRatio || 1, FINEST);
    if (this.#stale === "view" && this.#carries()) this.#carry();
    else if (this.#stale) this.#drawUnder(ratio);
    this.#drawOverlay(ratio);
    this.session.onFrame?.(this, time);
  }

  /** Draw the points, the shade and the grid. */
  #drawUnder(ratio) {
    const { dark } = colours();
    const tint = [
      ...channels(dark ? "#a9c4e6" : "#4a6a94").map((value) => value / 255),
      dark ? 0.05 : 0.065,
    ];
    this.painter.draw(this.camera, {
      ...this.#dots(),
      ratio,
      tint: this.#shadeFits() ? tint : null,
    });
    this.#cleared(this.groundContext, ratio);
    if (this.#shows("grid")) drawGrid(this.groundContext, this.camera);
    this.#stale = null;
    this.#drawn = this.#state();
    clearTimeout(this.#rest);
    for (const canvas of [this.ground, this.canvas]) canvas.style.transform = "";
  }

  /**
   * Whether what was drawn is moved and scaled as a picture until the view rests: where drawing
   * takes longer than a frame, and not too far from where it was drawn.
   */
  #carries() {
    if (this.painter.cost < SLOW || this.#drawn === null || this.#move) return false;
    const { camera } = this;
    const scale = camera.scale / this.#drawn.scale;
    const across = Math.abs(camera.x - this.#drawn.x) * camera.scale;
    const up = Math.abs(camera.y - this.#drawn.y) * camera.scale;
    return (
      scale < FAR.closer &&
      scale > FAR.farther &&
      across < FAR.moved * camera.width &&
      up < FAR.moved * camera.height
    );
  }

  #carry() {
    const { camera } = this;
    const { x, y, scale } = this.#drawn;
    const share = camera.scale / scale;
    const right = (camera.width / 2) * (1 - share) + (x - camera.x) * camera.scale;
    const down = (camera.height / 2) * (1 - share) - (y - camera.y) * camera.scale;
    for (const canvas of [this.ground, this.canvas]) {
      canvas.style.transform = `translate(${right}px, ${down}px) scale(${share})`;
    }
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.draw(), REST);
  }

  /** Whether a shade is wanted, and the points are those of the model whose density it is. */
  #shadeFits() {
    const { info, state } = this.session;
    const last = !info.learning || (info.learning.done && state.get("epoch") === null);
    return last && this.#shows("shade") && !this.#move;
  }

  #advance(time) {
    const { view, begun, duration } = this.#move;
    const share = this.#share(time);
    this.painter.setShare(share);
    if (view) {
      this.camera.fitWhole();
      const end = this.#state();
      this.camera.x = view.x + share * (end.x - view.x);
      this.camera.y = view.y + share * (end.y - view.y);
      this.camera.scale = view.scale * (end.scale / view.scale) ** share;
    }
    if (time - begun >= duration) this.#move = null;
    this.draw();
  }

  /** Points are as large as leaves room between them, and grow a little as one comes closer. */
  #dots() {
    const { width, height, closeness } = this.camera;
    const room = Math.sqrt((width * height) / Math.max(this.painter.shown, 1));
    const size =
      Math.min(Math.max(0.62 * room, 2.4), 8) * Math.min(Math.max(closeness, 1) ** 0.35, 3);
    return { size: Math.min(size, 13), alpha: this.n > 40000 && closeness < 3 ? 0.55 : 0.78 };
  }

  /** Bring a canvas to the map's size, with nothing on it. */
  #cleared(context, ratio) {
    const { canvas } = context;
    const { camera } = this;
    const [width, height] = [camera.width * ratio, camera.height * ratio].map(Math.round);
    if (canvas.width !== width || canvas.height !== height)
      Object.assign(canvas, { width, height });
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, camera.width, camera.height);
  }

  #drawOverlay(ratio) {
    const { context, camera } = this;
    this.#cleared(context, ratio);
    if (this.thumbnails && this.#shows("pictures") && !this.#move) this.#drawPictures();
    if (this.#shows("grid")) drawAxes(context, camera, this.axes);
    if (this.#shows("names") && !this.#move) {
      drawNames(
        context,
        camera,
        this.#names.map((name) => ({ ...name, color: classColour(name.index) })),
        Math.max(Math.floor((camera.width * camera.height) / ROOM_OF_NAME), 8),
      );
    }
    drawMarks(context, camera, [...this.#marks.values()].flat());
    if (this.#cross && this.hasFocus()) drawCrosshair(context, camera, this.#cross);
    if (this.#lasso) drawLasso(context, this.#lasso);
  }

  #drawPictures() {
    const shown = (id) => this.#visible(id);
    const ids = choose(this.#points(), this.camera, shown, this.thumbnails);
    if (ids.length === 0) return;
    const { ink } = this.session.info.data;
    const palette = this.colors
      .palette()
      .map(hex)
      .map((color) => (ink ? blend(color, colours().ink, 0.3) : color));
    const indices = this.colors.indices();
    drawThumbnails(
      this.context,
      this.camera,
      this.points,
      ids,
      this.thumbnails,
      (id) => palette[indices[id]],
      ink,
    );
  }

  /* What mouse, touch and keys do */

  #listen() {
    const { state } = this.session;
    const failed = (error) => this.session.trouble(error);
    state.on("color", () => this.#loadColors().catch(failed));
    state.on(["off", "selection"], () => this.#look());
    state.on("selection", () => this.#showSelection());
    state.on("hide", () => this.#tickLayers() ?? this.draw());
    state.on(this.viewKey, (view) => this.#viewChanged(view));
    state.on("epoch", (epoch) => this.showEpoch(epoch).catch(failed));
    state.on("hover", () => this.#markHover());
    state.on("sample", () => this.#markHover());
    state.on("lang", () => this.#label() ?? this.draw());
    state.on("escape", () => this.#escape());
    onTheme(() => {
      this.#markHover(true);
      this.#paint();
    });
    this.overlay.addEventListener("focus", () => {
      state.set("model", this.model);
      this.drawOver();
    });
    this.overlay.addEventListener("blur", () => this.drawOver());
    this.pointer = new Pointer(this.overlay, {
      hover: (x, y, by) => this.#hover(...this.place(x, y), by),
      leave: () => state.set("hover", null),
      click: (x, y) => this.#click(...this.place(x, y)),
      pan: (x, y) => this.pan(x, y),
      zoom: (factor, x, y) => this.zoom(factor, x, y),
      lasso: (polygon, done) => this.#drawnLasso(polygon, done),
      lassoing: () => this.#lassoing,
      grab: (x, y) => this.#grabbed(x, y),
      drag: (mark, x, y, done) => mark.onDrag(...this.place(x, y), done),
    });
  }

  #hover(x, y, by) {
    if (by !== "keys") this.#cross = null;
    const id = this.sampleAt(x, y, by === "touch" ? REACH_TOUCH : REACH);
    this.session.state.set("hover", { model: this.model, x, y, id, by });
  }

  #click(x, y) {
    const { state } = this.session;
    const id = this.sampleAt(x, y);
    state.set("model", this.model);
    if (id !== null) state.set("sample", id);
    state.set("click", { model: this.model, x, y, id });
  }

  /** Mark the sample under the pointer and the chosen one, if these are others than before. */
  #markHover(anew = false) {
    const { state } = this.session;
    const hover = state.get("hover");
    const sample = state.get("sample");
    const place = hover?.by === "touch" ? [hover.model, hover.x, hover.y] : null;
    const marked = JSON.stringify([sample, hover?.id ?? null, place]);
    if (!anew && marked === this.#marked) return;
    this.#marked = marked;
    const marks = [];
    const ring = (id, parts) => {
      const [x, y] = this.pointOf(id);
      marks.push({ kind: "ring", x, y, ...parts });
    };
    if (sample !== null && sample < this.n) ring(sample, { color: colours().ink });
    if (hover && hover.id !== null) ring(hover.id, {});
    if (hover && hover.model === this.model && hover.by === "touch") {
      marks.push({ kind: "cross", x: hover.x, y: hover.y });
    }
    this.mark("hover", marks);
  }

  /** Turn the lasso on or off; off with three corners or more set by keys, these are the lasso. */
  setLasso(on) {
    this.#lassoing = on;
    this.#tool("lasso").setAttribute("aria-pressed", String(on));
    if (!on && this.#lasso) this.#drawnLasso(this.#lasso, true);
  }

  #drawnLasso(polygon, done) {
    this.#lasso = done ? null : polygon;
    this.drawOver();
    if (!done || !polygon || polygon.length < 3) return;
    const corners = polygon.map(([across, down]) => this.place(across, down));
    const [xs, ys] = [0, 1].map((axis) => corners.map((corner) => corner[axis]));
    const limits = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const ids = [];
    this.#points().within(limits, (id, x, y) => {
      if (this.#visible(id) && inside(corners, x, y)) ids.push(id);
    });
    this.session.state.set("model", this.model);
    this.session.state.set("selection", ids.length ? Uint32Array.from(ids).sort() : null);
  }

  #showSelection() {
    const { state } = this.session;
    const n = state.get("selection")?.length ?? 0;
    this.chosen.hidden = n === 0;
    const text = make("span", "", { textContent: t("map.selected", { n }) });
    const clear = make("button", "button quiet", {
      type: "button",
      textContent: t("map.unselect"),
      onclick: () => state.set("selection", null),
    });
    this.chosen.replaceChildren(text, clear);
  }

  #escape() {
    this.#lasso = null;
    this.#cross = null;
    this.#toggleLayers(false);
    if (this.#lassoing) this.setLasso(false);
    this.session.state.set("selection", null);
    this.session.state.set("hover", null);
    this.drawOver();
  }

  /** Whether keys go to this map. */
  hasFocus() {
    return document.activeElement === this.overlay;
  }

  /** Send keys to this map. */
  focus() {
    this.overlay.focus();
  }

  /** Do what a key means on a map; true if it means anything. */
  key(event) {
    const fine = event.altKey ? 1 : event.shiftKey ? 4 * STEP : STEP;
    const moves = {
      ArrowLeft: [-fine, 0],
      ArrowRight: [fine, 0],
      ArrowUp: [0, -fine],
      ArrowDown: [0, fine],
    };
    if (event.key in moves && this.hasFocus()) this.#moveCross(...moves[event.key]);
    else if (event.key === "Enter" && this.hasFocus()) this.#enter();
    else if (event.key === "+" || event.key === "=") this.zoom(1.25);
    else if (event.key === "-" || event.key === "_") this.zoom(1 / 1.25);
    else if (event.key === "0") this.fit();
    else if (event.key === "l" || event.key === "L") this.setLasso(!this.#lassoing);
    else return false;
    event.preventDefault();
    return true;
  }

  #moveCross(across, down) {
    const { camera } = this;
    const [x, y] = this.#cross
      ? this.screen(this.#cross.x, this.#cross.y)
      : [camera.width / 2, camera.height / 2];
    const clamp = (value, most) => Math.min(Math.max(value, 24), most - 24);
    const [left, top] = [clamp(x + across, camera.width), clamp(y + down, camera.height)];
    if (left !== x + across || top !== y + down) this.pan(left - x - across, top - y - down);
    const [px, py] = this.place(left, top);
    this.#cross = { x: px, y: py };
    this.#hover(px, py, "keys");
    this.drawOver();
  }

  #enter() {
    if (!this.#cross) this.#moveCross(0, 0);
    const corner = this.screen(this.#cross.x, this.#cross.y);
    if (this.#lassoing) this.#drawnLasso([...(this.#lasso ?? []), corner], false);
    else this.#click(this.#cross.x, this.#cross.y);
  }
}
