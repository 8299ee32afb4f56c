import { describe, expect, test } from "vitest";
import { STRICT_PATHS } from "../../../src/core/request-target.ts";
import { parseMatchObject, parseMatchText } from "../../../src/routing/pattern.ts";

/** A match in one line: methods, segments (`=literal`, `:name`), rest. */
function read(text: string, rules = STRICT_PATHS): string {
  const parsed = parseMatchText(text, rules);
  if (!parsed.ok) return `${parsed.error.kind}: ${parsed.error.message}`;
  const { methods, segments, wildcard, trailingSlash } = parsed.value;
  const parts = segments.map((one) => (one.kind === "literal" ? `=${one.value}` : `:${one.name}`));
  return [methods.join(","), ...parts, wildcard ? "*" : "", trailingSlash ? "/" : ""]
    .filter((part) => part !== "")
    .join(" ");
}

describe("a pattern", () => {
  test.for([
    ["GET /modules", "GET =modules"],
    ["GET,POST /modules/:id", "GET,POST =modules :id"],
    ["/files/*", "=files *"],
    ["/*", "*"],
    ["/", ""],
    ["DELETE /", "DELETE"],
    ["/a/", "=a /"],
    ["GET  /a", "GET =a"],
    ["/v1/x:cancel", "=v1 =x:cancel"],
    ["/caf%C3%A9", "=café"],
    ["/a%20b", "=a b"],
    ["/-._~!$&'+,=@", "=-._~!$&'+,=@"],
    ["grpc demo.Greeter/Hello", "POST =demo.Greeter =Hello"],
    ["grpc demo.Greeter/*", "POST =demo.Greeter *"],
    ["/grpc/x", "=grpc =x"],
  ] as const)("%s is read as %s", ([text, expected]) => {
    expect(read(text)).toBe(expected);
  });

  test.for([
    ["GET", "invalid: a path has to start"],
    ["modules", "invalid: a path has to start"],
    ["GET modules", "invalid: a path has to start"],
    ["get /a", "invalid: expected methods"],
    ["CONNECT /a", "invalid: expected methods"],
    ["TRACE /a", "invalid: expected methods"],
    ["GET,GET /a", "invalid: a method is listed twice"],
    ["GET, POST /a", "invalid: expected methods"],
    ["/a b", "invalid: expected methods"],
    ["GET /a b", "invalid: the path holds a character"],
    ["/a/../b", "invalid: the path holds a `.`"],
    ["/a/%2e%2e/b", "invalid: the path holds a `.`"],
    ["/a//b", "invalid: the path holds two slashes"],
    ["/a%2Fb", "invalid: the path holds an encoded slash"],
    ["/a%5Cb", "invalid: the path holds a backslash"],
    ["/a%zz", "invalid: the path holds a `%`"],
    ["/a;b", "invalid: the path holds a `;`"],
    ["/a#b", "invalid: the path holds a `#`"],
    ["/é", "invalid: the path holds a character"],
    ["/%61", "not_canonical: "],
    ["/caf%c3%a9", "not_canonical: "],
    ["/{id}", "invalid: path parameters"],
    ["/**", "invalid: `**`"],
    ["/a/*/b", "invalid: `*`"],
    ["/a*", "invalid: `*`"],
    ["/*/", "invalid: `*`"],
    ["/:", "invalid: a parameter"],
    ["/:a-b", "invalid: a parameter"],
    ["/:a/:a", "invalid: the parameter"],
    ["/a?b=1", "invalid: a pattern holds no query"],
    ["/(a|b)", "invalid: regular expressions"],
    ["/[a-z]", "invalid: regular expressions"],
    ["grpc Greeter", "invalid: expected `grpc"],
    ["grpc /demo.Greeter/Hello", "invalid: expected `grpc"],
    ["", "invalid: a path has to start"],
  ] as const)("%s is refused: %s", ([text, expected]) => {
    expect(read(text)).toContain(expected);
  });

  test("follows the `paths` rules of its file", () => {
    const rules = { ...STRICT_PATHS, semicolon: "keep", duplicateSlash: "keep" } as const;
    expect(read("/a;b", rules)).toBe("=a;b");
    expect(read("/a//b", { ...STRICT_PATHS, duplicateSlash: "merge" })).toContain("not_canonical");
  });
});

describe("a match in the map form", () => {
  test("gives one match for each path, with names in lower case where case means nothing", () => {
    const parsed = parseMatchObject(
      {
        path: ["/a", "/b/:id"],
        methods: ["GET"],
        host: ["API.example.com", "*.Example.org"],
        headers: { "X-Tenant": true },
        query: { V: "2" },
      },
      STRICT_PATHS,
    );
    expect(parsed.ok && parsed.value.map(({ segments }) => segments.length)).toEqual([1, 2]);
    expect(parsed.ok && parsed.value[0]).toMatchObject({
      methods: ["GET"],
      hosts: ["api.example.com", "*.example.org"],
      headers: [{ name: "x-tenant", value: undefined }],
      query: [{ name: "V", value: "2" }],
    });
  });

  test.for([
    "a.example.com:80",
    "*",
    "a.*.com",
    "http://a",
    "",
    "a..b",
    "-",
    "*.*.a",
  ])("refuses %j as a host", (host) => {
    expect(parseMatchObject({ path: "/a", host }, STRICT_PATHS).ok).toBe(false);
  });
});
