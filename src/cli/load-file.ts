// The valid file that a command works on.

import { formatDiagnostics } from "../config/diagnostics.ts";
import type { GatewayConfig } from "../config/gateway-config.ts";
import { loadConfig } from "../config/load.ts";
import { usesColor } from "./paint.ts";

/** Its configuration; undefined when it is invalid, and why was written to standard error. */
export async function loadFile(file: string): Promise<GatewayConfig | undefined> {
  const loaded = await loadConfig(file, process.env);
  if (loaded.ok) return loaded.value;
  process.stderr.write(formatDiagnostics(loaded.error, "text", usesColor(process.stderr)));
  return undefined;
}

/** Control characters of a file must not drive the terminal. */
export function clean(text: string): string {
  return text.replace(/[^\P{Cc}\n]/gu, "?");
}
