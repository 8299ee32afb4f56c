// `gatewarden healthcheck`: asks the gateway that a configuration describes whether it is ready, for container health
// checks. Exit 0 ready, 1 not ready, 3 not reached.

import { get } from "node:http";
import { formatDiagnostics } from "../config/diagnostics.ts";
import { loadConfig } from "../config/load.ts";

const WITHIN_MS = 3_000;

export async function healthcheck(options: { readonly config: string }): Promise<number> {
  const loaded = await loadConfig(options.config, process.env);
  if (!loaded.ok) {
    process.stderr.write(formatDiagnostics(loaded.error, "text", false));
    return 1;
  }
  const { health, listen } = loaded.value;
  const [address] = listen;
  if (health === undefined || address === undefined) {
    process.stderr.write("gatewarden: health is switched off in this file, so there is nothing to ask\n");
    return 2;
  }
  const host = address.host === "0.0.0.0" || address.host === "::" ? "127.0.0.1" : address.host;
  return await ask(host, address.port, health.ready);
}

function ask(host: string, port: number, path: string): Promise<number> {
  return new Promise((resolve) => {
    const request = get({ host, port, path, timeout: WITHIN_MS }, (response) => {
      response.resume();
      process.stdout.write(`${response.statusCode === 200 ? "ready" : "not ready"}\n`);
      resolve(response.statusCode === 200 ? 0 : 1);
    });
    request.on("timeout", () => request.destroy(new Error("timeout")));
    request.on("error", () => {
      process.stderr.write(`gatewarden: nothing answers on ${host}:${port}\n`);
      resolve(3);
    });
  });
}
