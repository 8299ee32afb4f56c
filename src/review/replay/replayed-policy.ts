// A file as a log is replayed through it: on the log's clock, with counters of its own, and without what no log line can
// feed.

import type { Requirement } from "../../authz/policy.ts";
import type { GatewayConfig, RoutePolicy } from "../../config/gateway-config.ts";
import { Fields } from "../../core/fields.ts";
import { canonicalise } from "../../core/request-target.ts";
import type { Awaitable } from "../../core/result.ts";
import type { Arrival } from "../../pipeline/arrival.ts";
import type { Policy } from "../../pipeline/decide.ts";
import type { CompiledRoute, Decision } from "../../pipeline/decision.ts";
import { OfflineGateway } from "../../pipeline/offline.ts";
import { decideAs, type Stand } from "../../pipeline/simulate.ts";
import { isKeyed, type RouteLimit } from "../../rate-limit/policy.ts";
import type { RouteMatch } from "../../routing/policy.ts";
import { RouteTable } from "../../routing/table.ts";

const MARK = "x-replayed";
const MARKED = new Fields([MARK, "1"]);
const UNLIMITED: Policy["limiter"] = { take: () => ({ kind: "admitted", outcomes: [], tightest: NOTHING }) };
// Never looked at, since there are no outcomes.
const NOTHING = {
  admitted: true,
  policy: { name: "", limit: 0, windowMs: 0, subject: { by: "route" }, cost: 0, onStoreFailure: "local" },
  remaining: 0,
  resetSeconds: 0,
  retryAfterSeconds: 0,
  degraded: false,
} as const;

/** The same routes for the two answers to what a line leaves open. */
interface Variants {
  /** Requirements on facts that no line holds are taken to fail. */
  readonly strict: CompiledRoute;
  /** … and here to hold. */
  readonly lenient: CompiledRoute;
  /** Limits by header or claim, which can't be counted again. */
  readonly uncounted: readonly RouteLimit[];
}

export class ReplayedPolicy {
  readonly gateway: OfflineGateway;
  readonly #policies: Readonly<Record<"strict" | "lenient", Policy>>;
  readonly #counted: Readonly<Record<"strict" | "lenient", Policy>>;
  readonly #variants = new Map<CompiledRoute, Variants>();
  readonly #byName: ReadonlyMap<string, RoutePolicy>;
  readonly #uncounted = new Map<string, readonly RouteLimit[]>();
  /** Names of routes that require what no line holds. */
  readonly #open = new Set<string>();
  readonly #conditional: RouteTable<string | undefined> | undefined;
  #nowMs = 0;
  #firstMs: number | undefined;
  #steadyMs = 0;

  constructor(config: GatewayConfig) {
    this.gateway = new OfflineGateway(config, { wallMs: () => this.#nowMs, steadyMs: () => this.#steadyMs });
    this.#byName = new Map(config.routes.map((route) => [route.name, route]));
    for (const route of this.gateway.compiled.routes) {
      const variants = variantsOf(route);
      this.#variants.set(route, variants);
      this.#uncounted.set(route.name, variants.uncounted);
      if (variants.strict !== variants.lenient) this.#open.add(route.name);
    }
    const { policy } = this.gateway.compiled;
    const routes = (which: "strict" | "lenient"): Policy["routes"] => ({
      match: (request) => {
        const found = policy.routes.match(request);
        const route = found.kind === "match" ? this.#variants.get(found.route)?.[which] : undefined;
        return found.kind === "match" && route !== undefined ? { ...found, route } : found;
      },
    });
    const strict = { ...policy, routes: routes("strict") };
    const lenient = { ...policy, routes: routes("lenient") };
    this.#counted = { strict, lenient };
    this.#policies = {
      strict: { ...strict, limiter: UNLIMITED },
      lenient: { ...lenient, limiter: UNLIMITED },
    };
    this.#conditional = conditionalTable(config);
  }

  /** Puts the clock to the time of a line. Lines of several instances may be a little out of order. */
  at(timeMs: number): void {
    this.#firstMs ??= timeMs;
    this.#nowMs = timeMs;
    this.#steadyMs = Math.max(this.#steadyMs, timeMs - this.#firstMs);
  }

  /** Decides without limits. */
  judge(arrival: Arrival, stand: Stand, which: "strict" | "lenient"): Awaitable<Decision> {
    return decideAs(this.#policies[which], arrival, stand);
  }

  /** Decides and counts. */
  count(arrival: Arrival, stand: Stand, which: "strict" | "lenient"): Awaitable<Decision> {
    return decideAs(this.#counted[which], arrival, stand);
  }

  route(name: string | undefined): RoutePolicy | undefined {
    return name === undefined ? undefined : this.#byName.get(name);
  }

  /** Whether log lines hold every fact that the route requires. */
  isKnowable(route: string | undefined): boolean {
    return route === undefined || !this.#open.has(route);
  }

  /** Limits of a route that are not counted again. */
  uncounted(route: string): readonly RouteLimit[] {
    return this.#uncounted.get(route) ?? [];
  }

  /** The route that would take the request if its header and query conditions held; undefined when none has such. */
  conditionalRoute(method: string, path: string, authority: string): string | undefined {
    if (this.#conditional === undefined) return undefined;
    // A path that was refused for its form may be anything.
    const target = canonicalise(path, authority, this.gateway.config.paths);
    if (!target.ok) return undefined;
    const { value } = target;
    const found = this.#conditional.match({
      method,
      path: value.path,
      search: "",
      authority,
      fields: MARKED,
    });
    return found.kind === "match" ? found.route : undefined;
  }
}

function variantsOf(route: CompiledRoute): Variants {
  const isFed = (limit: RouteLimit): boolean =>
    isKeyed(limit) || (limit.subject.by !== "header" && limit.subject.by !== "claim");
  const strict: CompiledRoute = {
    ...route,
    limits: route.limits.filter(isFed),
    refusalLimits: route.refusalLimits.filter(isFed),
  };
  const { authz } = route;
  const require = authz.require.filter(isKnowable);
  const lenient =
    require.length === authz.require.length ? strict : { ...strict, authz: { ...authz, require } };
  return { strict, lenient, uncounted: route.limits.filter((limit) => !isFed(limit)) };
}

/** Whether a log line holds the fact. */
function isKnowable({ fact }: Requirement): boolean {
  return fact.kind === "subject" || fact.kind === "org";
}

/** Every match with all its conditions made one that holds, so that what they could take is found. */
function conditionalTable({ routes, paths }: GatewayConfig): RouteTable<string | undefined> | undefined {
  const all = routes.flatMap(({ name, matches }) =>
    matches.map((match): [RouteMatch, string | undefined] => {
      const conditional = match.headers.length > 0 || match.query.length > 0;
      return conditional
        ? [{ ...match, headers: [{ name: MARK, value: undefined }], query: [] }, name]
        : [match, undefined];
    }),
  );
  return all.some(([, name]) => name !== undefined) ? new RouteTable(all, paths.caseSensitive) : undefined;
}
