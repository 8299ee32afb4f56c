// Runs a gateway in this process until a signal ends it.

import type { AddressInfo } from "node:net";
import { formatDiagnostics } from "../config/diagnostics.ts";
import { configSource, openConfig } from "../config/load.ts";
import { GatewayFailure } from "../core/failure.ts";
import type { Gateway } from "../gateway.ts";
import { usesColor } from "./paint.ts";

/**
 * Loads `file`, serves, and resolves with the exit code: 0 after an orderly end, 1 when the file is invalid or the
 * address is taken. A second signal ends at once.
 */
export async function serve(
  file: string,
  onListening: (addresses: readonly AddressInfo[]) => void | Promise<void> = () => {},
): Promise<number> {
  // The file is parsed by a child process; the gateway's own code is loaded in the meantime.
  const opened = await openConfig(file);
  const [inspection, code] = await Promise.all([opened.inspect(process.env), import("../gateway.ts")]);
  const { config, diagnostics, source } = inspection;
  if (config === undefined) {
    const errors = { diagnostics: diagnostics.filter(({ severity }) => severity === "error"), source };
    process.stderr.write(formatDiagnostics(errors, "text", usesColor(process.stderr)));
    return 1;
  }
  const gateway = await code.Gateway.create(config, {
    source: configSource(file, process.env),
    inspection,
  });
  const ended = untilSignal(gateway);
  process.on("SIGHUP", () => void gateway.reload("signal"));
  try {
    await onListening(await gateway.start());
  } catch (error) {
    if (!(error instanceof GatewayFailure)) throw error;
    process.stderr.write(`gatewarden: ${error.message}\n`);
    await gateway.stop();
    return 1;
  }
  await ended;
  return 0;
}

function untilSignal(gateway: Gateway): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (): void => {
      signals += 1;
      if (signals > 1) process.exit(130);
      gateway.stop().then(resolve, resolve);
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}
