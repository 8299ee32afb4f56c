// Reads an OpenAPI 3 or Swagger 2 document, YAML or JSON, through the parser of gateway.yaml with its bounds. What is
// wrong is reported at its place; what the gateway has no part in (schemas, parameters, bodies) is not looked at.

import { type DocumentBounds, readDocument } from "../../config/document.ts";
import { type ConfigError, Report } from "../../config/report.ts";
import { readText } from "../../config/source.ts";
import { entryOf, type MapEntry, type TreeNode } from "../../config/tree.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { ApiDocument, Operation, Remark, Scheme, Security, Server } from "./model.ts";
import { References } from "./references.ts";
import { readScheme } from "./schemes.ts";
import { readSecurity } from "./security.ts";
import { oldServers, readServers } from "./servers.ts";
import { textOf } from "./values.ts";

/** Largest document; the descriptions of the largest public APIs are within it. */
const MOST_BYTES = 16 * 1024 * 1024;

/**
 * Descriptions over several lines are usual in these documents, so the full parser reads most of them. That is no work of a
 * gateway that serves, and may take its time.
 */
const BOUNDS: DocumentBounds = {
  values: 2_000_000,
  fullCharacters: 4 * 1024 * 1024,
  parse: { timeoutMs: 60_000, memoryMiB: 2_048 },
};

const METHODS = ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];
const OTHER_FIELDS = ["$ref", "summary", "description", "servers", "parameters", "additionalOperations"];
// `constructor` is a fine name for a property of a schema, and nothing here uses keys as names of members.
const HARMLESS = "key_reserved";

/** The document in `file`, or every mistake that keeps it from being understood. Never rejects. */
export async function readApi(file: string): Promise<Result<ApiDocument, ConfigError>> {
  const read = await readText(file, MOST_BYTES);
  const report = new Report(file, read.ok ? read.value.text : "");
  if (!read.ok) report.add(0, [], read.error.code, `the file can't be used: ${read.error.message}`);
  const root = read.ok ? await readDocument(report, BOUNDS) : undefined;
  const document =
    root === undefined || faults(report).length > 0 ? undefined : new Reader(report, root).read();
  const diagnostics = faults(report);
  if (document !== undefined && diagnostics.length === 0) return ok(document);
  return err({ diagnostics, source: report.source });
}

function faults(report: Report): ConfigError["diagnostics"] {
  return report.diagnostics.flatMap((one) => {
    if (one.code === HARMLESS || one.severity !== "error") return [];
    const { hint: _, ...empty } = one;
    return [one.code === "file_empty" ? { ...empty, message: "the file is empty" } : one];
  });
}

class Reader {
  readonly #report: Report;
  readonly #root: TreeNode;
  readonly #references: References;
  readonly #remarks: Remark[] = [];
  readonly #operations: Operation[] = [];
  #schemes: ReadonlyMap<string, Scheme> = new Map();

  constructor(report: Report, root: TreeNode) {
    this.#report = report;
    this.#root = root;
    this.#references = new References(report, root);
  }

  read(): ApiDocument | undefined {
    const root = this.#root;
    const dialect = this.#dialect();
    if (dialect === undefined) return undefined;
    const old = dialect.startsWith("Swagger");
    this.#schemes = this.#readSchemes(dialect);
    const servers = old ? oldServers(root) : readServers(this.#report, root, "");
    const security = readSecurity(this.#report, root, this.#schemes, undefined);
    const paths = this.#map(entryOf(root, "paths"));
    for (const entry of paths) this.#path(entry, servers, security);
    if (this.#operations.length === 0 && !this.#report.failed) {
      const at = entryOf(root, "paths")?.keyAt ?? root.at;
      this.#report.add(
        at,
        ["paths"],
        "list_empty",
        "the document has no operations, so there is nothing to route",
      );
    }
    return {
      file: this.#report.file,
      title: textOf(entryOf(entryOf(root, "info")?.value, "title")?.value) ?? "API",
      dialect,
      paths: paths.length,
      operations: this.#operations,
      schemes: this.#schemes,
      servers,
      webhooks: this.#map(entryOf(root, "webhooks")).map(({ key, keyAt }) => ({
        name: key,
        line: this.#report.place(keyAt).line,
      })),
      remarks: this.#remarks,
    };
  }

  #dialect(): string | undefined {
    const root = this.#root;
    const version = entryOf(root, "openapi") ?? entryOf(root, "swagger");
    const text = textOf(version?.value) ?? "";
    if (version?.key === "openapi" && /^3\.[012](?:\.\d+)?$/.test(text)) return `OpenAPI ${text}`;
    if (version?.key === "swagger" && /^2(?:\.0)?$/.test(text)) return "Swagger 2.0";
    const at = version?.value.at ?? root.at;
    const found = version === undefined ? "no `openapi` field" : "another version";
    this.#report.add(
      at,
      version === undefined ? [] : [version.key],
      "value_invalid",
      `expected an OpenAPI document of version 3.0, 3.1 or 3.2, or Swagger 2.0; found ${found}`,
    );
    return undefined;
  }

  /** The entries of a map without extensions; a value of another kind is reported. */
  #map(entry: MapEntry | undefined): readonly MapEntry[] {
    if (entry === undefined) return [];
    const { value } = entry;
    if (value.kind === "map") return value.entries.filter(({ key }) => !key.startsWith("x-"));
    if (value.kind !== "scalar" || value.value !== null)
      this.#report.add(value.at, [entry.key], "type_invalid", `expected a map below \`${entry.key}\``);
    return [];
  }

  #readSchemes(dialect: string): ReadonlyMap<string, Scheme> {
    const root = this.#root;
    const old = dialect.startsWith("Swagger");
    const holder = old ? root : entryOf(root, "components")?.value;
    const schemes = new Map<string, Scheme>();
    for (const { key, value } of this.#map(
      entryOf(holder, old ? "securityDefinitions" : "securitySchemes"),
    )) {
      const node = this.#references.follow(value);
      if (node === undefined) continue;
      const scheme = readScheme(node, dialect);
      if (scheme === undefined)
        this.#report.add(node.at, [key], "type_invalid", "expected a security scheme: a map with `type`");
      else schemes.set(key, scheme);
    }
    return schemes;
  }

  #path({ key, keyAt, value }: MapEntry, servers: readonly Server[], security: Security): void {
    const node = this.#references.follow(value);
    const line = this.#report.place(keyAt).line;
    if (node === undefined) return;
    if (node.kind !== "map") {
      if (node.kind === "scalar" && node.value === null) return;
      this.#report.add(node.at, ["paths", key], "type_invalid", "expected a map of operations");
      return;
    }
    // A path item may say more beside its reference; what it says itself counts.
    const parts = value === node ? [node] : [value, node];
    const own = parts.map((part) => readServers(this.#report, part, key)).find((list) => list.length > 0);
    const seen = new Set<string>();
    for (const entry of parts.flatMap((part) => (part.kind === "map" ? part.entries : []))) {
      if (seen.has(entry.key) || entry.key.startsWith("x-")) continue;
      seen.add(entry.key);
      const around = { path: key, servers: own ?? servers, security };
      if (METHODS.includes(entry.key)) this.#operation(entry.key.toUpperCase(), entry, around);
      else if (entry.key === "additionalOperations")
        for (const other of this.#map(entry)) this.#operation(other.key, other, around);
      else if (!OTHER_FIELDS.includes(entry.key))
        this.#remarks.push({
          what: `${entry.key} in ${key}`,
          why: "it is no method that OpenAPI knows",
          line,
        });
    }
  }

  #operation(
    method: string,
    { keyAt, value }: MapEntry,
    around: Pick<Operation, "path" | "servers" | "security">,
  ): void {
    const { path, servers, security } = around;
    if (value.kind !== "map") {
      this.#report.add(
        value.at,
        ["paths", path, method.toLowerCase()],
        "type_invalid",
        "expected an operation",
      );
      return;
    }
    const own = readServers(this.#report, value, path);
    const entry = (name: string): TreeNode | undefined => entryOf(value, name)?.value;
    const callbacks = entry("callbacks");
    this.#operations.push({
      method,
      path,
      line: this.#report.place(keyAt).line,
      id: textOf(entry("operationId")),
      summary: textOf(entry("summary")),
      deprecated: textOf(entry("deprecated")) === "true",
      callbacks: callbacks?.kind === "map" && callbacks.entries.length > 0,
      security: readSecurity(this.#report, value, this.#schemes, security),
      servers: own.length > 0 ? own : servers.length > 0 ? servers : NO_SERVER,
    });
  }
}

/** Without servers the document means `/` (OpenAPI 3.1, section 4.8.1). */
const NO_SERVER: readonly Server[] = [{ origin: undefined, basePath: "", text: "/" }];
