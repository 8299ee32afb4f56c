// The keys of one issuer over time, as the verifier sees them; and the plain case, where they stand in the configuration.

import type { KeyTable } from "./key-table.ts";

/** How an issuer's keys stand: `stale` when the last refresh failed and older ones are in use, `waiting` when there is none. */
export type KeyState = "ready" | "stale" | "waiting";

/** The keys of one issuer. Nothing here throws or rejects. */
export interface KeySet {
  /** Changes whenever the keys do; what was verified under another epoch has to be verified again. */
  readonly epoch: number;
  readonly state: KeyState;
  /** Milliseconds since the keys were last confirmed by their source; undefined when there is none. */
  readonly ageMs: number | undefined;
  /** Whole seconds, at least 1, after which asking again can help. */
  readonly retryAfterSeconds: number;
  /** The keys that may be used now. */
  usable(): KeyTable | undefined;
  /** Ends when a first attempt to get keys has ended; never fails. */
  firstAttempt(): Promise<void>;
  /** Looks whether the source has a key that is missing here. False when it could not be asked, so nothing is known. */
  lookAgain(): Promise<boolean>;
  /** Begins background work, if there is any. */
  start(): void;
  /** Ends it for good. */
  stop(): void;
}

/** Keys that never change while the configuration stands. */
export class StaticKeySet implements KeySet {
  readonly epoch = 0;
  readonly retryAfterSeconds = 1;
  readonly #imported: Promise<void>;
  #table: KeyTable | undefined;

  /** Takes the import that is under way; its failure is told to `failed`. */
  constructor(table: Promise<KeyTable>, failed: () => void) {
    this.#imported = table.then((imported) => {
      if (imported.count > 0) this.#table = imported;
      else failed();
    }, failed);
  }

  get state(): KeyState {
    return this.#table === undefined ? "waiting" : "ready";
  }

  get ageMs(): number | undefined {
    return this.#table === undefined ? undefined : 0;
  }

  usable(): KeyTable | undefined {
    return this.#table;
  }

  firstAttempt(): Promise<void> {
    return this.#imported;
  }

  async lookAgain(): Promise<boolean> {
    return true;
  }

  start(): void {}

  stop(): void {}
}
