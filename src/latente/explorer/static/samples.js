/** Rows of the data as samples, kept once they were asked for. */
import { sampleOf } from "./sample.js";

const MOST = 4000;
const stores = new WeakMap();

/**
 * @typedef {{id: number, original: object, decoded: object, code: Float32Array, point: number[],
 *            error: number, score: number}} Row
 */
class Samples {
  constructor(session) {
    this.session = session;
    this.rows = new Map();
    this.columns = new Map();
  }

  /** Forget what an earlier state of the models answered. */
  refresh() {
    const { learning } = this.session.info;
    if (learning && !learning.done) this.rows.clear();
    if (this.info === this.session.info) return;
    this.info = this.session.info;
    this.rows.clear();
    this.columns.clear();
  }

  /** Rows by number, as a model sees them; only those not kept are asked for. */
  async many(model, ids) {
    this.refresh();
    const found = new Map(ids.map((id) => [id, this.rows.get(`${model} ${id}`)]));
    const missing = [...found.keys()].filter((id) => !found.get(id));
    const { info } = this;
    const limit = this.session.info.limits?.codes ?? 1024;
    for (let at = 0; at < missing.length; at += limit) {
      const part = missing.slice(at, at + limit);
      const answer = await this.session.backend.samples(model, part);
      part.forEach((id, i) => found.set(id, this.row(answer, id, i)));
    }
    if (info === this.session.info) {
      for (const id of missing) this.keep(`${model} ${id}`, found.get(id));
    }
    return ids.map((id) => found.get(id));
  }

  async one(model, id) {
    return (await this.many(model, [id]))[0];
  }

  keep(key, row) {
    this.rows.set(key, row);
    if (this.rows.size > MOST) this.rows.delete(this.rows.keys().next().value);
  }

  row(answer, id, i) {
    const { data } = this.session.info;
    return {
      id,
      original: copied(sampleOf(data, answer, "originals", i)),
      decoded: copied(sampleOf(data, answer, "decoded", i)),
      code: vectorOf(answer.codes, i),
      point: Array.from(vectorOf(answer.points, i)),
      error: answer.errors?.data[i] ?? NaN,
      score: answer.scores?.data[i] ?? NaN,
    };
  }

  /** A column's values, one a row. */
  column(name, model) {
    this.refresh();
    const key = `${model} ${name}`;
    if (!this.columns.has(key)) {
      const values = this.session.backend.column(name, model).then(({ values: { data } }) => data);
      values.catch(() => this.columns.delete(key));
      this.columns.set(key, values);
    }
    return this.columns.get(key);
  }

  /** What the data say of a row's class: [[name, words]], empty where it has none. */
  async classes(id) {
    const columns = this.session.info.columns.filter(
      ({ kind, model }) => kind === "class" && model === undefined,
    );
    const values = await Promise.all(columns.map(({ name }) => this.column(name, 0)));
    return columns
      .map(({ name, classes }, i) => [name, classes[values[i][id]]])
      .filter(([, word]) => word !== undefined)
      .map(([name, word]) => [name, String(word)]);
  }

  /** What the columns of the data say of a row: [[name, words]]. */
  async labels(id, number) {
    const columns = this.session.info.columns.filter((column) => column.model === undefined);
    return Promise.all(
      columns.map(async (column) => {
        const value = (await this.column(column.name, 0))[id];
        if (Number.isNaN(value)) return [column.name, "–"];
        if (column.kind === "class") return [column.name, String(column.classes[value])];
        return [column.name, number(value)];
      }),
    );
  }
}

/** A vector of an array of vectors, its own copy. */
export function vectorOf(array, index) {
  const size = array.shape[1];
  return array.data.slice(index * size, (index + 1) * size);
}

/** A sample that does not keep the whole answer in memory. */
function copied(sample) {
  if (sample?.pixels) return { ...sample, pixels: sample.pixels.slice() };
  if (sample?.values) return { ...sample, values: sample.values.slice() };
  return sample;
}

/** The rows of a session, kept once for all panels. */
export function samplesOf(session) {
  if (!stores.has(session)) stores.set(session, new Samples(session));
  return stores.get(session);
}
