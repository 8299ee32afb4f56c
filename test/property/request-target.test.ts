// What holds for every request target that is accepted, under every setting of `paths`.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalise, decodeSegment, type PathRules } from "../../src/core/request-target.ts";

const HOST = "api.example.com";
const NASTY = [
  "/",
  "//",
  ".",
  "..",
  ";",
  "%",
  "%2",
  "%2e",
  "%2E",
  "%2f",
  "%2F",
  "%5c",
  "%3b",
  "%3B",
  "%25",
  "%252e",
  "%41",
  "%7e",
  "%00",
  "%0a",
  "%c3%a9",
  "%C3",
  "%c2%85",
  "%ed%a0%80",
  "%f0%9f%98%80",
  "\\",
  "a",
  "Z",
  "~",
  ":id",
  "*",
  "?",
  "#",
  " ",
  "é",
];

const piece = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...NASTY) },
  { weight: 2, arbitrary: fc.nat(255).map((byte) => `%${byte.toString(16).padStart(2, "0")}`) },
  { weight: 1, arbitrary: fc.string({ maxLength: 4 }) },
  { weight: 1, arbitrary: fc.webPath() },
);
const target = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join("")}`);
const rules: fc.Arbitrary<PathRules> = fc.record({
  encodedSlash: fc.constantFrom("refuse", "keep"),
  semicolon: fc.constantFrom("refuse", "keep"),
  duplicateSlash: fc.constantFrom("refuse", "merge", "keep"),
});

/** Calls `check` with each accepted target; fails when hardly any is accepted, since then nothing was looked at. */
function forAccepted(check: (path: string, search: string, raw: string, rules: PathRules) => void): void {
  let accepted = 0;
  fc.assert(
    fc.property(target, rules, (raw, chosen) => {
      const result = canonicalise(raw, HOST, chosen);
      if (!result.ok) return;
      accepted += 1;
      check(result.value.path, result.value.search, raw, chosen);
    }),
    { numRuns: 10_000 },
  );
  expect(accepted).toBeGreaterThan(500);
}

describe("an accepted target", () => {
  test("is its own canonical form", () => {
    forAccepted((path, search, _raw, chosen) => {
      expect(canonicalise(path + search, HOST, chosen)).toEqual({ ok: true, value: { path, search } });
    });
  });

  test("holds no dot segment, whatever an upstream takes for a separator", () => {
    forAccepted((path) => {
      for (const segment of decodeURIComponent(path).split(/[/\\]/)) {
        expect([".", ".."]).not.toContain(segment.split(";", 1)[0]);
      }
    });
  });

  test("holds no encoded unreserved character and no escape in lower case", () => {
    forAccepted((path) => {
      for (const [found] of path.matchAll(/%../g)) {
        expect(found).toMatch(/^%[0-9A-F]{2}$/);
        expect(String.fromCharCode(Number.parseInt(found.slice(1), 16))).not.toMatch(/[A-Za-z0-9._~-]/);
      }
    });
  });

  test("holds visible ASCII only, and no control character, backslash or fragment behind an escape", () => {
    forAccepted((path, search) => {
      expect(path).toMatch(/^\/[\x21-\x7e]*$/);
      expect(search).toMatch(/^(?:\?[\x21-\x7e]*)?$/);
      expect(path + search).not.toMatch(/[#\\]/);
      expect(decodeURIComponent(path)).not.toMatch(/[\p{Cc}\\]/u);
    });
  });

  test("keeps its query byte by byte, and its path's meaning", () => {
    forAccepted((path, search, raw, chosen) => {
      const question = raw.indexOf("?");
      const [rawPath, rawSearch] =
        question === -1 ? [raw, ""] : [raw.slice(0, question), raw.slice(question)];
      expect(search).toBe(rawSearch);
      if (chosen.duplicateSlash !== "merge")
        expect(decodeURIComponent(path)).toBe(decodeURIComponent(rawPath));
    });
  });

  test("holds what its setting refuses under no spelling", () => {
    forAccepted((path, _search, _raw, chosen) => {
      if (chosen.encodedSlash === "refuse") expect(path).not.toContain("%2F");
      if (chosen.semicolon === "refuse") expect(path).not.toMatch(/;|%3B/);
      if (chosen.duplicateSlash !== "keep") expect(path).not.toContain("//");
    });
  });

  test("can be decoded segment by segment", () => {
    forAccepted((path) => {
      for (const segment of path.split("/")) expect(decodeSegment(segment)).toBe(decodeURIComponent(segment));
    });
  });
});

test("any text at all gets an answer without an exception", () => {
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.string(), target, fc.webUrl());
  fc.assert(
    fc.property(text, fc.string(), rules, (raw, host, chosen) => {
      expect(typeof canonicalise(raw, host, chosen).ok).toBe("boolean");
    }),
    { numRuns: 3_000 },
  );
});
