import fc from "fast-check";
import { expect, test } from "vitest";
import { RecentTable } from "../../../../src/authn/failures/recent-table.ts";

const MOST = 8;
const KEEP_MS = 100;
const writes = fc.array(
  fc.record({
    key: fc.constantFrom(..."abcdefghijkl"),
    gap: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 250 })),
  }),
  { maxLength: 200 },
);

test("what was written lately is there, and there is never more than the bound", () => {
  fc.assert(
    fc.property(writes, (list) => {
      const table = new RecentTable<number>(MOST, KEEP_MS);
      const written: { key: string; at: number }[] = [];
      let now = 0;
      for (const [value, { key, gap }] of list.entries()) {
        now += gap;
        table.set(key, value, now);
        written.push({ key, at: now });
        expect(table.size).toBeLessThanOrEqual(MOST);
        const latest = [...new Set(written.map((one) => one.key).reverse())].slice(0, MOST / 2);
        for (const one of latest) {
          const index = written.findLastIndex((entry) => entry.key === one);
          if (now - (written[index]?.at ?? 0) <= KEEP_MS) expect(table.get(one)).toBe(index);
        }
      }
    }),
  );
});

test("what is older than its time goes with the next two generations", () => {
  const table = new RecentTable<number>(MOST, KEEP_MS);
  table.set("a", 1, 0);
  table.set("b", 2, 101);
  expect([table.get("a"), table.get("b")]).toEqual([1, 2]);
  table.set("c", 3, 202);
  expect([table.get("a"), table.get("b"), table.get("c")]).toEqual([undefined, 2, 3]);
  table.set("d", 4, 1_000);
  expect(table.size).toBe(1);
});
