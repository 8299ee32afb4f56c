// Tests in a file against the gateway that they are about: what it answered to thousands of requests is written down as
// tests, and every one has to pass.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GatewayConfig } from "../../src/config/gateway-config.ts";
import { coverageOf } from "../../src/review/tests/coverage.ts";
import type { TestResult } from "../../src/review/tests/report.ts";
import { runTests } from "../../src/review/tests/run-tests.ts";
import { load } from "../support/config.ts";
import { random } from "../support/limit-script.ts";
import { type LiveAnswer, type LiveRequest, LiveWorld, liveRequest } from "../support/live-requests.ts";

const REQUESTS = 5_000;
// Several files, so that each is tested with counters and caches that are new.
const PER_FILE = 1_250;
const clock = { wallMs: () => Date.now(), steadyMs: () => performance.now() };

let world: LiveWorld;
beforeAll(async () => {
  world = await LiveWorld.start();
});
afterAll(() => world.stop());

// What only the live exchange decides: its connection, its clock and its ids.
const COMPARED = [
  "x-user-id",
  "x-user-scopes",
  "x-user-roles",
  "x-org-id",
  "x-auth-method",
  "x-user-tier",
  "x-client-id",
  "x-forwarded-host",
  "x-forwarded-prefix",
];
const ANSWERED = ["www-authenticate", "allow", "ratelimit-limit", "cache-control", "x-content-type-options"];

function pick(
  headers: Readonly<Record<string, string>>,
  names: readonly string[],
): Record<string, string | false> {
  return Object.fromEntries(names.map((name) => [name, headers[name] ?? false]));
}

/** Whether the token itself is tested: of one in eight, and where an assumed caller has what this one lacks. */
function realToken({ caller, path }: LiveRequest, index: number): boolean {
  return caller.kind === "token" && (index % 8 === 0 || path === "/both" || path.includes("access_token"));
}

/** JSON with a space after each colon, as YAML in one line has it. */
function yaml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(yaml).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return `{ ${entries.map(([key, one]) => `${JSON.stringify(key)}: ${yaml(one)}`).join(", ")} }`;
}

/** The test that says what the gateway said. */
function asTest(
  { method, path, host, headers, caller }: LiveRequest,
  answer: LiveAnswer,
  token: string | undefined,
): string {
  const as =
    token !== undefined
      ? { token }
      : caller.kind === "key"
        ? { key: caller.id }
        : caller.kind === "token"
          ? { issuer: caller.issuer, subject: caller.claims.sub, claims: caller.claims }
          : undefined;
  const { seen, code } = answer;
  const expected =
    seen !== undefined
      ? {
          status: 200,
          path: seen.path,
          headers: pick(seen.headers, COMPARED),
          response: pick(answer.headers, ["ratelimit-limit"]),
        }
      : answer.headers["grpc-status"] !== undefined
        ? {
            code: answer.headers["grpc-message"]?.split(":")[0],
            grpcStatus: Number(answer.headers["grpc-status"]),
          }
        : {
            status: answer.status,
            ...(code === undefined ? {} : { code }),
            response: pick(answer.headers, ANSWERED),
          };
  // The answer to HEAD tells neither its code nor what the upstream got.
  const expectation =
    method === "HEAD" && answer.headers["grpc-status"] === undefined ? answer.status : expected;
  return yaml({
    request: { method, path, ...(host === undefined ? {} : { host }), headers },
    ...(as === undefined ? {} : { as }),
    expect: expectation,
  });
}

describe("tests of a file and the running gateway", () => {
  test(`agree on ${REQUESTS} requests of every kind`, { timeout: 120_000 }, async () => {
    const next = random(20_260_728);
    const requests = Array.from({ length: REQUESTS }, () => liveRequest(next));
    const answers = await world.sendAll(requests);
    const env: Record<string, string> = { ...world.environment };
    const entries = requests.map((request, index) => {
      const token = realToken(request, index) ? `TOKEN_${index}` : undefined;
      if (token !== undefined) env[token] = world.credential(request.caller).authorization?.slice(7) ?? "";
      const reference = token === undefined ? undefined : `\${${token}}`;
      return `  - ${asTest(request, answers[index] as LiveAnswer, reference)}`;
    });
    const codes = new Map<string, number>();
    for (const { status, code } of answers)
      codes.set(`${status} ${code}`, (codes.get(`${status} ${code}`) ?? 0) + 1);
    const results: TestResult[] = [];
    const failures: unknown[] = [];
    let whole: GatewayConfig | undefined;
    for (let start = 0; start < REQUESTS; start += PER_FILE) {
      const some = entries.slice(start, start + PER_FILE);
      const config = await load(`${world.yaml}tests:\n${some.join("\n")}\n`, { env });
      const report = await runTests(config, clock);
      whole = config;
      results.push(...report.results);
      for (const [index, { ok, mismatches, why }] of report.results.entries()) {
        if (!ok) failures.push({ entry: some[index], mismatches, why });
      }
    }
    expect(failures.slice(0, 3)).toEqual([]);
    expect(results).toHaveLength(REQUESTS);
    // All kinds came up, so that agreement means something.
    expect(codes.size).toBeGreaterThanOrEqual(14);
    expect(whole && coverageOf(whole, results).percent).toBe(100);
  });
});
