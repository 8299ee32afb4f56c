// JSON as a token may hold it: one object, one meaning. What two parsers could read differently is refused (RFC 7519
// section 4, RFC 7493), and what comes out inherits from nothing.

import { err, ok, type Result } from "../../core/result.ts";

/** An object without a prototype: only what the text says can be found in it. */
export type JsonObject = Readonly<Record<string, unknown>>;

export type JsonFault = "not_utf8" | "json" | "too_deep" | "duplicate_member";

const MOST_DEPTH = 32;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Parses the bytes of one JSON object. Frozen throughout; a member called `__proto__` is left out. */
export function parseObject(bytes: Uint8Array): Result<JsonObject, JsonFault> {
  let text: string;
  try {
    text = utf8.decode(bytes);
  } catch {
    return err("not_utf8");
  }
  const fault = structureFault(text);
  if (fault !== undefined) return err(fault);
  const value = parse(text);
  return isObject(value) ? ok(bare(value) as JsonObject) : err("json");
}

/** Whether `value` is a JSON object: neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Finds what JSON.parse lets pass. Whatever else is wrong with `text` is left for it to find. */
function structureFault(text: string): JsonFault | undefined {
  const open: (Set<string> | undefined)[] = [];
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === QUOTE) {
      const end = stringEnd(text, index);
      const fault = stringFault(text, index, end, open.at(-1));
      if (fault !== undefined) return fault;
      index = end;
    } else if (code === 0x7b || code === 0x5b) {
      if (open.length === MOST_DEPTH) return "too_deep";
      open.push(code === 0x7b ? new Set() : undefined);
    } else if (code === 0x7d || code === 0x5d) {
      open.pop();
    }
  }
  return undefined;
}

/** Index of the quote that closes the string opened at `start`, or -1. */
function stringEnd(text: string, start: number): number {
  for (let index = start + 1; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === QUOTE) return index;
    if (code === BACKSLASH) index++;
  }
  return -1;
}

/** Checks one string; `members` are the names seen in the object around it. */
function stringFault(
  text: string,
  start: number,
  end: number,
  members: Set<string> | undefined,
): JsonFault | undefined {
  if (end === -1) return "json";
  let value: unknown = text.slice(start + 1, end);
  // Two spellings of one name are one name, and half of a surrogate pair is no character.
  if ((value as string).includes("\\")) value = parse(text.slice(start, end + 1));
  if (typeof value !== "string" || !value.isWellFormed()) return "json";
  if (members === undefined || !colonFollows(text, end)) return undefined;
  if (members.has(value)) return "duplicate_member";
  members.add(value);
  return undefined;
}

function colonFollows(text: string, end: number): boolean {
  let index = end + 1;
  while (index < text.length && text.charCodeAt(index) <= 0x20) index++;
  return text.charCodeAt(index) === COLON;
}

/** A frozen copy that inherits from nothing. The depth is bounded already. */
function bare(value: unknown): unknown {
  if (Array.isArray(value)) return Object.freeze(value.map(bare));
  if (!isObject(value)) return value;
  const copy: Record<string, unknown> = Object.create(null);
  for (const name of Object.keys(value)) if (name !== "__proto__") copy[name] = bare(value[name]);
  return Object.freeze(copy);
}
