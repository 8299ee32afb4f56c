import { expect, test } from "vitest";
import { Blocks } from "../../../../src/authn/failures/blocks.ts";
import type { FailurePolicy } from "../../../../src/authn/failures/policy.ts";

const POLICY: FailurePolicy = { limit: 20, windowMs: 60_000, backoffMs: 1_000, longestMs: 8_000 };

/** A failure that is counted at once. */
const fail = (blocks: Blocks, failures: number, now: number): number | undefined =>
  blocks.failed("a", failures, now, now);

test("a block begins with the failure that reaches the limit, and ends by itself", () => {
  const blocks = new Blocks(POLICY);
  expect([blocks.maybeActive, blocks.leftMs("a", 0)]).toEqual([false, 0]);
  expect(fail(blocks, 19, 0)).toBeUndefined();
  expect(fail(blocks, 20, 100)).toBe(1_000);
  expect([blocks.maybeActive, blocks.anyActive(100)]).toEqual([true, true]);
  expect([blocks.leftMs("a", 100), blocks.leftMs("a", 1_099), blocks.leftMs("a", 1_100)]).toEqual([
    1_000, 1, 0,
  ]);
  expect(blocks.leftMs("b", 100)).toBe(0);
  expect([blocks.anyActive(1_099), blocks.anyActive(1_100), blocks.maybeActive]).toEqual([
    true,
    false,
    false,
  ]);
});

test("each further block is twice as long, up to the longest", () => {
  const blocks = new Blocks(POLICY);
  let now = 0;
  for (const length of [1_000, 2_000, 4_000, 8_000, 8_000, 8_000]) {
    expect(fail(blocks, 25, now)).toBe(length);
    now += length;
  }
  for (let count = 0; count < 2_000; count++) {
    expect(fail(blocks, 25, now)).toBe(8_000);
    now += 8_000;
  }
});

test("after a block a tenth of the limit is enough for the next; a lone failure isn't", () => {
  const blocks = new Blocks(POLICY);
  fail(blocks, 20, 0);
  expect(fail(blocks, 1, 60_000)).toBeUndefined();
  expect(fail(blocks, 2, 60_001)).toBe(2_000);
});

test("after a longest block and a window without another one it starts anew", () => {
  const blocks = new Blocks(POLICY);
  fail(blocks, 20, 0);
  expect(fail(blocks, 20, 1_000 + 67_999)).toBe(2_000);
  const end = 1_000 + 67_999 + 2_000;
  expect(fail(blocks, 2, end + 68_000)).toBeUndefined();
  expect(fail(blocks, 20, end + 68_001)).toBe(1_000);
});

test("what failed before a block or within it is no reason for the next, however late its count comes", () => {
  const blocks = new Blocks(POLICY);
  expect(blocks.failed("a", 20, 0, 50)).toBe(1_000);
  expect(blocks.failed("a", 21, 1, 60)).toBeUndefined();
  expect(blocks.failed("a", 22, 1_049, 5_000)).toBeUndefined();
  expect(blocks.leftMs("a", 60)).toBe(990);
  expect(blocks.failed("a", 22, 1_050, 5_000)).toBe(2_000);
});

test("the end of a short block is not the end of a longer one", () => {
  const blocks = new Blocks(POLICY);
  fail(blocks, 20, 0);
  fail(blocks, 20, 1_000);
  expect(fail(blocks, 20, 3_000)).toBe(4_000);
  expect(blocks.failed("b", 20, 3_000, 3_000)).toBe(1_000);
  expect([blocks.anyActive(4_000), blocks.leftMs("b", 4_000), blocks.leftMs("a", 4_000)]).toEqual([
    true,
    0,
    3_000,
  ]);
});

test("a flood of blocks is bounded", () => {
  const blocks = new Blocks(POLICY, 100);
  for (let index = 0; index < 1_000; index++) blocks.failed(`id-${index}`, 20, index, index);
  expect(blocks.size).toBeLessThanOrEqual(100);
  expect(blocks.leftMs("id-999", 1_000)).toBe(999);
});
