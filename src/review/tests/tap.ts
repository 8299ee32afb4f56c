// A test report in the Test Anything Protocol, version 14.

import type { TestReport, TestResult } from "./report.ts";

export function tapText({ file, results }: TestReport): string {
  const plan = results.length === 0 ? "1..0 # no tests" : `1..${results.length}`;
  const lines = results.map((one, index) => resultText(file, one, index + 1));
  return `TAP version 14\n${plan}\n${lines.join("")}`;
}

function resultText(file: string, { name, line, ok, mismatches, why }: TestResult, number: number): string {
  const head = `${ok ? "ok" : "not ok"} ${number} - ${description(name)}\n`;
  if (ok) return head;
  const block = [
    "---",
    `at: ${quoted(`${file}:${line}`)}`,
    ...(why === undefined ? [] : [`message: ${quoted(why)}`]),
    "found:",
    ...mismatches.map(({ what, actual }) => `  ${quoted(what)}: ${quoted(actual)}`),
    "wanted:",
    ...mismatches.map(({ what, expected }) => `  ${quoted(what)}: ${quoted(expected)}`),
    "...",
  ];
  return head + block.map((text) => `  ${text}\n`).join("");
}

/** A `#` would begin a directive, and a line break another line. */
function description(name: string): string {
  return name.replace(/\p{Cc}/gu, "?").replace(/[\\#]/g, "\\$&");
}

/** JSON strings are double-quoted YAML ones. */
function quoted(text: string): string {
  return JSON.stringify(text.toWellFormed()).replace(/[\x7f-\x9f\u2028\u2029]/g, "?");
}
