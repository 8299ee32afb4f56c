// A test report as JUnit XML, in the form that GitHub, GitLab and Jenkins read.

import type { TestReport, TestResult } from "./report.ts";

/** @param seconds that the whole run took */
export function junitText({ file, results, failed }: TestReport, seconds: number): string {
  const counts = `tests="${results.length}" failures="${failed}" errors="0" skipped="0" time="${seconds.toFixed(3)}"`;
  const cases = results.map((one) => caseText(file, one)).join("");
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="gatewarden" ${counts}>
  <testsuite name="${escaped(file)}" ${counts}>
${cases}  </testsuite>
</testsuites>
`;
}

function caseText(file: string, { name, line, ok, mismatches, why }: TestResult): string {
  const open = `    <testcase name="${escaped(name)}" classname="${escaped(file)}" file="${escaped(file)}" line="${line}" time="0"`;
  if (ok) return `${open}/>\n`;
  const [first] = mismatches;
  const message = first === undefined ? "" : `${first.what}: expected ${first.expected}, got ${first.actual}`;
  const lines = mismatches.map((one) => `${one.what}: expected ${one.expected}, got ${one.actual}`);
  const body = [`${file}:${line}`, ...lines, ...(why === undefined ? [] : [`why: ${why}`])].join("\n");
  return `${open}>
      <failure message="${escaped(message)}" type="expectation">${escaped(body)}</failure>
    </testcase>
`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
  "\n": "&#10;",
};

/** Text for XML 1.0, which can't hold most control characters and halves of surrogate pairs even escaped (section 2.2). */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replace(/[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replace(/[&<>"'\n]/g, (character) => ENTITIES[character] ?? character);
}
