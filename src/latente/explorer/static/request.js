/**
 * One request in flight, the newest next: what a person points at now matters, not what passed.
 */
export class Latest {
  /**
   * @param {(input: any) => Promise<any>} work asks for an answer; null is an answer superseded
   * @param {(answer: any, input: any) => void} done is given each answer that is not null
   * @param {(error: Error) => void} failed is given what went wrong
   */
  constructor(work, done, failed) {
    this.work = work;
    this.done = done;
    this.failed = failed;
    this.busy = false;
    this.waiting = null;
    this.round = 0;
  }

  /** Ask; an earlier input that still waits is dropped. */
  ask(input) {
    this.waiting = { input, round: this.round };
    if (!this.busy) this.turn();
  }

  /** Drop what waits, and the answer of what is under way. */
  cancel() {
    this.waiting = null;
    this.round += 1;
  }

  async turn() {
    this.busy = true;
    while (this.waiting) {
      const { input, round } = this.waiting;
      this.waiting = null;
      try {
        const answer = await this.work(input);
        if (answer !== null && round === this.round) this.done(answer, input);
      } catch (error) {
        if (round === this.round) this.failed(error);
      }
    }
    this.busy = false;
  }
}

/** Requests in lines by name: of each line one is under way and one waits, the newest. */
export class Lines {
  #lines = new Map();
  #work;

  /** @param {(request: any) => Promise<any>} work asks for an answer */
  constructor(work) {
    this.#work = work;
  }

  /** Ask, in a line or outside of all; gives null where a newer request overtook this one. */
  ask(name, request) {
    if (name === undefined || name === null) return this.#work(request);
    return new Promise((resolve, reject) => {
      const line = this.#lines.get(name) ?? { busy: false, next: null };
      this.#lines.set(name, line);
      line.next?.resolve(null);
      line.next = { request, resolve, reject };
      if (!line.busy) this.#advance(line);
    });
  }

  async #advance(line) {
    line.busy = true;
    while (line.next) {
      const { request, resolve, reject } = line.next;
      line.next = null;
      await this.#work(request).then(resolve, reject);
    }
    line.busy = false;
  }
}

/** Call a function once nothing has asked for it during some milliseconds. */
export function settled(call, milliseconds) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...values), milliseconds);
  };
}

const PAGE = Math.random().toString(36).slice(2);

/** The name of a line of requests, which no other open page uses. */
export function pointer(name) {
  return `${name}-${PAGE}`;
}
