import { expect, test } from "vitest";
import { Remembered } from "../../../src/core/remembered.ts";

test("what was set is known, and nothing else", () => {
  const memory = new Remembered<number>(2);
  memory.set("a", 1);
  expect([memory.get("a"), memory.get("b")]).toEqual([1, undefined]);
});

test("no more is kept than was said", () => {
  const memory = new Remembered<number>(2);
  for (const [index, text] of ["a", "b", "c"].entries()) memory.set(text, index);
  expect(["a", "b", "c"].map((text) => memory.get(text))).toEqual([0, 1, undefined]);
  expect(memory.takes("d")).toBe(false);
});

test.each([
  ["64 characters unless said", undefined, 64],
  ["as many as said", 3, 3],
])("a string is kept up to %s", (_what, longest, most) => {
  const memory = new Remembered<number>(9, longest);
  memory.set("x".repeat(most), 1);
  memory.set("x".repeat(most + 1), 2);
  expect([memory.get("x".repeat(most)), memory.get("x".repeat(most + 1))]).toEqual([1, undefined]);
});
