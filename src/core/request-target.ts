// The one canonical request target. Matching, limiting, logging and forwarding all use what this file returns,
// so a form that an upstream might read differently is refused here instead of being repaired.

import { err, ok, type Result } from "./result.ts";

declare const canonical: unique symbol;

/** A request target in its only accepted form. Can't be made other than by `canonicalise`. */
export interface CanonicalTarget {
  /** Absolute path: unreserved characters decoded, remaining escapes in upper case, no dot segments (RFC 3986 6.2.2). */
  readonly path: string;
  /** The query with its leading `?`, as it came, or empty. */
  readonly search: string;
  readonly [canonical]: true;
}

/** How the doubtful forms are treated; the `paths` section of gateway.yaml. */
export interface PathRules {
  readonly encodedSlash: "refuse" | "keep";
  readonly semicolon: "refuse" | "keep";
  readonly duplicateSlash: "refuse" | "merge" | "keep";
}

export const STRICT_PATHS: PathRules = {
  encodedSlash: "refuse",
  semicolon: "refuse",
  duplicateSlash: "refuse",
};

/** Why a target was refused; goes to the operator's log. */
export type TargetFault =
  | "target_form"
  | "authority_mismatch"
  | "character_invalid"
  | "escape_invalid"
  | "not_utf8"
  | "control_character"
  | "backslash"
  | "fragment"
  | "semicolon"
  | "encoded_slash"
  | "double_encoded"
  | "dot_segment"
  | "duplicate_slash";

const PLAIN = 0; // allowed as it is
const BAD = 1;
const SLASH = 2;
const DOT = 3;
const PERCENT = 4;
const SEMICOLON = 5;

const PATH_CLASS = new Uint8Array(128).fill(BAD);
const QUERY_ALLOWED = new Uint8Array(128);
const UNRESERVED = new Uint8Array(256);

for (const character of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~") {
  PATH_CLASS[character.charCodeAt(0)] = PLAIN;
  UNRESERVED[character.charCodeAt(0)] = 1;
}
for (const character of "!$&'()*+,=:@") PATH_CLASS[character.charCodeAt(0)] = PLAIN;
UNRESERVED[".".charCodeAt(0)] = 1;
PATH_CLASS["/".charCodeAt(0)] = SLASH;
PATH_CLASS[".".charCodeAt(0)] = DOT;
PATH_CLASS["%".charCodeAt(0)] = PERCENT;
PATH_CLASS[";".charCodeAt(0)] = SEMICOLON;
// Browsers send some characters outside RFC 3986 unescaped in a query; the query decides nothing, so they may pass.
for (let code = 0x21; code < 0x7f; code++) QUERY_ALLOWED[code] = 1;
for (const character of '#"<>\\') QUERY_ALLOWED[character.charCodeAt(0)] = 0;

// What a second decoding by a careless upstream would turn into a dot, a separator or a control character.
const DOUBLE_ENCODED = /%25(?:25)*(?:2[ef]|5c|3b|[01][0-9a-f]|7f)/i;
const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)(.*)$/is;

/** Canonicalises an origin-form target (`/path?query`), or an absolute-form one whose authority is `host` (RFC 9112 3.2). */
export function canonicalise(
  raw: string,
  host: string,
  rules: PathRules = STRICT_PATHS,
): Result<CanonicalTarget, TargetFault> {
  let target = raw;
  if (raw.charCodeAt(0) !== 0x2f) {
    const match = ABSOLUTE_FORM.exec(raw);
    if (match === null) return err("target_form");
    if (match[1]?.toLowerCase() !== host.toLowerCase() || host === "") return err("authority_mismatch");
    const rest = match[2] ?? "";
    target = rest.startsWith("/") ? rest : `/${rest}`;
  }
  const question = target.indexOf("?");
  const rawPath = question === -1 ? target : target.slice(0, question);
  const search = question === -1 ? "" : target.slice(question);
  const path = canonicalPath(rawPath, rules);
  if (!path.ok) return path;
  if (search !== "") {
    const fault = queryFault(search);
    if (fault !== undefined) return err(fault);
  }
  return ok({ path: path.value, search } as CanonicalTarget);
}

/** Canonicalises a path alone; route patterns go through it too, so that both sides are spelt alike. */
export function canonicalPath(raw: string, rules: PathRules = STRICT_PATHS): Result<string, TargetFault> {
  let simple = true;
  let previous = 0;
  for (let index = 0; index < raw.length; index++) {
    const code = raw.charCodeAt(index);
    const kind = code < 128 ? PATH_CLASS[code] : BAD;
    if (kind === BAD) return err(badCharacter(code));
    // A dot that opens a segment may be a dot segment; everything else plain needs no second look.
    if (kind === PERCENT || kind === SEMICOLON) simple = false;
    else if ((kind === DOT || kind === SLASH) && previous === 0x2f) simple = false;
    previous = code;
  }
  return simple ? ok(raw) : careful(raw, rules);
}

function badCharacter(code: number): TargetFault {
  if (code === 0x5c) return "backslash";
  if (code === 0x23) return "fragment";
  if (code < 0x20 || code === 0x7f) return "control_character";
  return "character_invalid";
}

function careful(raw: string, rules: PathRules): Result<string, TargetFault> {
  const decoded = decodeEscapes(raw, rules);
  if (!decoded.ok) return decoded;
  let path = decoded.value;
  if (path.includes(";") && rules.semicolon === "refuse") return err("semicolon");
  if (path.includes("//")) {
    if (rules.duplicateSlash === "refuse") return err("duplicate_slash");
    if (rules.duplicateSlash === "merge") path = path.replace(/\/{2,}/g, "/");
  }
  if (DOUBLE_ENCODED.test(path)) return err("double_encoded");
  // Kept encoded slashes and parameters are cut too: `..%2f` and `..;` climb in the upstreams that read them so.
  for (const segment of path.split(/\/|%2F/)) {
    const name = segment.split(/;|%3B/, 1)[0];
    if (name === "." || name === "..") return err("dot_segment");
  }
  return ok(path);
}

function decodeEscapes(raw: string, rules: PathRules): Result<string, TargetFault> {
  if (!raw.includes("%")) return ok(raw);
  let out = "";
  for (let index = 0; index < raw.length; index++) {
    const character = raw[index] as string;
    if (character !== "%") {
      out += character;
      continue;
    }
    const byte = escapedByte(raw, index);
    if (byte === -1) return err("escape_invalid");
    if (byte < 0x20 || byte === 0x7f) return err("control_character");
    if (byte === 0x5c) return err("backslash");
    if (byte === 0x2f && rules.encodedSlash === "refuse") return err("encoded_slash");
    if (byte === 0x3b && rules.semicolon === "refuse") return err("semicolon");
    if (byte >= 0x80) {
      const length = utf8Length(raw, index);
      if (length === 0) return err("not_utf8");
      const sequence = raw.slice(index, index + length * 3).toUpperCase();
      if (sequence.startsWith("%C2%8") || sequence.startsWith("%C2%9")) return err("control_character");
      out += sequence;
      index += length * 3 - 1;
      continue;
    }
    out += UNRESERVED[byte] === 1 ? String.fromCharCode(byte) : raw.slice(index, index + 3).toUpperCase();
    index += 2;
  }
  return ok(out);
}

/** The byte that the escape at `index` stands for, or -1. */
function escapedByte(text: string, index: number): number {
  if (text.charCodeAt(index) !== 0x25) return -1;
  const high = hexDigit(text.charCodeAt(index + 1));
  const low = hexDigit(text.charCodeAt(index + 2));
  return high === -1 || low === -1 ? -1 : high * 16 + low;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Number of bytes of the well-formed UTF-8 sequence (RFC 3629 section 4) escaped at `index`; 0 when there is none. */
function utf8Length(text: string, index: number): number {
  const lead = escapedByte(text, index);
  const length =
    lead >= 0xc2 && lead <= 0xdf
      ? 2
      : lead >= 0xe0 && lead <= 0xef
        ? 3
        : lead >= 0xf0 && lead <= 0xf4
          ? 4
          : 0;
  for (let position = 1; position < length; position++) {
    const byte = escapedByte(text, index + position * 3);
    let least = 0x80;
    let most = 0xbf;
    if (position === 1) {
      if (lead === 0xe0) least = 0xa0;
      else if (lead === 0xed) most = 0x9f;
      else if (lead === 0xf0) least = 0x90;
      else if (lead === 0xf4) most = 0x8f;
    }
    if (byte < least || byte > most) return 0;
  }
  return length;
}

function queryFault(search: string): TargetFault | undefined {
  for (let index = 0; index < search.length; index++) {
    const code = search.charCodeAt(index);
    if (code >= 128 || QUERY_ALLOWED[code] === 0) return badCharacter(code);
    if (code !== 0x25) continue;
    const byte = escapedByte(search, index);
    if (byte === -1) return "escape_invalid";
    if (byte === 0) return "control_character";
    if (byte >= 0x80) {
      const length = utf8Length(search, index);
      if (length === 0) return "not_utf8";
      index += length * 3 - 1;
    } else index += 2;
  }
  return undefined;
}

/** Value of one canonical path segment, decoded once. Total on canonical input. */
export function decodeSegment(segment: string): string {
  return segment.includes("%") ? decodeURIComponent(segment) : segment;
}
