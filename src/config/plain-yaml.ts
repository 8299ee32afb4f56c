// Reads the YAML that people write into configuration files in one fast pass: maps and lists by indentation or in
// brackets, texts within one line, comments. It never guesses: at anything else (anchors, tags, texts over several lines,
// mistakes) it stops and tells where, and the full parser decides.

import { plainValue, quotedAt } from "./plain-scalars.ts";
import type { ListNode, MapEntry, MapNode, ScalarNode, TreeNode } from "./tree.ts";

/** The tree of a plain text, null when it holds nothing; or the offset of what isn't plain. */
export type PlainReply =
  | { readonly plain: true; readonly root: TreeNode | null }
  | { readonly plain: false; readonly at: number; readonly tooMany: boolean };

// Below the bound of the full parser, so that what lies between is judged by it.
const DEEPEST = 90;
const LONGEST_KEY = 1_000;
const MOST_SHARED = 10_000;
// Line breaks, and characters that may not stand in YAML or mean something odd there.
const ODD_CHARACTER = /[[\p{Cc}\p{Cs}\u2028\u2029\ufeff\ufffe\uffff]--[\t\n\r]]|\r(?!\n)/v;
// What no unquoted text begins with; `-`, `?` and `:` only before something.
const INDICATORS = new Set("-?:,[]{}#&*!|>'\"%@`");
const BRACKETS = new Set(",[]{}");

class NotPlain extends Error {
  readonly at: number;
  readonly tooMany: boolean;

  constructor(at: number, tooMany = false) {
    super();
    this.at = at;
    this.tooMany = tooMany;
  }
}

/** Reads `text` in linear time. @param mostNodes values after which it stops */
export function readPlainYaml(text: string, mostNodes: number): PlainReply {
  const odd = ODD_CHARACTER.exec(text);
  if (odd !== null) return { plain: false, at: odd.index, tooMany: false };
  try {
    return { plain: true, root: new PlainReader(text, mostNodes).document() };
  } catch (error) {
    if (!(error instanceof NotPlain)) throw error;
    return { plain: false, at: error.at, tooMany: error.tooMany };
  }
}

class PlainReader {
  readonly #text: string;
  readonly #mostNodes: number;
  readonly #keys = new Map<string, string>();
  #nodes = 0;
  #started = false;
  /** Whether comments stood in the lines before this one. */
  #commented = false;
  /** How many brackets are open. */
  #brackets = 0;
  #lineStart = 0;
  /** The next character to be looked at: after `#toContent` one that means something, or the end. */
  #at = 0;

  constructor(text: string, mostNodes: number) {
    this.#text = text;
    this.#mostNodes = mostNodes;
  }

  document(): TreeNode | null {
    this.#toContent();
    this.#started = true;
    if (this.#text.startsWith("---", this.#at) && this.#column === 0) {
      this.#at += 3;
      this.#endOfLine();
      if (this.#ended) this.#stop();
    }
    if (this.#ended) return null;
    const root = this.#block(-1, 1);
    return this.#ended ? root : this.#stop();
  }

  get #ended(): boolean {
    return this.#at >= this.#text.length;
  }

  get #column(): number {
    return this.#at - this.#lineStart;
  }

  #stop(at = this.#at): never {
    throw new NotPlain(at);
  }

  #count(): void {
    if (++this.#nodes > this.#mostNodes) throw new NotPlain(this.#at, true);
  }

  #skipSpaces(): void {
    while (this.#text.charCodeAt(this.#at) === 32) this.#at++;
  }

  /** To the next character that is neither blank nor part of a comment; it has to be the first of its line. */
  #toContent(inBrackets = false): void {
    const text = this.#text;
    this.#commented = false;
    for (;;) {
      this.#lineStart = this.#at;
      this.#skipSpaces();
      const character = text[this.#at];
      if (character === "\r") this.#at++;
      if (text[this.#at] === "\n") this.#at++;
      else if (character === "#" && (!inBrackets || this.#column > 0)) {
        this.#commented = true;
        this.#skipLine();
      } else break;
      if (this.#ended) break;
    }
    if (this.#column !== 0) return;
    const mark = text.slice(this.#at, this.#at + 3);
    if (mark === "..." || (mark === "---" && this.#started)) this.#stop();
  }

  #skipLine(): void {
    const end = this.#text.indexOf("\n", this.#at);
    this.#at = end === -1 ? this.#text.length : end + 1;
  }

  /** Past the rest of a line, which may only hold a comment, to what comes next. */
  #endOfLine(): void {
    if (!this.#isLineOver()) this.#stop();
    if (this.#ended) return;
    this.#skipLine();
    this.#toContent();
  }

  /** Whether blanks and a comment are all that is left of the line; goes past the blanks. */
  #isLineOver(): boolean {
    const from = this.#at;
    this.#skipSpaces();
    const character = this.#text[this.#at];
    if (character === undefined || character === "\n" || character === "\r") return true;
    // A comment needs a blank before it.
    return character === "#" && this.#at > from;
  }

  /** The value that begins here, whose lines are indented by more than `parent`. */
  #block(parent: number, depth: number): TreeNode {
    if (depth > DEEPEST) this.#stop();
    if (this.#isItem()) return this.#list(this.#column, depth);
    const start = this.#at;
    const key = this.#keyHere();
    if (key !== undefined) return this.#map(key, start, depth);
    this.#at = start;
    return this.#value(parent, depth);
  }

  #isItem(): boolean {
    if (this.#text[this.#at] !== "-") return false;
    const next = this.#text[this.#at + 1];
    return next === undefined || next === " " || next === "\n" || next === "\r";
  }

  #list(column: number, depth: number): ListNode {
    const items: TreeNode[] = [];
    const { at } = this.#node();
    while (!this.#ended && this.#column === column && this.#isItem()) {
      this.#at++;
      const afterDash = this.#at;
      if (!this.#isLineOver()) items.push(this.#block(column, depth + 1));
      else {
        this.#endOfLine();
        items.push(this.#below(column, afterDash, depth));
      }
    }
    if (!this.#ended && this.#column > column) this.#stop();
    return { kind: "list", at, items };
  }

  /** What stands on the lines below a dash or a key, or nothing. */
  #below(column: number, emptyAt: number, depth: number): TreeNode {
    if (!this.#ended && this.#column > column) {
      const commented = this.#commented;
      const node = this.#block(column, depth + 1);
      // A comment before a text of its own line is read in odd ways.
      return commented && node.kind === "scalar" ? this.#stop(node.at) : node;
    }
    this.#count();
    return { kind: "scalar", at: emptyAt, value: null };
  }

  #map(firstKey: string, at: number, depth: number): MapNode {
    const column = at - this.#lineStart;
    const entries: MapEntry[] = [];
    this.#count();
    let key: string | undefined = firstKey;
    let keyAt = at;
    for (;;) {
      entries.push({ key, keyAt, value: this.#entryValue(column, depth) });
      if (this.#ended || this.#column < column) break;
      keyAt = this.#at;
      if (this.#column > column) this.#stop();
      key = this.#keyHere();
      if (key === undefined) this.#stop(keyAt);
    }
    return { kind: "map", at, entries };
  }

  #entryValue(column: number, depth: number): TreeNode {
    const afterColon = this.#at;
    if (!this.#isLineOver()) {
      if (this.#isItem()) this.#stop();
      return this.#value(column, depth + 1);
    }
    this.#endOfLine();
    // A list may stand below its key without indentation.
    if (!this.#ended && this.#column === column && this.#isItem()) return this.#list(column, depth + 1);
    return this.#below(column, afterColon, depth);
  }

  /** The key that begins here, up to and with its colon; undefined when there is none. */
  #keyHere(): string | undefined {
    const text = this.#text;
    const first = text[this.#at] ?? "";
    let key: string;
    if (first === '"' || first === "'") {
      const quoted = quotedAt(text, this.#at);
      if (quoted === undefined) this.#stop();
      this.#at = quoted.end;
      key = quoted.value;
      this.#skipSpaces();
    } else {
      const end = this.#plainEnd(false);
      if (end === undefined || text[end] !== ":") return undefined;
      const written = text.slice(this.#at, end).trimEnd();
      const value = written === "" ? null : plainValue(written);
      if (value === null || value === undefined) this.#stop();
      this.#at = end;
      key = written;
    }
    const next = text[this.#at + 1];
    const isKey =
      text[this.#at] === ":" && (next === undefined || next === " " || next === "\n" || next === "\r");
    if (!isKey) return undefined;
    if (key.length > LONGEST_KEY || key === "<<") this.#stop();
    this.#at++;
    return this.#shared(key);
  }

  /** One copy of each key that thousands of entries may have: those of options end in a letter, most names in a digit. */
  #shared(key: string): string {
    if (key.length > 32 || !/[A-Za-z]$/.test(key)) return key;
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    if (this.#keys.size < MOST_SHARED) this.#keys.set(key, key);
    return key;
  }

  /** A value that begins in this line and ends before the next one, or in brackets. */
  #value(parent: number, depth: number): TreeNode {
    const character = this.#text[this.#at];
    const node = character === "[" || character === "{" ? this.#flow(parent, depth) : this.#scalar(false);
    this.#endOfLine();
    // A more indented line would continue the text, or is a mistake.
    if (!this.#ended && this.#column > parent) this.#stop();
    return node;
  }

  #scalar(inFlow: boolean): ScalarNode {
    const { at } = this.#node();
    const character = this.#text[at];
    if (character === '"' || character === "'") {
      const quoted = quotedAt(this.#text, at);
      if (quoted === undefined) this.#stop();
      this.#at = quoted.end;
      return { kind: "scalar", at, value: quoted.value };
    }
    const end = this.#plainEnd(inFlow);
    if (end === undefined || this.#text[end] === ":") this.#stop();
    const written = this.#text.slice(at, end).trimEnd();
    const value = plainValue(written);
    if (value === undefined) this.#stop();
    this.#at = at + written.length;
    return { kind: "scalar", at, value };
  }

  /** Where the unquoted text that begins here ends: at the colon of a key, a comment, a bracket or the line's end. */
  #plainEnd(inFlow: boolean): number | undefined {
    const text = this.#text;
    const first = text[this.#at] ?? "\n";
    if (first === "-" ? !/[\w./]/.test(text[this.#at + 1] ?? "") : INDICATORS.has(first)) return undefined;
    let at = this.#at;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      // Letters and digits are nothing special.
      if (code > 96 && code < 123) continue;
      if (code === 10 || code === 13) break;
      if (code === 9) this.#stop(at);
      if (code === 35 && text.charCodeAt(at - 1) === 32) break;
      if (inFlow && BRACKETS.has(text[at] ?? "")) break;
      if (code === 58) {
        const next = text[at + 1];
        if (next === undefined || next === " " || next === "\n" || next === "\r" || next === "\t") break;
        if (inFlow && BRACKETS.has(next)) break;
      }
    }
    return at;
  }

  /** A list or a map in brackets. Its further lines are indented by more than `parent`, but the closing bracket. */
  #flow(parent: number, depth: number): TreeNode {
    if (depth > DEEPEST) this.#stop();
    const isMap = this.#text[this.#at] === "{";
    const close = isMap ? "}" : "]";
    const { at } = this.#node();
    const items: TreeNode[] = [];
    const entries: MapEntry[] = [];
    this.#at++;
    this.#brackets++;
    for (;;) {
      this.#flowBlanks(parent, close);
      if (this.#text[this.#at] === close) break;
      if (isMap) entries.push(this.#flowEntry(parent, depth));
      else items.push(this.#flowItem(parent, depth));
      this.#flowBlanks(parent, close);
      const next = this.#text[this.#at];
      if (next === ",") this.#at++;
      else if (next !== close) this.#stop();
    }
    this.#at++;
    this.#brackets--;
    return isMap ? { kind: "map", at, entries } : { kind: "list", at, items };
  }

  #flowItem(parent: number, depth: number): TreeNode {
    const character = this.#text[this.#at];
    return character === "[" || character === "{" ? this.#flow(parent, depth + 1) : this.#scalar(true);
  }

  #flowEntry(parent: number, depth: number): MapEntry {
    const keyAt = this.#at;
    const quoted = this.#text[keyAt] === '"' || this.#text[keyAt] === "'";
    const key = quoted ? this.#keyHere() : this.#flowKey();
    if (key === undefined || !this.#isBlank()) this.#stop(keyAt);
    this.#flowBlanks(parent, "");
    if (BRACKETS.has(this.#text[this.#at] ?? "") && !/[[{]/.test(this.#text[this.#at] ?? "")) this.#stop();
    return { key, keyAt, value: this.#flowItem(parent, depth) };
  }

  #flowKey(): string | undefined {
    const end = this.#plainEnd(true);
    if (end === undefined || this.#text[end] !== ":") return undefined;
    const written = this.#text.slice(this.#at, end).trimEnd();
    const value = plainValue(written);
    if (value === null || value === undefined || written === "<<" || written.length > LONGEST_KEY)
      return undefined;
    this.#at = end + 1;
    return this.#shared(written);
  }

  #isBlank(): boolean {
    const next = this.#text[this.#at];
    return next === undefined || next === " " || next === "\n" || next === "\r";
  }

  /** Past blanks, line ends and comments between brackets. */
  #flowBlanks(parent: number, close: string): void {
    while (this.#isLineOver()) {
      if (this.#ended) this.#stop();
      this.#skipLine();
      this.#toContent(true);
      if (this.#ended) this.#stop();
      const outermost = this.#brackets === 1 && this.#text[this.#at] === close;
      const closes = outermost && this.#column === Math.max(parent, 0);
      if (this.#column <= parent && !closes) this.#stop();
    }
  }

  /** Counts a node that begins here. */
  #node(): { readonly at: number } {
    this.#count();
    return { at: this.#at };
  }
}
