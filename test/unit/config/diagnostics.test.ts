import { describe, expect, test } from "vitest";
import { formatDiagnostics } from "../../../src/config/diagnostics.ts";
import { Report } from "../../../src/config/report.ts";

const SOURCE = "routes:\n  - match: /a\n    scops: [a]\n";

function report(): Report {
  const one = new Report("gateway.yaml", SOURCE);
  one.add(SOURCE.indexOf("scops"), ["routes", 0, "scops"], "unknown_key", "this key is not known here", {
    suggestion: "scopes",
  });
  one.add(SOURCE.indexOf("/a"), ["routes", 0, "match"], "route_overlap", "100% taken", {
    relatedAt: 0,
    hint: "a, b: c",
  });
  return one;
}

const ERROR = { diagnostics: report().diagnostics, source: SOURCE };

test("text shows place, code, message, the line with a caret, and what may help", () => {
  expect(
    formatDiagnostics(ERROR, "text", false),
  ).toBe(`gateway.yaml:2:12 route_overlap 100% taken (routes[0].match)
  2 |   - match: /a
                 ^
  see gateway.yaml:1:1
  hint: a, b: c

gateway.yaml:3:5 unknown_key this key is not known here (routes[0].scops)
  3 |     scops: ***
          ^
  did you mean \`scopes\`?
`);
});

test("github gives workflow commands with their special characters escaped", () => {
  expect(formatDiagnostics(ERROR, "github", false)).toBe(
    "::error file=gateway.yaml,line=2,col=12,title=route_overlap::100%25 taken — a, b: c\n" +
      "::error file=gateway.yaml,line=3,col=5,title=unknown_key::this key is not known here — Did you mean `scopes`?\n",
  );
});

test("json gives everything, in the order of the file", () => {
  const list: unknown = JSON.parse(formatDiagnostics(ERROR, "json", false));
  expect(list).toMatchObject([
    { line: 2, column: 12, code: "route_overlap", related: { line: 1, column: 1 } },
    { line: 3, column: 5, code: "unknown_key", path: "routes[0].scops", suggestion: "scopes" },
  ]);
});

test("colour is used only when it is asked for", () => {
  expect(formatDiagnostics(ERROR, "text", true)).toContain("\x1b[31m");
  expect(formatDiagnostics(ERROR, "text", false)).not.toContain("\x1b");
});

test("a file can't drive the terminal that its mistakes are shown on", () => {
  const source = 'a: "\x1b]0;title\x07\x9b31m"\n';
  const hostile = new Report("gateway.yaml", source);
  hostile.add(0, ["a\x1b[2J"], "value_invalid", "x\x1b[2J", { hint: "y\x1b[2J" });
  const text = formatDiagnostics({ diagnostics: hostile.diagnostics, source }, "text", false);
  expect(text.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
});

test("a line of a megabyte is cut around its mistake", () => {
  const source = `a: [${"b, ".repeat(300_000)}c]\n`;
  const long = new Report("gateway.yaml", source);
  long.add(500_000, ["a"], "value_invalid", "wrong");
  expect(formatDiagnostics({ diagnostics: long.diagnostics, source }, "text", false).length).toBeLessThan(
    1_000,
  );
});

describe("a report", () => {
  test("counts lines and columns from 1, in every line", () => {
    const one = new Report("f", "ab\n\ncd");
    expect([0, 2, 3, 4, 5].map((at) => Object.values(one.place(at)).join(":"))).toEqual([
      "1:1",
      "1:3",
      "2:1",
      "3:1",
      "3:2",
    ]);
  });

  test("tells one mistake at one place once", () => {
    const one = new Report("f", "a");
    one.add(0, [], "value_invalid", "x");
    one.add(0, [], "value_invalid", "x");
    expect(one.diagnostics).toHaveLength(1);
  });

  test("blanks what came out of a variable", () => {
    const one = new Report("f", "a");
    one.hide("hunter2!");
    one.hide("abc");
    one.add(0, [], "value_invalid", 'no "abc", not hunter2!', { hint: "hunter2!", suggestion: "hunter2!x" });
    expect(JSON.stringify(one.diagnostics)).not.toMatch(/hunter2|abc/);
  });
});
