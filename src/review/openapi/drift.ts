// Where a gateway.yaml and an OpenAPI document differ: what one has and the other hasn't, and who may call.

import type { GatewayConfig, RoutePolicy } from "../../config/gateway-config.ts";
import { STRICT_PATHS } from "../../core/request-target.ts";
import { parsePath } from "../../routing/pattern.ts";
import type { RouteMatch } from "../../routing/policy.ts";
import { RouteTable } from "../../routing/table.ts";
import { compareGuard, type GuardDifference } from "./compare.ts";
import { type Ways, waysOf } from "./guard.ts";
import { issuersOf } from "./issuers.ts";
import type { ApiDocument, Operation } from "./model.ts";
import { type PathPattern, patternOf } from "./paths.ts";
import { ANY_VALUE, type Circumstance, pathOf, Routes, requestOf } from "./witness.ts";

export type DriftCode =
  /** No route takes the operation: 404. */
  | "operation_not_routed"
  /** A route takes its path, but not its method: 405. */
  | "method_not_routed"
  /** The gateway answers itself where the document has an operation. */
  | "operation_shadowed"
  /** The document doesn't know what the route takes. */
  | "route_not_documented"
  /** The route takes methods that the document doesn't know. */
  | "method_not_documented"
  | "access_differs"
  | "auth_differs"
  | "scopes_differ";

export interface Drift {
  readonly code: DriftCode;
  /** `danger`: the gateway lets more pass than the document says. `note`: no difference that counts. */
  readonly severity: "danger" | "difference" | "note";
  /** What a request would be, such as `GET /pets/{id}`. */
  readonly request: string;
  readonly message: string;
  /** Line in the document, from 1; undefined for what only the gateway has. */
  readonly line: number | undefined;
  /** The route that takes the request, and its line in gateway.yaml. */
  readonly route: { readonly name: string; readonly line: number } | undefined;
}

export interface DriftReport {
  readonly operations: number;
  readonly routes: number;
  /** Dangers first, then in the order of the document and of the file. */
  readonly found: readonly Drift[];
}

/** Compares both ways: every operation is asked of the routes, every route of the operations. */
export function driftOf(config: GatewayConfig, api: ApiDocument): DriftReport {
  const comparison = new Comparison(config, api);
  const found = comparison.all();
  const rank = { danger: 0, difference: 1, note: 2 };
  return {
    operations: api.operations.length,
    routes: config.routes.length,
    found: found.toSorted((a, b) => rank[a.severity] - rank[b.severity]),
  };
}

/** Asks for what is there for methods that nothing lists. */
const NO_METHOD = "-";

/** An operation with what is known of it. */
interface Known {
  readonly operation: Operation;
  readonly pattern: PathPattern;
  readonly ways: Ways;
}

class Comparison {
  readonly #routes: Routes;
  readonly #known: readonly Known[];
  /** What no pattern can be made of, and why. */
  readonly #strange: readonly (readonly [Operation, string])[];
  readonly #documented: RouteTable<Known>;
  readonly #met = new Set<RoutePolicy>();
  readonly #found = new Map<string, Drift>();

  constructor(config: GatewayConfig, api: ApiDocument) {
    this.#routes = new Routes(config, hostsOf(api));
    const issuers = issuersOf(api.schemes, undefined).byScheme;
    const known: Known[] = [];
    const strange: (readonly [Operation, string])[] = [];
    const matches: (readonly [RouteMatch, Known])[] = [];
    for (const operation of api.operations) {
      const pattern = patternOf(operation.servers[0]?.basePath ?? "", operation.path);
      if (!pattern.ok) {
        strange.push([operation, pattern.error]);
        continue;
      }
      const one = {
        operation,
        pattern: pattern.value,
        ways: waysOf(operation.security, api.schemes, issuers),
      };
      known.push(one);
      const match = matchOf(operation.method, pattern.value.pattern);
      if (match !== undefined) matches.push([match, one]);
    }
    this.#known = known;
    this.#strange = strange;
    this.#documented = new RouteTable(matches, config.paths.caseSensitive);
  }

  all(): readonly Drift[] {
    for (const [operation, why] of this.#strange)
      this.#add("operation_not_routed", "difference", operation, undefined, `no route can take it: ${why}`);
    for (const known of this.#known) this.#askRoutes(known);
    for (const route of this.#routes.config.routes)
      for (const match of route.matches) this.#askDocument(route, match);
    return [...this.#found.values()];
  }

  /** What the gateway does with the operation's requests, in all circumstances that some route asks for. */
  #askRoutes({ operation, pattern, ways }: Known): void {
    const path = pattern.witness(ANY_VALUE);
    const { health } = this.#routes.config;
    if (path === health?.live || path === health?.ready) {
      const message =
        "the gateway answers this path itself; give its health checks other paths with `health`";
      this.#add("operation_shadowed", "difference", operation, undefined, message);
      return;
    }
    const taken = this.#routes.circumstances.flatMap((circumstance) => {
      const result = this.#routes.match(operation.method, path, circumstance);
      return result.kind === "match" ? [{ circumstance, route: result.route }] : [];
    });
    for (const { circumstance, route } of taken) {
      this.#met.add(route);
      this.#compare(operation, ways, route, circumstance);
    }
    if (taken.length > 0) return;
    const allowed = this.#allowed(operation.method, path);
    if (allowed === undefined)
      this.#add("operation_not_routed", "difference", operation, undefined, "no route takes it: 404");
    else
      this.#add(
        "method_not_routed",
        "difference",
        operation,
        undefined,
        `the routes of this path take ${allowed} only: 405`,
      );
  }

  #allowed(method: string, path: string): string | undefined {
    for (const circumstance of this.#routes.circumstances) {
      const result = this.#routes.match(method, path, circumstance);
      if (result.kind === "method_not_allowed") return result.allow.join(", ");
    }
    return undefined;
  }

  /** What the document says of the requests that the route takes, where no more specific one does. */
  #askDocument(route: RoutePolicy, match: RouteMatch): void {
    const path = pathOf(match);
    const anyMethod = match.methods.length === 0;
    const documented = this.#methodsOf(path);
    for (const method of anyMethod ? documented : match.methods) {
      const circumstance = this.#circumstanceOf(route, method, path);
      if (circumstance === undefined) continue;
      const found = this.#documented.match(requestOf(method, path, circumstance));
      if (found.kind === "match") {
        const { operation, ways } = found.route;
        this.#compare(operation, ways, route, circumstance, `${method} ${path.replaceAll(ANY_VALUE, "…")}`);
      } else this.#undocumented(route, match, method);
    }
    if (!anyMethod || this.#circumstanceOf(route, NO_METHOD, path) === undefined) return;
    if (documented.length === 0) this.#undocumented(route, match, undefined);
    else if (!match.wildcard) {
      const message = `the route takes every method, the document has ${documented.join(", ")} only`;
      this.#addFor(route, "method_not_documented", match.text, message);
    }
  }

  /** The first circumstance in which the route takes the request; undefined when others always take it before. */
  #circumstanceOf(route: RoutePolicy, method: string, path: string): Circumstance | undefined {
    return this.#routes.circumstances.find((circumstance) => {
      const result = this.#routes.match(method, path, circumstance);
      return result.kind === "match" && result.route === route;
    });
  }

  /** The methods that the document has for a path. */
  #methodsOf(path: string): readonly string[] {
    const [circumstance] = this.#routes.circumstances;
    if (circumstance === undefined) return [];
    const result = this.#documented.match(requestOf(NO_METHOD, path, circumstance));
    // HEAD follows GET and needs no word of its own.
    return result.kind === "method_not_allowed" ? result.allow.filter((method) => method !== "HEAD") : [];
  }

  #undocumented(route: RoutePolicy, match: RouteMatch, method: string | undefined): void {
    if (this.#met.has(route) && match.wildcard) return;
    const text = method === undefined ? match.text : `${method} ${match.text.replace(/^[A-Z,]+ /, "")}`;
    const open = route.access === "public" ? "; it is public" : "";
    this.#addFor(route, "route_not_documented", text, `the document has no such operation${open}`);
  }

  #compare(
    operation: Operation,
    ways: Ways,
    route: RoutePolicy,
    { text }: Circumstance,
    request = `${operation.method} ${operation.path}`,
  ): void {
    for (const { kind, part, message } of compareGuard(ways, route)) {
      const where = text === "" ? "" : ` (with ${text})`;
      this.#add(CODES[part], SEVERITIES[kind], operation, route, message + where, request);
    }
  }

  #add(
    code: DriftCode,
    severity: Drift["severity"],
    operation: Operation,
    route: RoutePolicy | undefined,
    message: string,
    request = `${operation.method} ${operation.path}`,
  ): void {
    const key = JSON.stringify([code, operation.line, operation.method, route?.line, message]);
    const place = route && { name: route.name, line: route.line };
    if (!this.#found.has(key))
      this.#found.set(key, { code, severity, request, message, line: operation.line, route: place });
  }

  #addFor(route: RoutePolicy, code: DriftCode, request: string, message: string): void {
    const { name, line } = route;
    this.#found.set(JSON.stringify([code, line, request]), {
      code,
      severity: "difference",
      request,
      message,
      line: undefined,
      route: { name, line },
    });
  }
}

const CODES: Readonly<Record<GuardDifference["part"], DriftCode>> = {
  access: "access_differs",
  auth: "auth_differs",
  scopes: "scopes_differ",
};
const SEVERITIES: Readonly<Record<GuardDifference["kind"], Drift["severity"]>> = {
  wider: "danger",
  stricter: "difference",
  note: "note",
};

function matchOf(method: string, pattern: string): RouteMatch | undefined {
  const parsed = parsePath(pattern, STRICT_PATHS);
  if (!parsed.ok) return undefined;
  return { text: pattern, ...parsed.value, methods: [method], hosts: [], headers: [], query: [] };
}

/** Host names that the document tells clients. */
function hostsOf({ servers, operations }: ApiDocument): readonly string[] {
  const all = [...servers, ...operations.flatMap((operation) => operation.servers)];
  const origins = new Set(all.flatMap(({ origin }) => origin ?? []));
  return [...origins].slice(0, 20).map((origin) => new URL(origin).host.toLowerCase());
}
