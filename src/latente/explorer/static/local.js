// A backend without a server: the site that `latente explore --export` writes, worked on in the page.
//
//   page ── LocalBackend ──messages──▶ worker ── Engine (engine.js) ── Network (network.js)
//
// The worker is made of a blob, so that it runs where a page is opened as a file too; where workers
// are refused, the engine works in the page itself.

import { Engine } from "./engine.js";
import { Lines } from "./request.js";

/** Something that a site cannot do, in one sentence. */
class SiteError extends Error {
  constructor(sentence) {
    super(sentence);
    this.name = "SiteError";
    this.kind = "wrong";
  }
}

/** What a browser says, at once or later, that lets this page make no worker. */
const REFUSED = new SiteError("the page's worker failed");

/** The backend of an exported page: the methods of `HttpBackend`. */
export class LocalBackend {
  #ask;
  #lines = new Lines((request) => this.#call("decode", request));

  /** @param {{parts: Object<string, string>, worker: string}} site  `window.LATENTE_SITE` */
  constructor(site) {
    this.#ask = this.#opened(site).catch((error) => { throw new SiteError(error.message); });
    this.#ask.catch(() => {});
  }

  async #opened(site) {
    const ask = fromWorker(site.worker);
    const error = ask === null ? REFUSED : await ask("open", site.parts).catch((each) => each);
    if (error && error !== REFUSED) throw error;
    const engine = error ? await Engine.of(site.parts) : null;
    site.parts = null;
    return engine ? async (method, ...args) => engine[method](...args) : ask;
  }

  async #call(method, ...args) {
    return (await this.#ask)(method, ...args);
  }

  info() {
    return this.#call("info");
  }

  points(model) {
    return this.#call("points", model);
  }

  column(name, model = 0) {
    return this.#call("column", name, model);
  }

  density(model) {
    return this.#call("density", model);
  }

  async thumbnails(first, count) {
    const sheet = await this.#call("thumbnails", first, count);
    if (sheet === null || sheet.height === 0) return null;
    return createImageBitmap(new ImageData(sheet.rgba, sheet.width, sheet.height));
  }

  samples(model, ids) {
    return this.#call("samples", model, Array.from(ids));
  }

  /** Of the requests with the same `pointer` one is under way and one waits: the newest. */
  decode(request) {
    return this.#lines.ask(request.pointer, request);
  }

  async encode(model, body) {
    if (!body.file) return this.#call("encode", model, body);
    return this.#call("encode", model, { pixels: await this.#pixels(body.file) });
  }

  /** A picture file at the model's size, over the usual ground. */
  async #pixels(file) {
    const { kind, shape: [height, width], channels, ground = [0] } = (await this.info()).data;
    if (kind !== "pictures") throw new SiteError("this model takes no pictures");
    const picture = await createImageBitmap(file).catch(() => {
      throw new SiteError("the file is broken, or no picture of a kind that this browser knows");
    });
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const [red, green = red, blue = red] = ground;
    context.fillStyle = `rgb(${red}, ${green}, ${blue})`;
    context.fillRect(0, 0, width, height);
    const scale = Math.min(width / picture.width, height / picture.height);
    const w = picture.width * scale, h = picture.height * scale;
    context.imageSmoothingQuality = "high";
    context.drawImage(reduced(picture, w, h), (width - w) / 2, (height - h) / 2, w, h);
    const { data } = context.getImageData(0, 0, width, height);
    const pixels = new Uint8Array(height * width * channels);
    for (let i = 0; i < height * width; i++) {
      const [r, g, b] = data.subarray(4 * i, 4 * i + 3);
      if (channels === 1) pixels[i] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
      else pixels.set([r, g, b], 3 * i);
    }
    return pixels;
  }

  damage(request) {
    return this.#call("damage", request);
  }

  direction(model, withIds, withoutIds) {
    return this.#call("direction", model, Array.from(withIds), Array.from(withoutIds));
  }

  /** An exported model is learned already. */
  learning() {
    return () => {};
  }
}

/** A large picture, halved until less than twice the size that is wanted: canvases look at few pixels. */
function reduced(picture, width, height) {
  let source = picture;
  while (source.width >= 2 * width && source.height >= 2 * height && Math.min(source.width, source.height) > 1) {
    const half = document.createElement("canvas");
    half.width = Math.floor(source.width / 2);
    half.height = Math.floor(source.height / 2);
    const context = half.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(source, 0, 0, half.width, half.height);
    source = half;
  }
  return source;
}

/** Ask a worker made of its source; null where the browser refuses one. */
function fromWorker(source) {
  if (!source || typeof Worker === "undefined") return null;
  let worker;
  try {
    worker = new Worker(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  } catch {
    return null;
  }
  const waiting = new Map();
  let count = 0;
  worker.onmessage = ({ data: { id, result, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) resolve(result);
    else reject(new SiteError(error));
  };
  worker.onerror = (event) => {
    const error = event.message ? new SiteError(event.message) : REFUSED;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  return (method, ...args) => new Promise((resolve, reject) => {
    count += 1;
    waiting.set(count, { resolve, reject });
    worker.postMessage({ id: count, method, args });
  });
}
