// Every example that the package brings along is a file that works: it passes the check as it stands, and with its
// addresses pointed at this machine its routes do what its comments say. The same holds for what `npm start` prints.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { hash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { inspectConfig } from "../../src/config/load.ts";
import { Canaries } from "../support/canary.ts";
import { NODE, startGateway, type TestGateway } from "../support/gateway.ts";
import { type Claims, makeKey, type SigningKey, signToken, TestIssuer } from "../support/issuer.ts";
import { exchange, type RawResponse } from "../support/raw-client.ts";
import { requestBytes } from "../support/rig.ts";
import { type Description, eventually, startUpstream, type TestUpstream } from "./upstream.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const EXAMPLES = join(ROOT, "config/examples");
/** Names of the files under test; the last one lies in the root folder. */
const FILES = [
  ...(await readdir(EXAMPLES)).filter((name) => name.endsWith(".yaml")).sort(),
  "gateway.yaml.example",
];
const canaries = new Canaries();
const KEY = canaries.make("the key", 40);
const SECRET = canaries.make("the value of a variable", 48);

let upstream: TestUpstream;
let login: TestIssuer;
let partners: TestIssuer;

beforeAll(async () => {
  const key = makeKey("ES256");
  [upstream, login, partners] = await Promise.all([
    startUpstream(),
    TestIssuer.start({ keys: [key] }),
    TestIssuer.start({ keys: [makeKey("ES256")] }),
  ]);
});
afterAll(() => Promise.all([upstream?.stop(), login?.stop(), partners?.stop()]));

/** One request and what has to come of it. */
interface Step {
  /** Method and target. */
  readonly request: string;
  readonly headers?: () => Readonly<Record<string, string>>;
  /** Status of the answer, or its `grpc-status`. */
  readonly expect: number | { readonly grpc: number };
  /** Target that the upstream gets. */
  readonly sees?: string;
  /** What else has to hold of the answer. */
  readonly also?: (answer: RawResponse) => void;
}

const bearer = (token: string) => ({ Authorization: `Bearer ${canaries.token("a token", token)}` });
const token = (claims: Claims, issuer = (): TestIssuer => login) => ({
  headers: () => bearer(issuer().token(claims)),
});
const key = (value = KEY, name = "X-API-Key") => ({ headers: () => ({ [name]: value }) });
const hmac: SigningKey = { alg: "HS256", kid: "h", signer: Buffer.from(SECRET), pem: "", jwk: {} };

const CALL = "POST /catalog.v1.Catalog";
const grpc = (claims?: Claims) => ({
  headers: () => ({
    "Content-Type": "application/grpc-web+proto",
    "X-Grpc-Web": "1",
    ...(claims === undefined ? {} : bearer(login.token({ aud: "catalog-api", ...claims }))),
  }),
});
const staff = (roles: readonly string[], claims: Claims = {}) =>
  token({ aud: "shop-api", realm_access: { roles }, ...claims });
const partner = (scope: string) => token({ aud: "shop-api", scope }, () => partners);
const atHost = (host: string, claims?: Claims) => ({
  headers: () => ({ Host: host, ...(claims === undefined ? {} : bearer(login.token(claims))) }),
});
const billing = (scope: string) => ({
  headers: () => bearer(signToken(login.claims({ iss: "billing-tokens", aud: "billing-api", scope }), hmac)),
});
const articles = (claims: Claims) => token({ aud: "articles-api", ...claims });
const limitedTo =
  (limit: string | undefined, remaining: string | undefined) =>
  (answer: RawResponse): void =>
    expect([answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")]).toEqual([
      limit,
      remaining,
    ]);
/** Whether the structured fields hold this. */
const tells =
  (part: string) =>
  (answer: RawResponse): void =>
    expect(`${answer.header("ratelimit-policy")}, ${answer.header("ratelimit")}`).toContain(part);
const modules = (scope: string) => token({ aud: "modules-api", scope });
const mine = (claims: Claims) => token({ aud: "my-api", ...claims });

const STEPS: Readonly<Record<string, readonly Step[]>> = {
  "reference.yaml": [
    { request: "GET /modules", expect: 401 },
    { request: "GET /modules", ...key(), expect: 200, sees: "/modules" },
    { request: "GET /modules", ...key("another key"), expect: 401 },
    { request: "GET /modules", ...modules("modules:read"), expect: 200 },
    { request: "GET /modules", ...modules("other"), expect: 403 },
    { request: "GET /modules", ...token({ aud: "other-api", scope: "modules:read" }), expect: 401 },
    {
      request: "GET /modules",
      ...token({ aud: "modules-api", scope: "modules:read", sub: "counted" }),
      expect: 200,
      also: (answer) =>
        expect([answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")]).toEqual([
          "100",
          "99",
        ]),
    },
    { request: "POST /modules", ...key(), expect: 405 },
  ],
  "api-keys-only.yaml": [
    { request: "GET /modules", expect: 401 },
    { request: "GET /modules", ...key(), expect: 200 },
    { request: "POST /modules", ...key(SECRET), expect: 200 },
    { request: "GET /modules", ...key(KEY, "Api-Token"), expect: 200 },
    { request: "PUT /stock/7", ...key(), expect: 403 },
    { request: "DELETE /modules", ...key(), expect: 405 },
  ],
  "grpc-web.yaml": [
    { request: `${CALL}/GetItem`, ...grpc(), expect: { grpc: 16 } },
    { request: `${CALL}/GetItem`, ...grpc({ scope: "catalog:read" }), expect: 200 },
    { request: `${CALL}/DeleteItem`, ...grpc({ scope: "catalog:read" }), expect: { grpc: 7 } },
    { request: `${CALL}/DeleteItem`, ...grpc({ scope: "catalog:write" }), expect: 200 },
    { request: "POST /grpc.health.v1.Health/Check", ...grpc(), expect: 200 },
    { request: "POST /grpc.health.v1.Health/Watch", ...grpc(), expect: { grpc: 12 } },
    {
      request: "OPTIONS /catalog.v1.Catalog/GetItem",
      headers: () => ({ Origin: "http://localhost:5173", "Access-Control-Request-Method": "POST" }),
      expect: 204,
      also: (answer) => expect(answer.header("access-control-allow-origin")).toBe("http://localhost:5173"),
    },
  ],
  "issuers-and-roles.yaml": [
    { request: "GET /orders", ...staff(["viewer"]), expect: 200 },
    { request: "POST /orders", ...staff(["viewer"]), expect: 403 },
    { request: "POST /orders", ...staff(["editor"]), expect: 200 },
    { request: "GET /orders", ...partner("orders:read"), expect: 200 },
    { request: "GET /orders", ...partner("other"), expect: 403 },
    { request: "GET /users/user-1/orders", ...staff([]), expect: 200 },
    { request: "GET /users/user-2/orders", ...staff([]), expect: 403 },
    { request: "GET /reports", ...partner("*"), expect: 401 },
    { request: "GET /reports/7", ...staff(["viewer"]), expect: 403 },
    { request: "GET /reports/7", ...staff(["editor"]), expect: 200 },
  ],
  "load-balancer.yaml": [
    { request: "GET /x", ...atHost("shop.example.com"), expect: 401 },
    { request: "GET /x", ...atHost("shop.example.com", { aud: "shop-api" }), expect: 200 },
    { request: "GET /x", ...atHost("eu.shop.example.com", { aud: "shop-api" }), expect: 200 },
    { request: "GET /x", ...atHost("other.example.com", { aud: "shop-api" }), expect: 421 },
    { request: "GET /healthz", ...atHost("10.0.0.7:8080"), expect: 200 },
  ],
  "machine-to-machine.yaml": [
    { request: "GET /invoices", expect: 401 },
    { request: "GET /invoices", ...key(), expect: 200 },
    { request: "GET /invoices", ...billing("invoices:read"), expect: 200 },
    { request: "POST /invoices", ...billing("invoices:write"), expect: 401 },
    { request: "POST /invoices", ...key(), expect: 401 },
    {
      request: "POST /exports",
      ...key(),
      expect: 200,
      also: (answer) => expect(answer.header("ratelimit-remaining")).toBe("450"),
    },
    {
      request: "GET /exports/7",
      ...key(),
      expect: 200,
      also: (answer) => expect(answer.header("ratelimit-remaining")).toBe("449"),
    },
  ],
  "public-site.yaml": [
    { request: "GET /about", expect: 200, sees: "/about" },
    { request: "GET /news/7", expect: 200 },
    { request: "GET /news/7", headers: () => ({ Authorization: "Bearer a.b.c" }), expect: 401 },
    { request: "GET /api/modules", expect: 401 },
    {
      request: "GET /api/modules?page=2",
      ...token({ aud: "site-api", scope: "api:use" }),
      expect: 200,
      sees: "/v1/modules?page=2",
      also: (answer) => expect(answer.header("cache-control")).toBe("no-store"),
    },
    { request: "GET /admin/x", ...token({ aud: "site-api", scope: "site:admin" }), expect: 403 },
  ],
  // What depends on the tier is in tier-examples.test.ts.
  "tiers.yaml": [
    { request: "GET /articles/7", expect: 200 },
    { request: "GET /articles/7", ...articles({ plan: "admin" }), expect: 200 },
    { request: "POST /articles", expect: 401 },
    { request: "POST /articles", ...articles({ plan: "admin" }), expect: 403 },
    { request: "POST /articles", ...articles({ roles: ["developer"] }), expect: 200 },
    { request: "POST /articles/7/summary", ...key(), expect: 200 },
  ],
  "default-limits.yaml": [
    { request: "GET /about", expect: 200, also: limitedTo("50", "49") },
    ...Array.from({ length: 10 }, (_, at) => ({
      request: "POST /search",
      expect: 200,
      also: limitedTo("10", String(9 - at)),
    })),
    { request: "POST /search", expect: 429, also: limitedTo("10", "0") },
    { request: "GET /about", expect: 200, also: limitedTo("50", "48") },
    { request: "GET /health", expect: 200, also: limitedTo(undefined, undefined) },
  ],
  "limits.yaml": [
    { request: "GET /reports", expect: 401 },
    { request: "GET /reports", ...key(), expect: 200, also: tells('"GET /reports";q=100;w=60') },
    { request: "GET /reports", ...key(), expect: 200, also: tells('"global";q=3000;w=60') },
    { request: "GET /reports", ...key(), expect: 200, also: tells('"global 2";q=1000000;w=60') },
    { request: "POST /transfers", ...key(), expect: 200 },
    { request: "GET /thumbnails/7", ...key(), expect: 200 },
    { request: "GET /feed", ...key(), expect: 200 },
    { request: "GET /search", ...key(), expect: 200 },
    { request: "POST /query", ...key(), expect: 200 },
    { request: "POST /exports", ...key(), expect: 200, also: tells('"exports";r=450') },
    { request: "GET /exports/7", ...key(), expect: 200, also: tells('"exports";r=449') },
    { request: "GET /status", expect: 200, also: limitedTo(undefined, undefined) },
  ],
  "everything.yaml": [
    { request: "GET /livez", expect: 200 },
    { request: "GET /status", expect: 200 },
    { request: "GET /modules", expect: 401 },
    // This key may be used from one network only.
    { request: "GET /modules", ...key(), expect: 401 },
    { request: "GET /modules", ...key(SECRET, "X-Partner-Key"), expect: 200 },
  ],
  "gateway.yaml.example": [
    { request: "GET /modules", expect: 401 },
    { request: "GET /modules", ...key(), expect: 200 },
    { request: "DELETE /modules/7", ...key(), expect: 403 },
    { request: "DELETE /modules/7", ...mine({ scope: "modules:write" }), expect: 200 },
    { request: "GET /users/user-1/things", ...mine({}), expect: 200 },
    { request: "GET /users/user-2/things", ...mine({}), expect: 403 },
    { request: "GET /docs/start", expect: 200 },
  ],
};

/** Examples that name a second issuer without keys can't become ready here. */
const NEVER_READY = new Set(["everything.yaml"]);

const pathOf = (file: string): string => join(file.endsWith(".example") ? ROOT : EXAMPLES, file);
const read = (file: string): Promise<string> => readFile(pathOf(file), "utf8");

/** Values for all variables that the file names. */
function environment(text: string): Record<string, string> {
  const names = [...text.matchAll(/\$\{([A-Z_]+)(?::-[^}]*)?\}/g)].map((match) => match[1] ?? "");
  const value = (name: string): string => {
    if (name === "REDIS_URL") return inject("redisUrl");
    if (name === "API_URL") return upstream.url;
    return name === "PORT" ? "0" : name === "REGION" ? "north" : SECRET;
  };
  return Object.fromEntries(names.map((name) => [name, value(name)]));
}

/** The example with this test's addresses and its key in place of those that it invents. */
function localised(text: string): string {
  return `listen: 127.0.0.1:0\n${text}`
    .replace(/(?<=\n)listen:.*(?:\n {2}- .*)*/, "")
    .replace("127.0.0.1:9090", "127.0.0.1:0")
    .replace(/127\.0\.0\.1:9\d\d\d/g, upstream.url.slice("http://".length))
    .replaceAll("https://login.example.com/.well-known", `${login.issuer}/.well-known`)
    .replace(/https:\/\/login\.example\.com\/(?:realms\/staff)?|http:\/\/issuer\.internal/g, (url) =>
      url.startsWith("http:") ? `${login.issuer}/internal` : login.issuer,
    )
    .replaceAll("https://partners.example.com/", partners.issuer)
    .replace(/sha256:9695[0-9a-f]{60}/g, `sha256:${hash("sha256", KEY, "hex")}`)
    .replace(/, prefix: \w+/, `, prefix: example-${process.pid}`);
}

async function run(gateway: TestGateway, step: Step): Promise<void> {
  const [method = "", target = ""] = step.request.split(" ");
  const { responses } = await exchange(
    gateway.port,
    requestBytes({ method, target, headers: step.headers?.() ?? {} }),
  );
  const answer = responses[0];
  if (answer === undefined) throw new Error(`${step.request}: no answer`);
  const status = typeof step.expect === "number" ? step.expect : 200;
  expect(answer.status, `${step.request}: ${answer.text}`).toBe(status);
  const wanted = typeof step.expect === "number" ? undefined : String(step.expect.grpc);
  expect(answer.header("grpc-status"), step.request).toBe(wanted);
  if (step.sees !== undefined) expect((answer.json as unknown as Description).url).toBe(step.sees);
  step.also?.(answer);
}

test("every example has its requests here", () => {
  expect(FILES.filter((file) => STEPS[file] === undefined)).toEqual([]);
  expect(Object.keys(STEPS).filter((file) => !FILES.includes(file))).toEqual([]);
});

describe.each(FILES)("%s", (file) => {
  test("passes the check as it stands", async () => {
    const text = await read(file);
    const { config, diagnostics } = await inspectConfig(pathOf(file), environment(text));
    expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(config?.routes.length).toBeGreaterThan(0);
  });

  test("does what it says", async () => {
    const text = await read(file);
    const gateway = await startGateway(localised(text), {
      env: environment(text),
      untilReady: !NEVER_READY.has(file),
    });
    try {
      if (NEVER_READY.has(file))
        await gateway.waitForLog((line) => line.event === "keys_refreshed" && line.issuer === "corp");
      for (const step of STEPS[file] ?? []) await run(gateway, step);
      canaries.assertNoCanary({ log: gateway.stdout.join("\n"), "standard error": gateway.stderr });
    } finally {
      // An example may take seconds to drain, as it should behind a load balancer.
      await gateway.kill();
    }
  });
});

describe("npm start", () => {
  let folder: string;
  let child: ChildProcess | undefined;
  afterAll(async () => {
    if (child !== undefined && child.exitCode === null) {
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  test("prints requests that give 200, 200, 401, 403 and 429 when they are pasted into a shell", async () => {
    folder = await mkdtemp(join(tmpdir(), "gatewarden-start-"));
    const scripts = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as {
      readonly scripts: { readonly start: string };
    };
    const [program, main = "", ...args] = scripts.scripts.start.split(" ");
    expect(program).toBe("node");
    const running = spawn(NODE, [join(ROOT, main), ...args], {
      cwd: folder,
      env: { PATH: process.env.PATH ?? "", HOME: folder, PORT: "0" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    child = running;
    let said = "";
    running.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    await eventually("the instructions are printed", () => said.includes("Next:"), 10_000);
    const promises = [...said.matchAll(/^# (\d{3}): .*\n(curl .*)$/gm)].map(([, status, line = ""]) => ({
      status,
      line,
    }));
    expect(promises.map(({ status }) => status)).toEqual(["200", "200", "401", "403", "429"]);
    for (const { status, line } of promises) {
      const { stdout } = await promisify(execFile)("bash", ["-c", line]);
      // The last status that the line shows, as a reader would see it.
      const statuses = [...stdout.matchAll(/^(?:HTTP\/1\.1 )?(\d{3})\b/gm)].map((match) => match[1]);
      expect([line.replace(/'Authorization[^']*'/, "…"), statuses.at(-1)]).toEqual([
        line.replace(/'Authorization[^']*'/, "…"),
        status,
      ]);
    }
    expect(await readdir(folder)).toEqual([]);
    running.kill("SIGTERM");
    const [code] = (await once(running, "exit")) as [number | null];
    expect(code).toBe(0);
  });
});
