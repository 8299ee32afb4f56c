import { describe, expect, test } from "vitest";
import { nodeAt, toPlain } from "../../../src/config/tree.ts";
import { parseYaml } from "../../../src/config/yaml-parse.ts";

describe("the YAML parser", () => {
  test("gives values with their places", async () => {
    const { root, faults } = await parseYaml('a: 1\nb: [x, "y", true, null]\nc:\n  d: é\n');
    expect(faults).toEqual([]);
    expect(root && toPlain(root)).toEqual({ a: 1, b: ["x", "y", true, null], c: { d: "é" } });
    expect(root && nodeAt(root, ["b", 1])?.at).toBe(12);
  });

  test("★Y03 survives nesting that aborts a process on its second parse, five times in one process", async () => {
    for (const text of ["[".repeat(4_096), "{a: ".repeat(1_024), "[".repeat(51_200)]) {
      for (let round = 0; round < (text.length > 10_000 ? 1 : 5); round++) {
        const { root, faults } = await parseYaml(text);
        expect(root).toBeNull();
        expect(faults.map((fault) => fault.kind)).toEqual(["depth"]);
      }
    }
    expect((await parseYaml("a: 1")).root).not.toBeNull();
  });

  test("★Y02 refuses aliases of aliases before they multiply", async () => {
    const lines = Array.from(
      { length: 30 },
      (_, n) => `a${n}: &a${n} [${`*a${n - 1}, `.repeat(n === 0 ? 0 : 9)}x]`,
    );
    const { faults } = await parseYaml(lines.join("\n"));
    expect(new Set(faults.map((fault) => fault.kind))).toEqual(new Set(["alias"]));
  });

  test("is cut off when it takes too long", async () => {
    const { root, faults } = await parseYaml("a: 1", { timeoutMs: 1, memoryMiB: 64 });
    expect(root).toBeNull();
    expect(faults[0]?.message).toBe("parsing took longer than 1 ms");
  });

  test("is ended when it needs too much memory", async () => {
    const { root, faults } = await parseYaml("- [a, b, c]\n".repeat(200_000), {
      timeoutMs: 20_000,
      memoryMiB: 24,
    });
    expect(root).toBeNull();
    expect(faults[0]?.kind).toBe("depth");
  });

  test("sees nothing of the environment", async () => {
    process.env.NODE_OPTIONS = "--no-such-option-exists";
    try {
      expect((await parseYaml("a: 1")).faults).toEqual([]);
    } finally {
      delete process.env.NODE_OPTIONS;
    }
  });
});
