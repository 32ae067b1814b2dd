/** Mouse, touch and pen on a map, told as what they mean. */

const STILL = 4;
const STILL_TOUCH = 9;
const LONG = 500;

/**
 * @typedef {object} Meaning What a map does; places are pixels of its canvas.
 * @property {(x: number, y: number, by: string) => void} hover
 * @property {() => void} leave
 * @property {(x: number, y: number) => void} click
 * @property {(dx: number, dy: number) => void} pan
 * @property {(factor: number, x: number, y: number) => void} zoom
 * @property {(polygon: number[][]|null, done: boolean) => void} lasso
 * @property {() => boolean} lassoing Whether a drag draws a lasso.
 * @property {(x: number, y: number) => any} grab The mark at a place that can be dragged, or null.
 * @property {(mark: any, x: number, y: number, done: boolean) => void} drag
 */

export class Pointer {
  #down = new Map();
  #begun = null;
  #long = 0;

  /** @param {HTMLElement} element @param {Meaning} meaning */
  constructor(element, meaning) {
    Object.assign(this, { element, meaning });
    const listen = (name, listener, options) => element.addEventListener(name, listener, options);
    listen("pointerdown", (event) => this.#press(event));
    listen("pointermove", (event) => this.#move(event));
    listen("pointerup", (event) => this.#release(event));
    listen("pointercancel", (event) => this.#cancel(event));
    listen(
      "pointerleave",
      (event) => event.pointerType === "mouse" && !this.#begun && meaning.leave(),
    );
    listen("wheel", (event) => this.#wheel(event), { passive: false });
    listen("contextmenu", (event) => event.preventDefault());
  }

  #at(event) {
    const box = this.element.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  #press(event) {
    if (event.button !== 0) return;
    const [x, y] = this.#at(event);
    this.element.setPointerCapture(event.pointerId);
    this.#down.set(event.pointerId, [x, y]);
    clearTimeout(this.#long);
    if (this.#down.size > 1) {
      if (this.#begun?.kind === "lasso") this.meaning.lasso(null, true);
      this.#begun = { kind: "pinch" };
      return;
    }
    const mark = this.meaning.grab(x, y);
    const lasso = this.meaning.lassoing() || event.shiftKey;
    const kind = mark ? "mark" : lasso ? "lasso" : "press";
    this.#begun = { kind, mark, x, y, moved: false, polygon: [[x, y]] };
    if (event.pointerType !== "mouse" && kind === "press") {
      this.#long = setTimeout(() => this.#pressedLong(x, y), LONG);
    }
  }

  #pressedLong(x, y) {
    this.#begun = { kind: "held" };
    this.meaning.hover(x, y, "touch");
    this.meaning.click(x, y);
  }

  #move(event) {
    const [x, y] = this.#at(event);
    const before = this.#down.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") this.#over(x, y);
      return;
    }
    if (this.#begun?.kind === "pinch") this.#pinch(event.pointerId, [x, y]);
    else this.#drag(x, y, before, event.pointerType);
    this.#down.set(event.pointerId, [x, y]);
  }

  #over(x, y) {
    this.element.dataset.grab = this.meaning.grab(x, y) ? "mark" : "";
    this.meaning.hover(x, y, "mouse");
  }

  #drag(x, y, before, type) {
    const begun = this.#begun;
    if (!begun || begun.kind === "held") return;
    const still = type === "mouse" ? STILL : STILL_TOUCH;
    if (!begun.moved && Math.hypot(x - begun.x, y - begun.y) < still) return;
    if (!begun.moved) {
      begun.moved = true;
      clearTimeout(this.#long);
      if (begun.kind === "press") this.element.dataset.grab = "moving";
      if (begun.kind === "press") before = [begun.x, begun.y];
    }
    if (begun.kind === "mark") this.meaning.drag(begun.mark, x, y, false);
    else if (begun.kind === "lasso") {
      begun.polygon.push([x, y]);
      this.meaning.lasso(begun.polygon, false);
    } else this.meaning.pan(x - before[0], y - before[1]);
  }

  #pinch(id, now) {
    const other = [...this.#down].find(([key]) => key !== id)?.[1];
    const before = this.#down.get(id);
    if (!other) return;
    const distance = (one) => Math.max(Math.hypot(one[0] - other[0], one[1] - other[1]), 1);
    const middle = [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2];
    this.meaning.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    this.meaning.zoom(distance(now) / distance(before), ...middle);
  }

  #release(event) {
    if (!this.#down.has(event.pointerId)) return;
    const [x, y] = this.#at(event);
    this.#end(event.pointerId);
    const begun = this.#begun;
    if (!begun || this.#down.size > 0) return;
    this.#begun = null;
    if (begun.kind === "mark") this.meaning.drag(begun.mark, x, y, true);
    else if (begun.kind === "lasso") this.meaning.lasso(begun.moved ? begun.polygon : null, true);
    else if (begun.kind === "press" && !begun.moved) this.#pressed(x, y, event.pointerType);
  }

  #pressed(x, y, type) {
    this.meaning.hover(x, y, type === "mouse" ? "mouse" : "touch");
    if (type === "mouse") this.meaning.click(x, y);
  }

  #cancel(event) {
    this.#end(event.pointerId);
    if (this.#begun?.kind === "lasso") this.meaning.lasso(null, true);
    this.#begun = null;
  }

  #end(id) {
    this.#down.delete(id);
    clearTimeout(this.#long);
    this.element.dataset.grab = "";
  }

  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * [1, 16, 400][event.deltaMode];
    const speed = event.ctrlKey ? 0.01 : 0.0016;
    this.meaning.zoom(Math.exp(-Math.max(Math.min(pixels, 300), -300) * speed), ...this.#at(event));
  }
}
