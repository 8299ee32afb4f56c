// From the text of a file to its tree: parser faults become diagnostics, keys are checked for repetition and poison.

import { SECRET_FILE, VARIABLE } from "../core/wording.ts";
import { readPlainYaml } from "./plain-yaml.ts";
import { DEEPEST, tooDeepAt } from "./prescan.ts";
import type { DiagnosticCode, Report } from "./report.ts";
import { isReserved, type MapNode, type Path, type TreeNode } from "./tree.ts";
import type { ParseFault } from "./yaml-full.ts";
import { PARSE_BOUNDS, type ParseBounds, parseYaml } from "./yaml-parse.ts";

/** How much may be read. */
export interface DocumentBounds {
  readonly values: number;
  /** Most characters that the full parser is given. */
  readonly fullCharacters: number;
  /** Of the full parser. */
  readonly parse: ParseBounds;
}

/** Bounds of a gateway.yaml, which is also read while requests are served. */
const CONFIGURATION: DocumentBounds = {
  // Those of 20,000 routes, and some.
  values: 320_000,
  // The full parser takes half a second and 100 MiB for little more.
  fullCharacters: 64 * 1024,
  parse: PARSE_BOUNDS,
};

const FAULT_CODES: Readonly<Record<ParseFault["kind"], DiagnosticCode>> = {
  syntax: "yaml_syntax",
  documents: "yaml_documents",
  alias: "yaml_alias",
  tag: "yaml_tag",
  secret_tag: "not_supported_yet",
  key: "key_invalid",
  merge_key: "yaml_merge_key",
  depth: "yaml_too_complex",
};

/** The checked tree of the report's source; undefined when there is none to go on with. */
export async function readDocument(
  report: Report,
  bounds: DocumentBounds = CONFIGURATION,
): Promise<TreeNode | undefined> {
  const { source } = report;
  const plain = readPlainYaml(source, bounds.values);
  if (plain.plain) return plain.root === null ? reportEmpty(report) : checked(report, plain.root);
  if (plain.tooMany || source.length > bounds.fullCharacters) return refuseLarge(report, plain, bounds);
  const deepAt = tooDeepAt(source);
  if (deepAt !== undefined) {
    report.add(deepAt, [], "yaml_too_complex", `nested deeper than ${DEEPEST} levels`);
    return undefined;
  }
  const { root, faults } = await parseYaml(source, bounds.parse);
  for (const fault of withoutConsequences(report, faults)) {
    addFault(report, fault);
    // Aliases and tags that can't be followed leave nothing behind.
    if (root !== null) report.settle(fault.at);
  }
  if (root !== null) return checked(report, root);
  return faults.length === 0 ? reportEmpty(report) : undefined;
}

function checked(report: Report, root: TreeNode): TreeNode {
  checkKeys(report, root, []);
  return root;
}

function reportEmpty(report: Report): undefined {
  report.add(0, [], "file_empty", "the file holds no configuration", {
    hint: "at least `upstreams` and `routes` are needed",
  });
}

/** A file that the full parser would take too long for, or too much memory. */
function refuseLarge(
  report: Report,
  { at, tooMany }: { readonly at: number; readonly tooMany: boolean },
  { values, fullCharacters }: DocumentBounds,
): undefined {
  if (tooMany) {
    report.add(0, [], "yaml_too_complex", `the file holds more than ${values} values`);
    return;
  }
  const hint = `a mistake in indentation, brackets or quotes, or something that only files of at most ${fullCharacters / 1024} KiB may hold: anchors, tags, and texts over several lines`;
  report.add(at, [], "yaml_too_complex", "this can't be read as plain YAML", { hint });
}

/** After a syntax error the parser stumbles over what follows: only the first of a line counts, and no odd tokens. */
function withoutConsequences(report: Report, faults: readonly ParseFault[]): readonly ParseFault[] {
  const lines = new Set<number>();
  return faults.filter((fault) => {
    if (fault.kind !== "syntax") return true;
    const { line } = report.place(fault.at);
    if (lines.has(line) || (lines.size > 0 && fault.message.startsWith("Unexpected"))) return false;
    lines.add(line);
    return true;
  });
}

function addFault(report: Report, fault: ParseFault): void {
  // What is missing at the end is shown at the end of the text, not on the empty line after it.
  const at = Math.min(fault.at, report.source.trimEnd().length);
  if (fault.kind === "secret_tag") {
    report.add(at, [], "not_supported_yet", "`!secret` is not supported yet", {
      hint: `take the value from the environment or a file: ${VARIABLE} or ${SECRET_FILE}`,
    });
    return;
  }
  if (fault.kind === "documents") {
    report.add(at, [], "yaml_documents", "the file holds more than one document; one is expected");
    return;
  }
  const hint = hintFor(report, fault, at);
  report.add(at, [], FAULT_CODES[fault.kind], fault.message, hint === undefined ? {} : { hint });
}

function hintFor(report: Report, fault: ParseFault, at: number): string | undefined {
  if (fault.kind === "merge_key") return "use `defaults`, or write the keys out";
  if (fault.kind === "tag") return "remove the tag; values have the type that their key asks for";
  if (fault.kind !== "syntax") return undefined;
  const start = report.source.lastIndexOf("\n", at - 1) + 1;
  const line = report.source.slice(start).split("\n", 1)[0] ?? "";
  if (/^\s*\t/.test(line)) return "indent with spaces; YAML allows no tabs there";
  const variable = /[^"']\$\{/.exec(line);
  if (variable !== null && /[{[,]/.test(line.slice(0, variable.index)))
    return `inside { } and [ ] put quotes around a variable: "${VARIABLE}"`;
  return undefined;
}

function checkKeys(report: Report, node: TreeNode, path: Path): void {
  if (report.full) return;
  if (node.kind === "list")
    for (const [index, item] of node.items.entries()) checkKeys(report, item, [...path, index]);
  if (node.kind === "map") checkMap(report, node, path);
}

function checkMap(report: Report, node: MapNode, path: Path): void {
  const seen = new Map<string, number>();
  for (const { key, keyAt, value } of node.entries) {
    const first = seen.get(key);
    if (first !== undefined) {
      report.add(keyAt, [...path, key], "duplicate_key", "this key stands twice in one map", {
        relatedAt: first,
      });
    }
    if (isReserved(key)) report.add(keyAt, path, "key_reserved", "this key is reserved and can't be used");
    seen.set(key, first ?? keyAt);
    checkKeys(report, value, [...path, key]);
  }
}
