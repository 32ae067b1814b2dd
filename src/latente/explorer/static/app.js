/** The page: what is shown, and who shows it. */

import "./words-page.js";
import { HttpBackend } from "./backend.js";
import { Compare } from "./compare.js";
import { Legend } from "./legend.js";
import { LatentMap } from "./map.js";
import { PANELS } from "./panels.js";
import { create as createPoint } from "./point.js";
import { State } from "./state.js";
import { isDark, setTheme } from "./theme.js";
import { LANGUAGES, ownLanguage, setLanguage, t, translate } from "./words.js";

const byId = (id) => document.getElementById(id);
const state = new State();
const PHONE = matchMedia("(max-width: 860px)");

/** Choose where the answers come from: the server, or, in a page that was exported, the page. */
async function chooseBackend() {
  const site = globalThis.LATENTE_SITE;
  return site ? new (await import("./local.js")).LocalBackend(site) : new HttpBackend();
}

/* Language and theme */

function speak() {
  setLanguage(state.get("lang") ?? ownLanguage());
  byId("language").value = document.documentElement.lang;
  translate();
}

function offerLanguages() {
  const select = byId("language");
  select.replaceChildren(
    ...Object.entries(LANGUAGES).map(
      ([name, word]) => new Option(PHONE.matches ? name.toUpperCase() : word, name),
    ),
  );
  select.value = document.documentElement.lang;
  select.onchange = () => state.set("lang", select.value);
}

const SUN =
  '<svg viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="3"/><path d="M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1"/></svg>';
const MOON =
  '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M13.5 9.6A5.8 5.8 0 0 1 6.4 2.5a5.8 5.8 0 1 0 7.1 7.1z"/></svg>';

function dress() {
  setTheme(state.get("theme"));
  byId("theme").innerHTML = isDark() ? SUN : MOON;
}

/* What went wrong */

let again = null;

/** Say what went wrong, quietly, with a way to try again. */
export function trouble(error, retry = null) {
  const kind = error.kind === "gone" ? "trouble.gone" : "trouble.wrong";
  byId("trouble-text").textContent = t(kind, { error: error.message });
  byId("trouble-again").hidden = retry === null;
  byId("trouble").hidden = false;
  again = retry;
}

function settle() {
  byId("trouble").hidden = true;
}

/** Say when the server does not answer any more, and be quiet again when it does. */
function watch(backend) {
  let gone = false;
  const ask = () => backend.info().catch(() => {});
  backend.onReach = (reached) => {
    if (reached && gone) settle();
    if (!reached && !gone) trouble({ kind: "gone" }, ask);
    gone = !reached;
  };
}

/* Panels */

/** Tabs, and under them the panel that was chosen; one is made when it is first shown. */
class Tabs {
  #made = new Map();
  #shown = null;

  constructor(session) {
    this.session = session;
    this.panels = PANELS.filter(({ applies }) => applies(session.info));
    byId("tabs").replaceChildren(...this.panels.map((panel) => this.#tab(panel)));
    state.on("panel", () => this.show());
    state.on("lang", () => this.#label());
    this.#label();
    for (const panel of this.panels) if (panel.atOnce) this.#make(panel);
    this.show();
  }

  /** Choose the panel at a place in the row of tabs, if there is one. */
  choose(index) {
    const panel = this.panels[index];
    if (panel) state.set("panel", panel.name);
  }

  show() {
    const chosen = this.panels.find(({ name }) => name === state.get("panel")) ?? this.panels[0];
    if (!chosen || chosen === this.#shown) return;
    if (this.#shown) this.#made.get(this.#shown.name).panel.hide();
    this.#shown = chosen;
    const { panel } = this.#made.get(chosen.name) ?? this.#make(chosen);
    for (const [name, { element }] of this.#made) element.hidden = name !== chosen.name;
    for (const tab of byId("tabs").children) {
      const selected = tab.dataset.name === chosen.name;
      tab.setAttribute("aria-selected", String(selected));
      tab.tabIndex = selected ? 0 : -1;
      if (selected) reveal(tab);
    }
    panel.show();
  }

  #make({ name, create }) {
    const element = document.createElement("section");
    element.className = "panel";
    element.id = `panel-${name}`;
    element.setAttribute("role", "tabpanel");
    element.setAttribute("aria-labelledby", `tab-${name}`);
    byId("panel").append(element);
    const made = { element, panel: create(this.session, element) };
    this.#made.set(name, made);
    return made;
  }

  #tab({ name }) {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.className = "tab";
    tab.id = `tab-${name}`;
    tab.dataset.name = name;
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", `panel-${name}`);
    tab.onclick = () => {
      state.set("panel", name);
      openSheet(true);
    };
    tab.onkeydown = (event) => this.#move(event, name);
    return tab;
  }

  #move(event, name) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = this.panels.findIndex((panel) => panel.name === name) + step;
    const next = (at + this.panels.length) % this.panels.length;
    this.choose(next);
    byId("tabs").children[next].focus();
  }

  #label() {
    [...byId("tabs").children].forEach((tab, index) => {
      tab.textContent = t(`panel.${tab.dataset.name}`);
      tab.title = `${index + 1}`;
    });
  }
}

/** Bring a tab into the middle of its row, where this is longer than the page is wide. */
function reveal(tab) {
  const row = tab.parentElement;
  row.scrollLeft = tab.offsetLeft - row.offsetLeft - (row.clientWidth - tab.offsetWidth) / 2;
}

/** At phone width: show or hide the panel under the tabs. */
function openSheet(open) {
  byId("side").toggleAttribute("data-closed", !open);
  byId("sheet").setAttribute("aria-expanded", String(open));
}

/* Head and help */

function describe(info) {
  const { data, n, split } = info;
  byId("title").textContent = info.title;
  document.title = `${info.title} · latente`;
  const site = info.export;
  const rows =
    site && site.rows < site.of
      ? t("page.rows.some", { rows: site.rows, of: site.of })
      : t("page.rows", { n });
  const known = t(`page.split.${split}`);
  const parts = [data.name, rows, known.startsWith("page.") ? split : known];
  byId("about").textContent = parts.filter(Boolean).join(" · ");
  byId("notes").textContent = (site?.notes ?? []).join(" ");
  byId("notes").hidden = !site?.notes?.length;
}

const KEYS = [
  [["key.arrows"], "help.arrows"],
  [["key.enter"], "help.enter"],
  [["+", "−"], "help.zoom"],
  [["0"], "help.fit"],
  [["L"], "help.lasso"],
  [["key.escape"], "help.escape"],
  [["1", "…", "9"], "help.digits"],
  [["M"], "help.switch"],
  [["?"], "help.question"],
];

function fillHelp() {
  byId("help-keys").replaceChildren(
    ...KEYS.flatMap(([keys, word]) => {
      const term = document.createElement("dt");
      term.append(
        ...keys.map((key) => {
          const element = document.createElement("kbd");
          element.textContent = key.startsWith("key.") ? t(key) : key;
          return element;
        }),
      );
      const meaning = document.createElement("dd");
      meaning.textContent = t(word);
      return [term, meaning];
    }),
  );
}

function openHelp() {
  fillHelp();
  byId("help-dialog").showModal();
}

/* Keys that work everywhere but where text is written */

function listenToKeys(session, tabs) {
  addEventListener("keydown", (event) => {
    const writes = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (writes || event.ctrlKey || event.metaKey || byId("help-dialog").open) return;
    if (event.key === "Escape") state.set("escape", (state.get("escape") ?? 0) + 1);
    else if (event.key === "?") openHelp();
    else if (/^[1-9]$/.test(event.key)) tabs.choose(Number(event.key) - 1);
    else if (event.key === "m" || event.key === "M") switchMap(session);
    else
      (session.maps.find((map) => map.hasFocus()) ?? session.maps[state.get("model")])?.key(event);
  });
}

function switchMap(session) {
  const next = (session.maps.findIndex((map) => map.hasFocus()) + 1) % session.maps.length;
  session.maps[next].focus();
}

/* Start */

/** Ask what there is to show, and make the parts of the page that show it. */
async function open(backend) {
  const info = await backend.info();
  const session = { backend, info, state, t, maps: [], trouble };
  byId("maps").replaceChildren();
  session.maps = info.models.map((_, model) => new LatentMap(session, model, byId("maps")));
  session.legend = new Legend(session, byId("color"), byId("legend"));
  if (info.models.length > 1) session.compare = new Compare(session);
  describe(info);
  state.on("lang", () => describe(info));
  createPoint(session, byId("point"));
  listenToKeys(session, new Tabs(session));
  byId("skip").onclick = (event) => {
    event.preventDefault();
    session.maps[0].focus();
  };
  window.latente = session;
  watch(backend);
  attempt(() => load(session));
}

/** Fetch what the maps show. */
async function load(session) {
  await Promise.all([session.legend.load(), ...session.maps.map((map) => map.load())]);
  document.documentElement.dataset.ready = "true";
  performance.mark("latente:ready");
}

/** Take a step of the start; where it fails, say so, and offer to take it again. */
async function attempt(step) {
  byId("work").removeAttribute("data-empty");
  settle();
  try {
    await step();
  } catch (error) {
    byId("work").toggleAttribute("data-empty", !window.latente);
    trouble(error, () => attempt(step));
    if (error.name !== "BackendError") throw error;
  }
}

offerLanguages();
speak();
dress();
PHONE.addEventListener("change", offerLanguages);
state.on("lang", speak);
state.on("theme", dress);
byId("theme").onclick = () => state.set("theme", isDark() ? "light" : "dark");
byId("help").onclick = openHelp;
byId("trouble-again").onclick = () => again?.();
byId("trouble-dismiss").onclick = settle;
byId("sheet").onclick = () => openSheet(byId("side").hasAttribute("data-closed"));
openSheet(false);
const backend = await chooseBackend();
attempt(() => open(backend));
