// Which routes, and which of their methods, the tests touched; and whether their guards were tried from both sides.

import type { GatewayConfig, RoutePolicy } from "../../config/gateway-config.ts";
import type { TestResult, Touched } from "./report.ts";

/** One method of one route. */
export interface CoveredMethod {
  /** `any` where the route lists no methods. */
  readonly method: string;
  readonly allowed: boolean;
  readonly denied: boolean;
}

export interface CoveredRoute {
  readonly route: string;
  readonly line: number;
  readonly methods: readonly CoveredMethod[];
  /** `half`: tested, but never by a caller who is refused, or never by one who is let through. */
  readonly state: "full" | "half" | "partial" | "none";
}

export interface Coverage {
  readonly routes: readonly CoveredRoute[];
  /** Methods of routes that at least one test touches, and how many there are. */
  readonly touched: number;
  readonly total: number;
  /** Whole percent, rounded down. */
  readonly percent: number;
}

/** @param results those of the file's own tests */
export function coverageOf(config: GatewayConfig, results: readonly TestResult[]): Coverage {
  const byRoute = new Map<string, Touched[]>();
  for (const { touched } of results) {
    if (touched === undefined) continue;
    const known = byRoute.get(touched.route);
    if (known === undefined) byRoute.set(touched.route, [touched]);
    else known.push(touched);
  }
  const counted = config.routes.map((route) => coveredRoute(route, byRoute.get(route.name) ?? []));
  const total = counted.reduce((sum, { route }) => sum + route.methods.length, 0);
  const touched = counted.reduce((sum, one) => sum + one.touched, 0);
  return {
    routes: counted.map(({ route }) => route),
    touched,
    total,
    percent: Math.floor((touched * 100) / total),
  };
}

interface Counted {
  readonly route: CoveredRoute;
  readonly touched: number;
}

function coveredRoute(policy: RoutePolicy, touches: readonly Touched[]): Counted {
  const listed = [
    ...new Set(policy.matches.flatMap(({ methods }) => (methods.length === 0 ? ["any"] : methods))),
  ];
  const hits = new Map(listed.map((method) => [method, new Set<Touched["outcome"]>()]));
  for (const { method, outcome } of touches) {
    // HEAD goes where GET goes unless it is listed.
    const as = [method, method === "HEAD" ? "GET" : method, "any"].find((one) => hits.has(one));
    if (as !== undefined) hits.get(as)?.add(outcome);
  }
  const methods = [...hits].map(([method, outcomes]) => ({
    method,
    allowed: outcomes.has("allowed"),
    denied: outcomes.has("denied"),
  }));
  const touched = [...hits.values()].filter(({ size }) => size > 0).length;
  return {
    route: { route: policy.name, line: policy.line, methods, state: stateOf(policy, methods, touched) },
    touched,
  };
}

function stateOf(
  policy: RoutePolicy,
  methods: readonly CoveredMethod[],
  touched: number,
): CoveredRoute["state"] {
  if (touched === 0) return "none";
  // Nobody is refused where nothing guards, or where guards are only observed.
  const guarded = policy.access !== "public" && !policy.observe.includes("auth");
  const half = methods.some(({ allowed, denied }) => allowed !== denied && (guarded || !allowed));
  if (touched < methods.length) return "partial";
  return half ? "half" : "full";
}
