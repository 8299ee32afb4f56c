// Loads a configuration out of text, as if it stood in a file of its own folder.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { enableCompileCache } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { GatewayConfig } from "../../src/config/gateway-config.ts";
import { type Inspection, inspectConfig } from "../../src/config/load.ts";

// As on the command line: the parser's own process then starts in half the time.
enableCompileCache();

/** Surroundings of one load. */
export interface LoadOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** More files of the folder, by relative path. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Everything that is said about `yaml`, and the configuration when it is valid. The folder is removed again. */
export async function inspect(yaml: string | Uint8Array, options: LoadOptions = {}): Promise<Inspection> {
  const folder = await mkdtemp(join(tmpdir(), "gatewarden-config-"));
  try {
    for (const [name, text] of Object.entries(options.files ?? {})) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text, { mode: 0o600 });
    }
    await writeFile(join(folder, "gateway.yaml"), yaml);
    return await inspectConfig(join(folder, "gateway.yaml"), options.env ?? {});
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The configuration of `yaml`, which has to be valid. */
export async function load(yaml: string, options: LoadOptions = {}): Promise<GatewayConfig> {
  const { config, diagnostics } = await inspect(yaml, options);
  if (config === undefined) throw new Error(`invalid: ${JSON.stringify(diagnostics)}`);
  return config;
}

/** `LINE:COLUMN code path` of every error, in order. */
export function said({ diagnostics }: Inspection): string[] {
  return diagnostics
    .filter((one) => one.severity === "error")
    .map(({ line, column, code, path }) => `${line}:${column} ${code} ${path}`.trim());
}
