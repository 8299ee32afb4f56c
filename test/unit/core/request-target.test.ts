import { describe, expect, test } from "vitest";
import {
  canonicalise,
  canonicalPath,
  decodeSegment,
  type PathRules,
  STRICT_PATHS,
  type TargetFault,
} from "../../../src/core/request-target.ts";

const HOST = "api.example.com";

/** The canonical form as one string, or the fault. */
function read(target: string, rules: PathRules = STRICT_PATHS, host = HOST): string {
  const result = canonicalise(target, host, rules);
  return result.ok ? `${result.value.path}${result.value.search}` : result.error;
}

describe("a target in canonical form", () => {
  test.each([
    "/",
    "/modules",
    "/modules/",
    "/a/b/c/d/e",
    "/.well-known/jwks.json",
    "/...",
    "/..a/b..",
    "/a.b/..c",
    "/~user/-_.~",
    "/a!$&'()*+,=:@b",
    "/caf%C3%A9",
    "/%E2%82%AC/%F0%9F%98%80",
    "/100%25",
    "/a%20b",
    "/%22%3C%3E%5B%5D%5E%60%7B%7C%7D",
    "/?",
    "/modules?",
    "/modules?a=b&c=d;e/../f//g",
    "/modules?q={a}|[b]^`'",
    "/modules?q=%01%0a",
    "/modules?q=caf%c3%a9%20",
  ])("stays as it is: %s", (target) => {
    expect(read(target)).toBe(target);
  });
});

describe("one spelling is made of", () => {
  test.each([
    ["encoded letters", "/%6d%6F%64ules", "/modules"],
    ["encoded digits and marks", "/%31%2D%5f%2E%7e", "/1-_.~"],
    ["lower-case escapes", "/caf%c3%a9", "/caf%C3%A9"],
    ["escapes in mixed case", "/%e2%82%Ac", "/%E2%82%AC"],
    ["a reserved character's escape", "/a%3ab%40", "/a%3Ab%40"],
    ["an encoded dot inside a name", "/a%2ejson", "/a.json"],
    ["escapes of the path, not those of the query", "/%61?q=%61", "/a?q=%61"],
  ])("%s", (_what, target, canonical) => {
    expect(read(target)).toBe(canonical);
  });
});

describe("the absolute form", () => {
  test.each([
    ["with a path", "http://api.example.com/modules?a=b", HOST, "/modules?a=b"],
    ["with a port", "http://api.example.com:8080/modules", "api.example.com:8080", "/modules"],
    ["without a path", "http://api.example.com", HOST, "/"],
    ["with a query alone", "http://api.example.com?a", HOST, "/?a"],
    ["in capital letters", "HTTPS://API.example.COM/modules", HOST, "/modules"],
  ])("%s is read as its path", (_what, target, host, canonical) => {
    expect(read(target, STRICT_PATHS, host)).toBe(canonical);
  });

  test.each([
    ["another authority", "http://evil.example/modules"],
    ["another port", "http://api.example.com:81/modules"],
    ["user information", "http://user@api.example.com/modules"],
    ["an authority that only begins alike", "http://api.example.com.evil/"],
    ["no authority", "http:///modules"],
    ["a backslash for the path", "http://api.example.com\\@evil/"],
  ])("with %s is refused", (_what, target) => {
    expect(read(target)).toBe("authority_mismatch");
  });

  test("is refused where the request names no host", () => {
    expect(read("http://api.example.com/", STRICT_PATHS, "")).toBe("authority_mismatch");
    expect(read("http:///", STRICT_PATHS, "")).toBe("authority_mismatch");
  });

  test("is as strict about its path as the origin form", () => {
    expect(read("http://api.example.com/a/../b")).toBe("dot_segment");
    expect(read("http://api.example.com//b")).toBe("duplicate_slash");
  });
});

const REFUSED: Readonly<Record<TargetFault, readonly string[]>> = {
  target_form: [
    "",
    "*",
    "modules",
    "?a=b",
    "api.example.com:443",
    "ftp://api.example.com/",
    "#",
    "\\modules",
  ],
  authority_mismatch: ["http://other/"],
  character_invalid: [
    "/a b",
    "/a\u00e9",
    "/a\u{1f600}",
    '/"',
    "/<a>",
    "/a|b",
    "/{id}",
    "/[a]",
    "/^",
    "/`",
    '/?"',
    "/?<",
    "/? ",
  ],
  escape_invalid: ["/%", "/%4", "/%4g", "/%g4", "/a%2", "/%%", "/%u002e", "/%.1", "/?%", "/?a=%zz"],
  not_utf8: [
    "/%ff",
    "/%80",
    "/%c3",
    "/%c3/",
    "/%c3a",
    "/%c3%c3",
    "/%c0%af",
    "/%c0%ae%c0%ae",
    "/%c1%9c",
    "/%e0%80%af",
    "/%e0%9f%bf",
    "/%ed%a0%80",
    "/%ed%bf%bf",
    "/%f0%80%80%af",
    "/%f0%8f%bf%bf",
    "/%f4%90%80%80",
    "/%f5%80%80%80",
    "/?q=%ff",
    "/?q=%c0%af",
  ],
  control_character: [
    "/a\u0000",
    "/a\r\nb",
    "/a\tb",
    "/a\u007f",
    "/%00",
    "/%0d%0aX:y",
    "/%09",
    "/%1f",
    "/%7F",
    "/%c2%80",
    "/%C2%85",
    "/%c2%9f",
    "/?q=%00",
    "/?\u0001",
  ],
  backslash: ["/\\", "/a\\b", "/a%5cb", "/..%5C..", "/?a\\b"],
  fragment: ["/#", "/a#b", "/a?b#c"],
  semicolon: ["/a;b", "/;", "/a;v=1/b", "/a%3bb", "/..;/b"],
  encoded_slash: ["/a%2fb", "/%2F", "/..%2fb", "/%2e%2e%2fb"],
  double_encoded: [
    "/a%252fb",
    "/%252e%252e/b",
    "/%25252e",
    "/%255cb",
    "/%253bb",
    "/%2500",
    "/%250a",
    "/%257f",
    "/%25%32%65",
    "/%252E",
  ],
  dot_segment: [
    "/.",
    "/..",
    "/./a",
    "/../a",
    "/a/.",
    "/a/..",
    "/a/./b",
    "/a/../b",
    "/%2e",
    "/%2e%2E/a",
    "/.%2e/a",
    "/a/%2e%2e",
    "/a/%2E/b",
  ],
  duplicate_slash: ["//", "//a", "/a//b", "/a//", "///", "//a/../b"],
};

describe.each(Object.entries(REFUSED))("%s", (fault, targets) => {
  test.each(targets)("%j", (target) => {
    expect(read(target)).toBe(fault);
  });
});

describe("with `encodedSlash: keep`", () => {
  const rules: PathRules = { ...STRICT_PATHS, encodedSlash: "keep" };

  test("an encoded slash stays encoded and separates nothing", () => {
    expect(read("/a%2fb/c", rules)).toBe("/a%2Fb/c");
    expect(decodeSegment("a%2Fb")).toBe("a/b");
  });

  test.each([
    "/..%2fb",
    "/a/..%2F..%2fb",
    "/a%2f..",
    "/a%2f.%2Fb",
    "/%2e%2e%2fb",
  ])("%s still climbs", (target) => {
    expect(read(target, rules)).toBe("dot_segment");
  });

  test("what would become a slash by decoding twice is refused all the same", () => {
    expect(read("/a%252fb", rules)).toBe("double_encoded");
  });
});

describe("with `semicolon: keep`", () => {
  const rules: PathRules = { ...STRICT_PATHS, semicolon: "keep" };

  test.each([
    ["/a;v=1/b", "/a;v=1/b"],
    ["/a%3bb", "/a%3Bb"],
  ])("%s is kept as %s", (target, canonical) => {
    expect(read(target, rules)).toBe(canonical);
  });

  test.each(["/..;/b", "/a/..;x=1/b", "/.;/b", "/..%3b/b"])("%s still climbs", (target) => {
    expect(read(target, rules)).toBe("dot_segment");
  });

  test("together with kept slashes each combination still climbs", () => {
    const both: PathRules = { ...rules, encodedSlash: "keep" };
    for (const target of ["/a%2f..;/b", "/a%2F..%3bx/b"]) expect(read(target, both)).toBe("dot_segment");
  });
});

describe("duplicate slashes", () => {
  test("become one with `merge`", () => {
    const rules: PathRules = { ...STRICT_PATHS, duplicateSlash: "merge" };
    expect(read("//a///b//?q=//", rules)).toBe("/a/b/?q=//");
    expect(read("//..//a", rules)).toBe("dot_segment");
  });

  test("stay with `keep`", () => {
    const rules: PathRules = { ...STRICT_PATHS, duplicateSlash: "keep" };
    expect(read("//a///b", rules)).toBe("//a///b");
    expect(read("//../a", rules)).toBe("dot_segment");
  });
});

test("a pattern's path goes through the same form", () => {
  expect(canonicalPath("/%6dodules/:id")).toEqual({ ok: true, value: "/modules/:id" });
  expect(canonicalPath("/a/../b")).toEqual({ ok: false, error: "dot_segment" });
});

test("a segment is decoded once", () => {
  expect(decodeSegment("caf%C3%A9")).toBe("café");
  expect(decodeSegment("100%2525")).toBe("100%25");
  expect(decodeSegment("plain")).toBe("plain");
});
