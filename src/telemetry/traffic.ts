// What passes through the gateway, counted where it passes: plain numbers that a scrape of the metrics reads. Every name is
// from the file or from a closed list, so that no caller can make one; counts outlive the configuration that they began under.

import { STATUS_CODES } from "node:http";
import type { DenialCode } from "../core/denial.ts";
import { type Bounds, Histogram } from "./histogram.ts";

/** Label of requests that belong to no route; no route can be called so. */
export const NO_ROUTE = "(none)";

// Milliseconds. An exchange, and a part of one.
const EXCHANGE_BOUNDS: Bounds = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000];
const DECISION_BOUNDS: Bounds = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500];

const METHODS = ["OTHER", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] as const;
const METHOD_NUMBERS: ReadonlyMap<string, number> = new Map(METHODS.map((name, index) => [name, index]));
const METHOD_BITS = 3;

// Routes and upstreams that are gone keep their counts, up to this many of each.
const MOST_GONE = 1_000;

/** Counts by word; without a word it is no more than a field. */
export class Tally<W extends string> {
  #counts: Map<W, number> | undefined;

  add(word: W): void {
    this.#counts ??= new Map();
    this.#counts.set(word, (this.#counts.get(word) ?? 0) + 1);
  }

  get isEmpty(): boolean {
    return this.#counts === undefined;
  }

  *[Symbol.iterator](): Generator<readonly [W, number]> {
    if (this.#counts !== undefined) yield* this.#counts;
  }
}

/** Requests of one route with one method and one status. */
export interface RequestCount {
  readonly method: string;
  /** A status such as `404`; `4xx` for those that have no name. */
  readonly status: string;
  readonly count: number;
}

class RequestCell implements RequestCount {
  readonly method: string;
  readonly status: string;
  count = 0;

  constructor(method: string, status: string) {
    this.method = method;
    this.status = status;
  }
}

/** What became of the requests of one route. */
export class RouteTraffic {
  readonly name: string;
  forwarded = 0;
  preflights = 0;
  /** By code. */
  readonly refusals = new Tally<DenialCode>();
  /** Refusals that were told but not enforced, by code. */
  readonly observed = new Tally<DenialCode>();
  #requests: Map<number, RequestCell> | undefined;
  #lastKey = -1;
  #last = new RequestCell("", "");
  #durations: Histogram | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** A request is over. @param status what was sent; 499 when the client left before */
  ended(method: string, status: number, durationMs: number): void {
    this.counted(method, status);
    this.#durations ??= new Histogram(EXCHANGE_BOUNDS);
    this.#durations.observe(durationMs);
  }

  /** As `ended`, where nothing tells how long it took. */
  counted(method: string, status: number): void {
    const key = (status << METHOD_BITS) | (METHOD_NUMBERS.get(method) ?? 0);
    if (key !== this.#lastKey) this.#turnTo(key, status);
    this.#last.count += 1;
  }

  get requests(): Iterable<RequestCount> {
    return this.#requests?.values() ?? [];
  }

  /** Undefined before the first. */
  get durations(): Histogram | undefined {
    return this.#durations;
  }

  /** Whether anything was counted. */
  get isUsed(): boolean {
    return (
      this.forwarded > 0 || this.preflights > 0 || this.#requests !== undefined || !this.refusals.isEmpty
    );
  }

  #turnTo(key: number, status: number): void {
    this.#requests ??= new Map();
    const method = METHODS[key & (METHODS.length - 1)] ?? METHODS[0];
    let cell = this.#requests.get(key);
    if (cell === undefined) {
      // An upstream may make statuses up, or let its callers choose: those without a name share one count for each class.
      const named = isNamed(status);
      const shared = named ? key : (Math.trunc(status / 100) << METHOD_BITS) | (key & (METHODS.length - 1));
      cell = this.#requests.get(shared) ?? new RequestCell(method, statusLabel(status));
      this.#requests.set(shared, cell);
    }
    this.#lastKey = key;
    this.#last = cell;
  }
}

/** What became of the requests to one upstream. */
export class UpstreamTraffic {
  readonly name: string;
  /** Requests that were handed to its transport, handshakes of tunnels and second attempts included. */
  requests = 0;
  /** By the log's word for the reason. */
  readonly failures = new Tally<string>();
  /** From handing a request over to the header section of its answer; only of those that were answered. */
  readonly answers = new Histogram(EXCHANGE_BOUNDS);

  constructor(name: string) {
    this.name = name;
  }
}

/** Where the requests of one route of one configuration are counted. */
export interface Counted {
  readonly route: RouteTraffic;
  readonly upstream: UpstreamTraffic;
}

/** A route that is counted. */
export interface CountedRoute {
  readonly name: string;
  readonly upstream: string;
}

/** The counts of one gateway, from its start on. */
export class TrafficStats {
  /** Requests that belong to no route. */
  readonly unmatched = new RouteTraffic(NO_ROUTE);
  /** From the arrival of a request to handing it to its upstream, waiting for keys and counters included. */
  readonly decisions = new Histogram(DECISION_BOUNDS);
  readonly #routes = new Map<string, RouteTraffic>();
  readonly #upstreams = new Map<string, UpstreamTraffic>();

  /** Where the requests of `routes` are counted; those whose name is known go on. Nothing is kept before `adopt`. */
  of<R extends CountedRoute>(routes: readonly R[]): ReadonlyMap<R, Counted> {
    const upstreams = new Map<string, UpstreamTraffic>();
    return new Map(
      routes.map((route) => {
        const { name, upstream } = route;
        let target = this.#upstreams.get(upstream) ?? upstreams.get(upstream);
        if (target === undefined) {
          target = new UpstreamTraffic(upstream);
          upstreams.set(upstream, target);
        }
        return [route, { route: this.#routes.get(name) ?? new RouteTraffic(name), upstream: target }];
      }),
    );
  }

  /** The configuration that `counted` was made for is in force. */
  adopt(counted: Iterable<Counted>): void {
    const routes = new Map<string, RouteTraffic>();
    const upstreams = new Map<string, UpstreamTraffic>();
    for (const { route, upstream } of counted) {
      routes.set(route.name, route);
      upstreams.set(upstream.name, upstream);
    }
    keep(this.#routes, routes);
    keep(this.#upstreams, upstreams);
  }

  /** Routes that were used, in force or gone, and what stands for requests without one. */
  *routes(): Generator<RouteTraffic> {
    if (this.unmatched.isUsed) yield this.unmatched;
    for (const route of this.#routes.values()) if (route.isUsed) yield route;
  }

  upstreams(): Iterable<UpstreamTraffic> {
    return this.#upstreams.values();
  }

  /** An upstream did not answer, or not to the end. */
  upstreamFailed(name: string, reason: string): void {
    this.#upstreams.get(name)?.failures.add(reason);
  }
}

/** Makes `current` the last of `known`, and drops what has been gone for longest where too much of it is kept. */
function keep<T>(known: Map<string, T>, current: ReadonlyMap<string, T>): void {
  for (const [name, value] of current) {
    known.delete(name);
    known.set(name, value);
  }
  for (const name of known.keys()) {
    if (known.size <= current.size + MOST_GONE) return;
    known.delete(name);
  }
}

// The client went away: a status of the log alone.
const CLIENT_LEFT = 499;

function isNamed(status: number): boolean {
  return STATUS_CODES[status] !== undefined || status === CLIENT_LEFT;
}

function statusLabel(status: number): string {
  return isNamed(status) ? String(status) : `${Math.trunc(status / 100)}xx`;
}
