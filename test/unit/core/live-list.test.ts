// The list of live things behaves like a set.

import fc from "fast-check";
import { expect, test } from "vitest";
import { type Listed, LiveList } from "../../../src/core/live-list.ts";

test("holds what a set would hold, whatever is added and removed, in any order and twice", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(9))), (steps) => {
      const members: Listed[] = Array.from({ length: 10 }, () => ({ slot: -1 }));
      const list = new LiveList<Listed>();
      const set = new Set<Listed>();
      for (const [adds, index] of steps) {
        const member = members[index] as Listed;
        if (adds) {
          list.add(member);
          set.add(member);
        } else {
          list.remove(member);
          set.delete(member);
        }
        expect(list.size).toBe(set.size);
        expect(new Set(list.snapshot())).toEqual(set);
        for (const one of members) expect(one.slot >= 0).toBe(set.has(one));
      }
    }),
  );
});
