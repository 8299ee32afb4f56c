// A cheap look at the raw text before any parser sees it: how deep do brackets and indentation go? It may count too
// much in odd files and refuses nothing that people write; the real parser, in its own process, decides the rest.

/** Deepest nesting of a configuration file. */
export const DEEPEST = 100;

/** Offset at which the text nests deeper than `DEEPEST`; undefined when it never does. One pass, constant memory. */
export function tooDeepAt(text: string): number | undefined {
  let flow = 0;
  const indents: number[] = [];
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf("\n", start);
    const end = newline === -1 ? text.length : newline;
    const first = firstInk(text, start, end);
    if (first < end && text[first] !== "#") {
      const indent = first - start;
      while (indents.length > 0 && (indents.at(-1) ?? 0) >= indent) indents.pop();
      indents.push(indent);
      // A key at the margin ends every bracket: flow content has to be indented.
      if (indent === 0 && /[\w"']/.test(text[first] ?? "")) flow = 0;
      if (indents.length + indicators(text, first, end) > DEEPEST) return first;
      const line = scanBrackets(text, first, end, flow);
      if (line.deepAt !== undefined) return line.deepAt;
      flow = line.depth;
    }
    start = end + 1;
  }
  return undefined;
}

function firstInk(text: string, start: number, end: number): number {
  let at = start;
  while (at < end && (text[at] === " " || text[at] === "\t" || text[at] === "\r")) at++;
  return at;
}

/** How many block indicators (`- - - x`) open the line: each one nests. */
function indicators(text: string, first: number, end: number): number {
  let count = 0;
  let at = first;
  while (
    at < end &&
    (text[at] === "-" || text[at] === "?" || text[at] === ":") &&
    (text[at + 1] === " " || text[at + 1] === "\t")
  ) {
    count++;
    at = firstInk(text, at + 1, end);
  }
  return count;
}

function scanBrackets(
  text: string,
  first: number,
  end: number,
  before: number,
): { depth: number; deepAt?: number } {
  let depth = before;
  let quote = "";
  let previous = "";
  for (let at = first; at < end; at++) {
    const character = text[at] ?? "";
    if (quote !== "") {
      if (character === "\\" && quote === '"') at++;
      else if (character === quote) quote = "";
      continue;
    }
    if ((character === '"' || character === "'") && /^[:,[{-]?$/.test(previous)) quote = character;
    else if (character === "#" && /\s/.test(text[at - 1] ?? " ")) break;
    else if (character === "[" || character === "{") {
      if (++depth > DEEPEST) return { depth, deepAt: at };
    } else if (character === "]" || character === "}") depth = Math.max(0, depth - 1);
    if (character !== " " && character !== "\t") previous = character;
  }
  return { depth };
}
