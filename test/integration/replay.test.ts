// The decision log of a real gateway through files: the same one changes nothing, a changed one exactly what it changes.

import { writeFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GatewayConfig } from "../../src/config/gateway-config.ts";
import { type LoggedDecision, readLogLine } from "../../src/review/replay/log-lines.ts";
import { Replayer } from "../../src/review/replay/replayer.ts";
import { type ReplaySummary, ReplayTally } from "../../src/review/replay/summary.ts";
import { load } from "../support/config.ts";
import { runCli } from "../support/gateway.ts";
import { random } from "../support/limit-script.ts";
import { LiveWorld, liveRequest } from "../support/live-requests.ts";

const REQUESTS = 3_000;
const LIMITED = `  - { match: GET /few, to: app, auth: [apiKey], limit: 5/min per user }\n`;

let world: LiveWorld;
let log: readonly string[];
let decisions: readonly LoggedDecision[];
let same: GatewayConfig;

beforeAll(async () => {
  world = await LiveWorld.start(LIMITED);
  const next = random(7);
  await world.sendAll(Array.from({ length: REQUESTS }, () => liveRequest(next)));
  const few = { method: "GET", path: "/few", headers: {}, caller: { kind: "key", id: "reader" } } as const;
  for (let time = 0; time < 9; time++) await world.send(few);
  let refused = 0;
  await world.gateway.waitForLog(({ code }) => code === "rate_limited" && ++refused === 4);
  log = [...world.gateway.stdout];
  decisions = log.map(readLogLine).filter((line): line is LoggedDecision => typeof line === "object");
  same = await load(world.yaml, { env: world.environment });
}, 60_000);
afterAll(() => world.stop());

const changedFile = (from: string, to: string): Promise<GatewayConfig> => {
  expect(world.yaml).toContain(from);
  return load(world.yaml.replace(from, to), { env: world.environment });
};

async function replayed(config: GatewayConfig, old?: GatewayConfig): Promise<ReplaySummary> {
  const replayer = new Replayer(config, old);
  const tally = new ReplayTally();
  for (const line of decisions) tally.add(line, await replayer.next(line));
  return tally.summary();
}

const routed = (line: LoggedDecision, route: string): boolean => line.route === route;

describe("a log through the file that wrote it", () => {
  test.each([["without the old file"], ["with it"]])("changes nothing, %s", async (how) => {
    const summary = await replayed(same, how === "with it" ? same : undefined);
    expect(summary.changes).toEqual([]);
    expect(summary.decisions).toBeGreaterThanOrEqual(REQUESTS);
    // What can't be told is told so, and is the lesser part.
    expect(summary.same).toBeGreaterThan(summary.decisions / 2);
    expect(summary.unknowns.map(({ reason }) => reason)).toContainEqual(
      expect.stringContaining("header or query"),
    );
  });
});

describe("a log through another file tells exactly what changes", () => {
  test("of a scope that is asked for in place of another", async () => {
    const config = await changedFile(
      "auth: [jwt, apiKey], scopes: [read]",
      "auth: [jwt, apiKey], scopes: [admin]",
    );
    const holds = (line: LoggedDecision): boolean =>
      line.scopes.includes("*") || line.scopes.includes("admin");
    const lost = decisions.filter(
      (line) => routed(line, "GET /read") && line.decision === "forward" && !holds(line),
    );
    const won = decisions.filter(
      (line) => routed(line, "GET /read") && line.code === "scope_insufficient" && holds(line),
    );
    const summary = await replayed(config);
    expect(lost.length).toBeGreaterThan(20);
    expect(won.length).toBeGreaterThan(2);
    expect(summary).toMatchObject({
      closed: lost.length,
      opened: won.length,
      changed: lost.length + won.length,
    });
    expect(summary.changes[0]).toMatchObject({
      request: "GET /read",
      what: "decision",
      after: { code: "scope_insufficient" },
      note: expect.stringMatching(/^needs admin; line \d+$/),
    });
  });

  test("of a key that is gone", async () => {
    const config = await changedFile("  - { id: writer,", "  - { id: author,");
    const lost = decisions.filter(({ keyId, path }) => keyId === "writer" && path !== "/versioned");
    const { changes, changed } = await replayed(config);
    expect(changed).toBe(lost.length);
    expect(new Set(changes.map(({ after }) => after.code))).toEqual(new Set(["api_key_invalid"]));
  });

  test("of a route that was guarded and is public", async () => {
    const config = await changedFile(
      "match: GET /read, to: app, auth: [jwt, apiKey], scopes: [read]",
      "match: GET /read, to: app, public: true",
    );
    const won = decisions.filter((line) => routed(line, "GET /read") && line.decision === "refuse");
    const { opened, closed } = await replayed(config);
    expect([opened, closed]).toEqual([won.length, 0]);
  });

  test("of a route that wasn't there, though not who may call it", async () => {
    const config = await load(`${world.yaml}  - { match: GET /none, to: app, auth: [jwt] }\n`, {
      env: world.environment,
    });
    const found = decisions.filter(
      ({ path, method, code }) =>
        path === "/none" && ["GET", "HEAD"].includes(method) && code === "route_not_found",
    );
    const { changes, changed } = await replayed(config);
    expect(changes.filter(({ what }) => what === "route").reduce((sum, { count }) => sum + count, 0)).toBe(
      found.length,
    );
    // The other methods are known to be not allowed now.
    expect(changes.every(({ request }) => request.endsWith("/none"))).toBe(true);
    expect(changed).toBeGreaterThan(found.length);
  });

  test("of a limit, counted again in the order of the log", async () => {
    const narrow = await replayed(await changedFile("5/min per user", "3/min per user"));
    expect(narrow.changes).toMatchObject([
      { count: 4, what: "limit" },
      { count: 3, what: "limit" },
      { count: 2, what: "decision", after: { code: "rate_limited" } },
    ]);
    const wide = await replayed(await changedFile("5/min per user", "7/min per user"));
    expect(wide.opened).toBe(2);
  });

  test("of what a role grants, as far as the old file tells what it granted", async () => {
    const config = await changedFile(
      "editor: { scopes: [write], tier: gold }",
      "editor: { scopes: [other], tier: gold }",
    );
    const blind = await replayed(config);
    const told = await replayed(config, same);
    expect(blind.changed).toBe(0);
    expect(told.unknowns).toContainEqual(
      expect.objectContaining({ reason: expect.stringMatching(/token itself or a role/) }),
    );
  });
});

describe("gatewarden replay", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "gatewarden-replay-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("reads logs with prefixes, other lines, broken lines, and compressed ones", async () => {
    const mixed = log.flatMap((line, index) => [
      `2026-11-27T01:00:00.000000Z stdout F ${line}`,
      ...(index % 100 === 0
        ? ['{"type":"decision","method":7}', "not a log line", '{"type":"decision"']
        : []),
    ]);
    const file = join(folder, "mixed.log.gz");
    await writeFile(file, gzipSync(mixed.join("\n")));
    const { code, stdout } = await runCli(["replay", file, "--format", "json"], world.yaml, {
      env: world.environment,
    });
    const summary = JSON.parse(stdout) as ReplaySummary;
    expect(code).toBe(0);
    expect(summary).toMatchObject({ decisions: decisions.length, lines: mixed.length, changed: 0 });
    expect(summary.malformed).toBe(2 * Math.ceil(log.length / 100));
  });

  test("prints groups with examples and exits with 1 when something changes", async () => {
    const file = join(folder, "decisions.log");
    writeFileSync(file, log.join("\n"));
    const yaml = world.yaml.replace("scopes: [read], limit", "scopes: [admin], limit");
    const { code, stdout } = await runCli(["replay", file], yaml, { env: world.environment });
    expect(code).toBe(1);
    expect(stdout).toMatch(/\d+ × GET \/read {2}forward → 403 scope_insufficient \(needs admin; line \d+\)/);
    expect(stdout).toContain("Can't tell:");
    expect(stdout).toContain("Taken for granted without --old");
  });

  test("exits with 2 when there is no log, and with 1 when the file is invalid", async () => {
    const missing = await runCli(["replay", "nowhere.log"], world.yaml, { env: world.environment });
    expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining("it does not exist")]);
    const invalid = await runCli(["replay", "nowhere.log"], "routes: 7\n");
    expect(invalid.code).toBe(1);
  });
});
