/** A row's columns, a series and a text, changed by hand. */
import { button, choice, element, slider } from "./controls.js";
import { FIRST_COLUMNS, draw, laneLimits } from "./sample.js";
import { onTheme } from "./theme.js";
import { number } from "./words.js";

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

function sampleButton(panel) {
  return button("", () => panel.startFromSample());
}

/** Values of the first sample, or of the chosen one: what an editor starts with. */
async function firstValues(panel) {
  const id = panel.state.get("sample") ?? 0;
  const { original } = await panel.rows.one(panel.model, id);
  return original.values ?? original.text;
}

/** A slider and a number for each column of a row. */
export class RowEditor {
  constructor(panel, changed) {
    this.panel = panel;
    this.changed = changed;
    this.fromSample = sampleButton(panel);
    this.list = element("ol.columns");
    this.more = button("", () => this.addRest(), { className: "button quiet" });
    this.find = element("input.field.small", {
      type: "search",
      placeholder: panel.t("draw.find"),
      oninput: () => this.filter(),
      hidden: panel.data.shape[0] <= FIRST_COLUMNS,
    });
    this.find.setAttribute("aria-label", panel.t("draw.find"));
    this.element = element(
      "div.stack",
      {},
      element("div.row", {}, this.fromSample, this.find),
      this.list,
      this.more,
    );
    this.controls = [];
  }

  async start() {
    this.take(this.panel.keptValues ?? (await firstValues(this.panel)));
  }

  take(values) {
    this.values = Array.from(values);
    this.panel.keptValues = this.values;
    if (!this.controls.length) this.add(FIRST_COLUMNS);
    this.controls.forEach((control, i) => this.put(control, i));
  }

  body() {
    return { values: this.values.map((value) => (Number.isNaN(value) ? null : value)) };
  }

  add(until) {
    for (let i = this.controls.length; i < Math.min(until, this.values.length); i += 1)
      this.addColumn(i);
    const left = this.values.length - this.controls.length;
    this.more.hidden = left <= 0;
    this.more.textContent = this.panel.t("draw.columns", { n: left });
  }

  addRest() {
    this.add(this.values.length);
  }

  addColumn(i) {
    const control = this.panel.data.levels?.[i] ? this.levelChoice(i) : this.numberSlider(i);
    this.put(control, i);
    this.controls.push(control);
    this.list.append(element("li", {}, control.element));
  }

  numberSlider(i) {
    const { features, low, high } = this.panel.data;
    return slider({
      label: features?.[i] ?? String(i),
      low: low?.[i] ?? 0,
      high: high?.[i] ?? 1,
      value: this.values[i],
      words: number,
      oninput: (value) => this.set(i, value),
    });
  }

  /** A column of text is chosen among its texts. */
  levelChoice(i) {
    const { features, levels } = this.panel.data;
    const options = levels[i].map((word, at) => [String(at), word]);
    const made = choice(features?.[i] ?? String(i), options, "", (value) =>
      this.set(i, Number(value)),
    );
    return {
      ...made,
      choose: (value) => {
        made.select.value = String(value);
      },
    };
  }

  /** A value beyond the usual limits of its column widens the slider. */
  put(control, i) {
    const value = this.values[i];
    if (control.choose) {
      control.choose(value);
      return;
    }
    if (Number.isNaN(value)) {
      control.output.textContent = this.panel.t("draw.missing");
      return;
    }
    control.input.min = Math.min(Number(control.input.min), value);
    control.input.max = Math.max(Number(control.input.max), value);
    control.set(value);
  }

  set(i, value) {
    this.values[i] = value;
    this.changed(this.body());
  }

  filter() {
    this.addRest();
    const sought = this.find.value.trim().toLowerCase();
    this.controls.forEach((control, i) => {
      const name = String(this.panel.data.features?.[i] ?? i).toLowerCase();
      control.element.parentNode.hidden = !name.includes(sought);
    });
  }
}

/** A series that is drawn anew with the pointer, or moved step by step with the arrows. */
export class SeriesPad {
  constructor(panel, changed) {
    this.panel = panel;
    this.changed = changed;
    this.lane = 0;
    this.step = 0;
    this.fromSample = sampleButton(panel);
    this.canvas = element("canvas.pad.series", { tabIndex: 0, role: "application" });
    this.canvas.setAttribute("aria-label", panel.t("draw.series"));
    this.readout = element("p.readout", { role: "status" });
    const channels = panel.data.channels ?? panel.data.shape[1] ?? 1;
    const names = Array.from({ length: channels }, (_, c) => [
      String(c),
      panel.data.features?.[c] ?? String(c),
    ]);
    const lanes =
      channels > 1
        ? choice(panel.t("draw.channel"), names, "0", (value) => {
            this.lane = Number(value);
            this.redraw();
          }).element
        : null;
    this.element = element(
      "div.stack",
      {},
      this.canvas,
      this.readout,
      element("div.row", {}, this.fromSample, lanes),
    );
    this.listen();
    onTheme(() => this.sample && this.redraw());
  }

  async start() {
    this.take(this.panel.keptValues ?? (await firstValues(this.panel)));
  }

  /** Steps behind the end of a shorter series are left out. */
  take(values) {
    const channels = this.panel.data.channels ?? this.panel.data.shape[1] ?? 1;
    let end = values.length;
    while (end > channels && Number.isNaN(values[end - 1])) end -= 1;
    end = Math.ceil(end / channels) * channels;
    const kept = Float32Array.from(values.slice(0, end));
    this.panel.keptValues = kept;
    this.sample = { kind: "sequence", length: end / channels, channels, values: kept };
    this.redraw();
  }

  /** One channel alone, which fills the sheet. */
  lone() {
    const { length, channels, values } = this.sample;
    const lane = Float32Array.from({ length }, (_, i) => values[i * channels + this.lane]);
    return { kind: "sequence", length, channels: 1, values: lane };
  }

  /** Limits of the channel, with room above and below; they stay while one draws. */
  limits() {
    const { low, high } = this.panel.data;
    const whole = { low: [low?.[this.lane] ?? 0], high: [high?.[this.lane] ?? 1] };
    return laneLimits(whole, this.lone(), null, 0);
  }

  body() {
    const { length, channels, values } = this.sample;
    if (channels === 1) return { values: Array.from(values) };
    const steps = Array.from({ length }, (_, i) =>
      Array.from(values.slice(i * channels, (i + 1) * channels)),
    );
    return { values: steps };
  }

  redraw() {
    const [low, high] = this.limits();
    const width = Math.max(120, Math.min(this.element.clientWidth || 320, 520));
    draw(this.canvas, this.lone(), {
      data: { low: [low], high: [high] },
      width,
      height: 150,
      current: this.step,
    });
  }

  listen() {
    const { canvas } = this;
    new ResizeObserver(() => {
      if (this.sample && this.element.clientWidth !== this.width) {
        this.width = this.element.clientWidth;
        this.redraw();
      }
    }).observe(this.element);
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.sample) return;
      canvas.setPointerCapture(event.pointerId);
      this.range = this.limits();
      this.last = null;
      this.drawTo(event);
    });
    canvas.addEventListener("pointermove", (event) => this.range && this.drawTo(event));
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, () => {
        this.range = null;
      });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  drawTo(event) {
    const { length } = this.sample;
    const box = this.canvas.getBoundingClientRect();
    const part = Math.min(Math.max((event.clientX - box.left - 2) / (box.width - 4), 0), 1);
    const up = 1 - Math.min(Math.max((event.clientY - box.top - 3) / (box.height - 6), 0), 1);
    const step = Math.round(part * (length - 1));
    const value = this.range[0] + up * (this.range[1] - this.range[0]);
    const [from, start] = this.last ?? [step, value];
    for (let at = Math.min(from, step); at <= Math.max(from, step); at += 1) {
      const share = from === step ? 1 : (at - from) / (step - from);
      this.put(at, start + (value - start) * share);
    }
    this.last = [step, value];
    this.step = step;
    this.tell();
  }

  put(step, value) {
    this.sample.values[step * this.sample.channels + this.lane] = value;
  }

  key(event) {
    const way = MOVES[event.key];
    if (!way || !this.sample) return;
    event.preventDefault();
    event.stopPropagation();
    this.step = Math.min(Math.max(this.step + way[0], 0), this.sample.length - 1);
    const [low, high] = this.limits();
    const now = this.sample.values[this.step * this.sample.channels + this.lane];
    if (way[1]) this.put(this.step, now + way[1] * (high - low) * 0.02);
    this.tell(Boolean(way[1]));
  }

  tell(changed = true) {
    const value = this.sample.values[this.step * this.sample.channels + this.lane];
    this.readout.textContent = this.panel.t("sample.value", {
      name: this.panel.t("sample.step", { step: this.step }),
      value,
    });
    this.redraw();
    if (changed) this.changed(this.body());
  }
}

/** A text. */
export class TextEditor {
  constructor(panel, changed) {
    this.panel = panel;
    this.fromSample = sampleButton(panel);
    this.area = element("textarea.field", { rows: 3, oninput: () => changed(this.body()) });
    this.area.setAttribute("aria-label", panel.t("draw.text"));
    this.area.value = panel.keptText ?? "";
    this.element = element("div.stack", {}, this.area, element("div.row", {}, this.fromSample));
  }

  take(text) {
    this.area.value = text;
  }

  body() {
    this.panel.keptText = this.area.value;
    return { text: this.area.value };
  }
}
