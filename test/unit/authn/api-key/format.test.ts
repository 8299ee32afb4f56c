import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatKey, keyForm } from "../../../../src/authn/api-key/format.ts";

const COUNTING = Uint8Array.from({ length: 32 }, (_, index) => index);
const VECTOR = "gwk_test_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0iyDtF";

describe("TV-6 a key", () => {
  test("from the bytes 00 to 1f is the vector's", () => {
    expect(formatKey("test", COUNTING)).toBe(VECTOR);
    expect(crc32(VECTOR.slice(0, -6))).toBe(664_511_861);
    expect(keyForm(VECTOR)).toBe("own");
  });

  test("from the least and the greatest bytes has the full width", () => {
    expect(formatKey("live", new Uint8Array(32))).toMatch(/^gwk_live_0{43}[0-9A-Za-z]{6}$/);
    expect(formatKey("live", new Uint8Array(32).fill(255))).toMatch(
      /^gwk_live_[1-9A-Za-z][0-9A-Za-z]{42}[0-9A-Za-z]{6}$/,
    );
  });

  test("of any bytes has the published form and its own checksum, and no two are alike", () => {
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(bytes, bytes, fc.constantFrom("live", "test"), (one, other, environment) => {
        const key = formatKey(environment, one);
        expect(key).toMatch(/^gwk_(live|test)_[0-9A-Za-z]{49}$/);
        expect(keyForm(key)).toBe("own");
        expect(formatKey(environment, other) === key).toBe(Buffer.compare(one, other) === 0);
      }),
    );
  });

  test("is random unless bytes are given", () => {
    expect(new Set(Array.from({ length: 50 }, () => formatKey("live"))).size).toBe(50);
  });
});

describe("a typing error", () => {
  test("in any one character after the prefix is found", () => {
    const prefix = "gwk_test_".length;
    const change = fc.tuple(
      fc.integer({ min: prefix, max: VECTOR.length - 1 }),
      fc.constantFrom(..."0123456789abcxyzABCXYZ_-"),
    );
    fc.assert(
      fc.property(change, ([at, to]) => {
        const changed = VECTOR.slice(0, at) + to + VECTOR.slice(at + 1);
        expect(keyForm(changed)).toBe(changed === VECTOR ? "own" : "broken");
      }),
      { numRuns: 1_000 },
    );
  });

  test.each([
    ["a character too few", VECTOR.slice(0, -1)],
    ["a character too many", `${VECTOR}0`],
    ["nothing after the prefix", "gwk_live_"],
    ["the other environment", VECTOR.replace("test", "live")],
    ["a space behind", `${VECTOR} `],
    ["a line end behind", `${VECTOR}\n`],
    ["another case", `gwk_test_${VECTOR.slice(9).toUpperCase()}`],
    ["a checksum above 32 bits", `${VECTOR.slice(0, -6)}zzzzzz`],
  ])("such as %s is found", (_what, key) => {
    expect(keyForm(key)).toBe("broken");
  });
});

test.each([
  "",
  "secret",
  "gwk_",
  "gwk_prod_abc",
  "GWK_live_abc",
  "xgwk_live_abc",
  "sk_live_abc",
])("%j is a key of another form", (key) => {
  expect(keyForm(key)).toBe("foreign");
});
