// One view of a request's header section, over the raw list, so that no two parts of the gateway can read it differently.

import { Remembered } from "./remembered.ts";

// Field names seen before, in lower case.
const lowerNames = new Remembered<string>(4096);

/** `name` in lower case. Field names are case-insensitive (RFC 9110 5.1). */
export function lowerName(name: string): string {
  const known = lowerNames.get(name);
  if (known !== undefined) return known;
  const lower = name.toLowerCase();
  lowerNames.set(name, lower);
  return lower;
}

/**
 * A field name without everything that servers have been seen to fold: `X_User.Id` and `x-user-id` are both `xuserid`.
 * Two names with one folded form must never both be trusted.
 */
export function foldName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** What a token is made of, as a class of a regular expression (RFC 9110 section 5.6.2). */
export const TOKEN_CHARACTER = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]";

const FIELD_NAME = new RegExp(`^${TOKEN_CHARACTER}{1,256}$`);

/** A token that may be the name of a field. */
export function isFieldName(name: string): boolean {
  return FIELD_NAME.test(name);
}

/** A value that can be sent as it is: visible ASCII with inner spaces, no line breaks, not padded. */
export function isPlainFieldValue(value: string): boolean {
  return /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value);
}

/**
 * A value made header-safe: visible ASCII stays, everything else (also `%`, so that the encoding can be undone)
 * is percent-encoded UTF-8. Plain values come back unchanged unless they hold a `%`.
 */
export function encodeFieldValue(value: string): string {
  if (isPlainFieldValue(value) && !value.includes("%")) return value;
  let out = "";
  for (const character of value) {
    const code = character.codePointAt(0) ?? 0;
    const inner = code === 0x20 && out !== "";
    if ((code > 0x20 && code < 0x7f && code !== 0x25) || inner) out += character;
    else
      out +=
        code < 0x80
          ? `%${code.toString(16).toUpperCase().padStart(2, "0")}`
          : encodeURIComponent(wellFormed(character));
  }
  return out.endsWith(" ")
    ? `${out.replace(/ +$/, "")}${"%20".repeat(out.length - out.trimEnd().length)}`
    : out;
}

function wellFormed(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code >= 0xd800 && code <= 0xdfff ? "\ufffd" : character;
}

/** Read-only view over a flat `[name, value, name, value …]` list. */
export class Fields {
  readonly raw: readonly string[];
  /** Lower-case name of each line, in order. */
  readonly names: readonly string[];

  constructor(raw: readonly string[]) {
    const names: string[] = [];
    for (let index = 0; index < raw.length; index += 2) names.push(lowerName(raw[index] as string));
    this.raw = raw;
    this.names = names;
  }

  get count(): number {
    return this.names.length;
  }

  /** Value of the first line called `name` (lower case). */
  first(name: string): string | undefined {
    const index = this.names.indexOf(name);
    return index === -1 ? undefined : this.raw[index * 2 + 1];
  }

  /** Whether more than one line is called `name`. */
  repeated(name: string): boolean {
    const index = this.names.indexOf(name);
    return index !== -1 && this.names.indexOf(name, index + 1) !== -1;
  }

  /** Values of all lines called `name`, in order. */
  all(name: string): string[] {
    const values: string[] = [];
    for (let index = 0; index < this.names.length; index++) {
      if (this.names[index] === name) values.push(this.raw[index * 2 + 1] as string);
    }
    return values;
  }
}
