// Pieces of a gateway.yaml that is written for people: values that mean what they say, comments that stay comments.

/** Widest line of a comment. */
const WIDTH = 110;

// What can stand without quotes, also inside [ ] and { }, and is read as text.
const PLAIN = /^[A-Za-z/](?:[\w./@+-]|:(?=[\w/]))*$/;
const OTHER_TYPES = /^(?:true|false|null)$/i;

/** `text` as one value. Text that looks like a variable stays text. */
export function scalarOf(text: string): string {
  return written(text.replaceAll("${", () => "$${"));
}

/** A variable with a default. The default holds no `}`. */
export function variableOf(name: string, fallback: string): string {
  return `"\${${name}:-${quotedPart(fallback)}}"`;
}

/** `[a, b]`. */
export function listOf(texts: readonly string[]): string {
  return `[${texts.map(scalarOf).join(", ")}]`;
}

function written(text: string): string {
  // Methods and a path, the one form with a space that needs no quotes.
  if (/^[A-Z]+(?:,[A-Z]+)* \/[\w./:-]*$/.test(text) && !text.endsWith(":")) return text;
  return PLAIN.test(text) && !OTHER_TYPES.test(text) ? text : `"${quotedPart(text)}"`;
}

/** Inside double quotes (YAML 1.2 section 7.3.1, whose escapes include those of JSON). */
function quotedPart(text: string): string {
  const plain = JSON.stringify(text).slice(1, -1);
  return plain.replace(/[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g, (one) => {
    return `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}

/** `text` as one line without anything that could end the line or drive a terminal. */
export function oneLine(text: string, most = WIDTH): string {
  const clean = text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Cf}]+/gu, " ")
    .replace(/[\ufffe\uffff]/g, " ")
    .replace(/ {2,}/g, " ")
    .trim();
  return clean.length > most ? `${clean.slice(0, most - 1).toWellFormed()}…` : clean;
}

/** `text` as lines of a comment, broken between words. */
export function comment(text: string, indent = ""): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of oneLine(text, 2_000).split(" ")) {
    if (line !== "" && indent.length + 3 + line.length + word.length > WIDTH) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line].map((one) => `${indent}# ${one}`.trimEnd());
}
