import { PassThrough } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import {
  type AccessRecord,
  type DecisionRecord,
  GatewayLog,
  type LogOptions,
  loggedPath,
} from "../../../src/telemetry/log.ts";
import { LineSink } from "../../../src/telemetry/sink.ts";

const ACCESS: AccessRecord = {
  requestId: "r1",
  client: "192.0.2.1",
  method: "GET",
  path: "/modules",
  route: "GET /modules",
  status: 200,
  code: undefined,
  grpcStatus: undefined,
  durationMs: 1.5,
  bytes: 10,
  upstream: "modules",
  subject: "alice",
  authMethod: "jwt",
  ended: undefined,
  generation: 1,
};
const DECISION: DecisionRecord = {
  requestId: "r1",
  client: "192.0.2.1",
  method: "GET",
  host: "api.example.com",
  path: "/modules",
  decision: "refuse",
  route: "GET /modules",
  line: 7,
  code: "token_invalid",
  reason: "jwt_signature",
  subject: undefined,
  issuer: undefined,
  authMethod: undefined,
  keyId: undefined,
  scopes: undefined,
  roles: undefined,
  tier: undefined,
  org: undefined,
  limit: undefined,
  quota: undefined,
  generation: 1,
};

let stream: PassThrough;
afterEach(() => {
  stream.destroy();
});

/** What the log writes while `use` runs, one object per line. */
async function lines(
  use: (log: GatewayLog) => void,
  options: Partial<LogOptions> = {},
): Promise<Record<string, unknown>[]> {
  stream = new PassThrough();
  const log = new GatewayLog({ level: "info", fields: {}, sink: new LineSink(stream), ...options });
  use(log);
  await log.drain(1_000);
  const text = String(stream.read() ?? "");
  expect(text === "" || text.endsWith("\n")).toBe(true);
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("the log", () => {
  test("writes one JSON line of its type for each record, without members that have no value", async () => {
    const [access, decision] = await lines((log) => {
      log.access(ACCESS);
      log.decision(DECISION);
    });
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const { code: _code, grpcStatus: _grpc, ended: _ended, ...members } = ACCESS;
    expect(access).toEqual({ level: "info", time, type: "access", ...members });
    expect(decision).toMatchObject({ type: "decision", line: 7, reason: "jwt_signature" });
    expect(decision).not.toHaveProperty("subject");
  });

  test("writes events about those who call as security lines, whatever the level", async () => {
    const [line, ...more] = await lines(
      (log) =>
        log.event({
          kind: "credential_failures",
          dimension: "credential",
          failures: 300,
          blockedForSeconds: 1,
        }),
      { level: "error" },
    );
    expect(more).toEqual([]);
    expect(line).toEqual({
      level: "warn",
      time: expect.any(String),
      type: "security",
      event: "credential_failures",
      dimension: "credential",
      failures: 300,
      blockedForSeconds: 1,
    });
  });

  test("writes constant members into every line", async () => {
    const written = await lines(
      (log) => {
        log.access(ACCESS);
        log.system("warn", "listening", { address: "127.0.0.1:80" });
      },
      { fields: { service: "gw" } },
    );
    expect(written.map(({ service }) => service)).toEqual(["gw", "gw"]);
  });

  test("keeps the level to lines about itself", async () => {
    const written = await lines(
      (log) => {
        log.access(ACCESS);
        log.decision(DECISION);
        log.audit({ event: "limits_reset", counters: 2 });
        log.system("info", "quiet");
        log.system("error", "loud");
      },
      { level: "error" },
    );
    expect(written.map(({ type, event }) => event ?? type)).toEqual([
      "access",
      "decision",
      "limits_reset",
      "loud",
    ]);
    expect(written[2]).toMatchObject({ level: "info", type: "audit", counters: 2 });
  });

  test("tells the kind and place of a defect, never its message", async () => {
    const [line] = await lines((log) => log.defect(new TypeError("of user alice"), { requestId: "r1" }));
    expect(line).toMatchObject({ level: "error", event: "defect", error: "TypeError", requestId: "r1" });
    expect(line?.place).toContain("log.test.ts");
    expect(JSON.stringify(line)).not.toContain("alice");
  });

  test("writes good news as information and the rest as warnings", async () => {
    const written = await lines((log) => {
      log.event({ kind: "keys_refreshed", issuer: "corp", keys: 2 });
      log.event({ kind: "store_unreachable", store: "redis", reason: "timeout" });
      log.event({ kind: "store_recovered", store: "redis" });
    });
    expect(written).toMatchObject([
      { level: "info", type: "system", event: "keys_refreshed", issuer: "corp", keys: 2 },
      { level: "warn", type: "system", event: "store_unreachable", reason: "timeout" },
      { level: "info", type: "system", event: "store_recovered" },
    ]);
  });

  test("A05 writes one line whatever a member holds", async () => {
    const path = '/a"\\\r\n{"type":"access"}\u2028\u0000\u001b[31m';
    const written = await lines((log) => log.access({ ...ACCESS, path }));
    expect(written).toHaveLength(1);
    expect(written[0]?.path).toBe(path);
  });
});

describe("a logged path", () => {
  const TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl-_";

  test.each([
    ["/modules/7", "/modules/7"],
    ["/modules?token=secret", "/modules"],
    ["/modules#secret", "/modules"],
    ["/modules?a#b?c", "/modules"],
    ["", ""],
    ["/k/gwk_live_0123456789abcdef/x", "/k/[redacted]/x"],
    ["/k/gwk_live_a/gwk_test_b", "/k/[redacted]/[redacted]"],
    [`/t/${TOKEN}/x`, "/t/[redacted]/x"],
    [`/t/${TOKEN.split(".").slice(0, 2).join(".")}`, "/t/[redacted]"],
    ["/eyJx", "/eyJx"],
  ])("of %s is %s", (target, path) => {
    expect(loggedPath(target)).toBe(path);
  });

  test("is cut at 512 characters", () => {
    expect(loggedPath(`/${"a".repeat(511)}`)).toHaveLength(512);
    expect(loggedPath(`/${"a".repeat(8_000)}`)).toBe(`/${"a".repeat(511)}…`);
  });

  test("holds nothing of a credential that the cut runs through", () => {
    for (let before = 440; before <= 520; before++) {
      const logged = loggedPath(`/${"a/".repeat(before / 2)}gwk_live_${"Z".repeat(49)}`);
      expect(logged).not.toContain("Z");
    }
  });
});
