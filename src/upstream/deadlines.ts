// Deadlines of all exchanges by one coarse clock. A timer per request and phase would outlive most requests and make
// their memory survive with them; one sweep a few times a second costs nothing.

import { type Listed, LiveList } from "../core/live-list.ts";

/** Something with a moment at which it has to be over. */
export interface Watched extends Listed {
  /** Reading of `now` from which the deadline has passed; Infinity for none. */
  readonly deadline: number;
  onDeadline(): void;
}

const SWEEP_EVERY_MS = 50;

export class Deadlines {
  readonly #watched = new LiveList<Watched>();
  #timer: NodeJS.Timeout | undefined;
  #now = 0;

  /** The deadline that lies `ms` from now: never early, and at most two sweeps late. */
  after(ms: number): number {
    return this.#now + ms + SWEEP_EVERY_MS;
  }

  watch(one: Watched): void {
    this.#watched.add(one);
  }

  forget(one: Watched): void {
    this.#watched.remove(one);
  }

  /** Makes `after` usable; called before an exchange computes its first deadline. */
  run(): void {
    if (this.#timer !== undefined) return;
    this.#now = performance.now();
    this.#timer = setInterval(() => this.#sweep(), SWEEP_EVERY_MS).unref();
  }

  #sweep(): void {
    this.#now = performance.now();
    if (this.#watched.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    for (const one of this.#watched.snapshot()) if (one.deadline <= this.#now) one.onDeadline();
  }
}
