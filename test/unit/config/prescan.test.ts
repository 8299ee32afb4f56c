import { describe, expect, test } from "vitest";
import { tooDeepAt } from "../../../src/config/prescan.ts";

describe("the scan before parsing", () => {
  test.for([
    ["brackets", `a: ${"[".repeat(101)}`],
    ["maps in brackets", `a: ${"{b: ".repeat(101)}`],
    ["brackets over several lines", `a:\n${"  [\n".repeat(101)}`],
    ["list indicators in one line", "- ".repeat(101)],
    ["complex keys in one line", "? ".repeat(101)],
    ["indentation", Array.from({ length: 102 }, (_, depth) => `${" ".repeat(depth)}a:`).join("\n")],
  ] as const)("★Y03 stops at more than 100 levels of %s", ([, text]) => {
    expect(tooDeepAt(text)).toBeDefined();
  });

  test.for([
    ["100 levels", `a: ${"[".repeat(100)}`],
    ["many shallow brackets", "  - { a: [b, c] }\n".repeat(5_000)],
    ["brackets in quotes", `a: "${"[".repeat(500)}"\nb: '${"{".repeat(500)}'`],
    ["brackets in comments", `a: b # ${"[".repeat(500)}\n# ${"[".repeat(500)}`],
    ["brackets left open in many sections", 'a: "x" [\n'.repeat(500)],
    ["deep indentation of one value", `a:\n${" ".repeat(400)}b`],
    ["nothing", ""],
  ] as const)("lets %s pass", ([, text]) => {
    expect(tooDeepAt(text)).toBeUndefined();
  });

  test("takes linear time", () => {
    const started = performance.now();
    tooDeepAt(`${'"'.repeat(1_000_000)}${"- ".repeat(1_000_000)}${"[]".repeat(1_000_000)}`);
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});
