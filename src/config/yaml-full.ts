// The only caller of the YAML package: from the text of one document to a plain tree, or to its faults. A deeply nested
// document can abort Node in a way that no handler catches, so this runs in a process of its own (yaml-child.ts).

import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, parseDocument } from "yaml";
import type { MapEntry, ScalarValue, TreeNode } from "./tree.ts";

// Deeper trees than this are refused; the caller's scan of the text has the same bound.
const DEEPEST = 100;
const MOST_ALIASES = 20;

/** One fault of the document, in the parser's own terms. */
export interface ParseFault {
  readonly at: number;
  readonly kind: "syntax" | "documents" | "alias" | "tag" | "secret_tag" | "key" | "merge_key" | "depth";
  readonly message: string;
}

export interface ParseReply {
  readonly root: TreeNode | null;
  readonly faults: readonly ParseFault[];
}

class TooDeep extends Error {}

const TOO_DEEP: ParseReply = {
  root: null,
  faults: [{ at: 0, kind: "depth", message: `nested deeper than ${DEEPEST} levels` }],
};

class Reader {
  readonly faults: ParseFault[] = [];
  readonly #anchors = new Map<string, Node>();
  #aliases = 0;

  read(node: Node | null | undefined, at: number, depth: number, inAlias: boolean): TreeNode {
    if (depth > DEEPEST) throw new TooDeep();
    const start = node?.range?.[0] ?? at;
    if (node === null || node === undefined) return { kind: "scalar", at: start, value: null };
    if (isAlias(node)) return this.#follow(node, start, depth, inAlias);
    if (this.#tag(node, start)) return { kind: "scalar", at: start, value: null };
    if ("anchor" in node && typeof node.anchor === "string") this.#anchors.set(node.anchor, node);
    if (isSeq(node)) {
      const items = node.items.map((item) => this.read(item as Node | null, start, depth + 1, inAlias));
      return { kind: "list", at: start, items };
    }
    if (isMap(node)) {
      const entries: MapEntry[] = [];
      for (const pair of node.items) {
        const entry = this.#entry(pair.key as Node | null, pair.value as Node | null, start, depth, inAlias);
        if (entry !== undefined) entries.push(entry);
      }
      return { kind: "map", at: start, entries };
    }
    return { kind: "scalar", at: start, value: isScalar(node) ? plain(node.value) : null };
  }

  #entry(
    key: Node | null,
    value: Node | null,
    at: number,
    depth: number,
    inAlias: boolean,
  ): MapEntry | undefined {
    const keyAt = key?.range?.[0] ?? at;
    if (
      !isScalar(key) ||
      (typeof key.value !== "string" && typeof key.value !== "number" && typeof key.value !== "boolean")
    ) {
      this.faults.push({ at: keyAt, kind: "key", message: "a key has to be plain text" });
      return undefined;
    }
    this.#tag(key, keyAt);
    const name = typeof key.value === "string" ? key.value : (key.source ?? String(key.value));
    if (name === "<<") {
      this.faults.push({ at: keyAt, kind: "merge_key", message: "merge keys are not supported" });
      return undefined;
    }
    return { key: name, keyAt, value: this.read(value, key.range?.[1] ?? keyAt, depth + 1, inAlias) };
  }

  /** Aliases are few and flat: one that leads to another could multiply without end. */
  #follow(alias: Alias, at: number, depth: number, inAlias: boolean): TreeNode {
    const target = this.#anchors.get(alias.source);
    this.#aliases++;
    if (inAlias || this.#aliases > MOST_ALIASES || target === undefined) {
      const message = inAlias
        ? "an alias must not lead to another alias"
        : target === undefined
          ? "an alias has to follow its anchor"
          : `more than ${MOST_ALIASES} aliases`;
      if (this.faults.length < 50) this.faults.push({ at, kind: "alias", message });
      return { kind: "scalar", at, value: null };
    }
    return this.read(target, at, depth, true);
  }

  /** Reports a tag; true when there is one. */
  #tag(node: Node, at: number): boolean {
    if (!("tag" in node) || typeof node.tag !== "string" || node.tag === "tag:yaml.org,2002:str")
      return false;
    const secret = node.tag === "!secret";
    const message = secret ? "!secret" : "tags are not supported";
    this.faults.push({ at, kind: secret ? "secret_tag" : "tag", message });
    return true;
  }
}

function plain(value: unknown): ScalarValue {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : null;
}

/** The tree of `text`, or what is wrong with it. */
export function parseFully(text: string): ParseReply {
  const document = parseDocument(text, {
    // Duplicate keys are found by the caller, in linear time and with both places.
    uniqueKeys: false,
    merge: false,
    prettyErrors: false,
    // At "silent" the parser would pass over a second document.
    logLevel: "error",
  });
  const syntax = document.errors.map((error): ParseFault => {
    const kind = error.code === "MULTIPLE_DOCS" ? "documents" : "syntax";
    // Behind a colon the parser repeats the text itself, which may be a secret.
    return { at: error.pos[0], kind, message: error.message.split(/: |\n/, 1)[0] ?? "" };
  });
  // The parser gives its own stack overflow as a syntax error.
  if (syntax.some((fault) => fault.message.includes("call stack"))) return TOO_DEEP;
  if (syntax.length > 0) return { root: null, faults: syntax.slice(0, 20) };
  const reader = new Reader();
  try {
    const root = document.contents === null ? null : reader.read(document.contents, 0, 1, false);
    return { root, faults: reader.faults };
  } catch (error) {
    if (!(error instanceof TooDeep)) throw error;
    return TOO_DEEP;
  }
}
