import { expect, test } from "vitest";
import { alignedTable } from "../../../src/cli/table.ts";

test("columns are as wide as their widest cell", () => {
  expect(alignedTable(["A", "LONG", "C"], [["aaa", "b", ""]])).toBe("A    LONG  C\naaa  b\n");
});

test("a table may have more rows than a call has arguments", () => {
  const rows = Array.from({ length: 200_000 }, (_, index) => [String(index), "x"]);
  expect(alignedTable(["NUMBER", "X"], rows).split("\n")).toHaveLength(200_002);
});
