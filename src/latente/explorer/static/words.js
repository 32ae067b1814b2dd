/** The page's words in English, Spanish and Portuguese, and numbers as each writes them. */

/** The languages by their codes, each in its own name. */
export const LANGUAGES = { en: "English", es: "Español", pt: "Português" };

const catalogues = { en: {}, es: {}, pt: {} };
let language = "en";
let plural = new Intl.PluralRules(language);

/**
 * Add words.
 *
 * @param {{en: object, es: object, pt: object}} words Texts by key, in each language.
 */
export function register(words) {
  for (const name of Object.keys(catalogues)) Object.assign(catalogues[name], words[name]);
}

/** The words that are missing in a language, for tests: `{es: [keys], pt: [keys]}`. */
export function missing() {
  const all = new Set(Object.values(catalogues).flatMap(Object.keys));
  return Object.fromEntries(
    Object.entries(catalogues).map(([name, words]) => [
      name,
      [...all].filter((key) => !(key in words)),
    ]),
  );
}

/** Speak a language; one that there is not becomes English. */
export function setLanguage(name) {
  language = name in catalogues ? name : "en";
  plural = new Intl.PluralRules(language);
  document.documentElement.lang = language;
}

/** The code of the language that is spoken now. */
export const currentLanguage = () => language;

/** The first language of the reader's own that there is. */
export function ownLanguage() {
  const own = (navigator.languages ?? []).map((name) => name.slice(0, 2));
  return own.find((name) => name in catalogues) ?? "en";
}

/**
 * Return a text in the language that is spoken now.
 *
 * @param {string} key Where there are `key.one` and `key.other`, `values.n` chooses.
 * @param {Object<string, any>} values What `{name}` stands for; numbers as the language writes them.
 */
export function t(key, values = {}) {
  const words = catalogues[language];
  const form = "n" in values ? `${key}.${plural.select(values.n)}` : key;
  const text = words[form] ?? words[`${key}.other`] ?? words[key] ?? catalogues.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? number(value) : String(value);
  });
}

/** Write a number with at most so many significant digits, large ones in full. */
export function number(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const format =
    Math.abs(value) >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: digits };
  return new Intl.NumberFormat(language, format).format(value).replace("-", "−");
}

/** Write a share as a percentage. */
export function percent(share, digits = 0) {
  const format = { style: "percent", maximumFractionDigits: digits };
  return new Intl.NumberFormat(language, format).format(share).replace("-", "−");
}

/**
 * A text with its middle left out where it has more letters than may be: names of one kind often
 * begin alike.
 */
export function shortened(text, most) {
  const letters = [...text];
  if (letters.length <= most) return text;
  const last = Math.floor((most - 1) / 2);
  const first = most - 1 - last;
  return `${letters.slice(0, first).join("").trimEnd()}…${letters.slice(letters.length - last).join("").trimStart()}`;
}

/** Put words where the markup names them: `data-t`, `data-t-label`, `data-t-title`. */
export function translate(root = document) {
  for (const element of root.querySelectorAll("[data-t]")) {
    element.textContent = t(element.dataset.t);
  }
  for (const element of root.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.dataset.tLabel));
  }
  for (const element of root.querySelectorAll("[data-t-title]")) {
    element.title = t(element.dataset.tTitle);
  }
}
