// Reads `security`, at the top of a document and of an operation.

import type { Report } from "../../config/report.ts";
import { nearest } from "../../config/suggest.ts";
import { entryOf, type MapEntry, type TreeNode } from "../../config/tree.ts";
import type { Alternative, Scheme, SchemeUse, Security } from "./model.ts";
import { textOf } from "./values.ts";

/** What `holder` says itself, else `inherited`. What can't be understood is reported, since a guess could open a route. */
export function readSecurity(
  report: Report,
  holder: TreeNode,
  schemes: ReadonlyMap<string, Scheme>,
  inherited: Security,
): Security {
  const entry = entryOf(holder, "security");
  if (entry === undefined) return inherited;
  const { value } = entry;
  if (value.kind !== "list") {
    report.add(
      value.at,
      ["security"],
      "type_invalid",
      "expected a list of alternatives; [] says that nothing is needed",
    );
    return inherited;
  }
  return value.items.map((node) => alternative(report, node, schemes));
}

function alternative(report: Report, node: TreeNode, schemes: ReadonlyMap<string, Scheme>): Alternative {
  if (node.kind === "map") return node.entries.map((entry) => schemeUse(report, entry, schemes));
  report.add(
    node.at,
    ["security"],
    "type_invalid",
    "expected a map of security schemes, such as {oauth: [read]}",
  );
  return [];
}

function schemeUse(report: Report, entry: MapEntry, schemes: ReadonlyMap<string, Scheme>): SchemeUse {
  const { key, keyAt, value } = entry;
  const path = ["security", key];
  if (!schemes.has(key))
    report.add(keyAt, path, "unknown_reference", "no security scheme of this name is declared", {
      suggestion: nearest(key, schemes.keys()),
    });
  const needs = value.kind === "list" ? value.items.map(textOf) : [undefined];
  if (needs.includes(undefined))
    report.add(value.at, path, "type_invalid", "expected a list of scopes; [] for none");
  return { scheme: key, needs: needs.flatMap((one) => one ?? []) };
}
