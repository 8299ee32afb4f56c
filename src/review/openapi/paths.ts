// From a path template of OpenAPI to a pattern of gateway.yaml, and to a path that a client may really send.

import { canonicalPath, STRICT_PATHS } from "../../core/request-target.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { parsePath } from "../../routing/pattern.ts";

export interface PathPattern {
  /** Such as /users/:id, in canonical form. */
  readonly pattern: string;
  /** The pattern matches more than the template: a parameter is only a part of its segment there. */
  readonly wider: boolean;
  /** A path below the template, with `witness` for each parameter. */
  witness(value: string): string;
}

/** The pattern for a template below a base path, or why there is none. */
export function patternOf(basePath: string, template: string): Result<PathPattern, string> {
  if (!template.startsWith("/")) return err("a path has to start with `/`");
  if (/[?#]/.test(template)) return err("a path holds no query and no fragment");
  const written = template === "/" && basePath !== "" ? basePath : basePath + template;
  const names = new Set<string>();
  const parts: string[] = [];
  const examples: ((value: string) => string)[] = [];
  let wider = false;
  for (const segment of written.slice(1).split("/")) {
    const pieces = piecesOf(segment);
    if (!pieces.ok) return pieces;
    const [first, ...others] = pieces.value;
    const [name] = pieces.value.flatMap((piece) => (piece.kind === "parameter" ? [piece.text] : []));
    if (name !== undefined) {
      if (others.length > 0 || first?.kind !== "parameter") wider = true;
      parts.push(`:${unique(names, name)}`);
    } else {
      const literal = first?.text ?? "";
      if (literal.startsWith(":"))
        return err("a segment that starts with `:` can't be told from a parameter");
      parts.push(literal);
    }
    examples.push((value) =>
      pieces.value.map((piece) => (piece.kind === "parameter" ? value : piece.text)).join(""),
    );
  }
  const canonical = canonicalPath(`/${parts.join("/")}`, STRICT_PATHS);
  const pattern = canonical.ok ? canonical.value : `/${parts.join("/")}`;
  const parsed = parsePath(pattern, STRICT_PATHS);
  if (!parsed.ok) return err(parsed.error.message);
  return ok({
    pattern,
    wider,
    witness: (value) => {
      const path = `/${examples.map((example) => example(value)).join("/")}`;
      const target = canonicalPath(path, STRICT_PATHS);
      return target.ok ? target.value : path;
    },
  });
}

interface Piece {
  readonly kind: "literal" | "parameter";
  readonly text: string;
}

function piecesOf(segment: string): Result<readonly Piece[], string> {
  if (!segment.isWellFormed()) return err("the path holds half a character");
  const pieces = segment.split(/(\{[^{}]*\})/).filter((text) => text !== "");
  const read: Piece[] = [];
  for (const text of pieces) {
    const name = /^\{(.*)\}$/.exec(text)?.[1];
    if (name !== undefined) {
      if (!/^[\p{L}\p{N}_.~-]+$/u.test(name))
        return err(`${clip(text)} is no parameter that OpenAPI defines`);
      read.push({ kind: "parameter", text: name });
    } else if (/[{}]/.test(text)) return err("a brace without its other half");
    else if (text.includes("*")) return err("a literal `*` can't be written as a pattern");
    else read.push({ kind: "literal", text: encoded(text) });
  }
  return ok(read.length === 0 ? [{ kind: "literal", text: "" }] : read);
}

function clip(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

/** Escapes what can't stand in a path; escapes that are there stay. */
function encoded(text: string): string {
  return text.replace(/[^\x21-\x7e]|["<>^`|[\]\\]/gu, encodeURIComponent);
}

/** A name that patterns allow, once per path. */
function unique(names: Set<string>, name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_]/g, "_").replace(/^(?=\d)/, "_");
  let free = plain;
  for (let number = 2; names.has(free); number++) free = `${plain}_${number}`;
  names.add(free);
  return free;
}
