import { expect, test } from "vitest";
import { claimAt } from "../../../src/core/claims.ts";

const claims = { plan: "pro", nested: { deep: [{ name: "x" }] }, nothing: null, "a.b": 1 };

test.each([
  [["plan"], "pro"],
  [["nested", "deep", "0", "name"], "x"],
  [["a.b"], 1],
  [["nothing"], null],
  [[], claims],
  [["missing"], undefined],
  [["nothing", "x"], undefined],
  [["plan", "length"], undefined],
  [["plan", "0"], undefined],
  [["constructor"], undefined],
  [["nested", "__proto__"], undefined],
  [["nested", "deep", "push"], undefined],
])("the value at %j is %j", (path, value) => {
  expect(claimAt(claims, path)).toEqual(value);
});
