/**
 * The server's answers: JSON and packed arrays over HTTP.
 *
 * Every method of a backend is asynchronous. Arrays come as `{name: {data, shape}, meta}` with
 * typed arrays as data. What goes wrong is thrown as a `BackendError` with one sentence.
 */

import { unpack } from "./packed.js";
import { Lines } from "./request.js";
import { t } from "./words.js";

/** What a backend could not do, in one sentence. */
export class BackendError extends Error {
  /**
   * @param {string} sentence
   * @param {"gone"|"wrong"} kind "gone": nobody answers; "wrong": it cannot be done.
   */
  constructor(sentence, kind = "wrong") {
    super(sentence);
    this.name = "BackendError";
    this.kind = kind;
  }
}

/** The models and rows behind a server. */
export class HttpBackend {
  #lines = new Lines((request) => this.#send("api/decode", request));
  /** Called with `false` when nobody answers, and with `true` when somebody does. */
  onReach = () => {};

  /** @param {string} root Where the page lies; the API is beside it. */
  constructor(root = new URL("./", document.baseURI).href) {
    this.root = root;
  }

  /** What is shown: the rows, their columns, the models. */
  async info() {
    return (await this.#ask("api/info")).json();
  }

  /** Places of all rows on a model's map, now or after an epoch. */
  points(model, epoch = null) {
    return this.#arrays("api/points", { model, epoch });
  }

  /** A column's value for each row; a class as its number, NaN where there is none. */
  column(name, model = 0) {
    return this.#arrays("api/column", { name, model });
  }

  /** The density of training codes over a model's map. */
  density(model) {
    return this.#arrays("api/density", { model });
  }

  /** Small pictures of rows in 32 columns, or null where rows are not pictures. */
  async thumbnails(first, count) {
    const answer = await this.#ask("api/thumbnails", { query: { first, count }, missing: true });
    return answer === null ? null : createImageBitmap(await answer.blob());
  }

  /** Rows by number: originals, decoded, codes, points, errors, scores. */
  samples(model, ids) {
    return this.#send("api/samples", { model, ids: Array.from(ids) });
  }

  /**
   * Decode places on the map (`at`) or codes (`codes`).
   *
   * Of the requests with the same `pointer` one is under way and one waits: the newest. One that
   * was overtaken gives null.
   */
  decode(request) {
    return this.#lines.ask(request.pointer, request);
  }

  /** Encode what is not among the rows: `{pixels}`, `{file}`, `{values}` or `{text}`. */
  async encode(model, body) {
    const { pixels, file, ...json } = body;
    let init;
    if (pixels) init = { body: pixels, type: "application/octet-stream" };
    else if (file) init = { body: file, type: file.type || "image/png" };
    else init = { body: JSON.stringify(json), type: "application/json" };
    const answer = await this.#ask("api/encode", { query: { model }, ...init });
    return unpack(await answer.arrayBuffer());
  }

  /** Damage a row or picture, and let the model restore it. */
  damage(request) {
    return this.#send("api/damage", request);
  }

  /** The direction from one group of rows to another in the space of codes. */
  direction(model, withIds, withoutIds) {
    return this.#send("api/direction", {
      model,
      with: Array.from(withIds),
      without: Array.from(withoutIds),
    });
  }

  /**
   * Follow a fit.
   *
   * @param {{epoch?: (record: object, epoch: number) => void, done?: (end: object) => void,
   *   failed?: (error: string) => void, trouble?: () => void}} handlers
   * @returns {() => void} which stops following.
   */
  learning(handlers) {
    const source = new EventSource(new URL("api/learning", this.root));
    source.addEventListener("epoch", (event) => {
      handlers.epoch?.(JSON.parse(event.data), Number(event.lastEventId));
    });
    source.addEventListener("done", (event) => {
      source.close();
      handlers.done?.(JSON.parse(event.data));
    });
    source.addEventListener("failed", (event) => {
      source.close();
      handlers.failed?.(JSON.parse(event.data).error);
    });
    source.onerror = () => handlers.trouble?.();
    return () => source.close();
  }

  async #arrays(path, query) {
    return unpack(await (await this.#ask(path, { query })).arrayBuffer());
  }

  async #send(path, value) {
    const init = { body: JSON.stringify(value), type: "application/json" };
    const answer = await this.#ask(path, init);
    return answer.status === 204 ? null : unpack(await answer.arrayBuffer());
  }

  async #ask(path, { query = {}, body = null, type = null, missing = false } = {}) {
    const address = new URL(path, this.root);
    for (const [name, value] of Object.entries(query)) {
      if (value !== null && value !== undefined) address.searchParams.set(name, value);
    }
    let answer;
    try {
      answer = await fetch(address, {
        method: body === null ? "GET" : "POST",
        body,
        headers: type === null ? {} : { "Content-Type": type },
      });
    } catch {
      this.onReach(false);
      throw new BackendError(t("trouble.gone"), "gone");
    }
    this.onReach(true);
    if (answer.ok) return answer;
    if (missing && answer.status === 404) return null;
    const { error } = await answer.json().catch(() => ({}));
    throw new BackendError(error ?? `${answer.status} ${answer.statusText}`);
  }
}
