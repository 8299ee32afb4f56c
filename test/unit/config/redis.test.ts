// The forms of `redis` that are valid, what becomes of them, and what is warned about. Broken ones: test/config-corpus.

import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatDiagnostics } from "../../../src/config/diagnostics.ts";
import type { RedisPolicy } from "../../../src/config/gateway-config.ts";
import { inspectConfig } from "../../../src/config/load.ts";
import { makeAuthority } from "../../support/certificates.ts";

const ENVIRONMENT = { REDIS_URL: "redis://:canary-env@cache", PASSWORD: "canary-env", WATCH: "canary-watch" };
const REST = "upstreams: { app: http://127.0.0.1:9000 }\nroutes: [{ match: /a, to: app, public: true }]\n";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "gatewarden-redis-config-"));
  makeAuthority(folder, "ca").issue("gateway", "DNS:gateway.test");
  makeAuthority(folder, "other").issue("stranger", "DNS:gateway.test");
  writeFileSync(join(folder, "password"), "canary-file\n", { mode: 0o600 });
  writeFileSync(join(folder, "open"), "canary-file\n");
  chmodSync(join(folder, "open"), 0o644);
  writeFileSync(join(folder, "empty"), "\n", { mode: 0o600 });
  symlinkSync("password", join(folder, "link"));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function inspect(redis: string): Promise<{ policy: RedisPolicy | undefined; said: string[] }> {
  writeFileSync(join(folder, "gateway.yaml"), `redis: ${redis}\n${REST}`);
  const inspection = await inspectConfig(join(folder, "gateway.yaml"), ENVIRONMENT);
  expect(formatDiagnostics(inspection, "text", false)).not.toContain("canary");
  const said = inspection.diagnostics
    .filter((one) => one.severity !== "note")
    .map(({ severity, code, path }) => `${severity} ${code} ${path}`);
  return { policy: inspection.config?.redis, said };
}

const at = (name: string): string => join(folder, name);

describe("redis", () => {
  test.each<[string, () => Record<string, unknown>]>([
    ["redis://cache:6379/2", () => ({ url: "redis://cache:6379/2", prefix: "gw", timeoutMs: 50 })],
    ["${REDIS_URL}", () => ({ url: "redis://:canary-env@cache" })],
    ['{ url: "redis://:${PASSWORD}@cache" }', () => ({ url: "redis://:canary-env@cache" })],
    [
      '{ url: redis://cache, username: gate, password: "${PASSWORD}", database: 3, prefix: a, timeout: 1s }',
      () => ({ username: "gate", password: "canary-env", database: 3, prefix: "a", timeoutMs: 1000 }),
    ],
    ["{ url: redis://gate@cache, passwordFile: password }", () => ({ passwordFile: at("password") })],
    ["{ url: redis://cache, passwordFile: link }", () => ({ passwordFile: at("link") })],
    ["{ url: rediss://cache }", () => ({ tls: {} })],
    ["{ url: rediss://cache, tls: true }", () => ({ tls: {} })],
    [
      "{ url: rediss://cache, tls: { ca: ca.pem, cert: gateway.pem, key: gateway-key.pem, serverName: a.test } }",
      () => ({
        tls: { ca: at("ca.pem"), cert: at("gateway.pem"), key: at("gateway-key.pem"), serverName: "a.test" },
      }),
    ],
    [
      '{ sentinels: [a, "b:1"], name: main, sentinelUsername: w, sentinelPassword: "${WATCH}", database: 1 }',
      () => ({
        sentinels: [
          { host: "a", port: 26_379 },
          { host: "b", port: 1 },
        ],
        name: "main",
        sentinelUsername: "w",
        sentinelPassword: "canary-watch",
        database: 1,
      }),
    ],
    [
      '{ cluster: [a, "[::1]:7000"], tls: { ca: ca.pem }, database: 0 }',
      () => ({
        cluster: [
          { host: "a", port: 6379 },
          { host: "::1", port: 7000 },
        ],
        tls: { ca: at("ca.pem") },
      }),
    ],
  ])("may be %s", async (redis, expected) => {
    const { policy, said } = await inspect(redis);
    expect(said).toEqual([]);
    expect(policy).toMatchObject(expected());
  });

  test.each([
    ["redis://:canary-literal@cache", "secret_literal redis"],
    ["{ url: redis://gate:canary-literal@cache }", "secret_literal redis.url"],
    ["{ url: redis://cache, passwordFile: open }", "file_permissions redis.passwordFile"],
  ])("works with a warning as %s", async (redis, warning) => {
    const { policy, said } = await inspect(redis);
    expect(said).toEqual([`warning ${warning}`]);
    expect(policy).toBeDefined();
  });

  test.each([
    ["{ url: redis://cache, passwordFile: empty }", "secret_file_unreadable redis.passwordFile"],
    ["{ url: redis://cache, passwordFile: . }", "secret_file_unreadable redis.passwordFile"],
    ['{ url: redis://cache, password: "${PASSWORD:-canary-default}x" }', "secret_literal redis.password"],
    [
      "{ url: rediss://cache, tls: { cert: gateway.pem, key: stranger-key.pem } }",
      "key_source_invalid redis.tls.key",
    ],
    [
      "{ url: rediss://cache, tls: { cert: gateway-key.pem, key: gateway.pem } }",
      "key_source_invalid redis.tls.cert",
    ],
    ["{ url: rediss://cache, tls: { key: gateway-key.pem } }", "conflict redis.tls.key"],
  ])("may not be %s", async (redis, fault) => {
    const { policy, said } = await inspect(redis);
    expect(said).toContain(`error ${fault}`);
    expect(policy).toBeUndefined();
  });
});
