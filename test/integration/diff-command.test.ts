// `gatewarden diff` as people and pipelines run it: a process of its own, with files, standard input and git revisions.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NODE } from "../support/gateway.ts";

const MAIN = join(dirname(fileURLToPath(import.meta.url)), "../../src/cli/main.js");
const OLD = `issuers:
  corp: { issuer: https://login.example.com/, audience: api }
upstreams: { app: "\${APP_URL:-http://127.0.0.1:9000}" }
routes:
  - { match: "GET /modules", to: app, auth: [jwt], scopes: [modules:read], limit: 100/min }
  - { match: "DELETE /modules/:id", to: app, auth: [jwt], scopes: [modules:write] }
`;
const WIDER = OLD.replace("auth: [jwt], scopes: [modules:write]", "public: true");
const NARROWER = OLD.replace("scopes: [modules:write]", "scopes: [modules:write, admin]");
const LOOSER = OLD.replace("100/min", "200/min");

let folder: string;
const git = (...args: string[]) =>
  execFileSync("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], { cwd: folder });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "gatewarden-diff-"));
  git("init", "-q");
  writeFileSync(join(folder, "gateway.yaml"), OLD);
  git("add", ".");
  git("commit", "-qm", "old");
  for (const [name, text] of Object.entries({ wider: WIDER, narrower: NARROWER, looser: LOOSER }))
    writeFileSync(join(folder, `${name}.yaml`), text);
  writeFileSync(join(folder, "bad.yaml"), OLD.replace("match", "mach"));
  writeFileSync(join(folder, "needs.yaml"), OLD.replace(":-http://127.0.0.1:9000", ""));
  writeFileSync(join(folder, "ci.env"), "APP_URL=http://127.0.0.1:9000\n");
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function diff(args: readonly string[], input = "", env: Readonly<Record<string, string>> = {}) {
  const child = spawn(NODE, [MAIN, "diff", ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? "", HOME: folder, ...env },
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (output.stderr += text));
  child.stdin.on("error", () => undefined).end(input);
  await once(child, "close");
  return { code: child.exitCode, ...output };
}

describe("gatewarden diff", () => {
  test("tells in sentences what widens, and fails", async () => {
    expect(await diff(["gateway.yaml", "wider.yaml"])).toEqual({
      code: 1,
      stdout: [
        "WIDER  DELETE /modules/:id  (old:6 → new:6)",
        "    was jwt, scopes modules:write",
        "    now public",
        "    + anybody",
        "",
        "Access widens: 1 route",
        "",
      ].join("\n"),
      stderr: "",
    });
  });

  test("shows it in red on request, and never else", async () => {
    const painted = await diff(["gateway.yaml", "wider.yaml"], "", { FORCE_COLOR: "1" });
    expect(painted.stdout).toContain("\u001b[31mWIDER\u001b[39m");
    const plain = await diff(["gateway.yaml", "wider.yaml"], "", { FORCE_COLOR: "1", NO_COLOR: "1" });
    expect(plain.stdout).not.toContain("\u001b");
  });

  test.each([
    [["gateway.yaml", "gateway.yaml"], 0, "No change in meaning\n"],
    [["gateway.yaml", "narrower.yaml"], 0, "No access widens; narrower for 1 pattern\n"],
    [["gateway.yaml", "looser.yaml"], 0, "No access widens; 1 limit or bound looser\n"],
    [["gateway.yaml", "looser.yaml", "--limits"], 1, "No access widens; 1 limit or bound looser\n"],
    [["wider.yaml", "gateway.yaml", "--limits"], 0, "No access widens; narrower for 1 pattern\n"],
  ])("%j ends with %i", async (args, code, last) => {
    const ran = await diff(args);
    expect([ran.code, ran.stdout.split("\n").slice(-2).join("\n"), ran.stderr]).toEqual([code, last, ""]);
  });

  test("compares with a revision, and with standard input", async () => {
    const revision = await diff(["git:HEAD:gateway.yaml", "wider.yaml"]);
    const piped = await diff(["-", "wider.yaml"], OLD);
    expect(revision.code).toBe(1);
    expect(revision.stdout).toBe(piped.stdout);
    expect((await diff(["git:HEAD:./gateway.yaml", "gateway.yaml"])).code).toBe(0);
  });

  test.each([
    [["git:none:gateway.yaml", "gateway.yaml"], /git cat-file blob none:gateway\.yaml: /],
    [["git:--help:gateway.yaml", "gateway.yaml"], /is no revision/],
    [["git:HEAD", "gateway.yaml"], /expected git:REVISION:PATH/],
    [["-", "-"], /only one of the two can be standard input/],
    [["gateway.yaml", "gateway.yaml", "--variables", "none.env"], /none\.env can't be read/],
    [["gateway.yaml"], /missing required argument/],
  ])("%j is wrong usage", async (args, said) => {
    const ran = await diff(args);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toMatch(said);
    expect(ran.stdout).toBe("");
  });

  test("tells which of the two is invalid, and why", async () => {
    const ran = await diff(["gateway.yaml", "bad.yaml"]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/^gatewarden: bad\.yaml is invalid\nbad\.yaml:5:\d+ unknown_key/);
    expect(ran.stdout).toBe("");
    expect((await diff(["none.yaml", "gateway.yaml"])).code).toBe(1);
  });

  test("takes variables from a file where the environment has none", async () => {
    expect((await diff(["gateway.yaml", "needs.yaml"])).code).toBe(1);
    expect(await diff(["gateway.yaml", "needs.yaml", "--variables", "ci.env"])).toMatchObject({
      code: 0,
      stdout: "No change in meaning\n",
    });
    const other = await diff(["gateway.yaml", "needs.yaml", "--variables", "ci.env"], "", {
      APP_URL: "http://127.0.0.1:9000",
    });
    expect(other.stdout).toBe("No change in meaning\n");
  });

  test("writes JSON of the documented shape", async () => {
    const ran = await diff(["gateway.yaml", "wider.yaml", "--format", "json"]);
    const guard = "jwt, scopes modules:write";
    const route = { route: "DELETE /modules/:id", line: 6, pattern: "/modules/:id" };
    expect(ran.code).toBe(1);
    expect(JSON.parse(ran.stdout)).toEqual({
      access: "wider",
      old: { file: "gateway.yaml", routes: 2 },
      new: { file: "wider.yaml", routes: 2 },
      summary: { wider: 1, possiblyWider: 0, narrower: 0, both: 0, looser: 0, other: 0 },
      routes: [
        {
          access: "wider",
          methods: ["DELETE"],
          otherMethods: false,
          pattern: "/modules/:id",
          old: { ...route, guard },
          new: { ...route, guard: "public" },
          gains: [{ kind: "anybody", names: [], certain: true, text: "anybody" }],
          losses: [],
          changes: [],
          request: { method: "DELETE", path: "/modules/any", host: null, headers: [], query: [] },
        },
      ],
      paths: [],
      file: [],
      incomplete: null,
    });
  });

  test("writes Markdown for a pull request", async () => {
    const ran = await diff(["gateway.yaml", "wider.yaml", "--format", "markdown"]);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toBe(
      [
        "**Access widens: 1 route**",
        "",
        "| Access | Requests | Lines | Was | Now | What changes |",
        "| --- | --- | --- | --- | --- | --- |",
        "| 🔴 wider | <code>DELETE /modules/:id</code> | old:6 → new:6 | jwt, scopes modules:write | public | + anybody |",
        "",
      ].join("\n"),
    );
  });
});
