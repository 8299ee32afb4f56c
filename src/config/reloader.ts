// Which configuration is in force, and how another one takes its place: read, checked and tested first, then put in force
// as a whole or not at all. One at a time; what is asked for meanwhile is answered by the one after.

import { hash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { Emit, ReloadTrigger } from "../core/events.ts";
import { GatewayFailure } from "../core/failure.ts";
import type { GatewayConfig } from "./gateway-config.ts";
import type { Inspection } from "./load.ts";
import type { Diagnostic } from "./report.ts";
import { MOST_FILE_BYTES, readText } from "./source.ts";
import { FileWatch } from "./watch.ts";

/** Why a file was not taken. Sentences hold no secret. */
export interface Rejection {
  readonly code: string;
  readonly message: string;
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  /** All mistakes, where the file has some. */
  readonly diagnostics: readonly Diagnostic[];
  /** Mistakes, or tests that failed; at least 1. */
  readonly errors: number;
}

/** What came of one look at the file. */
export type ReloadOutcome =
  | { readonly result: "applied"; readonly hash: string }
  | { readonly result: "unchanged"; readonly hash: string }
  | { readonly result: "rejected"; readonly hash: string; readonly error: Rejection };

/** What is known about the configuration in force. Times are wall-clock milliseconds. */
export interface ReloadState {
  readonly file: string;
  /** SHA-256 of the text that is in force. */
  readonly configHash: string;
  readonly loadedAtMs: number;
  /** 1 for the configuration that the process began with; one more with each that followed. */
  readonly generation: number;
  readonly last:
    | { readonly atMs: number; readonly trigger: ReloadTrigger; readonly outcome: ReloadOutcome }
    | undefined;
  /** Looks at the file since the start, by what came of them. */
  readonly counts: Readonly<Record<ReloadOutcome["result"], number>>;
}

/** What is done with a file. */
export interface ReloaderPorts {
  /** Reads the file; never rejects. */
  readonly read: () => Promise<Inspection>;
  /** Runs the file's own tests; the first that failed, undefined when none did. */
  readonly test?: (config: GatewayConfig) => Promise<FailedTests | undefined>;
  /**
   * Puts a configuration in force, as a whole or not at all.
   * @throws GatewayFailure when that can't be done; nothing changed then
   */
  readonly apply: (config: GatewayConfig) => Promise<void>;
  readonly emit: Emit;
  /** Something threw that should not. */
  readonly defect: (error: unknown) => void;
}

export interface FailedTests {
  readonly count: number;
  /** About the first one. */
  readonly message: string;
  readonly line: number;
}

/** The configuration that a process begins with. */
export interface Loaded {
  readonly config: GatewayConfig;
  readonly inspection: Pick<Inspection, "source" | "files">;
}

export class Reloader {
  readonly #ports: ReloaderPorts;
  readonly #watch: FileWatch;
  #config: GatewayConfig;
  #files: readonly string[];
  #hash: string;
  #loadedAtMs = Date.now();
  #generation = 1;
  #last: ReloadState["last"];
  readonly #counts = { applied: 0, unchanged: 0, rejected: 0 };
  #running: Promise<ReloadOutcome> | undefined;
  #next: Promise<ReloadOutcome> | undefined;
  #stopped = false;

  constructor({ config, inspection }: Loaded, ports: ReloaderPorts) {
    this.#ports = ports;
    this.#config = config;
    this.#files = inspection.files;
    this.#hash = hashOf(inspection.source);
    this.#watch = new FileWatch(
      () => this.#files,
      () => this.reload("file"),
    );
  }

  /** Begins to follow changes of the files. */
  async watch(): Promise<void> {
    await this.#watch.start();
    if ((await this.fileHash()) !== this.#hash) void this.reload("file");
  }

  /** Follows nothing more, and applies nothing more. */
  stop(): void {
    this.#stopped = true;
    this.#watch.stop();
  }

  get state(): ReloadState {
    return {
      file: this.#config.file,
      configHash: this.#hash,
      loadedAtMs: this.#loadedAtMs,
      generation: this.#generation,
      last: this.#last,
      counts: this.#counts,
    };
  }

  /** SHA-256 of the file as it is on disk now; undefined when it can't be read. */
  async fileHash(): Promise<string | undefined> {
    const read = await readText(this.#config.file, MOST_FILE_BYTES);
    return read.ok ? hashOf(read.value.text) : undefined;
  }

  /** Looks at the file as it is now, or later, and tells what came of it. Never rejects. */
  reload(trigger: ReloadTrigger): Promise<ReloadOutcome> {
    if (this.#running === undefined) {
      this.#running = this.#reload(trigger).finally(() => {
        this.#running = undefined;
      });
      return this.#running;
    }
    // What runs may have read the file before it was what it is now.
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.reload(trigger);
    });
    return this.#next;
  }

  async #reload(trigger: ReloadTrigger): Promise<ReloadOutcome> {
    const outcome = await this.#attempt(trigger);
    this.#counts[outcome.result] += 1;
    this.#last = { atMs: Date.now(), trigger, outcome };
    if (outcome.result === "rejected") {
      const { code, message, line, column, errors } = outcome.error;
      const place = { ...(line === undefined ? {} : { line }), ...(column === undefined ? {} : { column }) };
      this.#ports.emit({ kind: "config_rejected", trigger, code, message, ...place, errors });
    }
    return outcome;
  }

  async #attempt(trigger: ReloadTrigger): Promise<ReloadOutcome> {
    const seen = await this.#watch.look();
    const inspection = await this.#ports.read();
    this.#watch.knows(seen);
    const { config, files } = inspection;
    const found = hashOf(inspection.source);
    const rejected = (error: Omit<Rejection, "file">): ReloadOutcome => ({
      result: "rejected",
      hash: found,
      error: { file: this.#config.file, ...error },
    });
    // Also those of a file that isn't taken: its mistake may be in one of them.
    this.#files = [...new Set([...files, ...this.#files])];
    if (config === undefined) return rejected(faultOf(inspection));
    if (isDeepStrictEqual(config, this.#config)) {
      this.#files = files;
      this.#hash = found;
      return { result: "unchanged", hash: found };
    }
    try {
      const failed = await this.#ports.test?.(config);
      if (failed !== undefined) {
        const { count, message, line } = failed;
        return rejected({ code: "tests_failed", message, line, column: 1, diagnostics: [], errors: count });
      }
      if (this.#stopped) return { result: "unchanged", hash: found };
      await this.#ports.apply(config);
    } catch (error) {
      if (this.#stopped) return { result: "unchanged", hash: found };
      if (error instanceof GatewayFailure)
        return rejected({ code: error.code, message: error.message, diagnostics: [], errors: 1 });
      this.#ports.defect(error);
      const message = "the gateway failed while it put the file in force";
      return rejected({ code: "bug", message, diagnostics: [], errors: 1 });
    }
    this.#config = config;
    this.#files = files;
    this.#hash = found;
    this.#loadedAtMs = Date.now();
    this.#generation += 1;
    this.#ports.emit({ kind: "config_applied", trigger, hash: found, routes: config.routes.length });
    return { result: "applied", hash: found };
  }
}

function hashOf(text: string): string {
  return hash("sha256", text, "hex");
}

function faultOf({ diagnostics }: Inspection): Omit<Rejection, "file"> {
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  const [first] = errors;
  if (first === undefined) {
    return { code: "config_invalid", message: "the file is not valid", diagnostics: [], errors: 1 };
  }
  const { code, message, line, column } = first;
  return { code, message, line, column, diagnostics: errors, errors: errors.length };
}
