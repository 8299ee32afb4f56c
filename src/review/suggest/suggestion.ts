// From what was seen to what a file could say: routes with scopes and limits, and which observed checks can be enforced.

import type { GatewayConfig, RoutePolicy } from "../../config/gateway-config.ts";
import { DENIALS, type DenialCode } from "../../core/denial.ts";
import type { ObservePart } from "../../core/observe.ts";
import { STRICT_PATHS } from "../../core/request-target.ts";
import { parseMatchText } from "../../routing/pattern.ts";
import { pathShape } from "../../routing/rank.ts";
import type { LoggedDecision } from "../replay/log-lines.ts";
import { increase, intersection, type Observations } from "./observations.ts";
import { PathTree } from "./path-tree.ts";

/** A route that the file doesn't have. */
export interface SuggestedRoute {
  readonly match: string;
  /** Undefined where the log and the file don't tell. */
  readonly to: string | undefined;
  /** Kinds of credentials that were seen; empty when there were none, and then it is no proposal but a question. */
  readonly auth: readonly string[];
  /** Scopes that all callers held, and that not everybody holds everywhere. */
  readonly scopes: readonly string[];
  /** Units a minute for each user; undefined without callers. */
  readonly perMinute: number | undefined;
  readonly evidence: {
    readonly requests: number;
    readonly anonymous: number;
    readonly callers: number;
    readonly peakPerMinute: number;
  };
}

/** What enforcing one observed check of one route would do. */
export interface ObservedPart {
  readonly route: string;
  readonly part: ObservePart;
  readonly requests: number;
  readonly wouldRefuse: number;
  readonly codes: Readonly<Record<string, number>>;
}

export interface Suggestion {
  readonly decisions: number;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly routes: readonly SuggestedRoute[];
  readonly observed: readonly ObservedPart[];
}

const MOST_ROUTES = 500;
const MOST_PARTS = 2_000;
// Twice the busiest minute leaves room for a busier one.
const HEADROOM = 2;
const LEAST_LIMIT = 10;

/** Gathers decision lines in bounded memory. */
export class Suggester {
  readonly #config: GatewayConfig | undefined;
  readonly #tree = new PathTree();
  readonly #requests = new Map<string, number>();
  readonly #refusals = new Map<string, Map<string, number>>();
  #everybody: ReadonlySet<string> | undefined;
  #decisions = 0;
  #from: string | undefined;
  #to: string | undefined;

  constructor(config: GatewayConfig | undefined) {
    this.#config = config;
  }

  add(line: LoggedDecision): void {
    this.#decisions++;
    this.#from ??= line.time;
    this.#to = line.time;
    const { route, authMethod } = line;
    if (route !== undefined && (this.#requests.has(route) || this.#requests.size < MOST_PARTS)) {
      increase(this.#requests, route, 1);
      for (const code of line.observed) this.#refuse(route, partOf(code), code);
      if (line.wouldRefuse.length > 0) this.#refuse(route, "limit", "rate_limited");
    }
    // What was refused is no use to learn from: it may be an attack.
    if (line.decision !== "forward" || line.path.includes("[redacted]") || line.path.endsWith("…")) return;
    if (authMethod === "jwt" || authMethod === "apiKey")
      this.#everybody = intersection(this.#everybody, line.scopes);
    this.#tree.at(line.method === "HEAD" ? "GET" : line.method, line.path)?.add(line);
  }

  #refuse(route: string, part: ObservePart, code: string): void {
    const key = JSON.stringify([route, part]);
    const known = this.#refusals.get(key) ?? new Map<string, number>();
    this.#refusals.set(key, known);
    if (known.has(code) || known.size < 50) increase(known, code, 1);
  }

  suggestion(): Suggestion {
    return {
      decisions: this.#decisions,
      from: this.#from,
      to: this.#to,
      routes: this.#routes().slice(0, MOST_ROUTES),
      observed: this.#observed(),
    };
  }

  #routes(): readonly SuggestedRoute[] {
    const taken = this.#taken();
    const everybody = this.#tree.patterns().length > 1 ? this.#everybody : undefined;
    return this.#tree.patterns().flatMap(({ pattern, methods }) => {
      const joined = new Map<string, { methods: string[]; route: Omit<SuggestedRoute, "match"> }>();
      for (const [method, seen] of methods) {
        const shape = shapeOf(method, pattern);
        if (shape === undefined || taken(method, shape)) continue;
        const route = this.#routeOf(seen, everybody);
        const key = JSON.stringify([route.to, route.auth, route.scopes, route.perMinute]);
        const same = joined.get(key);
        if (same === undefined) joined.set(key, { methods: [method], route });
        else {
          same.methods.push(method);
          same.route = { ...same.route, evidence: sum(same.route.evidence, route.evidence) };
        }
      }
      return [...joined.values()].map((one) => ({
        match: `${one.methods.join(",")} ${pattern}`,
        ...one.route,
      }));
    });
  }

  #routeOf(seen: Observations, everybody: ReadonlySet<string> | undefined): Omit<SuggestedRoute, "match"> {
    const { count, anonymous, callers, peak } = seen;
    const known = [...seen.routes].flatMap((name) => this.#policy(name) ?? []);
    return {
      to: known[0]?.upstream,
      auth: [...this.#tokens(seen), ...(seen.apiKeys > 0 ? ["apiKey"] : [])],
      scopes: [...(seen.held ?? [])].filter((scope) => everybody?.has(scope) !== true).sort(),
      perMinute: callers === 0 ? undefined : roundUp(Math.max(LEAST_LIMIT, peak * HEADROOM)),
      evidence: { requests: count, anonymous, callers, peakPerMinute: peak },
    };
  }

  /** `jwt`, or the names of the issuers that were seen where the file has others too. */
  #tokens({ issuers }: Observations): readonly string[] {
    if (issuers.size === 0) return [];
    const all = this.#config?.issuers ?? [];
    const names = all.filter(({ issuer }) => issuers.has(issuer)).map(({ name }) => name);
    return names.length === 0 || names.length === all.length ? ["jwt"] : names.map((name) => `jwt:${name}`);
  }

  #policy(name: string): RoutePolicy | undefined {
    return this.#config?.routes.find((route) => route.name === name);
  }

  /** Whether the file has a route for the method and shape already, or answers there itself. */
  #taken(): (method: string, shape: string) => boolean {
    const { routes = [], health, paths } = this.#config ?? {};
    const shapes = new Map<string, Set<string>>();
    for (const match of routes.flatMap(({ matches }) => matches)) {
      const shape = pathShape(match, paths?.caseSensitive);
      const methods = shapes.get(shape) ?? new Set();
      for (const method of match.methods.length === 0 ? ["any"] : match.methods) methods.add(method);
      shapes.set(shape, methods);
    }
    const own = new Set(
      [health?.live, health?.ready].flatMap((path) =>
        path === undefined ? [] : (shapeOf("GET", path) ?? []),
      ),
    );
    return (method, shape) =>
      own.has(shape) || shapes.get(shape)?.has(method) === true || shapes.get(shape)?.has("any") === true;
  }

  #observed(): readonly ObservedPart[] {
    const parts: ObservedPart[] = [];
    for (const [route, requests] of this.#requests) {
      const policy = this.#policy(route);
      const seen = [...this.#refusals.keys()].map((key) => JSON.parse(key) as [string, ObservePart]);
      const names = policy?.observe ?? seen.filter(([name]) => name === route).map(([, part]) => part);
      for (const part of names) {
        const codes = this.#refusals.get(JSON.stringify([route, part])) ?? new Map<string, number>();
        const wouldRefuse = [...codes.values()].reduce((all, one) => all + one, 0);
        parts.push({ route, part, requests, wouldRefuse, codes: Object.fromEntries(codes) });
      }
    }
    return parts;
  }
}

function sum(a: SuggestedRoute["evidence"], b: SuggestedRoute["evidence"]): SuggestedRoute["evidence"] {
  return {
    requests: a.requests + b.requests,
    anonymous: a.anonymous + b.anonymous,
    callers: Math.max(a.callers, b.callers),
    peakPerMinute: Math.max(a.peakPerMinute, b.peakPerMinute),
  };
}

/** The shape of a pattern; undefined for what is no pattern, such as a path with a star in it. */
function shapeOf(method: string, pattern: string): string | undefined {
  const parsed = parseMatchText(`${method} ${pattern}`, STRICT_PATHS);
  return parsed.ok ? pathShape(parsed.value) : undefined;
}

/** The check that refuses with a code. */
function partOf(code: string): ObservePart {
  if (code === "scope_insufficient") return "scopes";
  if (code === "role_insufficient") return "roles";
  if (code === "requirement_failed") return "require";
  if (code === "address_denied") return "ips";
  return Object.hasOwn(DENIALS, code) && DENIALS[code as DenialCode].status === 429 && code === "rate_limited"
    ? "limit"
    : "auth";
}

/** The next of 10, 20, 30, 50, 100 … */
function roundUp(value: number): number {
  for (let power = 10; ; power *= 10) {
    for (const step of [1, 2, 3, 5]) if (value <= step * power) return step * power;
  }
}
