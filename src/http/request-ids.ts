// Request ids: a random part per run, and a count that is scrambled so that it can't be read as one.

import { randomBytes } from "node:crypto";

const MOST_PER_PREFIX = 2 ** 32;

/** Makes ids of the form `1f0c9a6be2d07a51-0k2v9x1`: unique over instances and restarts, without a system call each. */
export class RequestIds {
  #prefix = "";
  #factor = 1;
  #mask = 0;
  #count = MOST_PER_PREFIX;

  next(): string {
    if (this.#count === MOST_PER_PREFIX) this.#renew();
    // Shifts folded in and odd factors each permute the 32-bit numbers, so no two counts give one id.
    let mixed = this.#count ^ this.#mask;
    mixed = Math.imul(mixed ^ (mixed >>> 16), this.#factor);
    mixed = Math.imul(mixed ^ (mixed >>> 13), this.#factor);
    mixed ^= mixed >>> 16;
    this.#count += 1;
    return this.#prefix + (mixed >>> 0).toString(36).padStart(7, "0");
  }

  #renew(): void {
    const random = randomBytes(16);
    this.#prefix = `${random.toString("hex", 0, 8)}-`;
    this.#factor = random.readInt32LE(8) | 0x40000001;
    this.#mask = random.readInt32LE(12);
    this.#count = 0;
  }
}
