import { describe, expect, test } from "vitest";
import {
  encodeFieldValue,
  Fields,
  foldName,
  isFieldName,
  isPlainFieldValue,
  lowerName,
} from "../../../src/core/fields.ts";

describe("a header section", () => {
  const fields = new Fields(["Host", "a", "X-Key", "1", "x-key", "2", "X-KEY", "", "Accept", "b"]);

  test("is read by lower-case name, in order and with every repetition", () => {
    expect(fields.count).toBe(5);
    expect(fields.names).toEqual(["host", "x-key", "x-key", "x-key", "accept"]);
    expect(fields.first("x-key")).toBe("1");
    expect(fields.all("x-key")).toEqual(["1", "2", ""]);
    expect(fields.repeated("x-key")).toBe(true);
    expect(fields.repeated("accept")).toBe(false);
  });

  test("says what is not there", () => {
    expect(fields.first("x-other")).toBeUndefined();
    expect(fields.all("x-other")).toEqual([]);
    expect(fields.repeated("x-other")).toBe(false);
    expect(fields.first("constructor")).toBeUndefined();
  });
});

test("names are lowered alike, however many were seen", () => {
  for (let index = 0; index < 5_000; index++) expect(lowerName(`X-Name-${index}`)).toBe(`x-name-${index}`);
  expect(lowerName("X-Name-1")).toBe("x-name-1");
  expect(lowerName("X-Name-4999")).toBe("x-name-4999");
});

test.each([
  "X-User-Id",
  "x_user_id",
  "X.User.Id",
  "x~user~id",
  "XUSERID",
  "x-user_id",
  "X--User--Id",
  "x!u#s$e%r&i'd",
])("%s folds to the one name that servers may take it for", (name) => {
  expect(foldName(name)).toBe("xuserid");
});

describe("a field name", () => {
  test.each(["a", "X-User-Id", "!#$%&'*+-.^_`|~09Az", "x".repeat(256)])("may be %s", (name) => {
    expect(isFieldName(name)).toBe(true);
  });
  test.each([
    "",
    "a b",
    "a:",
    "a\r\n",
    "é",
    "a(b)",
    '"a"',
    "a/b",
    "x".repeat(257),
    "a\n",
  ])("is not %j", (name) => {
    expect(isFieldName(name)).toBe(false);
  });
});

describe("a value that can be sent as it is", () => {
  test.each(["a", "a b", '~!"#%', "a  b"])("is %j", (value) => {
    expect(isPlainFieldValue(value)).toBe(true);
  });
  test.each(["", " a", "a ", "a\tb", "a\r\nb", "é", "a\u0000", "a\n"])("is not %j", (value) => {
    expect(isPlainFieldValue(value)).toBe(false);
  });
});

describe("an encoded value", () => {
  test.each([
    ["plain text", "alice@example.com", "alice@example.com"],
    ["inner spaces", "modules:read modules:write", "modules:read modules:write"],
    ["outer spaces", "  a b  ", "%20 a b%20%20"],
    ["nothing but spaces", "   ", "%20%20%20"],
    ["line breaks", "a\r\nX-User-Id: root", "a%0D%0AX-User-Id: root"],
    ["a NUL and a tab", "\u0000\t", "%00%09"],
    ["a per cent sign", "100%", "100%25"],
    ["what looks encoded", "%41", "%2541"],
    ["letters beyond ASCII", "Zoë", "Zo%C3%AB"],
    ["a pair of surrogates", "😀", "%F0%9F%98%80"],
    ["a lone surrogate", "a\ud800b", "a%EF%BF%BDb"],
    ["nothing", "", ""],
  ])("of %s is header-safe", (_what, value, encoded) => {
    expect(encodeFieldValue(value)).toBe(encoded);
  });
});
