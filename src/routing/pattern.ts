// Reads the patterns of `match`: methods, path segments, hosts. Patterns go through the same canonical form as request
// targets, so that a pattern can't be written that no request would ever meet.

import { isFieldName } from "../core/fields.ts";
import { canonicalPath, decodeSegment, type PathRules, type TargetFault } from "../core/request-target.ts";
import { err, ok, type Result } from "../core/result.ts";
import { type MatchObject, ROUTABLE_METHODS } from "./options.ts";
import type { PathSegment, RouteMatch, ValueCondition } from "./policy.ts";

/** What is wrong with a pattern. */
export interface PatternFault {
  readonly kind: "invalid" | "not_canonical";
  readonly message: string;
  readonly hint?: string;
}

type Pattern = Pick<RouteMatch, "segments" | "wildcard" | "trailingSlash">;

const PARAMETER = /^:[A-Za-z_][A-Za-z0-9_]*$/;
const GRPC = /^grpc\s+([A-Za-z_][\w.]*)\/([A-Za-z_]\w*|\*)$/;
const HOST = /^(?:\*\.)?(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*$/;
const ADDRESS_HOST = /^\[[0-9a-f:.]+\]$/;

const TARGET_FAULTS: Readonly<Record<TargetFault, string>> = {
  target_form: "a path has to start with `/`",
  authority_mismatch: "a path has to start with `/`",
  character_invalid: "a character that can't stand in a path",
  escape_invalid: "a `%` that is not followed by two hexadecimal digits",
  not_utf8: "escapes that are not UTF-8",
  control_character: "a control character",
  backslash: "a backslash",
  fragment: "a `#`",
  semicolon: "a `;`, which `paths.semicolon` refuses",
  encoded_slash: "an encoded slash, which `paths.encodedSlash` refuses",
  double_encoded: "a doubly encoded character",
  dot_segment: "a `.` or `..` segment",
  duplicate_slash: "two slashes in a row, which `paths.duplicateSlash` refuses",
};

/** Reads `GET,POST /modules/:id`, `/files/*` or `grpc pkg.Service/Method`. */
export function parseMatchText(text: string, rules: PathRules): Result<RouteMatch, PatternFault> {
  if (/^grpc\b/.test(text)) return parseGrpc(text);
  const space = text.indexOf(" ");
  const methods = space === -1 ? [] : text.slice(0, space).split(",");
  for (const method of methods) {
    const fault = methodFault(method);
    if (fault !== undefined) return err(fault);
  }
  if (new Set(methods).size < methods.length) return invalid("a method is listed twice");
  const path = parsePath(text.slice(space + 1).trimStart(), rules);
  if (!path.ok) return path;
  return ok({ text, ...path.value, methods, hosts: [], headers: [], query: [] });
}

/** Reads the map form of `match`; one result for each of its paths. */
export function parseMatchObject(match: MatchObject, rules: PathRules): Result<RouteMatch[], PatternFault> {
  const methods = typeof match.methods === "string" ? [match.methods] : (match.methods ?? []);
  const hosts: string[] = [];
  for (const host of typeof match.host === "string" ? [match.host] : (match.host ?? [])) {
    const name = host.toLowerCase();
    if (!HOST.test(name) && !ADDRESS_HOST.test(name)) {
      return invalid("expected a host name without a port, or `*.` and a domain", undefined);
    }
    hosts.push(name);
  }
  const headers = conditions(match.headers, true);
  if (headers === undefined) return invalid("a name below `headers` is not a header field name");
  const matches: RouteMatch[] = [];
  for (const one of typeof match.path === "string" ? [match.path] : match.path) {
    const path = parsePath(one, rules);
    if (!path.ok) return path;
    const text = `${methods.length === 0 ? "" : `${methods.join(",")} `}${hosts.join(",")}${one}`;
    matches.push({
      text,
      ...path.value,
      methods,
      hosts,
      headers,
      query: conditions(match.query, false) ?? [],
    });
  }
  return ok(matches);
}

function conditions(
  map: Readonly<Record<string, string | true>> | undefined,
  areFields: boolean,
): readonly ValueCondition[] | undefined {
  const list: ValueCondition[] = [];
  for (const [name, value] of Object.entries(map ?? {})) {
    if (areFields && !isFieldName(name)) return undefined;
    list.push({ name: areFields ? name.toLowerCase() : name, value: value === true ? undefined : value });
  }
  return list;
}

function methodFault(method: string): PatternFault | undefined {
  if (ROUTABLE_METHODS.includes(method)) return undefined;
  const upper = method.toUpperCase();
  const hint = ROUTABLE_METHODS.includes(upper)
    ? `methods are written in capital letters: ${upper}`
    : `known methods: ${ROUTABLE_METHODS.join(", ")}`;
  return { kind: "invalid", message: "expected methods, one space and a path: `GET,POST /modules`", hint };
}

function parseGrpc(text: string): Result<RouteMatch, PatternFault> {
  const match = GRPC.exec(text);
  if (match === null) return invalid("expected `grpc package.Service/Method` or `grpc package.Service/*`");
  const [, service = "", method = ""] = match;
  const names = method === "*" ? [service] : [service, method];
  return ok({
    text,
    segments: names.map((value) => ({ kind: "literal", value })),
    wildcard: method === "*",
    trailingSlash: false,
    methods: ["POST"],
    hosts: [],
    headers: [],
    query: [],
  });
}

/** Reads a path pattern alone. */
export function parsePath(path: string, rules: PathRules): Result<Pattern, PatternFault> {
  if (!path.startsWith("/")) return invalid("a path has to start with `/`");
  const odd = oddFault(path);
  if (odd !== undefined) return err(odd);
  const canonical = canonicalPath(path, rules);
  if (!canonical.ok) {
    const hint = /[^\x20-\x7e]/.test(path) ? `percent-encode it: ${encodeURI(path)}` : undefined;
    return invalid(`the path holds ${TARGET_FAULTS[canonical.error]}`, hint);
  }
  if (canonical.value !== path) {
    return err({
      kind: "not_canonical",
      message: `requests are matched in canonical form, which is \`${canonical.value}\` here`,
      hint: `write ${canonical.value}`,
    });
  }
  return segmentsOf(path);
}

/** What people write for other gateways and what would be a literal here: brackets, globs, regular expressions. */
function oddFault(path: string): PatternFault | undefined {
  if (/\{\w+\}/.test(path)) {
    return fault("path parameters are written `:name`", `write ${path.replace(/\{(\w+)\}/g, ":$1")}`);
  }
  if (path.includes("**"))
    return fault("`**` is not known", "a last `*` stands for any rest, also of several segments");
  if (path.includes("?"))
    return fault("a pattern holds no query", "use the map form: {path, query: {name: value}}");
  if (/[()[\]{}^|\\]/.test(path)) {
    return fault(
      "regular expressions are not supported",
      "use literals, `:name` for one segment and a last `*` for any rest",
    );
  }
  return undefined;
}

function segmentsOf(path: string): Result<Pattern, PatternFault> {
  const parts = path === "/" ? [] : path.slice(1).split("/");
  const trailingSlash = parts.length > 0 && parts.at(-1) === "";
  if (trailingSlash) parts.pop();
  const wildcard = parts.at(-1) === "*";
  if (wildcard) parts.pop();
  if (wildcard && trailingSlash) return invalid("`*` has to be the last segment");
  const segments: PathSegment[] = [];
  const names = new Set<string>();
  for (const part of parts) {
    if (part.includes("*"))
      return invalid("`*` has to be a segment of its own, and the last one", "name single segments `:name`");
    if (!part.startsWith(":")) {
      segments.push({ kind: "literal", value: decodeSegment(part) });
      continue;
    }
    if (!PARAMETER.test(part))
      return invalid("a parameter is a `:` and a name of letters, digits and underscores");
    const name = part.slice(1);
    if (names.has(name)) return invalid(`the parameter \`:${name}\` stands twice in the path`);
    names.add(name);
    segments.push({ kind: "parameter", name });
  }
  return ok({ segments, wildcard, trailingSlash });
}

function fault(message: string, hint: string): PatternFault {
  return { kind: "invalid", message, hint };
}

function invalid(message: string, hint?: string): Result<never, PatternFault> {
  return err({ kind: "invalid", message, ...(hint === undefined ? {} : { hint }) });
}
