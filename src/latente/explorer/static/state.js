/**
 * What the page shows, in one observable place; the part that others may see is in the address.
 *
 * Keys of `ADDRESS` are written to the part of the address behind "#", so that an address shows the
 * same view in another tab or after a reload. All other keys live as long as the page.
 */

const SIGNIFICANT = 5;

/** @param {number} value */
const short = (value) => String(Number(value.toPrecision(SIGNIFICANT)));
/** @param {string} text */
const finite = (text) => {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new RangeError(text);
  return value;
};
/** @param {string} text */
const whole = (text) => {
  const value = finite(text);
  if (!Number.isInteger(value) || value < 0) throw new RangeError(text);
  return value;
};
/** @param {string} text */
const numbers = (text) => (text === "" ? [] : text.split(",").map(finite));

const WORD = { write: String, read: String };
const WHOLE = { write: String, read: whole };
const NUMBERS = { write: (values) => values.map(short).join(","), read: numbers };
const WORDS = {
  write: (values) => values.join(","),
  read: (text) => text.split(",").filter(Boolean),
};
const WHOLES = {
  write: (values) => values.join(","),
  read: (text) => (text === "" ? [] : text.split(",").map(whole)),
};
/** Places [x, y]; [x, y, id] where one stands on a row. */
const PLACES = {
  write: (places) => places.map(([x, y, ...id]) => [short(x), short(y), ...id].join(",")).join(";"),
  read: (text) =>
    text
      .split(";")
      .filter(Boolean)
      .map((place) => {
        const values = numbers(place);
        const [, , id] = values;
        if (values.length < 2 || values.length > 3) throw new RangeError(place);
        if (id !== undefined && (id < 0 || !Number.isInteger(id))) throw new RangeError(place);
        return values;
      }),
};
const LIMITS = {
  write: NUMBERS.write,
  read: (text) => {
    const limits = numbers(text);
    if (limits.length !== 4 || limits[0] >= limits[1] || limits[2] >= limits[3]) {
      throw new RangeError(text);
    }
    return limits;
  },
};

/** The keys in the address, in its order: what they are without it, and their form. */
const ADDRESS = {
  model: { none: 0, form: WHOLE },
  color: { none: null, form: WORD },
  off: { none: [], form: WHOLES },
  hide: { none: [], form: WORDS },
  view: { none: null, form: LIMITS },
  view1: { none: null, form: LIMITS },
  pins: { none: [], form: PLACES },
  sample: { none: null, form: WHOLE },
  panel: { none: null, form: WORD },
  dims: { none: null, form: NUMBERS },
  epoch: { none: null, form: WHOLE },
  lang: { none: null, form: WORD },
  theme: { none: null, form: WORD },
};

const WAIT = 200;

/** Whether two values of the state are the same. */
function same(left, right) {
  if (Object.is(left, right)) return true;
  if (left === null || right === null || typeof left !== "object") return false;
  return JSON.stringify(left) === JSON.stringify(right);
}

/** Observable values by key. */
export class State {
  #values = new Map();
  #listeners = new Map();
  #timer = 0;
  #written = "";

  constructor() {
    for (const [key, { none }] of Object.entries(ADDRESS)) this.#values.set(key, none);
    this.#read();
    addEventListener("hashchange", () => {
      if (location.hash !== this.#written) this.#read();
    });
  }

  /** Return a key's value; null where it was never set. */
  get(key) {
    return this.#values.get(key) ?? null;
  }

  /** Set a key's value; tell who listens, if it is another one. */
  set(key, value) {
    const before = this.get(key);
    const kept = key in ADDRESS;
    if (kept ? same(before, value) : Object.is(before, value)) return;
    this.#values.set(key, value);
    if (kept) this.#later();
    for (const listener of [...(this.#listeners.get(key) ?? [])]) listener(value, before);
  }

  /**
   * Call `listener(value, before)` whenever the key, or one of the keys, changes.
   *
   * @param {string|string[]} keys
   * @param {(value: any, before: any) => void} listener
   * @returns {() => void} which ends that.
   */
  on(keys, listener) {
    const all = Array.isArray(keys) ? keys : [keys];
    for (const key of all) {
      if (!this.#listeners.has(key)) this.#listeners.set(key, new Set());
      this.#listeners.get(key).add(listener);
    }
    return () => all.forEach((key) => this.#listeners.get(key).delete(listener));
  }

  /** Take what the address says; a part that cannot be read counts as not there. */
  #read() {
    const parts = new Map();
    for (const part of location.hash.slice(1).split("&").filter(Boolean)) {
      const at = part.indexOf("=");
      try {
        parts.set(part.slice(0, at), decodeURIComponent(part.slice(at + 1).replaceAll("+", "%20")));
      } catch {
        continue;
      }
    }
    for (const [key, { none, form }] of Object.entries(ADDRESS)) {
      let value = none;
      try {
        if (parts.has(key)) value = form.read(parts.get(key));
      } catch {
        value = none;
      }
      this.set(key, value);
    }
  }

  /** Write the address soon: browsers allow only some changes a second. */
  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.write(), WAIT);
  }

  /** Write the address now. */
  write() {
    const parts = [];
    for (const [key, { none, form }] of Object.entries(ADDRESS)) {
      const value = this.get(key);
      if (value === null || same(value, none)) continue;
      const text = encodeURIComponent(form.write(value)).replaceAll("%2C", ",");
      parts.push(`${key}=${text.replaceAll("%3B", ";").replaceAll("%20", "+")}`);
    }
    this.#written = parts.length ? `#${parts.join("&")}` : "";
    history.replaceState(null, "", this.#written || location.pathname + location.search);
  }
}
