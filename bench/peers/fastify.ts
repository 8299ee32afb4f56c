// A gateway built from Fastify's plug-ins, installed on demand below this folder.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ISSUER, SCOPE } from "../fixtures.ts";
import { answers, freePort, launch, TARGET_CORE } from "../process.ts";
import type { Peer, Scenario } from "../target.ts";

const FOLDER = join(import.meta.dirname, "fastify");
const INSTALL_TIMEOUT_MS = 120_000;

export const fastify: Peer = {
  name: "Fastify",
  missing: async () => (existsSync(join(FOLDER, "node_modules", "fastify")) ? undefined : install()),
  start: async (scenario) => {
    const port = await freePort();
    const file = join(scenario.directory, "fastify.json");
    writeFileSync(file, JSON.stringify(settings(scenario, port)));
    const began = performance.now();
    const child = await launch(
      {
        name: "fastify",
        command: process.execPath,
        args: [...scenario.nodeArgs, join(FOLDER, "server.mjs"), file],
        core: TARGET_CORE,
        directory: scenario.directory,
        env: { NODE_ENV: "production" },
      },
      () => answers(`http://127.0.0.1:${port}/`),
    );
    return { ...child, port, startMs: performance.now() - began };
  },
};

function install(): string | undefined {
  try {
    execFileSync("npm", ["ci", "--no-audit", "--no-fund"], {
      cwd: FOLDER,
      timeout: INSTALL_TIMEOUT_MS,
      stdio: "ignore",
    });
    return undefined;
  } catch {
    return "Fastify could not be installed (npm ci in bench/peers/fastify)";
  }
}

function settings(scenario: Scenario, port: number): Readonly<Record<string, string | number>> {
  const { credential, fixtures, limit, upstreamPort } = scenario;
  if (credential === "none" || credential === "apiKey") throw new Error("the Fastify rows have tokens only");
  const key =
    credential === "HS256" ? fixtures.secret : readFileSync(fixtures.publicKeys[credential].pem, "utf8");
  return { port, upstreamPort, algorithm: credential, key, issuer: ISSUER, scope: SCOPE, limit };
}
