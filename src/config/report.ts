// What is wrong with a configuration file, and where. Collected, never thrown, so that every mistake is told at once.

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
  | "file_permissions";

export interface Diagnostic {
  readonly severity: "error" | "warning";
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
}

export interface DiagnosticExtra {
  readonly hint?: string;
  readonly suggestion?: string | undefined;
  readonly relatedAt?: number;
  readonly severity?: "warning";
}

/** Collects the mistakes of one file. */
export class Report {
  readonly file: string;
  readonly source: string;
  readonly #lineStarts: readonly number[];
  readonly #found: Diagnostic[] = [];
  readonly #private = new Set<string>();
  readonly #settled = new Set<number>();
  readonly #files = new Set<string>();

  constructor(file: string, source: string) {
    this.file = file;
    this.source = source;
    const starts = [0];
    for (let at = source.indexOf("\n"); at !== -1; at = source.indexOf("\n", at + 1)) starts.push(at + 1);
    this.#lineStarts = starts;
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
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#lineStarts[middle] ?? 0) <= at) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: at - (this.#lineStarts[low] ?? 0) + 1 };
  }

  add(at: number, path: Path, code: DiagnosticCode, message: string, extra: DiagnosticExtra = {}): void {
    if (this.#settled.has(at)) return;
    this.#found.push({
      severity: extra.severity ?? "error",
      file: this.file,
      ...this.place(at),
      path: formatPath(path),
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
    const suggestion = nearest(word, valid);
    this.add(at, path, code, message, { suggestion });
  }

  get failed(): boolean {
    return this.#found.some((one) => one.severity === "error");
  }

  /** Everything found, in the order of the file, without repetitions. */
  get diagnostics(): readonly Diagnostic[] {
    const seen = new Set<string>();
    return this.#found
      .toSorted((a, b) => a.line - b.line || a.column - b.column || (a.code < b.code ? -1 : 1))
      .filter((one) => {
        const key = `${one.line}:${one.column}:${one.code}:${one.path}`;
        return !seen.has(key) && seen.add(key) !== undefined;
      });
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
