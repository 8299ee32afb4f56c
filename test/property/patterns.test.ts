// Whatever pattern a file may hold, the requests that it describes are the ones that it matches.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fields } from "../../src/core/fields.ts";
import { canonicalise, STRICT_PATHS } from "../../src/core/request-target.ts";
import { parseMatchText } from "../../src/routing/pattern.ts";
import { RouteTable } from "../../src/routing/table.ts";

const text = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 8 })
  .filter((part) => part.isWellFormed());
const escaped = text.map((part) => encodeURIComponent(part)).filter((part) => part !== "." && part !== "..");
const raw = fc.string({ minLength: 0, maxLength: 24 });
const literal = fc.oneof(fc.stringMatching(/^[a-z0-9._~-]{1,6}$/), escaped);
const segment = fc.oneof(
  { arbitrary: literal, weight: 3 },
  { arbitrary: fc.stringMatching(/^:[a-z_]{1,4}$/), weight: 1 },
);
const pattern = fc
  .tuple(fc.array(segment, { maxLength: 5 }), fc.boolean())
  .map(([parts, rest]) => `/${[...parts, ...(rest ? ["*"] : [])].join("/")}`);

/** The path that the pattern describes, with `value` for every parameter and the rest. */
function pathFor(from: string, value: string): string {
  return from
    .split("/")
    .map((part) => (part.startsWith(":") || part === "*" ? value : part))
    .join("/");
}

describe("a pattern that is accepted", () => {
  test("matches the path that it describes", () => {
    let accepted = 0;
    fc.assert(
      fc.property(pattern, literal, (from, value) => {
        const parsed = parseMatchText(from, STRICT_PATHS);
        if (!parsed.ok) return;
        const target = canonicalise(pathFor(from, value), "a.example.com");
        // The stand-in may be a value that no request may hold.
        fc.pre(target.ok);
        if (!target.ok) return;
        accepted++;
        const table = new RouteTable([[parsed.value, "it"]]);
        const result = table.match({
          method: "GET",
          path: target.value.path,
          search: "",
          authority: "a.example.com",
          fields: new Fields([]),
        });
        expect(result.kind, `${from} for ${target.value.path}`).toBe("match");
      }),
      { numRuns: 3_000, seed: 11 },
    );
    expect(accepted).toBeGreaterThan(500);
  });

  test("is in the one spelling that requests are matched in", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          pattern,
          raw,
          raw.map((part) => `/${part}`),
        ),
        (from) => {
          const parsed = parseMatchText(from, STRICT_PATHS);
          if (!parsed.ok || parsed.value.methods.length > 0) return;
          const target = canonicalise(from.trimStart(), "a.example.com");
          expect(target.ok && target.value.path).toBe(from.trimStart());
        },
      ),
      { numRuns: 3_000, seed: 12 },
    );
  });
});
