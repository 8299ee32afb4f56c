import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AdminServer } from "../../../src/admin/server.ts";
import { limitsReset, limitsShow } from "../../../src/cli/limits.ts";
import { GatewayFailure } from "../../../src/core/failure.ts";
import { counterState, FakeGateway, routesOf } from "../../support/admin.ts";

const TOKEN = "canary-admin-token-0123456789abcdef0123456789";
let folder: string;
let gateway: FakeGateway;
let server: AdminServer | undefined;
let other: Server | undefined;
let out = "";
let errors = "";

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gatewarden-limits-"));
  gateway = new FakeGateway();
  out = "";
  errors = "";
  vi.stubEnv("ADMIN_TOKEN", TOKEN);
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    errors += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await server?.close();
  other?.close();
  server = undefined;
  other = undefined;
  await rm(folder, { recursive: true });
  expect(out + errors).not.toContain("canary");
});

/** Opens the admin port of the fake gateway; resolves with its port. */
async function open(routes = "", token: string | null = TOKEN): Promise<number> {
  server = new AdminServer({
    ...gateway.options(routes === "" ? [] : await routesOf(routes), { token: token ?? undefined }),
    listen: { host: "127.0.0.1", port: 0 },
    listenerError: () => {},
  });
  return (await server.listen()).port;
}

/** Path of a file with this `admin`. */
async function file(admin: string): Promise<string> {
  const path = join(folder, "gateway.yaml");
  const rest = "upstreams: { app: http://127.0.0.1:9 }\nroutes:\n  - { match: /a, to: app, public: true }\n";
  await writeFile(path, admin + rest);
  return path;
}

const adminAt = (port: number): string => `admin: { listen: 127.0.0.1:${port}, token: "\${ADMIN_TOKEN}" }\n`;

describe("limits show", () => {
  test("lists every limit with what it decided", async () => {
    gateway.stats = [
      {
        route: "GET /a",
        limit: "GET /a",
        admitted: 120,
        refused: 3,
        unavailable: 0,
        wouldRefuse: 0,
        mode: "local",
      },
    ];
    const port = await open(`
  - { match: GET /a, to: app, public: true, limit: 100/min per ip }
  - { match: GET /b, to: app, public: true, limit: { rate: 5/s, per: route, name: b, onStoreFailure: deny } }
`);
    const config = await file(adminAt(port));
    expect(await limitsShow({ config, format: "text" })).toBe(0);
    expect(
      out,
    ).toBe(`ROUTE   LIMIT   RATE     PER    ALGORITHM      SYNC   STORE AWAY  ADMITTED  REFUSED  UNAVAILABLE  WOULD REFUSE
GET /a  GET /a  100/min  ip     slidingWindow  exact  local       120       3        0            0
GET /b  b       5/s      route  slidingWindow  exact  deny        0         0        0            0

2 limits, counted in redis
`);
    gateway.degraded = true;
    out = "";
    await limitsShow({ config, format: "text" });
    expect(out).toContain("2 limits, counted in redis, which can't be used now: STORE AWAY decides");
  });

  test("shows the counters of one identity, aligned", async () => {
    gateway.counters.set("user:alice", [
      counterState(),
      counterState({
        limit: "exports",
        route: undefined,
        used: 250,
        remaining: 0,
        limitUnits: 250,
        key: "k2",
      }),
    ]);
    const config = await file(adminAt(await open()));
    expect(await limitsShow({ config, key: "user:alice", format: "text" })).toBe(0);
    expect(out.split("\n")).toEqual([
      "LIMIT    ROUTE   USED  LEFT  OF   WINDOW  RESET  ALGORITHM      SOURCE  KEY",
      "GET /a   GET /a  3     7     10   60s     42s    slidingWindow  redis   gw:GET /a:60000:user:AAAAAAAAAAAAAAAAAAAAAA",
      "exports          250   0     250  60s     42s    slidingWindow  redis   k2",
      "",
    ]);
  });

  test("is one JSON document when asked so", async () => {
    gateway.counters.set("user:alice", [counterState()]);
    const config = await file(adminAt(await open()));
    expect(await limitsShow({ config, key: "user:alice", format: "json" })).toBe(0);
    expect(JSON.parse(out)).toEqual({ counters: [counterState()] });
  });

  test("ends with 1 when there is no such counter", async () => {
    const config = await file(adminAt(await open()));
    expect(await limitsShow({ config, key: "user:bob", format: "text" })).toBe(1);
    expect([out, errors]).toEqual(["", "gatewarden: there is no counter of user:bob\n"]);
    expect(await limitsShow({ config, key: "user:bob", format: "json" })).toBe(1);
    expect(JSON.parse(out)).toEqual({ counters: [] });
  });

  test("needs no token where the file has none", async () => {
    const port = await open("", null);
    const config = await file(`admin: 127.0.0.1:${port}\n`);
    expect(await limitsShow({ config, format: "text" })).toBe(0);
    expect(out).toContain("0 limits");
  });

  test("lets nothing that the gateway says drive the terminal", async () => {
    gateway.counters.set("user:alice", [counterState({ limit: "\u001b[2J", key: "a\rb" })]);
    const config = await file(adminAt(await open()));
    await limitsShow({ config, key: "user:alice", format: "text" });
    expect(out).toMatch(/\?\[2J/);
    expect(out).not.toMatch(/[^\P{Cc}\n]/u);
  });
});

describe("limits reset", () => {
  test("empties the counters and says how many there were", async () => {
    const key = "user:https://login.example.com/|a b&c=d";
    gateway.counters.set(key, [counterState(), counterState()]);
    const config = await file(adminAt(await open()));
    expect(await limitsReset({ config, key, format: "text" })).toBe(0);
    expect(out).toBe("2 counters reset\n");
    expect(gateway.audits).toEqual([{ event: "limits_reset", counters: 2 }]);
    expect(await limitsReset({ config, key, format: "text" })).toBe(1);
    expect(errors).toContain("there is no counter of user:https://login.example.com/|a b&c=d");
  });
});

describe("without an answer it says why:", () => {
  test("the file has no admin port", async () => {
    expect(await limitsShow({ config: await file(""), format: "text" })).toBe(2);
    expect(errors).toContain("\n  admin: 127.0.0.1:9090\n");
  });

  test("the file is invalid", async () => {
    expect(await limitsShow({ config: await file("admin: nowhere\n"), format: "text" })).toBe(2);
    expect(errors).toMatch(/gateway\.yaml:1:8 value_invalid/);
  });

  test("the port of the file is any", async () => {
    expect(await limitsShow({ config: await file(adminAt(0)), format: "text" })).toBe(2);
    expect(errors).toMatch(/can't be found/);
  });

  test("the key is of no known form", async () => {
    const config = await file(adminAt(await open()));
    expect(await limitsReset({ config, key: "alice", format: "text" })).toBe(2);
    expect(errors).toMatch(/answers 400: expected one `key`: KIND:VALUE/);
  });

  test("nothing answers", async () => {
    const port = await open();
    await server?.close();
    expect(await limitsShow({ config: await file(adminAt(port)), format: "text" })).toBe(3);
    expect(errors).toBe(`gatewarden: nothing answers on 127.0.0.1:${port}\n`);
  });

  test("the gateway has another token", async () => {
    const port = await open("", "another-token-0123456789abcdef0123456789");
    expect(await limitsShow({ config: await file(adminAt(port)), format: "text" })).toBe(3);
    expect(errors).toMatch(/has another token than this file/);
  });

  test("the limiter can't tell now", async () => {
    gateway.failure = new GatewayFailure("dependency_unreachable", "redis");
    const config = await file(adminAt(await open()));
    expect(await limitsShow({ config, key: "user:a", format: "text" })).toBe(3);
    expect(errors).toMatch(/answers 503/);
  });

  test("something else answers there", async () => {
    other = createServer((_, response) => response.end("<html>")).listen(0, "127.0.0.1");
    await new Promise((resolve) => other?.once("listening", resolve));
    const { port } = other.address() as AddressInfo;
    expect(await limitsShow({ config: await file(adminAt(port)), format: "text" })).toBe(3);
    expect(errors).toMatch(/is no gatewarden/);
  });
});
