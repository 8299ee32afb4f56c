// Encrypted connections to Redis: certificates are always checked, and renewed ones are used without a restart.

import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { inspectConfig } from "../../src/config/load.ts";
import { makeAuthority, type TestAuthority } from "../support/certificates.ts";
import { freePort, redisCommand, startRedis, type TestRedis } from "../support/redis.ts";
import { eventually } from "../support/redis-deployments.ts";
import { openStore } from "../support/redis-store.ts";

const RECOVERY_MS = 2_000;
// The one that the library finds first.
const UNTRUSTED = expect.stringMatching(/^(?:unable_to_verify_leaf_signature|self_signed_cert_in_chain)$/);

let folder: string;
let authority: TestAuthority;
let other: TestAuthority;
let server: { readonly cert: string; readonly key: string };

interface TlsRedis extends TestRedis {
  readonly tlsPort: number;
}

/** A server that takes encrypted connections on a port of their own. */
async function startTls(
  files: { readonly cert: string; readonly key: string },
  ca: string,
  more: readonly string[] = [],
  config?: string,
): Promise<TlsRedis> {
  const tlsPort = await freePort();
  const pem = ["--tls-cert-file", files.cert, "--tls-key-file", files.key, "--tls-ca-cert-file", ca];
  const redis = await startRedis({
    args: ["--tls-port", String(tlsPort), ...pem, ...more],
    ...(config === undefined ? {} : { config }),
  });
  onTestFinished(() => redis.stop());
  return { ...redis, tlsPort };
}

const urlOf = ({ tlsPort }: TlsRedis): string => `rediss://127.0.0.1:${tlsPort}`;
const noClientCert = ["--tls-auth-clients", "no"] as const;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "gatewarden-tls-"));
  authority = makeAuthority(folder, "ca");
  other = makeAuthority(folder, "other-ca");
  server = authority.issue("server", "IP:127.0.0.1,DNS:redis.test");
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("over TLS", () => {
  test("scripts run on a server whose certificate the given authority signed", async () => {
    const redis = await startTls(server, authority.ca, noClientCert);
    const { count, events } = await openStore({ url: urlOf(redis), tls: { ca: authority.ca } });
    expect(await count()).toBe(1);
    expect(events).toEqual([]);
  });

  test("a name in the certificate may stand for the address", async () => {
    const named = authority.issue("named", "DNS:redis.test");
    const redis = await startTls(named, authority.ca, noClientCert);
    const good = await openStore({
      url: urlOf(redis),
      tls: { ca: authority.ca, serverName: "redis.test" },
    });
    expect(await good.count()).toBe(1);
  });

  test("nothing that can't be trusted is spoken to, and no variable changes that", async () => {
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    onTestFinished(() => {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    });
    const redis = await startTls(server, authority.ca, noClientCert);
    const cases = [
      [{ ca: other.ca }, UNTRUSTED],
      [{}, UNTRUSTED],
      [{ ca: authority.ca, serverName: "elsewhere.test" }, "err_tls_cert_altname_invalid"],
      [{ ca: join(folder, "missing.pem") }, "tls_file_unreadable"],
    ] as const;
    for (const [tls, reason] of cases) {
      const { count, events } = await openStore({ url: urlOf(redis), tls, password: "a-secret" });
      expect(await count()).toBeUndefined();
      expect(events).toEqual([{ kind: "store_unreachable", store: "redis", reason }]);
    }
    // The password was sent to none of them.
    expect(await redisCommand(redis, "INFO commandstats")).not.toContain("cmdstat_auth");
  });

  test("a server that asks for a certificate gets the gateway's", async () => {
    const redis = await startTls(server, authority.ca);
    const client = authority.issue("client", "DNS:gateway.test");
    const tls = { ca: authority.ca, cert: client.cert, key: client.key };
    const good = await openStore({ url: urlOf(redis), tls });
    expect(await good.count()).toBe(1);
    const bad = await openStore({ url: urlOf(redis), tls: { ca: authority.ca } });
    expect(await bad.count()).toBeUndefined();
  });

  test("a configuration file leads to it, with a user and a password file", async () => {
    const redis = await startTls(server, authority.ca);
    await redisCommand(redis, "ACL SETUSER gateway on >file-password ~gw:* +@all");
    authority.issue("file-client", "DNS:gateway.test");
    writeFileSync(join(folder, "password"), "file-password\n", { mode: 0o600 });
    writeFileSync(
      join(folder, "gateway.yaml"),
      `redis:
  url: ${urlOf(redis)}
  username: gateway
  passwordFile: password
  tls: { ca: ca.pem, cert: file-client.pem, key: file-client-key.pem }
upstreams: { app: "http://127.0.0.1:9" }
routes: [{ match: /a, to: app, public: true }]
`,
    );
    const { config } = await inspectConfig(join(folder, "gateway.yaml"), {});
    if (config?.redis === undefined) throw new Error("the file is not valid");
    const { count } = await openStore(config.redis);
    expect(await count()).toBe(1);
  });

  test("a port that speaks the other language is a loss, and no crash", async () => {
    const redis = await startTls(server, authority.ca, noClientCert);
    const plain = await openStore({ url: `redis://127.0.0.1:${redis.tlsPort}` });
    expect(await plain.count()).toBeUndefined();
    const encrypted = await openStore({ url: `rediss://127.0.0.1:${redis.port}`, tls: { ca: authority.ca } });
    expect(await encrypted.count()).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (const { events } of [plain, encrypted])
      expect(events.map(({ kind }) => kind)).toEqual(["store_unreachable"]);
  });

  test("a renewed authority is used by the next connection, without a restart", async () => {
    const [ca, cert, key] = ["live-ca.pem", "live.pem", "live-key.pem"].map((name) => join(folder, name));
    if (ca === undefined || cert === undefined || key === undefined) throw new Error("unreachable");
    const put = (from: TestAuthority, files: { cert: string; key: string }): void => {
      copyFileSync(from.ca, ca);
      copyFileSync(files.cert, cert);
      copyFileSync(files.key, key);
    };
    put(authority, server);
    const redis = await startTls({ cert, key }, ca, noClientCert);
    const { store, count } = await openStore({ url: urlOf(redis), tls: { ca } });
    expect(await count()).toBe(1);
    put(other, other.issue("renewed", "IP:127.0.0.1"));
    await redis.restart();
    await eventually(async () => (await count()) !== undefined, RECOVERY_MS);
    expect(store.reachable).toBe(true);
  });

  test("Sentinels and the master that they name are both spoken to over TLS", async () => {
    const replication = [...noClientCert, "--tls-replication", "yes"];
    const master = await startTls(server, authority.ca, replication);
    const config = `sentinel monitor main 127.0.0.1 ${master.tlsPort} 1\n`;
    const sentinel = await startTls(server, authority.ca, [...replication, "--sentinel"], config);
    const options = { sentinels: [{ host: "127.0.0.1", port: sentinel.tlsPort }], name: "main" };
    const { count } = await openStore({ ...options, tls: { ca: authority.ca } });
    expect(await count()).toBe(1);
    const distrusting = await openStore({ ...options, tls: { ca: other.ca } });
    expect(distrusting.events).toEqual([{ kind: "store_unreachable", store: "redis", reason: UNTRUSTED }]);
  });

  test("the nodes of a cluster are spoken to over TLS, also one that doesn't know its own address", async () => {
    const node = await startTls(server, authority.ca, [
      ...[...noClientCert, "--tls-cluster", "yes", "--cluster-enabled", "yes"],
      ...["--cluster-port", String(await freePort())],
    ]);
    await redisCommand(node, "CLUSTER ADDSLOTSRANGE 0 16383");
    await eventually(async () => (await redisCommand(node, "CLUSTER INFO")).includes("cluster_state:ok"));
    const { count } = await openStore({
      cluster: [{ host: "127.0.0.1", port: node.tlsPort }],
      tls: { ca: authority.ca },
    });
    expect(await count()).toBe(1);
  });
});
