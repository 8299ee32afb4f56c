// Looks counters up for people: from the name of a caller to the counters that his requests are counted on.

import { limitUnit } from "../core/address.ts";
import { GatewayFailure } from "../core/failure.ts";
import type { BoundLimit } from "./bound-limit.ts";
import { counterKey, identity, ROUTE_IDENTITY } from "./identity.ts";
import type { KnownCounters } from "./known-counters.ts";
import type { LocalCounters } from "./local-counters.ts";
import type { LimitAlgorithm } from "./policy.ts";
import type { ScriptCalls } from "./script-calls.ts";
import type { SharedCounters } from "./shared-counters.ts";

/** One counter as it stands now. */
export interface CounterState {
  readonly limit: string;
  readonly route: string;
  /** The counter's key: holds a hash of the caller, never a name. */
  readonly key: string;
  readonly algorithm: LimitAlgorithm;
  /** Most units at one moment. */
  readonly limitUnits: number;
  readonly windowSeconds: number;
  readonly used: number;
  readonly remaining: number;
  readonly resetSeconds: number;
  /** Where it was read: in this process, or in the store that all instances share. */
  readonly source: "memory" | "redis";
}

/** What an inspector goes by. */
export interface Inspected {
  readonly limits: () => Iterable<BoundLimit>;
  readonly issuers: () => readonly string[];
  readonly prefix: string;
}

interface SharedParts {
  readonly calls: ScriptCalls;
  readonly known: KnownCounters;
  readonly exact: SharedCounters;
}

interface Candidate {
  readonly limit: BoundLimit;
  readonly key: string;
}

const LONGEST_NAME = 2_048;
// Counters that are asked about at one time: one call of the script, so that requests don't wait behind a look.
const ASKED_AT_ONCE = 100;

export class Inspector {
  readonly #inspected: Inspected;
  readonly #local: LocalCounters;
  readonly #shared: SharedParts | undefined;
  readonly #now: () => number;

  constructor(
    inspected: Inspected,
    local: LocalCounters,
    shared: SharedParts | undefined,
    now: () => number,
  ) {
    this.#inspected = inspected;
    this.#local = local;
    this.#shared = shared;
    this.#now = now;
  }

  /** The counters of `who` on which something counts; undefined when it names nobody. */
  async show(who: string): Promise<readonly CounterState[] | undefined> {
    const candidates = this.#candidates(who);
    if (candidates === undefined) return undefined;
    const found: CounterState[] = [];
    for (let start = 0; start < candidates.length; start += ASKED_AT_ONCE) {
      const some = candidates.slice(start, start + ASKED_AT_ONCE);
      const states = await Promise.all(some.map((candidate) => this.#state(candidate)));
      for (const state of states) if (state !== undefined && state.used > 0) found.push(state);
    }
    return found;
  }

  /**
   * Forgets them; how many there were.
   * @throws GatewayFailure `dependency_unreachable` when the shared store gives no answer: nothing was forgotten then
   */
  async reset(who: string): Promise<number | undefined> {
    const shown = await this.show(who);
    if (shown === undefined) return undefined;
    const keys = new Set(shown.map(({ key }) => key));
    const held = (this.#candidates(who) ?? []).filter(({ key }) => keys.has(key));
    if (this.#shared !== undefined) {
      const forgotten = this.#shared.calls.available && (await this.#shared.exact.forget(held));
      if (!forgotten) throw new GatewayFailure("dependency_unreachable", "the shared store can't be reached");
    }
    for (const { key } of held) {
      this.#local.forget(key);
      this.#shared?.known.forget(key);
    }
    return held.length;
  }

  async #state({ limit, key }: Candidate): Promise<CounterState | undefined> {
    const { policy, measure, stats } = limit;
    const described = {
      limit: policy.name,
      route: stats.route,
      key,
      algorithm: policy.algorithm ?? "slidingWindow",
      limitUnits: measure.cap,
      windowSeconds: Math.ceil(policy.windowMs / 1_000),
    } as const;
    if (this.#shared !== undefined) {
      const outcome = this.#shared.calls.available ? await this.#shared.exact.look(limit, key) : undefined;
      if (outcome !== undefined) {
        const { remaining, resetSeconds } = outcome;
        return { ...described, used: measure.cap - remaining, remaining, resetSeconds, source: "redis" };
      }
      const own = this.#shared.known.find(key)?.own;
      if (own === undefined) return undefined;
      const now = this.#now();
      const used = own.used(now);
      const resetSeconds = Math.ceil(own.untilFree(now) / 1_000_000);
      return {
        ...described,
        used,
        remaining: Math.max(0, measure.cap - used),
        resetSeconds,
        source: "memory",
      };
    }
    const outcome = this.#local.look(limit, key, this.#now());
    if (outcome === undefined) return undefined;
    const { remaining, resetSeconds } = outcome;
    return { ...described, used: measure.cap - remaining, remaining, resetSeconds, source: "memory" };
  }

  /** Every counter that `who` could have, once; undefined when it names nobody. */
  #candidates(who: string): readonly Candidate[] | undefined {
    if (who.length > LONGEST_NAME) return undefined;
    const found = new Map<string, Candidate>();
    const raw = who.startsWith(`${this.#inspected.prefix}:`);
    const names = raw ? undefined : this.#names(who);
    if (!raw && names === undefined) return undefined;
    // Tiers share a counter. Which one is the caller's isn't known here: by the widest nothing that was used is left out.
    const add = (limit: BoundLimit, key: string): void => {
      const known = found.get(key);
      if (known === undefined || known.limit.measure.cap < limit.measure.cap) found.set(key, { limit, key });
    };
    for (const limit of this.#inspected.limits()) {
      if (raw) {
        if (who.startsWith(`${limit.counters}{`) && who.endsWith("}")) add(limit, who);
        continue;
      }
      for (const name of names?.(limit) ?? []) add(limit, counterKey(limit.counters, name));
    }
    return [...found.values()];
  }

  /** From a caller's name to what he is called in keys under one limit. */
  #names(who: string): ((limit: BoundLimit) => readonly string[]) | undefined {
    const colon = who.indexOf(":");
    const value = who.slice(colon + 1);
    if (colon === -1 || value === "") return undefined;
    const kind = who.slice(0, colon);
    switch (kind) {
      case "user": {
        const names = this.#users(value);
        return () => names;
      }
      case "key":
      case "org": {
        const names = [identity(kind, value)];
        return () => names;
      }
      case "ip":
        return ({ policy: { subject } }) => {
          const ipv6Prefix = subject.by === "ip" ? subject.ipv6Prefix : undefined;
          return [identity("ip", limitUnit(value, ipv6Prefix))];
        };
      case "route":
        return ({ policy, stats }) =>
          policy.subject.by === "route" && (stats.route === value || policy.name === value)
            ? [ROUTE_IDENTITY]
            : [];
      case "header":
      case "claim":
        return namedValue(kind, value);
      default:
        return undefined;
    }
  }

  /** A user is issuer and subject; without an issuer all that the file names are meant, and users of API keys. */
  #users(value: string): readonly string[] {
    const bar = value.lastIndexOf("|");
    if (bar !== -1) return [identity("user", value.slice(0, bar), value.slice(bar + 1))];
    return ["", ...this.#inspected.issuers()].map((issuer) => identity("user", issuer, value));
  }
}

/** `NAME=VALUE` of a header field or claim, under the limits that count by it. */
function namedValue(
  kind: "header" | "claim",
  text: string,
): ((limit: BoundLimit) => readonly string[]) | undefined {
  const equals = text.indexOf("=");
  if (equals < 1) return undefined;
  const name = text.slice(0, equals);
  const value = text.slice(equals + 1);
  const names =
    kind === "header"
      ? [identity("header", value)]
      : ["string", "number", "boolean"].map((type) => identity("claim", type, value));
  return ({ policy: { subject } }) => {
    const counted =
      (subject.by === "header" && kind === "header" && subject.name.toLowerCase() === name.toLowerCase()) ||
      (subject.by === "claim" && kind === "claim" && subject.path.join(".") === name);
    return counted ? names : [];
  };
}
