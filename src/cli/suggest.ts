// `gatewarden suggest`: from the decision log of an observed gateway to routes and scopes for what was seen.

import { Suggester } from "../review/suggest/suggestion.ts";
import { suggestionText } from "../review/suggest/suggestion-text.ts";
import { loadFile } from "./load-file.ts";
import { eachDecision } from "./replay.ts";

export interface SuggestOptions {
  /** Path of the file that wrote the log; routes that it has are not proposed. */
  readonly config?: string;
  readonly format: "text" | "json";
}

/** Prints the proposal and resolves with the exit code: 0 done, 1 the file is invalid, 2 the log can't be read. */
export async function suggest(log: string, { config: file, format }: SuggestOptions): Promise<number> {
  const config = file === undefined ? undefined : await loadFile(file);
  if (file !== undefined && config === undefined) return 1;
  const suggester = new Suggester(config);
  const read = await eachDecision(log, { lines: 0, malformed: 0 }, "reading", (line) => {
    suggester.add(line);
    return undefined;
  });
  if (!read) return 2;
  const suggestion = suggester.suggestion();
  process.stdout.write(
    format === "json" ? `${JSON.stringify(suggestion, null, 2)}\n` : suggestionText(suggestion),
  );
  return 0;
}
