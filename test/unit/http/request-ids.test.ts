// Request ids are unique and do not count.

import { describe, expect, test } from "vitest";
import { RequestIds } from "../../../src/http/request-ids.ts";

describe("request ids", () => {
  test("never repeat, within a run and between runs", () => {
    const runs = [new RequestIds(), new RequestIds()];
    const ids = new Set<string>();
    for (let count = 0; count < 50_000; count++) for (const run of runs) ids.add(run.next());
    expect(ids.size).toBe(100_000);
  });

  test("are of one form and tell nothing of how many there were", () => {
    const run = new RequestIds();
    const numbers = Array.from({ length: 1_000 }, () => run.next());
    for (const id of numbers) expect(id).toMatch(/^[0-9a-f]{16}-[0-9a-z]{7}$/);
    const steps = numbers.slice(1).map((id, index) => id > (numbers[index] ?? ""));
    const rising = steps.filter(Boolean).length;
    expect(rising).toBeGreaterThan(100);
    expect(rising).toBeLessThan(900);
  });
});
