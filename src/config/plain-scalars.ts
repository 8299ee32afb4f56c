// The scalars of plain YAML: what an unquoted text stands for (the core schema of YAML 1.2), and text in quotes.

import type { ScalarValue } from "./tree.ts";

const NULL = /^(?:~|null|Null|NULL)$/;
const TRUE = /^(?:true|True|TRUE)$/;
const FALSE = /^(?:false|False|FALSE)$/;
const INTEGER = /^[-+]?\d+$/;
const DECIMAL = /^[-+]?(?:\.\d+|\d+\.\d*)(?:[eE][-+]?\d+)?$|^[-+]?\d+[eE][-+]?\d+$/;
// Forms that hardly anybody means: infinity, not-a-number, octal and hexadecimal numbers.
const ODD_NUMBER = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|0[ox][0-9a-fA-F]+)$/;

/** The value of an unquoted text; undefined when it needs a closer look. */
export function plainValue(text: string): ScalarValue | undefined {
  const first = text.charCodeAt(0);
  // Most texts begin with a letter that no special word begins with.
  const isLetter = (first | 32) >= 97 && (first | 32) <= 122;
  if (isLetter && !/^[tTfFnN]/.test(text)) return text;
  if (NULL.test(text)) return null;
  if (TRUE.test(text)) return true;
  if (FALSE.test(text)) return false;
  if (INTEGER.test(text)) return finite(Number.parseInt(text, 10));
  if (DECIMAL.test(text)) return finite(Number.parseFloat(text));
  return ODD_NUMBER.test(text) ? undefined : text;
}

function finite(value: number): number | undefined {
  if (!Number.isFinite(value)) return undefined;
  // There is no other zero in JSON.
  return value === 0 ? 0 : value;
}

/** A text in quotes and the offset after it. */
export interface Quoted {
  readonly value: string;
  readonly end: number;
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  '"': '"',
  "\\": "\\",
  "/": "/",
};

/** Reads the text in quotes that begins at `at`, within one line; undefined when it needs a closer look. */
export function quotedAt(text: string, at: number): Quoted | undefined {
  return text[at] === "'" ? singleQuotedAt(text, at) : doubleQuotedAt(text, at);
}

function singleQuotedAt(text: string, at: number): Quoted | undefined {
  let close = text.indexOf("'", at + 1);
  let doubled = false;
  while (close !== -1 && text[close + 1] === "'") {
    doubled = true;
    close = text.indexOf("'", close + 2);
  }
  if (close === -1) return undefined;
  const inner = text.slice(at + 1, close);
  if (inner.includes("\n")) return undefined;
  return { value: doubled ? inner.replaceAll("''", "'") : inner, end: close + 1 };
}

function doubleQuotedAt(text: string, at: number): Quoted | undefined {
  let value = "";
  let from = at + 1;
  for (let index = from; index < text.length; index++) {
    const character = text[index];
    if (character === "\n") return undefined;
    if (character === '"') return { value: value + text.slice(from, index), end: index + 1 };
    if (character !== "\\") continue;
    const meant = ESCAPES[text[index + 1] ?? ""];
    if (meant === undefined) return undefined;
    value += text.slice(from, index) + meant;
    from = index + 2;
    index++;
  }
  return undefined;
}
