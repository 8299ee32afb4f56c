// Proposes tests for what none touches yet: for each method of a route one request that is let through and one that is
// refused. Each was tried before it is proposed, so that the proposal passes as it stands.

import type { Requirement } from "../../authz/policy.ts";
import type { GatewayConfig, RoutePolicy } from "../../config/gateway-config.ts";
import type { TestCaller, TestRequest } from "../../config/test-policy.ts";
import type { Clock } from "../../core/clock.ts";
import type { RouteMatch, ValueCondition } from "../../routing/policy.ts";
import type { Coverage } from "./coverage.ts";
import type { Outcome } from "./outcome.ts";
import { TestRunner } from "./run-tests.ts";

/** A test that would pass. */
export interface ProposedTest {
  readonly request: TestRequest;
  readonly caller: Extract<TestCaller, { readonly kind: "nobody" | "assumed" }>;
  readonly status: number;
  readonly code: string | undefined;
  readonly route: string;
  readonly line: number;
}

/** Proposals for every method of a route that `coverage` shows untouched from one side. */
export async function suggestTests(
  config: GatewayConfig,
  coverage: Coverage,
  clock: Clock,
): Promise<readonly ProposedTest[]> {
  const runner = new TestRunner(config, clock);
  const proposed: ProposedTest[] = [];
  for (const [index, route] of config.routes.entries()) {
    for (const { method, allowed, denied } of coverage.routes[index]?.methods ?? []) {
      const match = route.matches.find(({ methods }) => methods.length === 0 || methods.includes(method));
      if (match === undefined) continue;
      const request = sampleRequest(match, method === "any" ? "GET" : method);
      const caller = { kind: "assumed", facts: sampleFacts(route) } as const;
      const nobody = { kind: "nobody" } as const;
      const good = route.access === "public" ? nobody : caller;
      const wanted = [
        ...(allowed ? [] : [{ caller: good, forwards: true }]),
        ...(denied || route.access === "public" ? [] : [{ caller: nobody, forwards: false }]),
      ];
      for (const { caller: sender, forwards } of wanted) {
        const outcome = await runner.outcome({ request, caller: sender, times: 1 });
        if ((outcome.kind === "forward") !== forwards || outcome.route?.name !== route.name) continue;
        proposed.push({ request, caller: sender, ...resultOf(outcome), route: route.name, line: route.line });
      }
    }
  }
  return proposed;
}

function resultOf({ status, code }: Outcome): Pick<ProposedTest, "status" | "code"> {
  return { status, code };
}

/** Value of every parameter of a proposed request. */
const SAMPLE = "1";

function sampleRequest(match: RouteMatch, method: string): TestRequest {
  const parts = match.segments.map((one) =>
    one.kind === "literal" ? encodeURIComponent(one.value) : SAMPLE,
  );
  if (match.wildcard) parts.push("any");
  const path = `/${parts.join("/")}${match.trailingSlash ? "/" : ""}`;
  const query = match.query.map(
    ({ name, value = SAMPLE }) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
  );
  const [host] = match.hosts;
  return {
    method,
    target: query.length === 0 ? path : `${path}?${query.join("&")}`,
    host: host?.replace(/^\*/, "any"),
    headers: match.headers.map(({ name, value = SAMPLE }: ValueCondition) => [name, value] as const),
    peerAddress: undefined,
    scheme: undefined,
    upgrade: false,
  };
}

function sampleFacts({ authz }: RoutePolicy): Extract<TestCaller, { readonly kind: "assumed" }>["facts"] {
  const { scopes, roles, require } = authz;
  const facts: Record<string, unknown> = {};
  if (scopes !== undefined) facts.scopes = scopes.mode === "any" ? scopes.scopes.slice(0, 1) : scopes.scopes;
  if (roles !== undefined) facts.roles = roles.mode === "any" ? roles.roles.slice(0, 1) : roles.roles;
  for (const requirement of require) addFact(facts, requirement);
  return facts;
}

function addFact(facts: Record<string, unknown>, { fact, expected }: Requirement): void {
  const value = expected.kind === "parameter" ? SAMPLE : expected.values[0];
  if (fact.kind !== "claim") {
    facts[fact.kind] = String(value);
    return;
  }
  const claims = (facts.claims ?? {}) as Record<string, unknown>;
  facts.claims = claims;
  let at = claims;
  for (const name of fact.path.slice(0, -1)) {
    at[name] ??= {};
    at = at[name] as Record<string, unknown>;
  }
  at[fact.path.at(-1) ?? ""] = value;
}
