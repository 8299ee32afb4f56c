// Where in a request target the fault is for which it was refused: for people, never for deciding.

import type { TargetFault } from "./request-target.ts";

const FORMS: Readonly<Partial<Record<TargetFault, RegExp>>> = {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  control_character: /[\u0000-\u001f\u007f]|%(?:[01][0-9a-f]|7f)|%c2%[89][0-9a-f]/i,
  backslash: /\\|%5c/i,
  fragment: /#/,
  semicolon: /;|%3b/i,
  encoded_slash: /%2f/i,
  double_encoded: /%25(?:25)*(?:2[ef]|5c|3b|[01][0-9a-f]|7f)/i,
  escape_invalid: /%(?![0-9a-f]{2})/i,
  dot_segment: /(?<=\/|%2f|^)(?:\.|%2e){1,2}(?=$|[/?;]|%2f|%3b)/i,
  duplicate_slash: /(?<=\/)\//,
  character_invalid: /[^\u0021-\u007e]|["<>[\]^`{|}]/,
};

// Sequences of escapes that are UTF-8 (RFC 3629 section 4), and what is none of them.
const UTF8 =
  /%(?:[0-7][0-9a-f]|c[2-9a-f]%[89ab][0-9a-f]|d[0-9a-f]%[89ab][0-9a-f]|e[0-9a-f](?:%[89ab][0-9a-f]){2}|f[0-4](?:%[89ab][0-9a-f]){3})/iy;

/** Index of the character of `raw` at which `fault` lies; 0 where it is the target as a whole. */
export function faultPosition(raw: string, fault: TargetFault): number {
  if (fault === "not_utf8") return brokenSequence(raw);
  const found = FORMS[fault]?.exec(raw);
  return found?.index ?? 0;
}

function brokenSequence(raw: string): number {
  for (let index = raw.indexOf("%"); index !== -1; index = raw.indexOf("%", index)) {
    UTF8.lastIndex = index;
    const sequence = UTF8.exec(raw);
    if (sequence === null) return index;
    index += sequence[0].length;
  }
  return 0;
}
