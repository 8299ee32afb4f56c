// One logged decision against a file: is it the same, another one, or can't the line tell?

import type { GatewayConfig } from "../../config/gateway-config.ts";
import type { Arrival } from "../../pipeline/arrival.ts";
import type { Decision } from "../../pipeline/decision.ts";
import { arrivalOf } from "../../pipeline/simulate.ts";
import { compareLimits, quotasOf, quotaText } from "./limit-changes.ts";
import type { LoggedDecision } from "./log-lines.ts";
import { OldFile } from "./old-file.ts";
import { ReplayedPolicy } from "./replayed-policy.ts";
import { SENDER_UNKNOWN, type Sender, Senders, standFor } from "./senders.ts";

/** What became, or would become, of a request. */
export interface Fate {
  readonly decision: Decision["kind"];
  readonly code: string | undefined;
  readonly route: string | undefined;
  readonly quota: string | undefined;
}

export type Verdict =
  | { readonly kind: "same" }
  | {
      readonly kind: "changed";
      readonly what: "decision" | "code" | "route" | "limit";
      readonly before: Fate;
      readonly after: Fate;
      /** Why, where a sentence can say it. */
      readonly note: string | undefined;
    }
  | { readonly kind: "unknown"; readonly reason: string };

const SAME: Verdict = { kind: "same" };
// Refused before any route was looked for, for what no line holds.
const FORM: ReadonlySet<string> = new Set([
  "request_target_invalid",
  "request_invalid",
  "url_too_long",
  "headers_too_large",
  "body_too_large",
  "not_implemented",
  "expectation_failed",
]);
// Refused for the state of something else than the file.
const PASSING: ReadonlySet<string> = new Set([
  "keys_unavailable",
  "limiter_unavailable",
  "internal_error",
  "overloaded",
  "draining",
]);
const UNROUTED: ReadonlySet<string> = new Set([
  "route_not_found",
  "method_not_allowed",
  "misdirected_request",
]);

/** Decides on logged requests anew, one after the other, in the order of the log. */
export class Replayer {
  readonly #policy: ReplayedPolicy;
  readonly #senders: Senders;
  readonly #old: OldFile | undefined;
  /** Routes of which the log holds admitted requests, so that their limits can be counted again. */
  readonly #admitting = new Set<string>();

  /** @param old the file that wrote the log, where it is known */
  constructor(config: GatewayConfig, old?: GatewayConfig) {
    this.#policy = new ReplayedPolicy(config);
    this.#senders = new Senders(config, old);
    this.#old = old === undefined ? undefined : new OldFile(old, config);
  }

  async next(line: LoggedDecision): Promise<Verdict> {
    const policy = this.#policy;
    policy.at(line.timeMs);
    if (line.decision === "forward" && line.route !== undefined) this.#admitting.add(line.route);
    const hindrance = this.#hindrance(line);
    if (hindrance !== undefined) return unknown(hindrance);
    const arrival = arrivalFor(line);
    const found = line.authMethod === "anonymous" ? await this.#routeOf(arrival) : undefined;
    const sender = this.#senders.of(line, policy.route(found));
    const likely = await this.#judge(arrival, sender, "most", "lenient");
    const certain =
      (sender.kind !== "token" || sender.least === sender.most) && policy.isKnowable(likely.route);
    const least = certain ? likely : await this.#judge(arrival, sender, "least", "strict");
    if (likely.code !== least.code || likely.decision !== least.decision) {
      return unknown(openQuestion(likely, least));
    }
    const before = fateOf(line);
    if (senderDecides(least.raw)) return this.#withoutSender(before, least, line);
    const doubt = this.#old?.doubt(line, sender, least.route);
    if (doubt !== undefined) return unknown(doubt);
    const counted = await policy.count(arrival, standFor(sender, policy.gateway, "most"), "lenient");
    return this.#compare(line, before, counted);
  }

  /** Why nothing can be said of a line, whatever the file. */
  #hindrance({ code, decision, path, method, host, route }: LoggedDecision): string | undefined {
    if (decision === "preflight")
      return "CORS preflights: the log doesn't hold the origin and the method asked for";
    if (path.endsWith("…")) return "paths that are cut in the log";
    if (path.includes("[redacted]")) return "paths of which the log left out what looked like a credential";
    if (code !== undefined && PASSING.has(code))
      return `${code}: refused for what was away then, not by the file`;
    const conditional = this.#policy.conditionalRoute(method, path, host ?? "localhost");
    if (conditional !== undefined)
      return `the route ${conditional} goes by header or query, which the log doesn't hold`;
    return route === undefined && code === undefined ? "lines without a route" : undefined;
  }

  async #routeOf(arrival: Arrival): Promise<string | undefined> {
    const decision = await this.#policy.judge(
      arrival,
      standFor({ kind: "unknown" }, this.#policy.gateway, "most"),
      "strict",
    );
    return decision.route?.name;
  }

  async #judge(
    arrival: Arrival,
    sender: Sender,
    which: "least" | "most",
    how: "strict" | "lenient",
  ): Promise<Fate & { readonly raw: Decision }> {
    const raw = await this.#policy.judge(arrival, standFor(sender, this.#policy.gateway, which), how);
    return { ...fateOfDecision(raw), raw };
  }

  /** What can be said although it isn't known who called: where a route was found that wasn't, or none any more. */
  #withoutSender(before: Fate, { route }: Fate, { code }: LoggedDecision): Verdict {
    if (code !== undefined && FORM.has(code)) return unknown(`${code}: what was refused isn't in the log`);
    if (code !== undefined && UNROUTED.has(code)) {
      const after: Fate = { decision: "refuse", code: undefined, route, quota: undefined };
      return {
        kind: "changed",
        what: "route",
        before,
        after,
        note: "whether it passes depends on its credential, which isn't in the log",
      };
    }
    if (code === "address_denied")
      return unknown("address_denied: the credential behind it isn't in the log");
    return unknown("who called isn't in the log: no credential was looked at");
  }

  #compare(line: LoggedDecision, before: Fate, decision: Decision): Verdict {
    const after = fateOfDecision(decision);
    const { code } = before;
    if (code !== undefined && FORM.has(code) && after.code !== code) {
      return unknown(`${code}: what was refused isn't in the log`);
    }
    const question = {
      line,
      decision,
      uncounted: after.route === undefined ? [] : this.#policy.uncounted(after.route),
      isWhole: line.route !== undefined && this.#admitting.has(line.route),
      isUnchanged: (quota: string) => this.#old?.hasLimit(line.route, after.route, quota),
    };
    const answer = compareLimits(question);
    if (answer?.kind === "unknown") return answer;
    const what = answer === undefined ? difference(before, after, quotasOf(question)) : undefined;
    return what === undefined ? SAME : { kind: "changed", what, before, after, note: noteOf(decision) };
  }
}

/** What differs first; undefined when nothing does. A line tells one of its limits, so any of the new ones may be it. */
function difference(
  before: Fate,
  after: Fate,
  quotas: readonly string[],
): Extract<Verdict, { readonly kind: "changed" }>["what"] | undefined {
  if (after.decision !== before.decision) return "decision";
  if (after.code !== before.code) return "code";
  if (after.route !== before.route) return "route";
  const same = before.quota === undefined ? after.quota === undefined : quotas.includes(before.quota);
  return same ? undefined : "limit";
}

function arrivalFor({ method, path, host, client, requestId }: LoggedDecision): Arrival {
  return arrivalOf(
    {
      method,
      target: path,
      ...(host === undefined || host === "" ? {} : { host }),
      peerAddress: client === "" ? undefined : client,
    },
    requestId,
  );
}

function fateOf({ decision, code, route, quota }: LoggedDecision): Fate {
  return { decision, code, route, quota };
}

function fateOfDecision(decision: Decision): Fate {
  const { limit } = decision;
  const quota =
    limit === undefined || limit.kind === "unavailable" || limit.outcomes.length === 0
      ? undefined
      : quotaText(limit.tightest.policy);
  return {
    decision: decision.kind,
    code: decision.kind === "refuse" ? decision.denial.code : undefined,
    route: decision.route?.name,
    quota,
  };
}

/** Whether the answer hangs on a credential that isn't known. */
function senderDecides(decision: Decision): boolean {
  if (decision.kind === "refuse" && decision.denial.reason === SENDER_UNKNOWN) return true;
  return decision.observed?.some(({ reason }) => reason === SENDER_UNKNOWN) ?? false;
}

function openQuestion(most: Fate, least: Fate): string {
  if (least.code === "requirement_failed") {
    return `the route ${least.route ?? ""} requires a claim, e-mail address or client, which the log doesn't hold`;
  }
  const code = least.code ?? most.code ?? "";
  return `whether the token itself or a role gave what ${least.route ?? "the route"} asks for (${code})`;
}

function noteOf(decision: Decision): string | undefined {
  if (decision.kind !== "refuse") return undefined;
  const { denial, route } = decision;
  const line = route === undefined ? "" : `line ${route.line}`;
  if (denial.requiredScopes !== undefined) return `needs ${denial.requiredScopes.join(" ")}; ${line}`;
  return line === "" ? undefined : line;
}

function unknown(reason: string): Verdict {
  return { kind: "unknown", reason };
}
