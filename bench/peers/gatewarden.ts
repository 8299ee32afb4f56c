// Gatewarden itself, started from a gateway.yaml as a user would write it.

import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MOST_LOGGED } from "../../src/rate-limit/options.ts";
import { AUDIENCE, ISSUER, SCOPE } from "../fixtures.ts";
import { answers, freePort, launch, TARGET_CORE } from "../process.ts";
import { type Peer, type Scenario, serviceRoute } from "../target.ts";

const MAIN = join(import.meta.dirname, "..", "..", "src", "cli", "main.js");

export const gatewarden: Peer = {
  name: "Gatewarden",
  missing: async () => (existsSync(MAIN) ? undefined : "src/cli/main.js does not exist"),
  start: async (scenario) => {
    const port = await freePort();
    const file = join(scenario.directory, "gateway.yaml");
    writeFileSync(file, configuration(scenario, port));
    const began = performance.now();
    const child = await launch(
      {
        name: "gatewarden",
        command: process.execPath,
        args: [...scenario.nodeArgs, MAIN, "start", "-c", file],
        core: TARGET_CORE,
        directory: scenario.directory,
        drain: scenario.accessLog,
      },
      () => answers(`http://127.0.0.1:${port}/readyz`),
    );
    return { ...child, port, startMs: performance.now() - began };
  },
};

function configuration(scenario: Scenario, port: number): string {
  const logs = scenario.accessLog ? "{ access: all, decisions: off }" : "{ access: off, decisions: off }";
  const redis = scenario.redisUrl === undefined ? "" : `redis: ${scenario.redisUrl}\n`;
  return `listen: 127.0.0.1:${port}
limits: { body: 4096MiB, requestTimeout: 300s }
logs: ${logs}
${redis}${credentials(scenario)}upstreams:
  modules: http://127.0.0.1:${scenario.upstreamPort}
routes:
${routes(scenario)}`;
}

function credentials({ credential, fixtures, keys }: Scenario): string {
  if (credential === "none") return "";
  if (credential === "apiKey") {
    const entries = fixtures.apiKeys.map(
      (key) => `  - { id: ${key.id}, hash: "sha256:${key.hash}", scopes: [${key.scopes.join(", ")}] }\n`,
    );
    for (let n = 0; n < keys; n++) {
      const hash = createHash("sha256").update(`other-${n}`).digest("hex");
      entries.push(`  - { id: o${n}, hash: "sha256:${hash}" }\n`);
    }
    return `apiKeys:\n${entries.join("")}`;
  }
  const source =
    credential === "HS256" ? `secret: ${fixtures.secret}` : `jwks: ${fixtures.publicKeys[credential].jwks}`;
  return `issuers:
  bench: { issuer: "${ISSUER}", audience: ${AUDIENCE}, algorithms: [${credential}], ${source} }
`;
}

function routes(scenario: Scenario): string {
  if (scenario.credential === "none") {
    return "  - { match: [/modules, /files/*], to: modules, public: true }\n";
  }
  const patterns = ["/modules"];
  for (let n = 0; n < scenario.routes; n++) patterns.push(serviceRoute(n).pattern);
  const rest = guard(scenario);
  return patterns.map((pattern) => `  - match: GET ${pattern}\n    to: modules\n${rest}`).join("");
}

function guard({ credential, limit, redisUrl, sync, algorithm }: Scenario): string {
  // A sliding log may be no larger; the load of one caller stays far below.
  const most = algorithm === "slidingLog" ? Math.min(limit, MOST_LOGGED) : limit;
  const traits = [`rate: ${most}/min`, "per: user"];
  if (redisUrl !== undefined) traits.push(`sync: ${sync}`);
  if (algorithm !== "slidingWindow") traits.push(`algorithm: ${algorithm}`);
  return `    auth: [${credential === "apiKey" ? "apiKey" : "jwt"}]
    scopes: [${SCOPE}]
    limit: { ${traits.join(", ")} }
`;
}
