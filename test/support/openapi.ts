// Imports documents and compares files with them, as the commands do, from text.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GatewayConfig } from "../../src/config/gateway-config.ts";
import type { Result } from "../../src/core/result.ts";
import { type DriftReport, driftOf } from "../../src/review/openapi/drift.ts";
import {
  type Imported,
  type ImportFault,
  type ImportOptions,
  importOpenApi,
} from "../../src/review/openapi/import.ts";
import { readApi } from "../../src/review/openapi/read.ts";

export const PLAIN_IMPORT: ImportOptions = {
  upstreams: new Map(),
  issuer: undefined,
  audience: undefined,
  openUndeclared: false,
};

async function withFile<T>(text: string | Buffer, use: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "gatewarden-openapi-"));
  try {
    await writeFile(join(folder, "api.yaml"), text);
    return await use(join(folder, "api.yaml"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What comes of a document. */
export function importText(
  text: string | Buffer,
  options: Partial<ImportOptions> = {},
): Promise<Result<Imported, ImportFault>> {
  return withFile(text, (file) => importOpenApi(file, { ...PLAIN_IMPORT, ...options }));
}

/** What comes of a document that has to be good. */
export async function imported(text: string, options: Partial<ImportOptions> = {}): Promise<Imported> {
  const result = await importText(text, options);
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

/** `LINE:COLUMN code message` of everything that is wrong with a document. */
export async function complaints(text: string | Buffer): Promise<readonly string[]> {
  const result = await importText(text);
  if (result.ok || result.error.kind !== "document") return [];
  return result.error.error.diagnostics.map(
    ({ line, column, code, message }) => `${line}:${column} ${code} ${message}`,
  );
}

/** Where a configuration and a document differ. */
export function drifted(config: GatewayConfig, text: string): Promise<DriftReport> {
  return withFile(text, async (file) => {
    const api = await readApi(file);
    if (!api.ok) throw new Error(JSON.stringify(api.error));
    return driftOf(config, api.value);
  });
}
