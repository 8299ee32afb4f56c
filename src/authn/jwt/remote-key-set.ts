// Keeps an issuer's published keys fresh in the background, so that no request waits for a fetch while the issuer is well,
// none triggers more than one fetch per cool-down, and the last good keys outlive an issuer that is away.

import type { Clock } from "../../core/clock.ts";
import { DAY_MS, MINUTE_MS, SECOND_MS } from "../../core/clock.ts";
import type { Emit } from "../../core/events.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { discoverJwksUri } from "./discovery.ts";
import { type FetchBounds, fetchJson } from "./fetch-json.ts";
import type { KeySet, KeyState } from "./key-set.ts";
import { importKeys, type KeyTable, readKeySet } from "./key-table.ts";
import type { IssuerPolicy, KeySource } from "./policy.ts";
import { isObject } from "./strict-json.ts";

/** How often, how long and how much is fetched; all in milliseconds but the last. */
export interface KeyTimings {
  /** One fetch, headers and body. */
  readonly fetchTimeoutMs: number;
  /** Lifetime of a key set that doesn't state one. */
  readonly lifetimeMs: number;
  readonly leastLifetimeMs: number;
  readonly mostLifetimeMs: number;
  /** Between two fetches that unknown key ids cause. */
  readonly cooldownMs: number;
  /** Longest that a request waits for keys. */
  readonly waitMs: number;
  /** How long keys are used after their source last confirmed them. */
  readonly staleMs: number;
  /** First pause after a failed fetch; doubles up to `mostBackoffMs`. */
  readonly backoffMs: number;
  readonly mostBackoffMs: number;
  /** How long a discovered `jwks_uri` is used without looking it up again. */
  readonly discoveryMs: number;
  readonly bodyBytes: number;
}

/** The timings that production runs with. */
export const KEY_TIMINGS: KeyTimings = {
  fetchTimeoutMs: 5 * SECOND_MS,
  lifetimeMs: 10 * MINUTE_MS,
  leastLifetimeMs: MINUTE_MS,
  mostLifetimeMs: DAY_MS,
  cooldownMs: 30 * SECOND_MS,
  waitMs: 2 * SECOND_MS,
  staleMs: DAY_MS,
  backoffMs: SECOND_MS,
  mostBackoffMs: 30 * SECOND_MS,
  discoveryMs: 60 * MINUTE_MS,
  bodyBytes: 1024 * 1024,
};

/** Key sources that have to be fetched. */
export type RemoteSource = Extract<KeySource, { kind: "jwksUri" | "discovery" }>;

interface Loaded {
  readonly keys: number;
  readonly maxAgeMs: number | undefined;
}

/** Keys that are fetched from their issuer, in use from the first success on. */
export class RemoteKeySet implements KeySet {
  epoch = 0;
  readonly #policy: IssuerPolicy;
  readonly #source: RemoteSource;
  readonly #clock: Clock;
  readonly #emit: Emit;
  readonly #timings: KeyTimings;
  readonly #bounds: FetchBounds;
  readonly #stopping = new AbortController();
  readonly #first = Promise.withResolvers<void>();
  #started = false;
  #table: KeyTable | undefined;
  #fingerprint = "";
  #confirmedMs = 0;
  #failures = 0;
  #flight: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #nextMs = 0;
  #lookedMs = -Infinity;
  #jwksUri: { readonly uri: string; readonly foundMs: number } | undefined;

  constructor(
    policy: IssuerPolicy,
    source: RemoteSource,
    ports: { readonly clock: Clock; readonly emit: Emit },
    timings: KeyTimings,
  ) {
    this.#policy = policy;
    this.#source = source;
    this.#clock = ports.clock;
    this.#emit = ports.emit;
    this.#timings = timings;
    this.#bounds = { timeoutMs: timings.fetchTimeoutMs, bodyBytes: timings.bodyBytes };
  }

  get state(): KeyState {
    if (this.usable() === undefined) return "waiting";
    return this.#failures > 0 ? "stale" : "ready";
  }

  get ageMs(): number | undefined {
    return this.usable() === undefined ? undefined : this.#clock.steadyMs() - this.#confirmedMs;
  }

  get retryAfterSeconds(): number {
    return Math.max(1, Math.ceil((this.#nextMs - this.#clock.steadyMs()) / SECOND_MS));
  }

  /** Begins the background refresh; it ends with `stop`, after which this set can't be started again. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    void this.#refresh();
  }

  stop(): void {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    this.#first.resolve();
  }

  usable(): KeyTable | undefined {
    const expired = this.#clock.steadyMs() - this.#confirmedMs >= this.#timings.staleMs;
    if (this.#table !== undefined && expired) this.#replace(undefined, "");
    return this.#table;
  }

  firstAttempt(): Promise<void> {
    return this.#atMost(this.#first.promise);
  }

  async lookAgain(): Promise<boolean> {
    if (this.#stopping.signal.aborted) return false;
    const nowMs = this.#clock.steadyMs();
    if (this.#flight === undefined) {
      if (nowMs - this.#lookedMs < this.#timings.cooldownMs) return this.#failures === 0;
      this.#lookedMs = nowMs;
    }
    const flight = this.#refresh();
    await this.#atMost(flight);
    return this.#flight !== flight && this.#failures === 0;
  }

  /** Waits for `work`, but no longer than a request may. */
  async #atMost(work: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, this.#timings.waitMs);
    });
    await Promise.race([work, limit]);
    clearTimeout(timer);
  }

  /** The one refresh that is under way, begun now if there is none. Never fails. */
  #refresh(): Promise<void> {
    if (this.#flight !== undefined) return this.#flight;
    clearTimeout(this.#timer);
    const flight = this.#attempt().then((delayMs) => {
      this.#flight = undefined;
      this.#first.resolve();
      this.#schedule(delayMs);
    });
    this.#flight = flight;
    return flight;
  }

  #schedule(delayMs: number): void {
    if (this.#stopping.signal.aborted) return;
    this.#nextMs = this.#clock.steadyMs() + delayMs;
    this.#timer = setTimeout(() => void this.#refresh(), delayMs);
    this.#timer.unref();
  }

  /** Loads once and says when to load again. */
  async #attempt(): Promise<number> {
    const loaded = await this.#load().catch(() => err("unexpected"));
    if (this.#stopping.signal.aborted) return 0;
    if (!loaded.ok) return this.#failed(loaded.error);
    const { lifetimeMs, leastLifetimeMs, mostLifetimeMs } = this.#timings;
    const { keys, maxAgeMs } = loaded.value;
    this.#failures = 0;
    this.#confirmedMs = this.#clock.steadyMs();
    this.#emit({ kind: "keys_refreshed", issuer: this.#policy.name, keys });
    // Early enough that a slow fetch still ends within the lifetime.
    return 0.9 * Math.min(Math.max(maxAgeMs ?? lifetimeMs, leastLifetimeMs), mostLifetimeMs);
  }

  #failed(reason: string): number {
    const stale = this.usable() !== undefined;
    const { backoffMs, mostBackoffMs, staleMs } = this.#timings;
    const pauseMs = Math.min(backoffMs * 2 ** Math.min(this.#failures, 30), mostBackoffMs);
    this.#failures++;
    this.#emit({ kind: "keys_refresh_failed", issuer: this.#policy.name, reason, stale });
    if (!stale) return pauseMs;
    const leftMs = staleMs - (this.#clock.steadyMs() - this.#confirmedMs);
    return Math.max(0, Math.min(pauseMs, leftMs));
  }

  async #load(): Promise<Result<Loaded, string>> {
    const uri = await this.#locate();
    if (!uri.ok) return uri;
    const fetched = await fetchJson(uri.value, this.#bounds, this.#stopping.signal);
    if (!fetched.ok) {
      // The set may have moved: look it up again next time.
      if (this.#jwksUri !== undefined) this.#jwksUri = { ...this.#jwksUri, foundMs: -Infinity };
      return err(`jwks_${fetched.error}`);
    }
    const { document, maxAgeMs } = fetched.value;
    if (!isObject(document) || !Array.isArray(document.keys)) return err("jwks_invalid");
    const keys = await this.#adopt(document.keys);
    return keys === 0 ? err("jwks_empty") : ok({ keys, maxAgeMs });
  }

  async #locate(): Promise<Result<string, string>> {
    if (this.#source.kind === "jwksUri") return ok(this.#source.url);
    const known = this.#jwksUri;
    const nowMs = this.#clock.steadyMs();
    if (known !== undefined && nowMs - known.foundMs < this.#timings.discoveryMs) return ok(known.uri);
    const { issuer } = this.#policy;
    const found = await discoverJwksUri(issuer, this.#source.url, this.#bounds, this.#stopping.signal);
    if (found.ok) this.#jwksUri = { uri: found.value, foundMs: nowMs };
    else if (known === undefined) return err(`discovery_${found.error}`);
    else return ok(known.uri);
    return found;
  }

  /** Takes over a set unless it is the one in use or holds nothing usable. The number of usable keys. */
  async #adopt(entries: readonly unknown[]): Promise<number> {
    const { algorithms, name } = this.#policy;
    const read = readKeySet(entries, algorithms);
    if (this.#table !== undefined && read.fingerprint === this.#fingerprint) return this.#table.count;
    const { table, faults } = await importKeys(read.keys, algorithms);
    for (const reason of new Set([...read.faults, ...faults])) {
      this.#emit({ kind: "key_ignored", issuer: name, reason });
    }
    if (table.count > 0) this.#replace(table, read.fingerprint);
    return table.count;
  }

  #replace(table: KeyTable | undefined, fingerprint: string): void {
    this.#table = table;
    this.#fingerprint = fingerprint;
    this.epoch++;
  }
}
