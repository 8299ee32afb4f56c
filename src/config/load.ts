// Loads gateway.yaml: read, parse, substitute, check, compile. Nothing is thrown for a bad file; every mistake is told.

import { err, ok, type Result } from "../core/result.ts";
import { readDocument } from "./document.ts";
import { deepFreeze } from "./freeze.ts";
import type { GatewayConfig } from "./gateway-config.ts";
import { type ConfigError, type Diagnostic, Report } from "./report.ts";
import { MOST_FILE_BYTES, readText, textOf } from "./source.ts";
import { type Environment, substitute } from "./substitute.ts";

/** What came of a file: its configuration when it has no errors, and everything there is to say about it. */
export interface Inspection extends ConfigError {
  readonly incomplete: boolean;
  /** Deeply frozen; undefined when there are errors. */
  readonly config: GatewayConfig | undefined;
  /** Errors, warnings and notes. */
  readonly diagnostics: readonly Diagnostic[];
  /** The files that it is made of, the configuration's own first. */
  readonly files: readonly string[];
}

/** A file whose text is with the parser's process, or that can't be read. */
export interface OpenedConfig {
  /** Everything there is to say about it. Never rejects. */
  inspect(environment: Environment): Promise<Inspection>;
  /** Its configuration, deeply frozen, or every mistake in it. Never rejects. */
  load(environment: Environment): Promise<Result<GatewayConfig, ConfigError>>;
}

/**
 * Reads a file and starts parsing it: what the caller does meanwhile costs no time. Never rejects.
 * @param bytes what the file holds, where that doesn't come from the file itself
 */
export async function openConfig(file: string, bytes?: Uint8Array): Promise<OpenedConfig> {
  const read = bytes === undefined ? await readText(file, MOST_FILE_BYTES) : textOf(bytes, MOST_FILE_BYTES);
  const report = new Report(file, read.ok ? read.value.text : "");
  if (!read.ok) report.add(0, [], read.error.code, `the file can't be used: ${read.error.message}`);
  const parsing = read.ok ? readDocument(report) : undefined;
  const inspect = async (environment: Environment): Promise<Inspection> => {
    const [root, { compileFile }] = await Promise.all([parsing, import("./compile/file.ts")]);
    const config = root && (await compileFile(report, await substitute(report, root, environment)));
    return {
      config: config === undefined || report.failed ? undefined : deepFreeze(config),
      diagnostics: report.diagnostics,
      source: report.source,
      files: report.files,
      incomplete: report.full,
    };
  };
  const load = async (environment: Environment): Promise<Result<GatewayConfig, ConfigError>> => {
    const { config, diagnostics, source, incomplete } = await inspect(environment);
    if (config !== undefined) return ok(config);
    return err({ diagnostics: diagnostics.filter((one) => one.severity === "error"), source, incomplete });
  };
  return { inspect, load };
}

/** Loads a file and also tells its warnings. Never rejects. */
export async function inspectConfig(file: string, environment: Environment): Promise<Inspection> {
  return (await openConfig(file)).inspect(environment);
}

/** The configuration of a file, deeply frozen, or every mistake in it. Never rejects. */
export async function loadConfig(
  file: string,
  environment: Environment,
): Promise<Result<GatewayConfig, ConfigError>> {
  return (await openConfig(file)).load(environment);
}

/** A file that can be read again and again. */
export interface ConfigSource {
  readonly file: string;
  /** Never rejects. */
  read(): Promise<Inspection>;
}

/** `file`, with variables from `environment` as it is at each reading. */
export function configSource(file: string, environment: Environment): ConfigSource {
  return { file, read: () => inspectConfig(file, environment) };
}
