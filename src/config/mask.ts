// Blanks what may be a secret in a line of the file before the line is shown. Blanks too much rather than too little.

// Keys whose values are shown although their names sound like a secret.
const HARMLESS = new Set(["apikeys", "apikeyheaders", "failedcredentials", "forwardcredentials"]);
const SENSITIVE = /secret|token|passw|key|hash|value|credential|authorization|cookie|private|redis/;
const KEY = /(?:^|[\s,{[])("[^"]*"|'[^']*'|[\w$.-]+)\s*:(?=\s|$)/g;
// Reads: one variable or file without a default, then the end of the value.
const REFERENCE =
  /^(?:"\$\{(?!\w+:-)[^}"]*\}"|'\$\{(?!\w+:-)[^}']*\}'|\$\{(?!\w+:-)[^}\s]*\})(?:\s|[,}\]]|$)/;
const URL_PASSWORD = /(:\/\/)[^/@\s"']+@/g;
const KEY_LITERAL =
  /gwk_(?:live|test)_\w+|-----BEGIN[^"']*|\b[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g;

// Longer lines are no work of people, and would take long to look through.
const LONGEST_LINE = 4_096;

/** Lines by their number from 0. */
export interface LineSource {
  at(index: number): string | undefined;
}

/** Shows lines of one text without its secrets. */
export class Masker {
  readonly #lines: LineSource;
  /** For lines that were looked at: the nearest line above that is less indented, -1 for none. */
  readonly #parents = new Map<number, number>();

  constructor(lines: LineSource) {
    this.#lines = lines;
  }

  /** Line `index`. From column `suspectFrom` on, where a mistyped key may hold anything, all values are blanked. */
  line(index: number, suspectFrom: number): string {
    const line = this.#lines.at(index) ?? "";
    if (line.length > LONGEST_LINE) return `(a line of ${line.length} characters)`;
    if (this.#belongsToSecret(index)) return `${/^\s*/.exec(line)?.[0] ?? ""}***`;
    const cut = firstSensitive(line, suspectFrom);
    const shown = cut === undefined ? line : `${line.slice(0, cut)} ***`;
    return shown.replace(URL_PASSWORD, "$1***@").replace(KEY_LITERAL, "***");
  }

  /** Whether the line continues the value of a sensitive key above it: a block scalar, a list, a folded string. */
  #belongsToSecret(index: number): boolean {
    for (let at = this.#parentOf(index); at !== -1; at = this.#parentOf(at)) {
      const line = this.#lines.at(at) ?? "";
      if (line.length > LONGEST_LINE) return true;
      const last = [...line.matchAll(KEY)].at(-1)?.[1];
      const key = (last ?? "").replace(/["']/g, "").toLowerCase();
      if (key !== "redis" && SENSITIVE.test(key) && !HARMLESS.has(key)) return true;
    }
    return false;
  }

  #parentOf(index: number): number {
    const known = this.#parents.get(index);
    if (known !== undefined) return known;
    const indent = indentOf(this.#lines.at(index) ?? "");
    let above = indent === 0 ? -1 : index - 1;
    while (above >= 0) {
      const line = this.#lines.at(above) ?? "";
      const its = indentOf(line);
      if (its < line.length && its < indent) break;
      // Lines between an equally indented one and its parent are no less indented.
      const jump = its === indent && its < line.length ? this.#parents.get(above) : undefined;
      above = jump ?? above - 1;
      if (jump !== undefined) break;
    }
    this.#parents.set(index, above);
    return above;
  }
}

/** Where the value of the first sensitive key begins. Values that only refer to a variable hide nothing. */
function firstSensitive(line: string, suspectFrom: number): number | undefined {
  for (const match of line.matchAll(KEY)) {
    const key = (match[1] ?? "").replace(/["']/g, "").toLowerCase();
    const end = match.index + match[0].length;
    const value = line.slice(end).trim();
    if (value === "" || REFERENCE.test(value) || /^(?:true|false|single|firstMatch)\b/.test(value)) continue;
    if (end > suspectFrom || (SENSITIVE.test(key) && !HARMLESS.has(key))) return end;
  }
  return undefined;
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}
