/** A canvas of the model's picture size: pencil, eraser, colour, files; mouse, touch and keys. */
import { Pixels, borderColour, channelsOf, hexOf } from "./canvas.js";
import { button, element, freshId, slider } from "./controls.js";
import { draw } from "./sample.js";
import { onTheme } from "./theme.js";
import { number } from "./words.js";

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const SIDE = 196;
const TRIED = 16;

export class Pad {
  /**
   * @param {object} panel the drawing panel: its words, rows and session
   * @param {{changed: (pixels: Uint8Array) => void, chosen: (file: Blob) => void}} handlers
   */
  constructor(panel, handlers) {
    this.panel = panel;
    this.handlers = handlers;
    this.tool = "pencil";
    const [height, width] = panel.data.shape;
    this.thickness = Math.max(1, Math.round(Math.min(width, height) / 14));
    this.pixels = panel.kept ?? null;
    this.cursor = [width / 2, height / 2];
    this.build(width, height);
  }

  t(key, values) {
    return this.panel.t(key, values);
  }

  build(width, height) {
    this.canvas = element("canvas.pad", { tabIndex: 0, role: "application" });
    this.canvas.setAttribute("aria-label", this.t("draw.canvas", { width, height }));
    this.pointer = element("span.pad-cursor", { hidden: true });
    const scale = Math.max(1, Math.floor(SIDE / Math.max(width, height)));
    this.shown = { width: width * scale, height: height * scale };
    if (Math.max(width, height) > SIDE) {
      const fit = SIDE / Math.max(width, height);
      this.shown = { width: width * fit, height: height * fit };
    }
    this.sheet = element("div.sheet", {}, this.canvas, this.pointer);
    this.element = this.sheet;
    this.tools = [this.pens(), this.files()];
    this.listen();
    onTheme(() => this.pixels && this.redraw());
  }

  pens() {
    this.pencil = button(this.t("draw.pencil"), () => this.choose("pencil"));
    this.eraser = button(this.t("draw.eraser"), () => this.choose("eraser"));
    const most = Math.max(4, Math.round(Math.min(...this.panel.data.shape.slice(0, 2)) / 4));
    const width = slider({
      label: this.t("draw.thickness"),
      low: 1,
      high: most,
      step: 0.5,
      value: this.thickness,
      words: number,
      oninput: (value) => {
        this.thickness = value;
      },
    });
    const clear = button(this.t("draw.clear"), () => this.change(() => this.pixels.clear()));
    const invert = button(this.t("draw.invert"), () =>
      this.change(() => {
        this.pixels.invert();
        this.ink.value = hexOf(channelsOf(this.ink.value, 3).map((value) => 255 - value));
      }),
    );
    const id = freshId("ink");
    this.ink = element("input.ink", { type: "color", id });
    const colour = element(
      "span.row",
      {},
      element("label", { htmlFor: id }, this.t("draw.colour")),
      this.ink,
    );
    colour.hidden = this.panel.data.channels < 3;
    this.choose("pencil");
    return element(
      "div.stack",
      {},
      element("div.row", {}, this.pencil, this.eraser, colour, clear, invert),
      width.element,
    );
  }

  files() {
    const input = element("input", {
      type: "file",
      accept: "image/*",
      hidden: true,
      onchange: () => {
        if (input.files[0]) this.handlers.chosen(input.files[0]);
        input.value = "";
      },
    });
    this.fromSample = button("", () => this.panel.startFromSample());
    const open = button(this.t("draw.file"), () => input.click());
    return element("div.row", {}, open, this.fromSample, input);
  }

  choose(tool) {
    this.tool = tool;
    this.pencil.setAttribute("aria-pressed", String(tool === "pencil"));
    this.eraser.setAttribute("aria-pressed", String(tool === "eraser"));
  }

  /** An empty sheet in the polarity of the data: its background is what their borders share. */
  async start() {
    if (this.pixels) {
      this.ink.value = hexOf(this.pixels.background.map((value) => 255 - value));
      this.redraw();
      return;
    }
    const [height, width] = this.panel.data.shape;
    const count = Math.min(TRIED, this.panel.session.info.n);
    const rows = await this.panel.rows.many(
      this.panel.model,
      Array.from({ length: count }, (_, i) => i),
    );
    const border = borderColour(rows.map((row) => row.original));
    const grey = border.reduce((sum, value) => sum + value, 0) / border.length;
    const background = border.map((value) => (value < 16 ? 0 : value > 239 ? 255 : value));
    this.pixels = new Pixels(width, height, border.length, background);
    this.ink.value = grey < 128 ? "#ffffff" : "#000000";
    this.redraw();
  }

  colour() {
    if (this.tool === "eraser") return this.pixels.background;
    return channelsOf(this.ink.value, this.pixels.channels);
  }

  /** The eraser reaches over the soft edge that a pencil of the same thickness leaves. */
  reach() {
    return this.tool === "eraser" ? this.thickness + 2 : this.thickness;
  }

  change(act) {
    if (!this.pixels) return;
    act();
    this.redraw();
    this.handlers.changed(this.pixels.pixels);
  }

  /** Show a picture of the model's size, to go on drawing on it. */
  take(pixels) {
    this.pixels?.take(pixels);
    this.redraw();
  }

  redraw() {
    draw(
      this.canvas,
      { kind: "picture", ...this.pixelsOf(), ink: this.panel.data.ink },
      { data: this.panel.data, ...this.shown },
    );
  }

  pixelsOf() {
    const { width, height, channels, pixels } = this.pixels;
    return { width, height, channels, pixels };
  }

  /* Mouse, pen, fingers */

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, () => {
        this.last = null;
      });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => this.showCursor(canvas.matches(":focus-visible")));
    canvas.addEventListener("blur", () => this.showCursor(false));
    this.sheet.addEventListener("dragover", (event) => event.preventDefault());
    this.sheet.addEventListener("drop", (event) => {
      event.preventDefault();
      const [file] = event.dataTransfer.files;
      if (file) this.handlers.chosen(file);
    });
  }

  placeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) / box.width) * this.pixels.width,
      ((event.clientY - box.top) / box.height) * this.pixels.height,
    ];
  }

  down(event) {
    if (!this.pixels || event.button > 0) return;
    event.preventDefault();
    this.canvas.focus({ focusVisible: false });
    this.canvas.setPointerCapture(event.pointerId);
    this.last = this.placeOf(event);
    this.strokeTo(this.last);
  }

  move(event) {
    if (!this.last) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.strokeTo(this.placeOf(each));
  }

  strokeTo(place) {
    this.change(() => this.pixels.stroke(this.last ?? place, place, this.reach(), this.colour()));
    if (this.last) this.last = place;
  }

  /* Keys: arrows move, with the space bar or shift held they draw */

  key(event) {
    const way = MOVES[event.key];
    if (!this.pixels || (!way && !["Enter", " ", "e", "p"].includes(event.key))) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.key === "e") return this.choose("eraser");
    if (event.key === "p") return this.choose("pencil");
    const from = this.cursor;
    if (way) this.cursor = this.within([from[0] + way[0], from[1] + way[1]]);
    this.showCursor(true);
    if (way && !event.shiftKey) return undefined;
    return this.change(() => this.pixels.stroke(from, this.cursor, this.reach(), this.colour()));
  }

  within([x, y]) {
    return [
      Math.min(Math.max(x, 0.5), this.pixels.width - 0.5),
      Math.min(Math.max(y, 0.5), this.pixels.height - 0.5),
    ];
  }

  showCursor(visible) {
    this.pointer.hidden = !visible || !this.pixels;
    if (this.pointer.hidden) return;
    this.pointer.style.left = `${(this.cursor[0] / this.pixels.width) * 100}%`;
    this.pointer.style.top = `${(this.cursor[1] / this.pixels.height) * 100}%`;
  }
}
