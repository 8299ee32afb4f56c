// Runs the tests of a file against the policy that the file makes: offline, at one moment, with fresh counters for each
// test. It is the very decision that requests meet, not a copy of it.

import { setImmediate } from "node:timers/promises";
import type { GatewayConfig } from "../../config/gateway-config.ts";
import type { ConfigTest, TestRequest } from "../../config/test-policy.ts";
import type { Clock } from "../../core/clock.ts";
import type { Awaitable } from "../../core/result.ts";
import type { Arrival } from "../../pipeline/arrival.ts";
import { decide, type Policy } from "../../pipeline/decide.ts";
import type { CompiledRoute, Decision } from "../../pipeline/decision.ts";
import { OfflineGateway } from "../../pipeline/offline.ts";
import { arrivalOf, decideAs, type Stand } from "../../pipeline/simulate.ts";
import type { Limiter } from "../../rate-limit/limiter.ts";
import { compare } from "./compare.ts";
import { countedAs } from "./counted-as.ts";
import { type Outcome, outcomeOf, ownOutcome } from "./outcome.ts";
import type { TestReport, TestResult, Touched } from "./report.ts";
import { whyOf } from "./why.ts";

// Requests that are decided on before others get their turn: a running gateway tests a new file between its requests.
const AT_ONCE = 200;
// One caller of one route meets a few limits; a file can hold sixteen of them for each.
const MOST_COUNTERS = 1_000;

/**
 * Runs every test of a valid configuration. Never rejects. The moment is that of the call: `clock` is read once, so
 * requests of one test meet full windows, and tokens are judged by the present day.
 */
export async function runTests(config: GatewayConfig, clock: Clock): Promise<TestReport> {
  const runner = new TestRunner(config, clock);
  const results: TestResult[] = [];
  for (const test of config.tests) results.push(await runner.run(test));
  return { file: config.file, results, failed: results.filter(({ ok }) => !ok).length };
}

/** Runs single tests of one configuration. */
export class TestRunner {
  readonly #config: GatewayConfig;
  readonly #gateway: OfflineGateway;
  #sent = 0;

  constructor(config: GatewayConfig, clock: Clock) {
    const now = { wall: clock.wallMs(), steady: clock.steadyMs() };
    this.#config = config;
    this.#gateway = new OfflineGateway(config, { wallMs: () => now.wall, steadyMs: () => now.steady });
  }

  async run(test: ConfigTest): Promise<TestResult> {
    const counters = new FreshCounters(this.#gateway);
    const outcome = await this.outcome(test, counters);
    const names =
      test.expect.limitKey === undefined ? [] : await countedAs(outcome, test.expect.limit, counters);
    const mismatches = compare(test, outcome, this.#config, names);
    const ok = mismatches.length === 0;
    return {
      name: test.name,
      line: test.line,
      ok,
      mismatches,
      why: ok ? undefined : whyOf(outcome, this.#config),
      touched: touchedBy(outcome, test),
    };
  }

  /** What becomes of the last request of a test. */
  async outcome(
    test: Pick<ConfigTest, "request" | "caller" | "times">,
    counters = new FreshCounters(this.#gateway),
  ): Promise<Outcome> {
    const arrival = arrivalFor(test);
    const own = ownOutcome(this.#config, arrival);
    if (own !== undefined) return own;
    const policy = { ...this.#gateway.compiled.policy, limiter: counters };
    const decideOnce = this.#decider(test, policy, arrival);
    let decision = await decideOnce();
    for (let time = 1; time < test.times; time++) {
      await this.#breathe();
      const next = decideOnce();
      decision = next instanceof Promise ? await next : next;
    }
    await this.#breathe();
    return outcomeOf(decision, this.#config);
  }

  #decider(
    { caller }: Pick<ConfigTest, "caller">,
    policy: Policy,
    arrival: Arrival,
  ): () => Awaitable<Decision> {
    const stand = this.#standFor(caller);
    return stand === undefined ? () => decide(policy, arrival) : () => decideAs(policy, arrival, stand);
  }

  /** What stands for the caller; undefined when the request itself carries the credential, or none. */
  #standFor(caller: ConfigTest["caller"]): Stand | undefined {
    switch (caller.kind) {
      case "key":
        return this.#gateway.key(caller.id);
      case "assumed": {
        // One principal for all requests of a route, as a token that comes again is one.
        const stand = this.#gateway.caller(caller.facts);
        const known = new Map<string, ReturnType<Stand>>();
        return (route, address) => {
          const outcome = known.get(route.name) ?? stand(route, address);
          known.set(route.name, outcome);
          return outcome;
        };
      }
      default:
        return undefined;
    }
  }

  #breathe(): Promise<void> | undefined {
    this.#sent += 1;
    return this.#sent % AT_ONCE === 0 ? setImmediate() : undefined;
  }
}

/** Counters that begin empty, made when the first request is counted. */
export class FreshCounters {
  readonly #gateway: OfflineGateway;
  #limiter: Limiter | undefined;

  constructor(gateway: OfflineGateway) {
    this.#gateway = gateway;
  }

  get limiter(): Limiter {
    this.#limiter ??= this.#gateway.emptyCounters(MOST_COUNTERS);
    return this.#limiter;
  }

  readonly take: Limiter["take"] = (limits, input) => this.limiter.take(limits, input);

  /** Makes the counters of a route's limits known for looking them up. */
  inspect(route: CompiledRoute): Limiter {
    const issuers = this.#gateway.config.issuers.map(({ issuer }) => issuer);
    this.limiter.adopt([route], issuers);
    return this.limiter;
  }
}

function arrivalFor({ request, caller }: Pick<ConfigTest, "request" | "caller">): Arrival {
  const credential: TestRequest["headers"] =
    caller.kind === "token" ? [["Authorization", `Bearer ${caller.token}`]] : [];
  return arrivalOf({ ...request, headers: [...credential, ...request.headers] });
}

function touchedBy({ route, kind, status }: Outcome, { request }: ConfigTest): Touched | undefined {
  if (route === undefined || kind === "preflight") return undefined;
  const denied = kind === "refuse" && (status === 401 || status === 403);
  const outcome = kind === "forward" ? "allowed" : denied ? "denied" : "other";
  return { route: route.name, method: request.method, outcome };
}
