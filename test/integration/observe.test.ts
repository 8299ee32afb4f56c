// The way from observing to enforcing, with a real gateway: everything is let through and told, the log proposes routes,
// and a replay tells beforehand what enforcing them does.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type LoggedDecision, readLogLine } from "../../src/review/replay/log-lines.ts";
import { inspect } from "../support/config.ts";
import { runCli } from "../support/gateway.ts";
import { type Caller, type LiveAnswer, LiveWorld } from "../support/live-requests.ts";

const EVERYTHING = `  - match: /legacy/*
    to: app
    auth: [jwt, apiKey]
    scopes: [legacy]
    roles: [editor]
    require: { org: acme }
    ips: { deny: [127.0.0.0/8] }
    limit: 2/min per route
    observe: true
`;
const ENFORCED = "    observe: true\n";

let world: LiveWorld;
let folder: string;
const answers = new Map<string, LiveAnswer>();

const member: Caller = {
  kind: "token",
  issuer: "corp",
  claims: { sub: "alice", scope: "legacy reports", realm: { roles: ["editor"] }, org_id: "acme" },
};
const stranger: Caller = { kind: "token", issuer: "corp", claims: { sub: "eve", scope: "other" } };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gatewarden-observe-"));
  world = await LiveWorld.start(EVERYTHING);
  const get = (path: string, caller: Caller, headers: Record<string, string> = {}) =>
    world.send({ method: "GET", path, headers, caller });
  answers.set("member", await get("/legacy/reports/1", member));
  answers.set("stranger", await get("/legacy/orders/2", stranger));
  answers.set("nobody", await get("/legacy/open", { kind: "nobody" }, { "x-user-id": "forged" }));
  answers.set("bad", await get("/legacy/open", { kind: "nobody" }, { authorization: "Bearer nonsense" }));
  for (let id = 3; id < 9; id++) await get(`/legacy/reports/${id}`, member);
  let count = 0;
  await world.gateway.waitForLog(({ type }) => type === "decision" && ++count === 10);
  await writeFile(join(folder, "log"), world.gateway.stdout.join("\n"));
}, 60_000);
afterAll(async () => {
  await world.stop();
  await rm(folder, { recursive: true });
});

const lineOf = (path: string): LoggedDecision | undefined =>
  world.gateway.stdout
    .map(readLogLine)
    .find((line): line is LoggedDecision => typeof line === "object" && line.path === path);

describe("a route of which everything is observed", () => {
  test("refuses nothing", () => {
    expect([...answers.values()].map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  test("tells the upstream who calls only where that was verified", () => {
    expect(answers.get("member")?.seen?.headers["x-user-id"]).toBe("alice");
    expect(answers.get("stranger")?.seen?.headers["x-user-id"]).toBe("eve");
    for (const who of ["nobody", "bad"]) {
      const headers = answers.get(who)?.seen?.headers ?? {};
      expect(Object.keys(headers).filter((name) => /^x-(?:user|org|auth|client)-/.test(name))).toEqual([]);
    }
  });

  test("tells in the log every check that would have refused, in their order", () => {
    expect(lineOf("/legacy/reports/1")?.observed).toEqual(["address_denied"]);
    expect(lineOf("/legacy/orders/2")?.observed).toEqual([
      "address_denied",
      "scope_insufficient",
      "role_insufficient",
      "requirement_failed",
    ]);
    expect(lineOf("/legacy/open")?.observed.slice(0, 2)).toEqual(["address_denied", "credentials_missing"]);
    expect(lineOf("/legacy/reports/8")?.wouldRefuse).toEqual(["/legacy/*"]);
  });
});

describe("gatewarden suggest", () => {
  test("proposes routes that `check` takes, and never to open one", async () => {
    await writeFile(join(folder, "gateway.yaml"), world.yaml);
    const { code, stdout } = await runCli(
      ["suggest", join(folder, "log"), "-c", "gateway.yaml"],
      world.yaml,
      {
        env: world.environment,
      },
    );
    expect(code).toBe(0);
    expect(stdout).toContain(
      '- match: "GET /legacy/reports/:id"\n    to: app\n    auth: ["jwt:corp"]\n    scopes: [legacy, reports, write]\n    limit: 20/min per user',
    );
    expect(stdout).toContain("#   /legacy/*: scopes would refuse 3 of 10 (scope_insufficient 3)");
    expect(stdout).toContain("#   /legacy/*: limit would refuse 8 of 10 (rate_limited 8)");
    expect(stdout).toMatch(/^ {2}# - match: "GET \/legacy\/open"$/m);
    expect(stdout.split("\n").filter((line) => line.includes("public: true") && !/^\s*#/.test(line))).toEqual(
      [],
    );
    const merged = `${world.yaml}${stdout.replace(/^routes:\n/m, "")}`;
    const { diagnostics } = await inspect(merged, { env: world.environment });
    expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  });
});

describe("enforcing what was observed", () => {
  test("refuses what the replay of the log said beforehand", async () => {
    const yaml = world.yaml.replace(ENFORCED, "    observe: [ips, limit]\n");
    const { code, stdout } = await runCli(["replay", join(folder, "log"), "--format", "json"], yaml, {
      env: world.environment,
    });
    const { closed, opened } = JSON.parse(stdout) as { closed: number; opened: number };
    expect([code, closed, opened]).toEqual([1, 3, 0]);
    const enforcing = await LiveWorld.start(EVERYTHING, (text) =>
      text.replace(ENFORCED, "    observe: [ips, limit]\n"),
    );
    try {
      const ask = (path: string, caller: Caller) =>
        enforcing.send({ method: "GET", path, headers: {}, caller });
      expect((await ask("/legacy/reports/1", member)).status).toBe(200);
      expect((await ask("/legacy/orders/2", stranger)).code).toBe("scope_insufficient");
      expect((await ask("/legacy/open", { kind: "nobody" })).code).toBe("credentials_missing");
    } finally {
      await enforcing.stop();
    }
  });
});
