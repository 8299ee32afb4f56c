// What is wrong with a configuration file, and where. Collected, never thrown, so that every mistake is told at once.

import { Lines } from "./lines.ts";
import { nearest } from "./suggest.ts";
import { formatPath, type Path } from "./tree.ts";

export type DiagnosticCode =
  | "file_unreadable"
  | "file_empty"
  | "file_too_large"
  | "file_not_text"
  | "yaml_syntax"
  | "yaml_too_complex"
  | "yaml_documents"
  | "yaml_alias"
  | "yaml_tag"
  | "yaml_merge_key"
  | "key_invalid"
  | "key_reserved"
  | "duplicate_key"
  | "unknown_key"
  | "required_key"
  | "not_supported_yet"
  | "type_invalid"
  | "value_invalid"
  | "value_out_of_range"
  | "variable_missing"
  | "variable_invalid"
  | "secret_file_unreadable"
  | "list_empty"
  | "conflict"
  | "duplicate_name"
  | "duplicate_value"
  | "unknown_reference"
  | "inheritance_cycle"
  | "admin_open"
  | "route_unguarded"
  | "route_overlap"
  | "route_shadowed"
  | "pattern_invalid"
  | "pattern_not_canonical"
  | "secret_weak"
  | "secret_literal"
  | "key_source_invalid"
  | "algorithm_conflict"
  | "audience_missing"
  | "insecure_url"
  | "range_too_wide"
  | "unused"
  | "file_permissions"
  | "route_closed"
  | "scope_unheld"
  | "scope_suspect"
  | "role_unheld"
  | "role_suspect"
  | "key_expired"
  | "key_disabled"
  | "guard_by_address"
  | "public_unlimited"
  | "optional_pointless"
  | "cors_any_origin"
  | "path_check_loosened"
  | "proxies_wide"
  | "limit_off_without_store"
  | "credentials_forwarded"
  | "failures_unbounded"
  | "leeway_long"
  | "audience_unchecked"
  | "issuer_plain_http"
  | "secret_shared"
  | "admin_exposed";

/**
 * `error`: the file can't be used; `warning`: something that can't be meant; `note`: a choice that is allowed and worth
 * knowing of.
 */
export type Severity = "error" | "warning" | "note";

export interface Diagnostic {
  readonly severity: Severity;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** Where in the document, such as `routes[0].scopes`; empty for the file as a whole. */
  readonly path: string;
  readonly code: DiagnosticCode;
  /** What was expected. Never holds a secret or a substituted value. */
  readonly message: string;
  readonly hint?: string;
  /** The nearest valid word, for a mistyped one. */
  readonly suggestion?: string;
  /** A second place that belongs to the mistake: the other route, the first of two equal keys. */
  readonly related?: { readonly line: number; readonly column: number };
}

/** All mistakes of one file. */
export interface ConfigError {
  /** In the order of their places in the file. */
  readonly diagnostics: readonly Diagnostic[];
  /** Text of the file, for showing the lines; may hold secrets, which `formatDiagnostics` masks. */
  readonly source: string;
  /** There are more mistakes than were collected. */
  readonly incomplete?: boolean;
}

export interface DiagnosticExtra {
  readonly hint?: string;
  readonly suggestion?: string | undefined;
  readonly relatedAt?: number;
  readonly severity?: Exclude<Severity, "error">;
}

// Most diagnostics of one severity: nobody reads more, and a hostile file must not fill the memory with them.
const MOST_FOUND = 500;
// Most words that are compared for did-you-mean in one file, all questions together.
const MOST_COMPARED = 200_000;

/** Collects the mistakes of one file. */
export class Report {
  readonly file: string;
  readonly source: string;
  readonly #lines: Lines;
  readonly #found: Diagnostic[] = [];
  readonly #seen = new Set<string>();
  readonly #counts: Record<Severity, number> = { error: 0, warning: 0, note: 0 };
  #compared = 0;
  readonly #private = new Set<string>();
  readonly #settled = new Set<number>();
  readonly #files = new Set<string>();

  constructor(file: string, source: string) {
    this.file = file;
    this.source = source;
    this.#lines = new Lines(source);
  }

  /** A value that came out of a `${…}`: blanked wherever a message would repeat it. */
  hide(value: string): void {
    if (value !== "") this.#private.add(value);
  }

  /** A file that the configuration is made of, beside its own. */
  uses(file: string): void {
    this.#files.add(file);
  }

  /** The files that the configuration is made of, its own first. */
  get files(): readonly string[] {
    return [this.file, ...this.#files];
  }

  /** Nothing more is said about what stands at this offset: its one mistake was reported. */
  settle(at: number): void {
    this.#settled.add(at);
  }

  /** Line and column, both from 1, of an offset. */
  place(at: number): { line: number; column: number } {
    return this.#lines.place(at);
  }

  add(at: number, path: Path, code: DiagnosticCode, message: string, extra: DiagnosticExtra = {}): void {
    const severity = extra.severity ?? "error";
    if (this.#settled.has(at) || this.#counts[severity] >= MOST_FOUND) return;
    const where = formatPath(path);
    const key = `${at} ${code} ${where}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#counts[severity]++;
    this.#found.push({
      severity,
      file: this.file,
      ...this.place(at),
      path: where,
      code,
      message: this.#blank(message),
      ...(extra.hint === undefined ? {} : { hint: this.#blank(extra.hint) }),
      ...(extra.suggestion === undefined ? {} : { suggestion: this.#blank(extra.suggestion) }),
      ...(extra.relatedAt === undefined ? {} : { related: this.place(extra.relatedAt) }),
    });
  }

  /** Adds a mistyped name together with the nearest of the `valid` ones. */
  addUnknown(
    at: number,
    path: Path,
    code: DiagnosticCode,
    message: string,
    word: string,
    valid: Iterable<string>,
  ): void {
    this.add(at, path, code, message, { suggestion: this.nearest(word, valid) });
  }

  /** The nearest of the `valid` words, as long as not too many were compared before. */
  nearest(word: string, valid: Iterable<string>): string | undefined {
    if (this.#compared > MOST_COMPARED || this.full) return undefined;
    const words = [...valid];
    this.#compared += words.length;
    return nearest(word, words);
  }

  get failed(): boolean {
    return this.#counts.error > 0;
  }

  /** So many errors were found that no further one is taken: there is no point in looking on. */
  get full(): boolean {
    return this.#counts.error >= MOST_FOUND;
  }

  /** Everything found, in the order of the file. */
  get diagnostics(): readonly Diagnostic[] {
    return this.#found.toSorted(
      (a, b) => a.line - b.line || a.column - b.column || (a.code < b.code ? -1 : 1),
    );
  }

  #blank(text: string): string {
    let out = text;
    for (const value of this.#private) {
      if (value.length >= 8) out = out.replaceAll(value, "…");
      else out = out.replaceAll(`"${value}"`, '"…"');
    }
    return out;
  }
}
