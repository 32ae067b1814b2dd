/** Samples in a line, small, in one canvas; a click on one picks it. */
import { element } from "./controls.js";
import { aspect, paint } from "./sample.js";
import { colours, onTheme } from "./theme.js";

const GAP = 3;
const MARK = 2;

export class Strip {
  /**
   * @param {object} session
   * @param {{tallest?: number, onpick?: (index: number) => void}} options
   */
  constructor(session, { tallest = 56, onpick = null } = {}) {
    this.session = session;
    this.tallest = tallest;
    this.samples = [];
    this.current = -1;
    this.canvas = element("canvas.strip", { role: "img" });
    if (onpick) {
      this.canvas.classList.add("picks");
      this.canvas.addEventListener("click", (event) => {
        if (this.samples.length) onpick(this.indexAt(event.offsetX));
      });
    }
    this.offTheme = onTheme(() => this.redraw());
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.canvas);
  }

  indexAt(x) {
    const index = Math.floor((x / this.canvas.clientWidth) * this.samples.length);
    return Math.min(Math.max(index, 0), this.samples.length - 1);
  }

  /** Show samples; `current` is framed, `label` says what they are. */
  show(samples, { label = "", current = -1 } = {}) {
    this.samples = samples;
    this.current = current;
    this.canvas.setAttribute("aria-label", label);
    this.redraw();
  }

  /** Frame another of the samples. */
  mark(current) {
    if (current === this.current) return;
    this.current = current;
    this.redraw();
  }

  end() {
    this.offTheme();
    this.observer.disconnect();
  }

  resized() {
    if (this.canvas.clientWidth !== this.width) this.redraw();
  }

  redraw() {
    const { canvas, samples, session } = this;
    this.width = canvas.clientWidth;
    if (!samples.length || !this.width) return;
    const step = (this.width + GAP) / samples.length;
    const cell = step - GAP;
    const tall =
      Math.min(this.tallest, (cell - 2 * MARK) / aspect(samples[0], session.info.data)) + 2 * MARK;
    const scale = globalThis.devicePixelRatio || 1;
    canvas.width = Math.round(this.width * scale);
    canvas.height = Math.round(tall * scale);
    canvas.style.height = `${tall}px`;
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    samples.forEach((sample, i) => {
      const box = {
        left: i * step + MARK,
        top: MARK,
        width: cell - 2 * MARK,
        height: tall - 2 * MARK,
      };
      paint(context, box, sample, { data: session.info.data, names: false });
      if (i !== this.current) return;
      context.strokeStyle = colours().accent;
      context.lineWidth = MARK;
      const inner = sample.kind === "picture" ? fitted(box, aspect(sample)) : box;
      const { left, top, width, height } = inner;
      context.strokeRect(left - MARK / 2, top - MARK / 2, width + MARK, height + MARK);
    });
  }
}

/** The part of a box that something of a certain aspect fills. */
function fitted({ left, top, width, height }, ratio) {
  const [w, h] = [Math.min(width, height * ratio), Math.min(height, width / ratio)];
  return { left: left + (width - w) / 2, top: top + (height - h) / 2, width: w, height: h };
}
