/** What all panels share: they are built anew in another language, and draw only while seen. */
import "./words-panels.js";
import { element, status } from "./controls.js";
import { samplesOf } from "./samples.js";

export class Panel {
  /** Whether the panel decodes codes, which some models cannot do without their input. */
  static decodes = false;

  /**
   * @param {object} session `{backend, info, state, t, maps}`
   * @param {HTMLElement} root which the panel fills
   */
  constructor(session, root) {
    this.session = session;
    this.root = root;
    this.rows = samplesOf(session);
    this.seen = false;
    this.ends = [];
    session.state.on(["lang", "info"], () => this.rebuild());
    this.when("learned", () => this.learned());
    session.state.on("model", () => this.built !== this.able && this.rebuild());
  }

  get state() {
    return this.session.state;
  }

  get data() {
    return this.session.info.data;
  }

  /** Whether two samples stand side by side; rows and series are drawn into each other. */
  get sideBySide() {
    return this.data.kind === "pictures" || Boolean(this.data.texts);
  }

  /** Number of the active model, and what is known of it. */
  get model() {
    const model = this.state.get("model") ?? 0;
    return model < this.session.info.models.length ? model : 0;
  }

  get about() {
    return this.session.info.models[this.model];
  }

  t(key, values) {
    return this.session.t(key, values);
  }

  /** A column's name; the names that the explorer gives itself are in the language of the page. */
  columnName(name) {
    const words = this.t(`column.${name}`);
    return words === `column.${name}` ? name : words;
  }

  /** Keep a figure or strip, which ends when the panel is built anew. */
  keep(part) {
    this.ends.push(part);
    return part;
  }

  /** Whether the active model can do what the panel is for. */
  get able() {
    return !this.constructor.decodes || this.about.generative;
  }

  rebuild() {
    this.built = this.able;
    for (const part of this.ends) part.end();
    this.ends = [];
    this.status = status();
    this.root.replaceChildren();
    this.root.classList.add("of-panels");
    if (this.built) this.build();
    else this.root.append(element("p.note", {}, this.t("panel.code.alone")));
    this.root.append(this.status);
    if (this.seen && this.built) this.refresh();
  }

  /** Call when a key of the state changes, while the panel is seen. */
  when(keys, call) {
    this.state.on(keys, () => this.seen && this.built && call());
  }

  show() {
    this.seen = true;
    if (this.root.parentElement) this.root.parentElement.scrollTop = 0;
    if (this.built) this.refresh();
  }

  /** The model that is watched has become another one: show what it makes of all this now. */
  learned() {
    this.refresh();
  }

  hide() {
    this.seen = false;
    this.unmark();
  }

  /** What to do with an error: say it. That nothing answers any more, the page says for all. */
  failed(error) {
    if (error.kind === "gone") return;
    this.status.textContent = error.message;
    this.status.classList.add("warn");
  }

  say(words = "") {
    this.status.textContent = words;
    this.status.classList.remove("warn");
  }

  /** Put marks on the map of a model, none on the others. */
  mark(layer, marks, model = this.model) {
    (this.session.maps ?? []).forEach((map, i) => map?.mark(layer, i === model ? marks : []));
  }

  build() {}
  refresh() {}
  unmark() {}
}

/** The two methods that the page's table of panels asks for. */
export function shown(panel) {
  panel.rebuild();
  return { show: () => panel.show(), hide: () => panel.hide() };
}
