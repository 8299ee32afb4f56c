// From an OpenAPI document to a gateway.yaml, with everything that there is to say about it.

import type { ConfigError } from "../../config/report.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { Remark } from "./model.ts";
import { type ImportOptions, planImport } from "./plan.ts";
import { readApi } from "./read.ts";
import { writeImport } from "./write.ts";

export type { ImportOptions, Remark };

export interface Imported {
  /** The text of the gateway.yaml. */
  readonly yaml: string;
  readonly dialect: string;
  readonly paths: number;
  readonly operations: number;
  readonly routes: number;
  /** Patterns of routes that need no credential. */
  readonly publicRoutes: readonly string[];
  /** Operations without a route, and why. */
  readonly leftOut: readonly Remark[];
  /** What is not exactly as in the document. */
  readonly remarks: readonly Remark[];
}

/** Why nothing was made of a document. */
export type ImportFault =
  | { readonly kind: "document"; readonly error: ConfigError }
  /** The options don't fit the document. */
  | { readonly kind: "options"; readonly message: string }
  /** No operation could be carried over. */
  | { readonly kind: "nothing"; readonly leftOut: readonly Remark[] };

/** Reads and converts a document. Never rejects. */
export async function importOpenApi(
  file: string,
  options: ImportOptions,
): Promise<Result<Imported, ImportFault>> {
  const api = await readApi(file);
  if (!api.ok) return err({ kind: "document", error: api.error });
  const plan = planImport(api.value, options);
  if (!plan.ok) return err({ kind: "options", message: plan.error });
  const { routes, leftOut, remarks } = plan.value;
  if (routes.length === 0) return err({ kind: "nothing", leftOut });
  const open = routes.filter(({ guard }) => guard.access === "public");
  return ok({
    yaml: writeImport(api.value, plan.value),
    dialect: api.value.dialect,
    paths: api.value.paths,
    operations: api.value.operations.length,
    routes: routes.length,
    publicRoutes: open.map(({ methods, pattern }) => `${methods.join(",")} ${pattern}`),
    leftOut,
    remarks,
  });
}
