// Plans the gateway.yaml that does what a document says: its routes with their guards, issuers and upstreams, and what
// could not be carried over. Nothing is open that the document doesn't open in so many words.

import { err, ok, type Result } from "../../core/result.ts";
import { ROUTABLE_METHODS } from "../../routing/options.ts";
import { type Guard, guardOf, waysOf } from "./guard.ts";
import { issuersOf, type PlannedIssuer, someIssuer } from "./issuers.ts";
import type { ApiDocument, Operation, Remark } from "./model.ts";
import { patternOf } from "./paths.ts";
import { type PlannedUpstream, upstreamsOf } from "./upstreams.ts";

export interface ImportOptions {
  /** URLs by name of upstream, in place of those of the document. */
  readonly upstreams: ReadonlyMap<string, string>;
  /** Issuer of the tokens of which the document doesn't tell any. */
  readonly issuer: string | undefined;
  /** Audience of the tokens. */
  readonly audience: string | undefined;
  /** Open the operations of which the document says nothing. */
  readonly openUndeclared: boolean;
}

export interface PlannedRoute {
  readonly methods: readonly string[];
  readonly pattern: string;
  readonly upstream: string;
  readonly guard: Guard;
  /** In the order of the document; at least one. */
  readonly operations: readonly Operation[];
  /** The pattern matches more than the templates do. */
  readonly wider: boolean;
}

export interface Plan {
  readonly upstreams: readonly PlannedUpstream[];
  readonly issuers: readonly PlannedIssuer[];
  readonly audience: string | undefined;
  /** Header fields of the document that carry API keys; undefined when no route takes any. */
  readonly keyHeaders: readonly string[] | undefined;
  readonly routes: readonly PlannedRoute[];
  /** Operations without a route. */
  readonly leftOut: readonly Remark[];
  /** What else was not carried over, or not exactly. */
  readonly remarks: readonly Remark[];
}

/** The error is a sentence: an option that doesn't fit the document. */
export function planImport(api: ApiDocument, options: ImportOptions): Result<Plan, string> {
  const upstreams = upstreamsOf(api, options.upstreams);
  if (!upstreams.ok) return err(upstreams.error);
  const known = issuersOf(api.schemes, options.issuer);
  const keys = [...api.schemes.values()].flatMap((one) => (one.kind === "apiKey" ? [one.header] : []));
  const usual = [
    ...known.issuers.map(({ name }) => [`jwt:${name}`]),
    ...(keys.length > 0 ? [["apiKey"]] : []),
  ];
  const spare = someIssuer(options.issuer);
  const fallback = usual.length > 0 ? usual : [[`jwt:${spare.name}`]];
  const leftOut: Remark[] = [];
  const candidates = api.operations.flatMap((operation) => {
    const ways = waysOf(operation.security, api.schemes, known.byScheme);
    const guard = guardOf(ways, options.openUndeclared ? "public" : fallback);
    const planned = planOperation(operation, guard, upstreams.value.nameOf);
    if (typeof planned !== "string") return [planned];
    leftOut.push(remark(operation, guard === undefined ? ways.dropped.join("; ") : planned));
    return [];
  });
  const routes = grouped(withoutClashes(candidates, leftOut));
  const used = new Set(routes.flatMap(({ guard }) => guard.auth.flat()));
  return ok({
    upstreams: upstreams.value.upstreams.filter(({ name }) =>
      routes.some((route) => route.upstream === name),
    ),
    issuers: (usual.length > 0 ? known.issuers : [spare]).filter(({ name }) => used.has(`jwt:${name}`)),
    audience: options.audience,
    keyHeaders: used.has("apiKey") ? distinctHeaders(keys) : undefined,
    routes,
    leftOut: leftOut.toSorted((a, b) => a.line - b.line),
    remarks: [...api.remarks, ...remarksOf(api, routes)],
  });
}

function remark({ method, path, line }: Operation, why: string): Remark {
  return { what: `${method} ${path}`, why, line };
}

/** Names of header fields are the same in any case. */
function distinctHeaders(names: readonly string[]): readonly string[] {
  const lower = names.map((name) => name.toLowerCase());
  return names.filter((_, index) => lower.indexOf(lower[index] ?? "") === index);
}

/** The route of one operation, or why it has none. */
function planOperation(
  operation: Operation,
  guard: Guard | undefined,
  nameOf: (server: Operation["servers"][number]) => string,
): PlannedRoute | string {
  const { method, path, servers } = operation;
  const [server] = servers;
  if (server === undefined) return "no server";
  if (!ROUTABLE_METHODS.includes(method)) return `the method ${method} can't be routed`;
  const pattern = patternOf(server.basePath, path);
  if (!pattern.ok) return pattern.error;
  if (guard === undefined) return "no way in";
  const { wider } = pattern.value;
  if (wider && guard.access !== "guarded")
    return `${pattern.value.pattern} is the nearest pattern, and would open more than the document does`;
  return {
    methods: [method],
    pattern: pattern.value.pattern,
    upstream: nameOf(server),
    guard,
    operations: [operation],
    wider,
  };
}

/** Two templates that match the same requests: one route when they agree, else none, since one of them would be wrong. */
function withoutClashes(candidates: readonly PlannedRoute[], leftOut: Remark[]): readonly PlannedRoute[] {
  const byRequest = Map.groupBy(
    candidates,
    ({ methods, pattern }) => `${methods.join()} ${pattern.replace(/:\w+/g, ":")}`,
  );
  return [...byRequest.values()].flatMap((same) => {
    const [first] = same;
    if (first === undefined || same.length === 1) return same;
    const paths = same.flatMap(({ operations }) => operations.map(({ path }) => path)).join(" and ");
    const agreed = same.every((one) => one.upstream === first.upstream && sameGuard(one.guard, first.guard));
    if (agreed) return [{ ...first, operations: same.flatMap(({ operations }) => operations) }];
    for (const { operations } of same)
      for (const operation of operations)
        leftOut.push(remark(operation, `${paths} match the same requests, and ask for different things`));
    return [];
  });
}

function sameGuard(a: Guard, b: Guard): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Methods of one path with the same guard make one route. */
function grouped(candidates: readonly PlannedRoute[]): readonly PlannedRoute[] {
  const groups = Map.groupBy(candidates, ({ pattern, upstream, guard, wider }) =>
    JSON.stringify([pattern, upstream, guard, wider]),
  );
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const methods = [...new Set(group.flatMap((one) => one.methods))];
    return [{ ...first, methods, operations: group.flatMap((one) => one.operations) }];
  });
}

function remarksOf(api: ApiDocument, routes: readonly PlannedRoute[]): readonly Remark[] {
  const remarks: Remark[] = [];
  for (const { guard, operations, wider, pattern } of routes) {
    for (const operation of operations) {
      for (const note of guard.notes) remarks.push(remark(operation, note));
      if (wider) remarks.push(remark(operation, `the route takes all of ${pattern}, which is more`));
    }
  }
  for (const operation of api.operations) {
    if (operation.callbacks)
      remarks.push(
        remark(operation, "callbacks are requests that the API sends; the gateway has no part in them"),
      );
    const [first] = operation.servers;
    if (first !== undefined && operation.servers.some(({ basePath }) => basePath !== first.basePath))
      remarks.push(
        remark(
          operation,
          `its servers differ in their paths; ${first.basePath || "/"} of the first one counts`,
        ),
      );
  }
  const why = "webhooks are requests that the API sends; the gateway has no part in them";
  for (const { name, line } of api.webhooks) remarks.push({ what: `webhook ${name}`, why, line });
  return remarks;
}
