// The floor for a gateway on Node.js: `node:http` in front of undici, no checks at all.

import { join } from "node:path";
import { answers, freePort, launch, TARGET_CORE } from "../process.ts";
import type { Peer } from "../target.ts";

export const passthrough: Peer = {
  name: "node:http + undici",
  missing: async () => undefined,
  start: async (scenario) => {
    const port = await freePort();
    const server = join(import.meta.dirname, "passthrough-server.ts");
    const began = performance.now();
    const child = await launch(
      {
        name: "passthrough",
        command: process.execPath,
        args: [...scenario.nodeArgs, server, String(port), String(scenario.upstreamPort)],
        core: TARGET_CORE,
        directory: scenario.directory,
      },
      () => answers(`http://127.0.0.1:${port}/`),
    );
    return { ...child, port, startMs: performance.now() - began };
  },
};
