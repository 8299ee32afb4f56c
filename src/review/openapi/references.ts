// Follows `$ref` within the document. What lies in other files or on other servers is refused by name, never fetched.

import type { Report } from "../../config/report.ts";
import { entryOf, nodeAt, type TreeNode } from "../../config/tree.ts";
import { textOf } from "./values.ts";

const MOST_STEPS = 32;

export class References {
  readonly #report: Report;
  readonly #root: TreeNode;

  constructor(report: Report, root: TreeNode) {
    this.#report = report;
    this.#root = root;
  }

  /** The node that `node` stands for: itself, or what its references lead to. Undefined when that was reported. */
  follow(node: TreeNode): TreeNode | undefined {
    let at = node;
    const seen = new Set<TreeNode>();
    for (let reference = referenceOf(at); reference !== undefined; reference = referenceOf(at)) {
      if (seen.has(at) || seen.size >= MOST_STEPS)
        return this.#fault(node, "the reference leads back to itself");
      seen.add(at);
      if (!reference.startsWith("#"))
        return this.#fault(
          at,
          "only references within the document (`#/…`) are followed",
          "put everything into one file first: `npx @redocly/cli bundle FILE`",
        );
      const target = nodeAt(this.#root, pointer(reference));
      if (target === undefined) return this.#fault(at, "the reference leads nowhere");
      at = target;
    }
    return at;
  }

  #fault(node: TreeNode, message: string, hint?: string): undefined {
    const entry = entryOf(node, "$ref");
    const text = (textOf(entry?.value) ?? "").slice(0, 200);
    this.#report.add(entry?.value.at ?? node.at, ["$ref"], "unknown_reference", `${message}: ${text}`, {
      ...(hint === undefined ? {} : { hint }),
    });
    return undefined;
  }
}

function referenceOf(node: TreeNode): string | undefined {
  return textOf(entryOf(node, "$ref")?.value);
}

/** Steps of a JSON pointer in a URI fragment (RFC 6901 section 6). */
function pointer(reference: string): string[] {
  const text = decode(reference.slice(1));
  if (text === "") return [];
  return text
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
