// The suite itself: no starred case is forgotten, and the table that says so is true.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { LATER, STARRED } from "./catalogue.ts";
import { filesOf, idsByFile, renderReadme } from "./readme.ts";

const later = Object.values(LATER).flat();

test("every starred case is in the title of a test or waits for a topic, never both", () => {
  const files = idsByFile();
  const untested = Object.keys(STARRED).filter((id) => filesOf(id, files).length === 0);
  expect(untested.sort()).toEqual([...later].sort());
});

test("what waits for a topic is a starred case", () => {
  expect(later.filter((id) => !(id in STARRED))).toEqual([]);
  expect(new Set(later).size).toBe(later.length);
});

test("the table in README.md is current", () => {
  expect(readFileSync(new URL("README.md", import.meta.url), "utf8")).toBe(renderReadme());
});
