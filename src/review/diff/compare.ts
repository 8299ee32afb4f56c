// Compares two files by what they let through: for every class of requests that one of them can tell apart, which route of
// each gets it, who may call there, and what else is done. Nothing is compared as text.

import { isDeepStrictEqual } from "node:util";
import type { GatewayConfig } from "../../config/gateway-config.ts";
import type { RoutedRequest } from "../../routing/table.ts";
import { guardText } from "../words.ts";
import { isNone, setOf, without } from "./address-set.ts";
import { fileChanges, pathGains } from "./file-changes.ts";
import { type Gain, GainFinder } from "./gains.ts";
import { type Guard, guardOf } from "./guard.ts";
import { type PathClass, visitPathClasses } from "./path-classes.ts";
import type { Reason } from "./reasons.ts";
import { witnessesAt } from "./request-classes.ts";
import { type Change, change, originGains, routeChanges } from "./route-changes.ts";
import { type Served, Side } from "./side.ts";

/** How access changes. `possibly wider`: it can't be ruled out. `both`: wider for some callers, narrower for others. */
export type Access = "wider" | "possibly wider" | "narrower" | "both" | "same";

/** Requests for which one and the same changes. */
export interface RouteChange {
  readonly access: Access;
  readonly methods: readonly string[];
  /** The methods that no route lists there are meant as well. */
  readonly otherMethods: boolean;
  readonly old: Served | undefined;
  readonly new: Served | undefined;
  /** The one path that is meant; undefined: those of the patterns. */
  readonly path: string | undefined;
  /** Callers who may now and couldn't. */
  readonly gains: readonly Gain[];
  /** Callers who could and may no longer. */
  readonly losses: readonly Gain[];
  readonly changes: readonly Change[];
  /** One of the requests. */
  readonly request: RoutedRequest;
}

export interface Comparison {
  readonly old: GatewayConfig;
  readonly new: GatewayConfig;
  readonly access: Access;
  readonly routes: readonly RouteChange[];
  /** What becomes of paths that were refused in any case. */
  readonly paths: readonly Reason[];
  /** What changes beside single routes. */
  readonly file: readonly Change[];
  /** First path at which there were too many combinations to look at; undefined: all were. */
  readonly incomplete: string | undefined;
}

/** Bounds of the work. */
export interface CompareBounds {
  /** Most requests that are tried. */
  readonly requests: number;
}

const BOUNDS: CompareBounds = { requests: 3_000_000 };

/** Compares two valid files. @param nowMs wall clock, for keys that have expired */
export function compareConfigs(
  old: GatewayConfig,
  next: GatewayConfig,
  nowMs: number,
  bounds: CompareBounds = BOUNDS,
): Comparison {
  // However many combinations there were, none could differ.
  if (isDeepStrictEqual(meaningOf(old), meaningOf(next)))
    return { old, new: next, access: "same", routes: [], paths: [], file: [], incomplete: undefined };
  return new Comparer(new Side(old, nowMs), new Side(next, nowMs), bounds).compare();
}

/** All of a file but where it stands and what tests it. */
function meaningOf({ file: _, tests: __, routes, ...rest }: GatewayConfig) {
  return { ...rest, routes: routes.map(({ line: ___, ...route }) => route) };
}

interface Pair {
  readonly old: Served | undefined;
  readonly new: Served | undefined;
  readonly path: string | undefined;
  readonly segments: PathClass<Served>["segments"];
}

/** What was found for a pair of routes, and where. */
interface Found extends Omit<RouteChange, "methods" | "otherMethods"> {
  readonly methods: Set<string>;
  readonly otherMethods: { here: boolean };
}

class Comparer {
  readonly #old: Side;
  readonly #new: Side;
  readonly #bounds: CompareBounds;
  readonly #wider: GainFinder;
  readonly #narrower: GainFinder;
  readonly #guards = new Map<Served, Guard>();
  readonly #numbers = new Map<Served, number>();
  readonly #found = new Map<string, Found | undefined>();
  #tried = 0;
  #incomplete: string | undefined;

  constructor(old: Side, next: Side, bounds: CompareBounds) {
    this.#old = old;
    this.#new = next;
    this.#bounds = bounds;
    const [one, other] = [setOf(old.config.trustedProxies), setOf(next.config.trustedProxies)];
    const sameAddresses = isNone(without(one, other)) && isNone(without(other, one));
    this.#wider = new GainFinder(old, next, sameAddresses);
    this.#narrower = new GainFinder(next, old, sameAddresses);
  }

  compare(): Comparison {
    const { paths } = this.#old.config;
    visitPathClasses({
      old: this.#old.tree,
      new: this.#new.tree,
      emptySegments: paths.duplicateSlash === "keep" && this.#new.config.paths.duplicateSlash === "keep",
      visit: (one) => this.#atPath(one),
    });
    const routes = [...this.#found.values()].flatMap((found): RouteChange[] =>
      found === undefined
        ? []
        : [{ ...found, methods: [...found.methods].toSorted(), otherMethods: found.otherMethods.here }],
    );
    const incomplete = this.#incomplete;
    const [old, next] = [this.#old.config, this.#new.config];
    const pathReasons = pathGains(old.paths, next.paths);
    const all = [
      ...routes.map(({ access }) => access),
      ...pathReasons.map(({ certain }): Access => (certain ? "wider" : "possibly wider")),
      ...(pathGains(next.paths, old.paths).length > 0 ? (["narrower"] as const) : []),
      ...(incomplete === undefined ? [] : (["possibly wider"] as const)),
    ];
    return {
      old,
      new: next,
      access: overall(all),
      routes,
      paths: pathReasons,
      file: fileChanges(old, next),
      incomplete,
    };
  }

  /** Tries every class of requests at a path; false when there were too many in all. */
  #atPath(one: PathClass<Served>): boolean {
    const matches = [...one.old, ...one.new].map(({ match }) => match);
    const witnesses = witnessesAt(one.path, matches);
    this.#tried += witnesses?.length ?? 0;
    const enough = this.#tried > this.#bounds.requests;
    if (witnesses === undefined || enough) {
      this.#incomplete ??= one.path;
      return !enough;
    }
    for (const { request, otherMethod } of witnesses) {
      const path = this.#answeredByOld(request) ? request.path : undefined;
      const pair = {
        old: path === undefined ? routeOf(this.#old, request) : undefined,
        new: routeOf(this.#new, request),
        path,
        segments: one.segments,
      };
      if (pair.old === undefined && pair.new === undefined) continue;
      const found = this.#pair(pair, request);
      if (found === undefined) continue;
      if (otherMethod) found.otherMethods.here = true;
      else found.methods.add(request.method);
    }
    return true;
  }

  /** The old gateway answered its health checks itself, and the new one doesn't: then no route has had them. */
  #answeredByOld({ method, path }: RoutedRequest): boolean {
    const isAsked = method === "GET" || method === "HEAD";
    return isAsked && this.#old.ownPaths.includes(path) && !this.#new.ownPaths.includes(path);
  }

  /** The change for a pair of routes, worked out once; undefined when there is none. */
  #pair(pair: Pair, request: RoutedRequest): Found | undefined {
    const [old, next] = [this.#guard(this.#old, pair.old), this.#guard(this.#new, pair.new)];
    // Only segments that a guard looks at make a difference.
    const looked = [...(old?.needs ?? []), ...(next?.needs ?? [])].map(({ segment }) =>
      segment === undefined ? null : (pair.segments[segment] ?? null),
    );
    const key = `${this.#number(pair.old)} ${this.#number(pair.new)} ${pair.path ?? ""} ${JSON.stringify(looked)}`;
    if (this.#found.has(key)) return this.#found.get(key);
    const found = this.#judge(pair, old, next, request);
    this.#found.set(key, found);
    return found;
  }

  #judge(
    pair: Pair,
    old: Guard | undefined,
    next: Guard | undefined,
    request: RoutedRequest,
  ): Found | undefined {
    const { segments } = pair;
    const gains = distinct([
      ...this.#wider.gains(old, next, segments),
      ...(pair.old && pair.new ? originGains(pair.old.route.cors, pair.new.route.cors) : []),
    ]);
    const losses = distinct([
      ...this.#narrower.gains(next, old, segments),
      ...(pair.old && pair.new ? originGains(pair.new.route.cors, pair.old.route.cors) : []),
    ]);
    const changes = this.#changes(pair);
    const access = accessOf(gains, losses);
    if (access === "same" && changes.length === 0) return undefined;
    const { old: before, new: after, path } = pair;
    return {
      access,
      old: before,
      new: after,
      path,
      gains,
      losses,
      changes,
      request,
      methods: new Set(),
      otherMethods: { here: false },
    };
  }

  #changes({ old, new: next }: Pair): readonly Change[] {
    if (old === undefined || next === undefined) {
      const words = [old, next].map((served) => (served === undefined ? "none" : guardText(served.route)));
      return change("guard", words[0] ?? "", words[1] ?? "");
    }
    return routeChanges(
      { route: old.route, config: this.#old.config },
      { route: next.route, config: this.#new.config },
    );
  }

  #guard(side: Side, served: Served | undefined): Guard | undefined {
    if (served === undefined) return undefined;
    const known = this.#guards.get(served) ?? guardOf(side, served);
    this.#guards.set(served, known);
    return known;
  }

  #number(served: Served | undefined): number {
    if (served === undefined) return -1;
    const number = this.#numbers.get(served) ?? this.#numbers.size;
    this.#numbers.set(served, number);
    return number;
  }
}

function routeOf(side: Side, request: RoutedRequest): Served | undefined {
  const found = side.table.match(request);
  return found.kind === "match" ? found.route : undefined;
}

function accessOf(gains: readonly Gain[], losses: readonly Gain[]): Access {
  const sure = gains.some(({ reason }) => reason.certain);
  if (gains.length === 0) return losses.some(({ reason }) => reason.certain) ? "narrower" : "same";
  if (!sure) return "possibly wider";
  return losses.length === 0 ? "wider" : "both";
}

function overall(all: readonly Access[]): Access {
  const has = (access: Access): boolean => all.includes(access);
  if (has("both")) return "both";
  if (has("wider")) return has("narrower") ? "both" : "wider";
  if (has("possibly wider")) return "possibly wider";
  return has("narrower") ? "narrower" : "same";
}

function distinct(gains: readonly Gain[]): readonly Gain[] {
  return [...new Map(gains.map((gain) => [JSON.stringify(gain), gain])).values()];
}

/** Whether somebody may do more than before, or it can't be ruled out. */
export function isWider(access: Access): boolean {
  return access !== "same" && access !== "narrower";
}
