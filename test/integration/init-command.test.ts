// `gatewarden init` as users run it: with flags, with answers at a terminal, and out of an OpenAPI document.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { GatewayConfig } from "../../src/config/gateway-config.ts";
import { inspectConfig } from "../../src/config/load.ts";
import { NODE } from "../support/gateway.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const MAIN = join(ROOT, "src/cli/main.js");
const SHOP = readFileSync(join(ROOT, "test/support/openapi/shop.yaml"), "utf8");

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gatewarden-init-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const file = (name = "gateway.yaml"): string => join(folder, name);

function init(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(NODE, [MAIN, "init", ...args], {
    cwd: folder,
    encoding: "utf8",
    env: { PATH: process.env.PATH },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return { status, stdout, stderr };
}

/** The configuration of what was written, which has to be valid without a warning. */
async function valid(name?: string): Promise<GatewayConfig> {
  const { config, diagnostics } = await inspectConfig(file(name), {});
  // Notes are no warnings: an open route without a limit is what the document says.
  expect(diagnostics.filter(({ severity }) => severity !== "note")).toEqual([]);
  if (config === undefined) throw new Error("invalid");
  return config;
}

describe("init", () => {
  it("writes a valid file that lets nobody in by accident, and says what to do next", async () => {
    const { status, stdout } = init();
    expect(status).toBe(0);
    const config = await valid();
    expect(config.routes.map(({ name, access, auth }) => [name, access, auth])).toEqual([
      ["/api/*", "guarded", [["apiKey"]]],
    ]);
    expect(await readFile(file(), "utf8")).toMatch(/^# yaml-language-server: \$schema=/);
    expect((await stat(file())).mode & 0o133).toBe(0);
    for (const next of ["key create --id my-service", "check ", "explain GET /api/1", "test ", "start "])
      expect(stdout).toContain(`gatewarden ${next}`);
  });

  it("takes everything from flags", async () => {
    const { status } = init(
      ...["other.yaml", "--issuer", "https://id.example/", "--audience", "shop", "--api-key", "--redis"],
      ...["--upstream", "https://shop.internal/v1", "--scope", "a:b", "--scope", "c"],
      ...["--route", "GET,POST /things", "--route", "/files/*", "--open", "GET /status"],
    );
    expect(status).toBe(0);
    const config = await valid("other.yaml");
    expect(config.issuers).toMatchObject([
      { name: "corp", issuer: "https://id.example/", audience: ["shop"] },
    ]);
    expect(config.upstreams).toMatchObject([{ origin: "https://shop.internal", basePath: "/v1" }]);
    expect(config.redis).toBeDefined();
    expect(config.routes.map(({ name, access }) => `${access} ${name}`)).toEqual([
      "guarded GET,POST /things",
      "guarded /files/*",
      "public GET /status",
    ]);
    expect(config.routes[0]?.authz.scopes).toEqual({ mode: "all", scopes: ["a:b", "c"] });
  });

  it("never writes over a file without --force", async () => {
    await writeFile(file(), "mine\n");
    expect(init()).toEqual({
      status: 1,
      stdout: "",
      stderr: "gatewarden: gateway.yaml exists already; --force replaces it\n",
    });
    expect(await readFile(file(), "utf8")).toBe("mine\n");
    expect(init("--force").status).toBe(0);
    await valid();
  });

  it.each([
    [["--issuer", "corp"], "an issuer is the URL"],
    [["--issuer", "http://id.example/"], "https:// only"],
    [["--issuer", "https://u:p@id.example/"], "no user name and no password"],
    [["--upstream", "localhost:9000"], "an upstream is an http:// or https:// URL"],
    [["--route", "get /x"], "a route is such as"],
    [["--scope", "a b"], "a scope is printable ASCII"],
    [["--route", "/x", "--open", "/x"], "a route is given twice"],
    [["--from", "shop.yaml", "--route", "/x"], "leave out --route"],
    [["--from", "shop.yaml", "--upstream", "x"], "--upstream takes NAME=URL"],
  ])("refuses %j with exit code 2, and writes nothing", (args, message) => {
    const { status, stderr } = init(...args);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
    expect(existsSync(file())).toBe(false);
  });

  it("can't write into a folder that isn't there", () => {
    expect(init("nowhere/gateway.yaml")).toMatchObject({
      status: 1,
      stderr: "gatewarden: nowhere/gateway.yaml can't be written: there is no such folder\n",
    });
  });

  it("takes routes and scopes out of an OpenAPI document", async () => {
    await writeFile(file("shop.yaml"), SHOP);
    const { status, stdout } = init("--from", "shop.yaml", "--redis", "--audience", "shop");
    expect(status).toBe(0);
    const config = await valid();
    expect(config.routes).toHaveLength(10);
    expect(config.redis).toBeDefined();
    expect(config.issuers[0]?.audience).toEqual(["shop"]);
    expect(stdout).toContain("gatewarden check --against shop.yaml");
  });
});

const hasScript = spawnSync("script", ["--version"]).status === 0;

/** Runs init at a terminal of its own and answers each question as it comes. */
async function answer(replies: readonly string[]): Promise<{ code: number | null; output: string }> {
  const command = `'${NODE}' '${MAIN}' init`;
  const child = spawn("script", ["-qec", command, "/dev/null"], {
    cwd: folder,
    env: { PATH: process.env.PATH, TERM: "xterm" },
  });
  let output = "";
  let asked = 0;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    // A question ends with a colon, a space and where the cursor goes.
    const questions = output.split(": \u001b").length - 1;
    for (; asked < questions; asked++) child.stdin.write(replies[asked] ?? "\u0004");
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
  await once(child, "close");
  clearTimeout(timer);
  return { code: child.exitCode, output };
}

describe.skipIf(!hasScript)("init at a terminal", () => {
  it("asks, and asks again when an answer makes no sense", async () => {
    const { code, output } = await answer([
      "https://id.example/\r",
      "\r",
      "perhaps\r",
      "y\r",
      "\r",
      "GET /things\r",
      "things:read\r",
      "GET /status\r",
      "\r",
    ]);
    expect(output).toContain("yes or no?");
    expect(code).toBe(0);
    const config = await valid();
    expect(config.issuers).toMatchObject([{ issuer: "https://id.example/", audience: ["my-api"] }]);
    expect(config.routes.map(({ name, access, auth }) => [name, access, auth])).toEqual([
      ["GET /things", "guarded", [["jwt"], ["apiKey"]]],
      ["GET /status", "public", []],
    ]);
    expect(config.redis).toBeUndefined();
  });

  it("writes nothing when the user breaks off", async () => {
    const { code, output } = await answer(["\r", "\u0003"]);
    expect(output).toContain("nothing was written");
    expect(code).toBe(1);
    expect(existsSync(file())).toBe(false);
  });
});
