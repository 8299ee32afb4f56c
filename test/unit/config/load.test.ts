import { execFileSync } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatDiagnostics } from "../../../src/config/diagnostics.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { inspect, load, said } from "../../support/config.ts";

const REFERENCE = `issuers:
  corp: { issuer: https://login.example.com/, audience: modules-api }
apiKeys:
  - { id: ci-bot, hash: "sha256:9695a918e1ac586fd55881e3d754e756fa52c8d81696d6345a2594004b9dfbe0", scopes: [modules:read] }
redis: \${REDIS_URL}
upstreams:
  modules: http://127.0.0.1:9000
routes:
  - match: GET /modules
    to: modules
    auth: [jwt, apiKey]
    scopes: [modules:read]
    limit: 100/min per user
`;
const ENV = { REDIS_URL: "redis://127.0.0.1:6379" };
const OPEN = "upstreams: { app: http://127.0.0.1:9000 }\nroutes: [{ match: /a, to: app, public: true }]\n";

describe("a valid file", () => {
  test("becomes a configuration that nothing can change", async () => {
    const config = await load(REFERENCE, { env: ENV });
    expect(config.routes[0]?.authz.scopes).toEqual({ mode: "all", scopes: ["modules:read"] });
    const seen = new Set<object>();
    const visit = (value: unknown): void => {
      if (typeof value !== "object" || value === null || seen.has(value) || ArrayBuffer.isView(value)) return;
      seen.add(value);
      expect(Object.isFrozen(value)).toBe(true);
      Object.values(value).forEach(visit);
    };
    visit(config);
    expect(seen.size).toBeGreaterThan(30);
    expect(() => (config.roles as Map<string, unknown>).set("x", {})).toThrow();
  });

  test("may start with a byte order mark and end lines the Windows way", async () => {
    const config = await load(`\ufeff${OPEN.replaceAll("\n", "\r\n")}`);
    expect(config.routes).toHaveLength(1);
  });

  test("may repeat a value with a few flat aliases", async () => {
    const yaml =
      "upstreams: { app: http://127.0.0.1:9000 }\nroutes: [{ match: /a, to: &to app, public: true }, { match: /b, to: *to, public: true }]\n";
    expect((await load(yaml)).routes[1]?.upstream).toBe("app");
  });
});

describe("what isn't a readable file", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "gatewarden-config-"));
    execFileSync("mkfifo", [join(folder, "fifo")]);
    await symlink("loop", join(folder, "loop"));
    await writeFile(join(folder, "large"), Buffer.alloc(10 * 1024 * 1024 + 1, "#"));
    await writeFile(join(folder, "binary"), Buffer.from([0, 1, 2, 0xff, 0xfe, 0x80]));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.for([
    [".", "file_unreadable", "directory"],
    ["missing", "file_unreadable", "does not exist"],
    ["fifo", "file_unreadable", "not a regular file"],
    ["loop", "file_unreadable", "symbolic links"],
    ["large", "file_too_large", "larger than 8388608 bytes"],
    ["binary", "file_not_text", "not UTF-8"],
  ] as const)("★Y01 Y14 %s is refused at once, without waiting: %s", async ([name, code, words]) => {
    const started = performance.now();
    const loaded = await loadConfig(join(folder, name), {});
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(loaded.ok).toBe(false);
    if (loaded.ok) return;
    expect(loaded.error.diagnostics).toEqual([
      expect.objectContaining({ line: 1, column: 1, code, message: expect.stringContaining(words) }),
    ]);
  });
});

describe("substitution", () => {
  const route = (match: string) =>
    `upstreams: { app: http://127.0.0.1:9000 }\nroutes: [{ match: /a, to: app, public: true, headers: { request: { set: { X-A: "${match}" } } } }]\n`;
  const value = async (text: string, env: Record<string, string> = {}) =>
    (await load(route(text), { env })).routes[0]?.request.set[0]?.[1];

  test.for([
    ["${A}", "one"],
    ["x-${A}-${B}-y", "x-one-two-y"],
    ["${C:-three}", "three"],
    ["${A:-three}", "one"],
    ["${EMPTY:-three}", "three"],
    ["$${A}", "${A}"],
    ["$A", "$A"],
    ["${D}", "${A}"],
  ] as const)("%s becomes %s", async ([text, expected]) => {
    expect(await value(text, { A: "one", B: "two", D: "${A}", EMPTY: "" })).toBe(expected);
  });

  test.for([
    ["a closing quote and brackets", 'x" } } }, public: false }]'],
    ["a line break and a key", "x\n    public: true"],
    ["a dollar pattern", "$& $1 $$"],
    ["a comment", "x # y"],
    ["a tag", "!!js/function x"],
  ] as const)("★Y07 a variable with %s stays one value", async ([, hostile]) => {
    const yaml = `${OPEN}logs: { fields: { a: "\${V}", b: \${V} } }\n`.replace("b: ${V}", 'b: "${V}"');
    const config = await load(yaml, { env: { V: hostile } });
    expect(config.logs.fields).toEqual({ a: hostile, b: hostile });
    expect(config.routes).toHaveLength(1);
  });

  test("gives numbers and truth values where they are asked for, and text elsewhere", async () => {
    const yaml = `${OPEN}limits: { connections: "\${N}" }\nlegacyRateLimitHeaders: \${T}\nlogs: { fields: { n: "\${N}" } }\n`;
    const config = await load(yaml, { env: { N: "77", T: "true" } });
    expect([config.limits.connections, config.legacyRateLimitHeaders, config.logs.fields]).toEqual([
      77,
      true,
      { n: "77" },
    ]);
  });

  test("reads a file beside the configuration, without its last line break", async () => {
    const yaml = `redis: \${file:run/redis}\n${OPEN}`;
    const config = await load(yaml, { files: { "run/redis": "redis://127.0.0.1:7000\n" } });
    expect(config.redis).toMatchObject({ url: "redis://127.0.0.1:7000" });
  });

  test("★Y07 names what is missing with its place, and says nothing else about it", async () => {
    const inspection = await inspect(`redis: \${MISSING}\n${OPEN}limits: { connections: "\${NONE}" }\n`);
    expect(said(inspection)).toEqual([
      "1:8 variable_missing redis",
      "4:24 variable_missing limits.connections",
    ]);
    expect(inspection.diagnostics[0]?.message).toContain("MISSING");
  });

  test("Y08 never repeats a value in a message", async () => {
    const yaml = `redis: \${URL}
issuers: { a: { issuer: x, audience: y, secret: "\${WEAK}" } }
upstreams: { app: "\${UP}" }
routes: [{ match: "\${MATCH}", to: "\${TO}", auth: ["\${AUTH}"], scopes: ["\${SCOPE}"], limit: "\${LIMIT}" }]
`;
    const names = ["URL", "WEAK", "UP", "MATCH", "TO", "AUTH", "SCOPE", "LIMIT"];
    const env = Object.fromEntries(names.map((name) => [name, `canary ${name} {x} %41`]));
    const inspection = await inspect(yaml, { env });
    expect(said(inspection).length).toBeGreaterThanOrEqual(7);
    for (const format of ["text", "json", "github"] as const) {
      expect(formatDiagnostics(inspection, format, false)).not.toContain("canary");
    }
  });

  test("Y08 warns of secrets in the file and of secret files that everyone can read", async () => {
    const folder = await mkdtemp(join(tmpdir(), "gatewarden-config-"));
    try {
      await writeFile(join(folder, "open"), "0123456789abcdef0123456789abcdef", { mode: 0o644 });
      const yaml = `issuers:
  a: { issuer: a, audience: x, secret: "\${file:${join(folder, "open")}}" }
  b: { issuer: b, audience: x, secret: 0123456789abcdef0123456789abcdef }
${OPEN.replace("public: true", "auth: [jwt]")}`;
      const { config, diagnostics } = await inspect(yaml);
      expect(config).toBeDefined();
      expect(diagnostics.map(({ severity, code, line }) => [severity, code, line])).toEqual([
        ["warning", "file_permissions", 2],
        ["warning", "secret_literal", 3],
        ["note", "secret_shared", 3],
      ]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("every mistake at once", () => {
  test("mistakes of all sections are told together, in the order of the file", async () => {
    const inspection = await inspect(
      `listen: nowhere
limits: { body: 10MB }
upstreams: { app: ftp://x }
routes:
  - { match: /a/{id}, to: ap, auht: [jwt], limit: 0/s }
  - { match: "/b", to: app, public: true, scopes: [a] }
`.replace("/a/{id}", '"/a/{id}"'),
    );
    expect(said(inspection)).toEqual([
      "1:9 value_invalid listen",
      "2:17 value_invalid limits.body",
      "3:19 value_invalid upstreams.app",
      "5:14 pattern_invalid routes[0].match",
      "5:29 unknown_reference routes[0].to",
      "5:33 unknown_key routes[0].auht",
      "5:53 value_out_of_range routes[0].limit",
      "6:51 conflict routes[1].scopes",
    ]);
  });

  test("one mistake is told once: a misspelt section hides nothing and blames nothing else", async () => {
    expect(said(await inspect(OPEN.replace("upstreams", "upstream")))).toEqual(["1:1 unknown_key upstream"]);
    expect(said(await inspect(OPEN.replace("routes", "rotues")))).toEqual(["2:1 unknown_key rotues"]);
    expect(said(await inspect(OPEN.replace("public", "pubilc")))).toEqual([
      "2:32 unknown_key routes[0].pubilc",
    ]);
  });

  test("Y19 __proto__ and constructor are refused and change no object", async () => {
    const inspection = await inspect(
      `${OPEN}roles: { __proto__: { scopes: [a] }, constructor: { scopes: [b] } }\n`,
    );
    expect(said(inspection)).toEqual(["3:10 key_reserved roles", "3:38 key_reserved roles"]);
    expect("scopes" in {}).toBe(false);
  });

  test("Y20 a file of a later version says which version is read", async () => {
    const { diagnostics } = await inspect(`version: 2\n${OPEN}`);
    expect(diagnostics[0]?.message).toContain("version 1");
    expect((await load(`version: 1\n${OPEN}`)).routes).toHaveLength(1);
  });
});

test("★Y03 50 KiB of nesting is refused at once, however often it is loaded", async () => {
  for (const text of ["[".repeat(51_200), "{a: ".repeat(12_800)]) {
    for (let round = 0; round < 5; round++) {
      const started = performance.now();
      expect(said(await inspect(`a: ${text}`))).toEqual([expect.stringMatching(/^1:\d+ yaml_too_complex$/)]);
      expect(performance.now() - started).toBeLessThan(500);
    }
  }
});

test("★Y05 no beginning of a file that was cut opens a route or drops its guard", async () => {
  const cuts = Array.from({ length: 24 }, (_, index) => REFERENCE.length - 1 - index * 9);
  const inspections = await Promise.all(cuts.map((cut) => inspect(REFERENCE.slice(0, cut), { env: ENV })));
  const valid = inspections.flatMap(({ config }) => (config === undefined ? [] : [config]));
  expect(valid.length).toBeLessThan(cuts.length);
  for (const config of valid) {
    for (const route of config.routes) {
      expect(route.access).toBe("guarded");
      expect(route.auth).not.toEqual([]);
    }
  }
});
