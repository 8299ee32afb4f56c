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

/**
 * Line `index` of `lines` without secrets. From column `suspectFrom` on, where a mistyped key may hold anything, all
 * values are blanked.
 */
export function maskLine(lines: readonly string[], index: number, suspectFrom: number): string {
  const line = lines[index] ?? "";
  if (belongsToSecret(lines, index)) return `${/^\s*/.exec(line)?.[0] ?? ""}***`;
  const cut = firstSensitive(line, suspectFrom);
  const shown = cut === undefined ? line : `${line.slice(0, cut)} ***`;
  return shown.replace(URL_PASSWORD, "$1***@").replace(KEY_LITERAL, "***");
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

/** Whether the line continues the value of a sensitive key above it: a block scalar, a list, a folded string. */
function belongsToSecret(lines: readonly string[], index: number): boolean {
  let indent = indentOf(lines[index] ?? "");
  for (let above = index - 1; above >= 0 && indent > 0; above--) {
    const line = lines[above] ?? "";
    if (line.trim() === "" || indentOf(line) >= indent) continue;
    indent = indentOf(line);
    const last = [...line.matchAll(KEY)].at(-1)?.[1];
    const key = (last ?? "").replace(/["']/g, "").toLowerCase();
    if (key !== "redis" && SENSITIVE.test(key) && !HARMLESS.has(key)) return true;
  }
  return false;
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}
