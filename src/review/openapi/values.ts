// Scalars of a document as text.

import type { TreeNode } from "../../config/tree.ts";

/** The text of a scalar, also of one that reads as a number or truth value; undefined for anything else. */
export function textOf(node: TreeNode | undefined): string | undefined {
  if (node?.kind !== "scalar" || node.value === null) return undefined;
  return String(node.value);
}
