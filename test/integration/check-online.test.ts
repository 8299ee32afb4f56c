// `gatewarden check --online` as users run it, against real issuers, a real Redis and real upstreams.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeAuthority } from "../support/certificates.ts";
import { type Finished, runCli } from "../support/gateway.ts";
import { TestIssuer } from "../support/issuer.ts";
import { freePort, redisCommand, startRedis, type TestRedis } from "../support/redis.ts";
import { StuckPort } from "../support/stuck-port.ts";

let folder: string;
let authority: string;
let redis: TestRedis;
let issuer: TestIssuer;
let stuck: StuckPort;
let closed: number;
const servers: Server[] = [];
const ports = { plain: 0, tls: 0, otherName: 0 };

async function listen(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "gatewarden-online-"));
  const { ca, issue } = makeAuthority(folder);
  authority = ca;
  const pair = (name: string, names: string) => {
    const { cert, key } = issue(name, names);
    return { cert: readFileSync(cert), key: readFileSync(key) };
  };
  ports.plain = await listen(createServer());
  ports.tls = await listen(createTlsServer(pair("good", "IP:127.0.0.1")));
  ports.otherName = await listen(createTlsServer(pair("other", "DNS:elsewhere.test")));
  redis = await startRedis();
  await redisCommand(redis, "ACL SETUSER someone on >right ~* +@all");
  issuer = await TestIssuer.start();
  stuck = await StuckPort.open();
  closed = await freePort();
});

afterAll(async () => {
  for (const server of servers) server.close();
  stuck.close();
  await issuer.stop();
  await redis.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Settings {
  readonly issuer?: string;
  readonly redis?: string;
  readonly upstream?: string;
  readonly more?: string;
}

function file({
  issuer: url = issuer.issuer,
  redis: store = redis.url,
  upstream,
  more = "",
}: Settings): string {
  return `issuers: { corp: { issuer: "${url}", audience: api } }
redis: "${store}"
upstreams: { app: "${upstream ?? `http://127.0.0.1:${ports.plain}`}" }
routes: [{ match: /a, to: app, auth: [jwt] }]
${more}`;
}

function online(settings: Settings, ...options: string[]): Promise<Finished> {
  return runCli(["check", "--online", ...options], file(settings), {
    env: { NODE_EXTRA_CA_CERTS: authority },
  });
}

/** The line of the table about one dependency. */
function row({ stdout }: Finished, what: string): string {
  return stdout.split("\n").find((line) => line.startsWith(what)) ?? "";
}

describe("check --online", () => {
  test("tells that everything can be used, and leaves nothing in Redis", async () => {
    const finished = await online({ upstream: `https://127.0.0.1:${ports.tls}` });
    expect(row(finished, "issuer")).toMatch(/^issuer +corp +http:\S+ +reached +\d+ usable keys? +\d+ ms$/);
    expect(row(finished, "redis")).toMatch(/reached +scripts run/);
    expect(row(finished, "upstream")).toMatch(/reached +certificate valid/);
    expect(finished.stdout).toContain("gateway.yaml is valid");
    expect(finished.code).toBe(0);
    expect(await redisCommand(redis, "EXISTS gw:{gw}:instances")).toContain("0");
  });

  test.for([
    [
      "an issuer that isn't there",
      "issuer",
      "discovery_unreachable",
      () => ({ issuer: `http://127.0.0.1:${closed}` }),
    ],
    ["a Redis that isn't there", "redis", "econnrefused", () => ({ redis: `redis://127.0.0.1:${closed}` })],
    [
      "a wrong password",
      "redis",
      "wrongpass",
      () => ({ redis: `redis://someone:canary@127.0.0.1:${redis.port}` }),
    ],
    [
      "an upstream that isn't there",
      "upstream",
      "econnrefused",
      () => ({ upstream: `http://127.0.0.1:${closed}` }),
    ],
    [
      "a certificate for another name",
      "upstream",
      "err_tls_cert_altname_invalid",
      () => ({ upstream: `https://127.0.0.1:${ports.otherName}` }),
    ],
  ] as const)("ends with 3 for %s", async ([, what, reason, settings]) => {
    const finished = await online(settings());
    expect(row(finished, what)).toMatch(new RegExp(`failed +${reason} `));
    expect(finished.code).toBe(3);
    expect(finished.stdout.match(/ reached /g)).toHaveLength(2);
    expect(finished.stdout + finished.stderr).not.toContain("canary");
  });

  test("doesn't take an authority's word that this machine doesn't trust", async () => {
    const finished = await runCli(
      ["check", "--online"],
      file({ upstream: `https://127.0.0.1:${ports.tls}` }),
    );
    expect(row(finished, "upstream")).toContain("unable_to_");
    expect(finished.code).toBe(3);
  });

  test("waits 5 s for each, and for all at the same time", async () => {
    const nowhere = `127.0.0.1:${stuck.port}`;
    const settings = {
      issuer: `http://${nowhere}`,
      redis: `redis://${nowhere}`,
      upstream: `http://${nowhere}`,
    };
    const finished = await online(settings, "--format", "json");
    const { dependencies } = JSON.parse(finished.stdout) as {
      dependencies: { ok: boolean; detail: string }[];
    };
    expect(dependencies.map(({ ok, detail }) => [ok, detail])).toEqual([
      [false, "discovery_timeout"],
      [false, expect.stringMatching(/time(?:d_?)?out/)],
      [false, "timeout"],
    ]);
    expect(finished.elapsedMs).toBeLessThan(10_000);
    expect(finished.code).toBe(3);
  });

  test("asks nobody when the file is wrong", async () => {
    const finished = await online({ upstream: `http://127.0.0.1:${closed}`, more: "rutes: []\n" });
    expect(finished.stdout).not.toContain("upstream ");
    expect(finished.code).toBe(1);
  });

  test("annotates what can't be reached for GitHub", async () => {
    const finished = await online({ upstream: `http://127.0.0.1:${closed}` }, "--format", "github");
    expect(finished.stdout).toContain(
      "::error file=gateway.yaml,title=unreachable::upstream app (http://127.0.0.1:",
    );
    expect(finished.code).toBe(3);
  });
});

describe("check --strict", () => {
  const unused = "  spare: http://127.0.0.1:9\n";
  const text = `upstreams:\n  app: http://127.0.0.1:9000\n${unused}routes: [{ match: /a, to: app, public: true }]\n`;

  test("ends with 1 when there are warnings, and with 0 without --strict", async () => {
    expect((await runCli(["check"], text)).code).toBe(0);
    const strict = await runCli(["check", "--strict"], text);
    expect(strict.code).toBe(1);
    expect(strict.stdout).toMatch(/is valid, but not without warnings \(1 warning, 1 note\)/);
  });

  test("lets notes pass", async () => {
    expect((await runCli(["check", "--strict"], text.replace(unused, ""))).code).toBe(0);
  });
});
