// Compares what a test expects with what came. Nothing that may be a secret is repeated in what it says.

import type { GatewayConfig } from "../../config/gateway-config.ts";
import type { ConfigTest, ExpectedField } from "../../config/test-policy.ts";
import type { LimitOutcome } from "../../rate-limit/limiter.ts";
import { type Outcome, valuesIn } from "./outcome.ts";
import type { Mismatch } from "./report.ts";

const HIDDEN = "(not shown)";
const NONE = "none";
// Fields whose values are credentials wherever they stand.
const CREDENTIALS = /^(?:authorization|proxy-authorization|cookie|set-cookie)$|token|secret|api-?key|passw/;

/** What differs, in the order of the keys in the documentation. `countedAs` is whom the limit counted. */
export function compare(
  { expect }: ConfigTest,
  outcome: Outcome,
  config: GatewayConfig,
  countedAs: readonly string[],
): readonly Mismatch[] {
  const found: Mismatch[] = [];
  const check = (what: string, expected: unknown, actual: unknown): void => {
    if (expected === undefined || expected === actual) return;
    found.push({ what, expected: String(expected), actual: actual === undefined ? NONE : String(actual) });
  };
  if (expect.decision !== undefined) check("decision", expect.decision, outcome.kind);
  check("status", expect.status, outcome.status);
  check("grpcStatus", expect.grpcStatus, outcome.grpcStatus);
  check("code", expect.code, outcome.code);
  check("route", expect.route, outcome.route?.name);
  check("upstream", expect.upstream, outcome.sent?.upstream);
  check("path", expect.path, outcome.sent?.path);
  if (expect.observed !== undefined) {
    const observed = (outcome.decision?.observed ?? []).map(({ code }) => code);
    check("observed", listText(expect.observed), listText(observed));
  }
  const limit = limitOf(outcome, expect.limit);
  if (expect.limit !== undefined) check("limit", expect.limit, limit?.policy.name ?? refusing(outcome));
  if (expect.limitKey !== undefined && !countedAs.includes(expect.limitKey)) {
    check("limitKey", expect.limitKey, countedAs[0]);
  }
  check("remaining", expect.remaining, limit?.remaining);
  const secrets = secretFields(config, outcome);
  for (const field of expect.headers) {
    compareField(found, "headers", field, outcome.sent?.fields ?? [], secrets.has(field.name.toLowerCase()));
  }
  for (const field of expect.response) compareField(found, "response", field, outcome.answer, false);
  return found;
}

/** The limit called `name` among those that decided, of a 429 the one that refused; the tightest when no name is given. */
export function limitOf({ decision }: Outcome, name: string | undefined): LimitOutcome | undefined {
  const limit = decision?.limit;
  if (limit === undefined || limit.kind === "unavailable" || limit.outcomes.length === 0) return undefined;
  if (name === undefined) return limit.tightest;
  const candidates = limit.kind === "refused" ? [limit.tightest] : limit.outcomes;
  return candidates.find(({ policy }) => policy.name === name);
}

function refusing(outcome: Outcome): string | undefined {
  return limitOf(outcome, undefined)?.policy.name;
}

function compareField(
  found: Mismatch[],
  part: string,
  { name, value, secret }: ExpectedField,
  fields: readonly string[],
  hidden: boolean,
): void {
  const actual = valuesIn(fields, name);
  const same = value === undefined ? actual.length === 0 : actual.length === 1 && actual[0] === value;
  // Several lines of one name are one list (RFC 9110 section 5.3).
  if (same || (value !== undefined && actual.join(", ") === value)) return;
  const unseen = secret || hidden || CREDENTIALS.test(name.toLowerCase());
  found.push({
    what: `${part}.${name}`,
    expected: value === undefined ? NONE : unseen ? HIDDEN : value,
    actual: actual.length === 0 ? NONE : unseen ? HIDDEN : actual.join(", "),
  });
}

/** Lower-case names of the fields that the route sets, whose values may come from a variable. */
function secretFields(config: GatewayConfig, { route }: Outcome): ReadonlySet<string> {
  const policy = config.routes.find(({ name }) => name === route?.name);
  return new Set(policy?.request.set.map(([name]) => name.toLowerCase()));
}

function listText(values: readonly string[]): string {
  return values.length === 0 ? NONE : values.join(", ");
}
