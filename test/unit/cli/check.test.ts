import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { check } from "../../../src/cli/check.ts";
import { routes } from "../../../src/cli/routes.ts";

const GOOD = `issuers: { corp: { issuer: https://login.example.com/, audience: api } }
upstreams: { app: http://127.0.0.1:9000 }
routes:
  - { match: "GET,POST /modules/:id", to: app, auth: [jwt], scopes: [modules:read], limit: 100/min }
  - { match: { path: /open/*, host: a.example.com, query: { v: "2" } }, to: app, public: true }
`;

let folder = "";
let out = "";
let errors = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gatewarden-check-"));
  await writeFile(join(folder, "good.yaml"), GOOD);
  await writeFile(
    join(folder, "bad.yaml"),
    GOOD.replace("scopes:", "scops:").replace("public: true", "public: maybe"),
  );
  await writeFile(join(folder, "warned.yaml"), `${GOOD}apiKeys: []\n`);
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

async function run(command: () => Promise<number>): Promise<number> {
  out = "";
  errors = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    errors += String(text);
    return true;
  });
  return await command();
}

describe("check", () => {
  test("says that a good file is valid, how many routes it has, and which are public", async () => {
    const config = join(folder, "good.yaml");
    expect(await run(() => check({ config, format: "text" }))).toBe(0);
    expect(out).toBe(
      `choices to know of:
  ${config}:5:90 public_unlimited anybody may call as often as they like (routes[1].public)

${config} is valid (1 note): 2 routes, 1 public: a.example.com/open/* (line 5)
`,
    );
  });

  test("tells every mistake of a bad file and ends with 1", async () => {
    const config = join(folder, "bad.yaml");
    expect(await run(() => check({ config, format: "text" }))).toBe(1);
    expect(out).toMatch(
      new RegExp(`^${config}:4:61 unknown_key .*\n.*\n.*\n  did you mean \`scopes\`\\?$`, "m"),
    );
    expect(out).toContain(`${config}:5:90 type_invalid`);
    expect(out).toMatch(/is invalid: 2 errors\n$/);
  });

  test("lets warnings pass", async () => {
    expect(await run(() => check({ config: join(folder, "warned.yaml"), format: "text" }))).toBe(0);
    expect(out).toMatch(/warning unused[\s\S]* is valid \(1 warning, 1 note\): 2 routes/);
  });

  test("gives JSON to programs and annotations to GitHub", async () => {
    expect(await run(() => check({ config: join(folder, "good.yaml"), format: "json" }))).toBe(0);
    expect(JSON.parse(out)).toEqual({
      valid: true,
      diagnostics: [expect.objectContaining({ severity: "note", line: 5, code: "public_unlimited" })],
      routes: 2,
      publicRoutes: ["a.example.com/open/*"],
    });
    expect(await run(() => check({ config: join(folder, "bad.yaml"), format: "json" }))).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      valid: false,
      diagnostics: [{ line: 4, code: "unknown_key" }, { line: 5 }],
    });
    expect(await run(() => check({ config: join(folder, "bad.yaml"), format: "github" }))).toBe(1);
    expect(out.split("\n").filter((line) => line.startsWith("::error file="))).toHaveLength(2);
  });
});

describe("routes", () => {
  test("shows every route with its guard, limits and line", async () => {
    const config = join(folder, "good.yaml");
    expect(await run(() => routes({ config, format: "text" }))).toBe(0);
    expect(out).toBe(
      `METHODS   PATTERN                       UPSTREAM  GUARD                     LIMITS            LINE
GET,POST  /modules/:id                  app       jwt, scopes modules:read  100/min per user  4
any       a.example.com/open/* [?v=2]   app       public                    none              5

2 routes in ${config}
`
        .replace("PATTERN                       ", "PATTERN                      ")
        .replace("/modules/:id                  ", "/modules/:id                 ")
        .replace("[?v=2]   ", "[?v=2]  "),
    );
  });

  test("gives the same as JSON", async () => {
    expect(await run(() => routes({ config: join(folder, "good.yaml"), format: "json" }))).toBe(0);
    expect(JSON.parse(out)).toMatchObject([
      {
        methods: ["GET", "POST"],
        pattern: "/modules/:id",
        access: "guarded",
        limits: ["100/min per user"],
        line: 4,
      },
      {
        methods: [],
        pattern: "/open/*",
        hosts: ["a.example.com"],
        conditions: ["?v=2"],
        access: "public",
        line: 5,
      },
    ]);
  });

  test("tells which checks are only observed, and no value of a header", async () => {
    const config = join(folder, "observed.yaml");
    await writeFile(
      config,
      `apiKeys: [{ id: bot, hash: "sha256:${"1".repeat(64)}" }]
upstreams: { app: http://127.0.0.1:9000 }
routes:
  - { match: { path: /a, headers: { X-Origin-Secret: a-secret } }, to: app, auth: [apiKey], observe: [auth], ips: { allow: [10.0.0.0/8] } }
`,
    );
    expect(await run(() => routes({ config, format: "json" }))).toBe(0);
    expect(JSON.parse(out)).toMatchObject([
      { guard: "apiKey, only from 10.0.0.0/8, observed only: auth", conditions: ["x-origin-secret=…"] },
    ]);
    expect(await run(() => routes({ config, format: "text" }))).toBe(0);
    expect(out).toContain("observed only: auth");
    expect(out).not.toContain("a-secret");
  });

  test("tells of limits what they have besides their rate", async () => {
    const config = join(folder, "limits.yaml");
    await writeFile(
      config,
      `tiers: { guest: 10/h, user: 100/h, admin: false }
globalLimit: { rate: 1000/min, per: ip, ipv6Prefix: 48, observe: true }
upstreams: { app: http://127.0.0.1:9000 }
routes:
  - match: /a
    to: app
    public: true
    limit:
      - tier cost 2
      - { tier: { guest: 0/day, admin: 3/90s }, per: "header:X-Tenant", algorithm: slidingLog }
      - { rate: 10/s, per: route, burst: 20, onStoreFailure: deny, sync: leased }
      - { rate: 10/h, cost: 0, costFrom: "responseHeader:X-Units" }
  - { match: /b, to: app, public: true, limit: false }
`,
    );
    expect(await run(() => routes({ config, format: "json" }))).toBe(0);
    const shown = (JSON.parse(out) as { readonly limits: readonly string[] }[]).map(({ limits }) => limits);
    expect(shown).toEqual([
      [
        "tier [guest 10/h, user 100/h, admin unlimited] per user cost 2",
        "tier [guest 0/day, admin 3/90s] per header:x-tenant (slidingLog)",
        "10/s per route burst 20 (tokenBucket, leased, store away: deny)",
        "10/h per user cost 0 cost from x-units",
        "1000/min per ip (global, observed only, IPv6 by /48)",
      ],
      [],
    ]);
    expect(await run(() => routes({ config, format: "text" }))).toBe(0);
    for (const limit of shown[0] ?? []) expect(out).toContain(limit);
  });

  test("shows the mistakes of a bad file on standard error and ends with 1", async () => {
    expect(await run(() => routes({ config: join(folder, "bad.yaml"), format: "text" }))).toBe(1);
    expect(out).toBe("");
    expect(errors).toContain("unknown_key");
  });
});
