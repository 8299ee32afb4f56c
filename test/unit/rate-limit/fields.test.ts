import { describe, expect, test } from "vitest";
import { limitFields } from "../../../src/rate-limit/fields.ts";
import type { LimitOutcome, LimitResult } from "../../../src/rate-limit/outcome.ts";
import type { LimitPolicy } from "../../../src/rate-limit/policy.ts";

const policy: LimitPolicy = {
  name: "GET /modules",
  limit: 100,
  windowMs: 60_000,
  subject: { by: "user" },
  cost: 1,
  onStoreFailure: "local",
};
const daily: LimitPolicy = { ...policy, name: "daily", limit: 5_000, windowMs: 86_400_000 };
const outcome: LimitOutcome = {
  admitted: true,
  policy,
  remaining: 99,
  resetSeconds: 60,
  retryAfterSeconds: 0,
  degraded: false,
};

function result(first: LimitOutcome, ...rest: readonly LimitOutcome[]): LimitResult {
  return { kind: first.admitted ? "admitted" : "refused", outcomes: [first, ...rest], tightest: first };
}

/** The fields by name; fails on a name that comes twice. */
function fieldsOf(answer: LimitResult, legacy = false): Record<string, string> {
  const flat = limitFields(answer, legacy);
  const fields: Record<string, string> = {};
  for (let index = 0; index < flat.length; index += 2) {
    const name = flat[index] as string;
    expect(fields).not.toHaveProperty([name]);
    fields[name] = flat[index + 1] as string;
  }
  return fields;
}

describe("rate-limit fields", () => {
  test("RL-4 tell limit, remaining and reset of one limit, plain and structured", () => {
    expect(fieldsOf(result(outcome))).toEqual({
      "RateLimit-Limit": "100",
      "RateLimit-Remaining": "99",
      "RateLimit-Reset": "60",
      "RateLimit-Policy": '"GET /modules";q=100;w=60',
      RateLimit: '"GET /modules";r=99;t=60',
    });
  });

  test("RL-9 list every limit, the tightest first", () => {
    const other = { ...outcome, policy: daily, remaining: 4_000, resetSeconds: 80_000 };
    const fields = fieldsOf(result(outcome, other));
    expect(fields["RateLimit-Limit"]).toBe("100");
    expect(fields["RateLimit-Policy"]).toBe('"GET /modules";q=100;w=60, "daily";q=5000;w=86400');
    expect(fields.RateLimit).toBe('"GET /modules";r=99;t=60, "daily";r=4000;t=80000');
  });

  test("RL-5 a refusal's reset is its Retry-After", () => {
    const refused = { ...outcome, admitted: false, remaining: 0, resetSeconds: 60, retryAfterSeconds: 17 };
    const fields = fieldsOf(result(refused));
    expect(fields["RateLimit-Remaining"]).toBe("0");
    expect(fields["RateLimit-Reset"]).toBe("17");
    expect(fields.RateLimit).toBe('"GET /modules";r=0;t=17');
  });

  test("RL-3 come as the X-RateLimit trio too when asked for", () => {
    expect(fieldsOf(result(outcome), true)).toMatchObject({
      "X-RateLimit-Limit": "100",
      "X-RateLimit-Remaining": "99",
      "X-RateLimit-Reset": "60",
    });
  });

  test.each([
    "local",
    "allow",
  ] as const)("say so while the store is lost and the limit is in mode %s", (mode) => {
    const degraded = { ...outcome, policy: { ...policy, onStoreFailure: mode }, degraded: true };
    expect(fieldsOf(result(degraded))["RateLimit-Mode"]).toBe(mode);
    const second = { ...degraded, remaining: 100 };
    expect(fieldsOf(result(outcome, second))["RateLimit-Mode"]).toBe(mode);
  });

  test("tell nothing but the choice that refused when the limiter is unavailable", () => {
    const denying = { ...policy, onStoreFailure: "deny" } as const;
    expect(limitFields({ kind: "unavailable", policy: denying }, true)).toEqual(["RateLimit-Mode", "deny"]);
  });

  test.each([
    ['say "hi"', '"say \\"hi\\""'],
    ["back\\slash", '"back\\\\slash"'],
    ["line\r\nX-Injected: 1", '"line__X-Injected: 1"'],
    ["größe", '"gr__e"'],
  ])("RL-4 the name %j becomes a Structured Fields String", (name, written) => {
    const fields = fieldsOf(result({ ...outcome, policy: { ...policy, name } }));
    expect(fields["RateLimit-Policy"]).toBe(`${written};q=100;w=60`);
    expect(fields.RateLimit).toBe(`${written};r=99;t=60`);
  });

  test.each([
    ["more", 20, 1_000, 100, "100", "q=100;w=5"],
    ["less", 100, 60_000, 10, "10", "q=10;w=6"],
    ["as much", 100, 60_000, undefined, "100", "q=100;w=60"],
  ])("a bucket that holds %s than its rate tells what it holds, and the time in which that comes back", (_how, limit, windowMs, burst, told, item) => {
    const bucket: LimitPolicy = {
      ...policy,
      limit,
      windowMs,
      algorithm: "tokenBucket",
      ...(burst && { burst }),
    };
    const fields = fieldsOf(result({ ...outcome, policy: bucket, remaining: (burst ?? limit) - 1 }));
    expect(fields["RateLimit-Limit"]).toBe(told);
    expect(Number(fields["RateLimit-Remaining"])).toBeLessThan(Number(told));
    expect(fields["RateLimit-Policy"]).toBe(`"GET /modules";${item}`);
  });

  test("a window under a second is one second: the parameter is a positive whole number", () => {
    const fields = fieldsOf(result({ ...outcome, policy: { ...policy, windowMs: 250 } }));
    expect(fields["RateLimit-Policy"]).toBe('"GET /modules";q=100;w=1');
  });
});
