// What was seen of one kind of request: who sent it, what all of them held, how often the busiest came.

import type { LoggedDecision } from "../replay/log-lines.ts";

// Beyond this many callers of one kind of request the peak is that of the first ones.
export const MOST_CALLERS = 200;
const MOST_ISSUERS = 50;
const MINUTE_MS = 60_000;

interface Pace {
  minute: number;
  count: number;
}

/** Requests of one method and pattern that were let through. */
export class Observations {
  count = 0;
  anonymous = 0;
  apiKeys = 0;
  /** Requests by issuer of their token. */
  readonly issuers = new Map<string, number>();
  /** Names of the routes that took them. */
  readonly routes = new Set<string>();
  /** Scopes that every caller with a credential held; undefined before the first. */
  held: ReadonlySet<string> | undefined;
  /** Most requests of one caller in one minute of the clock. */
  peak = 0;
  readonly #callers = new Map<string, Pace>();

  add(line: LoggedDecision): void {
    this.count++;
    if (line.route !== undefined) this.routes.add(line.route);
    if (line.authMethod === "jwt") {
      const issuer = line.issuer ?? "";
      if (this.issuers.has(issuer) || this.issuers.size < MOST_ISSUERS) increase(this.issuers, issuer, 1);
    } else if (line.authMethod === "apiKey") this.apiKeys++;
    else {
      this.anonymous++;
      return;
    }
    this.held = intersection(this.held, line.scopes);
    this.#pace(`${line.issuer ?? ""}|${line.subject ?? ""}`, Math.floor(line.timeMs / MINUTE_MS));
  }

  get callers(): number {
    return this.#callers.size;
  }

  /** Takes in what was seen of requests that turned out to be of the same kind. */
  merge(other: Observations): void {
    this.count += other.count;
    this.anonymous += other.anonymous;
    this.apiKeys += other.apiKeys;
    for (const [issuer, count] of other.issuers) increase(this.issuers, issuer, count);
    for (const route of other.routes) this.routes.add(route);
    if (other.held !== undefined) this.held = intersection(this.held, [...other.held]);
    for (const [who, { minute, count }] of other.#callers) {
      const known = this.#callers.get(who);
      if (known === undefined) {
        if (this.#callers.size < MOST_CALLERS) this.#callers.set(who, { minute, count });
      } else if (known.minute === minute) known.count += count;
      else if (known.minute < minute) this.#callers.set(who, { minute, count });
      this.peak = Math.max(this.peak, this.#callers.get(who)?.count ?? 0);
    }
    this.peak = Math.max(this.peak, other.peak);
  }

  #pace(who: string, minute: number): void {
    let pace = this.#callers.get(who);
    if (pace === undefined) {
      if (this.#callers.size >= MOST_CALLERS) return;
      pace = { minute, count: 0 };
      this.#callers.set(who, pace);
    }
    if (pace.minute !== minute) {
      pace.minute = minute;
      pace.count = 0;
    }
    pace.count++;
    this.peak = Math.max(this.peak, pace.count);
  }
}

export function increase(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

export function intersection(
  held: ReadonlySet<string> | undefined,
  scopes: readonly string[],
): ReadonlySet<string> {
  if (held === undefined) return new Set(scopes);
  return held.size === 0 ? held : new Set(scopes.filter((scope) => held.has(scope)));
}
