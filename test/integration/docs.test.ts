// Runs the commands that the documents show: every block marked `bash run` of a page, in order, in one shell, in a folder
// like a fresh checkout.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, symlinkSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CHECKOUT = ["package.json", "node_modules", "src", "config", "gateway.yaml.example"];
const WITHIN_MS = 30_000;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

interface Outcome {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a script as a process group of its own, and ends what it left in the background. */
async function shell(script: string, folder: string): Promise<Outcome> {
  const child = spawn("bash", ["-euo", "pipefail", "-c", script], {
    cwd: folder,
    detached: true,
    env: { PATH: `${join(folder, "node_modules/.bin")}:${process.env.PATH ?? ""}`, HOME: folder },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  const group = child.pid === undefined ? undefined : -child.pid;
  const end = (signal: NodeJS.Signals): void => {
    try {
      if (group !== undefined) process.kill(group, signal);
    } catch {
      // Nothing of the group is left.
    }
  };
  const timer = setTimeout(() => end("SIGKILL"), WITHIN_MS);
  const closed = once(child, "close");
  await once(child, "exit");
  clearTimeout(timer);
  end("SIGTERM");
  const late = setTimeout(() => end("SIGKILL"), 5_000);
  await closed;
  clearTimeout(late);
  return { code: child.exitCode, output };
}

function scriptOf(page: string): string {
  const text = readFileSync(join(ROOT, page), "utf8");
  return [...text.matchAll(/^```bash run\n([\s\S]*?)^```$/gm)].map((match) => match[1] ?? "").join("\n");
}

describe("the README's first route", () => {
  let outcome: Outcome;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "gatewarden-readme-"));
    for (const name of CHECKOUT) symlinkSync(join(ROOT, name), join(folder, name));
    const [gateway, upstream] = [await freePort(), await freePort()];
    const script = scriptOf("README.md")
      .replaceAll("8080", String(gateway))
      .replaceAll("9000", String(upstream));
    outcome = await shell(script, folder);
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it("runs to its end without a failing command", () => {
    expect(outcome).toMatchObject({ code: 0 });
  });

  it("writes a file that check finds valid, and lists its route", () => {
    expect(outcome.output).toContain("gateway.yaml is valid: 1 route, none public");
    expect(outcome.output).toMatch(/GET +\/modules +api +apiKey, scopes modules:read +5\/min per key/);
  });

  it("gets the answers that it announces", () => {
    // A body ends without a line break, so the next answer may begin in its line.
    const statuses = [...outcome.output.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1]);
    expect(statuses).toEqual(["200", "401", "404"]);
    expect(outcome.output).toContain('"code":"credentials_missing"');
  });

  it("shows the backend the identity and never the key", () => {
    const seen = /\{\n\s+"host"[\s\S]*?\n\}/.exec(outcome.output)?.[0] ?? "";
    expect(JSON.parse(seen)).toMatchObject({ "x-user-id": "me", "x-user-scopes": "modules:read" });
    expect(seen).not.toMatch(/gwk_|x-api-key/);
  });
});

describe("the README's list of commands", () => {
  it("is what the command line offers", async () => {
    const { output } = await shell(`node ${join(ROOT, "src/cli/main.js")} --help`, ROOT);
    const offered = [...output.matchAll(/^ {2}(\w+) /gm)]
      .map((match) => match[1] ?? "")
      .filter((name) => name !== "help");
    const text = readFileSync(join(ROOT, "README.md"), "utf8");
    const listed = [...text.matchAll(/^\| `([a-z]+)[^`]*` \| (?!\|)/gm)].map((match) => match[1] ?? "");
    expect(offered.length).toBeGreaterThan(4);
    expect(listed.toSorted()).toEqual(offered.toSorted());
  });
});
