// Counts failures in this process alone, in bounded memory.

import type { Clock } from "../../core/clock.ts";
import type { FailureCounter, FailureDimension } from "./ports.ts";
import { RecentTable } from "./recent-table.ts";

/** Most ids whose failures are remembered, per dimension. */
export const MOST_FAILING = 100_000;
// Failures are counted in slots of this part of the window, so that an id costs little however often it fails.
const SLOTS = 16;

/** The failures of one id: slot and number in turn, oldest first. Flat, since most ids fail once. */
type Failures = number[];

/** Counts one failure and gives the number of those not older than `SLOTS` slots. */
function add(failures: Failures, slot: number): number {
  let old = 0;
  while ((failures[old] ?? slot) < slot - SLOTS) old += 2;
  if (old > 0) failures.splice(0, old);
  const last = failures.length - 2;
  if (failures[last] === slot) failures[last + 1] = (failures[last + 1] ?? 0) + 1;
  else failures.push(slot, 1);
  let sum = 0;
  for (let index = 1; index < failures.length; index += 2) sum += failures[index] ?? 0;
  return sum;
}

/** A failure is counted for the whole window, and for at most a sixteenth of it longer. */
export class LocalFailureCounter implements FailureCounter {
  readonly #clock: Pick<Clock, "steadyMs">;
  readonly #slotMs: number;
  readonly #tables: Readonly<Record<FailureDimension, RecentTable<Failures>>>;

  /** @param most ids held per dimension, at least 2; the least recently failed ones go first */
  constructor(windowMs: number, clock: Pick<Clock, "steadyMs">, most: number = MOST_FAILING) {
    this.#clock = clock;
    this.#slotMs = windowMs / SLOTS;
    // One slot more than the window, since the slot of its beginning counts as a whole.
    const keepMs = windowMs + this.#slotMs;
    this.#tables = {
      address: new RecentTable(most, keepMs),
      credential: new RecentTable(most, keepMs),
    };
  }

  /** Number of ids held. */
  get size(): number {
    return this.#tables.address.size + this.#tables.credential.size;
  }

  count(dimension: FailureDimension, hashedId: string): number {
    const now = this.#clock.steadyMs();
    const table = this.#tables[dimension];
    const slot = Math.floor(now / this.#slotMs);
    const known = table.get(hashedId);
    const failures = known ?? [slot, 1];
    table.set(hashedId, failures, now);
    return known === undefined ? 1 : add(known, slot);
  }
}
