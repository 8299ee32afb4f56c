// What holds for every value that becomes a header field.

import { validateHeaderValue } from "node:http";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeFieldValue, isPlainFieldValue } from "../../src/core/fields.ts";

const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.string({
    unit: fc.constantFrom(" ", "%", "4", "1", "a", "\r", "\n", "\t", "\u0000", "é", "\u007f", "\u0085"),
  }),
);

test("an encoded value is empty or safe to send", () => {
  fc.assert(
    fc.property(text, (value) => {
      const encoded = encodeFieldValue(value);
      if (value !== "") expect(isPlainFieldValue(encoded)).toBe(true);
      expect(() => validateHeaderValue("x-user-id", encoded)).not.toThrow();
    }),
    { numRuns: 5_000 },
  );
});

test("the encoding can be undone, so no two values look alike", () => {
  fc.assert(
    fc.property(text, (value) => {
      expect(decodeURIComponent(encodeFieldValue(value))).toBe(value.toWellFormed());
    }),
    { numRuns: 5_000 },
  );
});

test("a plain value without a per cent sign stays as it is", () => {
  const plain = fc.string({ unit: "grapheme-ascii", minLength: 1 });
  fc.assert(
    fc.property(plain, (value) => {
      fc.pre(value.trim() === value && !value.includes("%"));
      expect(encodeFieldValue(value)).toBe(value);
    }),
  );
});
