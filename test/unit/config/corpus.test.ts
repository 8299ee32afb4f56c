// Broken files and exactly what is said about each: the text beside every file of test/config-corpus. After a wanted
// change of wording run `vitest run test/unit/config/corpus.test.ts -u` and read the difference.

import { readdirSync, readFileSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";
import { describe, expect, test } from "vitest";
import { formatDiagnostics } from "../../../src/config/diagnostics.ts";
import { inspectConfig } from "../../../src/config/load.ts";

// As on the command line: the parser's own process then starts in half the time.
enableCompileCache();

const CORPUS = fileURLToPath(new URL("../../config-corpus/", import.meta.url));
const ENVIRONMENT = parseEnv(readFileSync(join(CORPUS, "corpus.env"), "utf8"));
const FILES = readdirSync(CORPUS).filter((name) => name.endsWith(".yaml"));

describe("the corpus of broken files", () => {
  test("is as large as promised", () => {
    expect(FILES.length).toBeGreaterThanOrEqual(60);
  });

  test.for(FILES)("%s is refused with exactly the expected diagnostics", async (name) => {
    const inspection = await inspectConfig(join(CORPUS, name), ENVIRONMENT);
    expect(inspection.config).toBeUndefined();
    expect(inspection.diagnostics.some((one) => one.severity === "error")).toBe(true);
    const text = formatDiagnostics(inspection, "text", false).replaceAll(CORPUS, "");
    expect(text).not.toContain("canary");
    await expect(text).toMatchFileSnapshot(join(CORPUS, name.replace(/yaml$/, "txt")));
  });
});

describe("the corpus of files that are right, and worth a word", () => {
  const folder = join(CORPUS, "lint");
  const files = readdirSync(folder).filter((name) => name.endsWith(".yaml"));

  test.for(files)("%s loads with exactly the expected warnings and notes", async (name) => {
    const inspection = await inspectConfig(join(folder, name), ENVIRONMENT);
    expect(inspection.diagnostics.filter((one) => one.severity === "error")).toEqual([]);
    expect(inspection.config).toBeDefined();
    const text = formatDiagnostics(inspection, "text", false).replaceAll(`${folder}/`, "");
    expect(text).not.toContain("canary");
    await expect(text).toMatchFileSnapshot(join(folder, name.replace(/yaml$/, "txt")));
  });
});

test("every expectation names line, column and code", () => {
  const names = [...FILES, ...readdirSync(join(CORPUS, "lint")).map((name) => `lint/${name}`)];
  for (const name of names.filter((one) => one.endsWith(".yaml"))) {
    const text = readFileSync(join(CORPUS, name.replace(/yaml$/, "txt")), "utf8");
    expect(text, name).toMatch(/^ *[\w.-]+\.yaml:\d+:\d+ (?:warning )?[a-z_]+ /m);
  }
});
