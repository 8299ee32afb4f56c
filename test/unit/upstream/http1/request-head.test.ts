// How a request's head is written and framed, and that nothing malformed is.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Framing,
  type RequestLine,
  requestHead,
  UnsendableRequest,
} from "../../../../src/upstream/http1/request-head.ts";

const GET: RequestLine = { method: "GET", path: "/a?b=c", fields: ["Host", "example.com"] };

const write = (change: Partial<RequestLine> = {}, framing: Framing = "none"): string =>
  requestHead({ ...GET, ...change }, framing);

/** Field lines of a written head, behind the ones that were given. */
const framingOf = (method: string, framing: Framing): readonly string[] =>
  write({ method }, framing).split("\r\n").slice(2, -2);

describe("a head", () => {
  test("is the request line, the fields in their order and spelling, and how the connection goes on", () => {
    expect(write({ fields: ["Host", "example.com", "x-B", "1", "X-a", "", "x-B", "2, 3"] })).toBe(
      "GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nx-B: 1\r\nX-a: \r\nx-B: 2, 3\r\nConnection: keep-alive\r\n\r\n",
    );
  });

  test.each([
    "/",
    "/a/b;c=d/%20?e=f&g",
    "/%00",
    "/~'()*,:@!$&=+[]|`{}^<>\"\\#",
    "//",
    "/?",
    "*",
  ])("may ask for %j", (path) => {
    expect(write({ path })).toMatch(/^GET /);
    expect(write({ path }).split(" HTTP/1.1\r\n")[0]).toBe(`GET ${path}`);
  });

  test("may ask for the server as a whole", () => {
    expect(write({ method: "OPTIONS", path: "*" })).toMatch(
      /^OPTIONS \* HTTP\/1\.1\r\nHost: example\.com\r\n/,
    );
  });

  test.each(["GET", "QUERY", "M-SEARCH", "get", "!#$%&'*+-.^_`|~09"])("may have the method %s", (method) => {
    expect(write({ method }).startsWith(`${method} /a?b=c HTTP/1.1\r\n`)).toBe(true);
  });

  test.each([
    "",
    " ",
    "\t",
    "a\tb",
    "a: b",
    " a ",
    "caf\xe9 \x80\xff",
    "\x85\xa0",
    "~!@#$%^&*()[]{}\"'\\|;:,.<>/?",
  ])("may have the value %j", (value) => {
    expect(write({ fields: ["Host", "a", "X-A", value, "X-B", "b"] })).toContain(
      `\r\nX-A: ${value}\r\nX-B: b\r\n`,
    );
  });

  test("may have many fields", () => {
    const fields = Array.from({ length: 400 }, (_, index) => `X-${index}`);
    expect(write({ fields }).split("\r\n")).toHaveLength(204);
  });
});

describe("the framing", () => {
  const NONE = "Connection: keep-alive";

  test.each([
    "GET",
    "HEAD",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "REPORT",
    "post",
  ])("of %s without a body is not spoken of", (method) => {
    expect(framingOf(method, "none")).toEqual([NONE]);
  });

  test.each([
    "POST",
    "PUT",
    "PATCH",
    "QUERY",
    "PROPFIND",
    "PROPPATCH",
  ])("of %s without a body says that there is none", (method) => {
    expect(framingOf(method, "none")).toEqual(["Content-Length: 0", NONE]);
  });

  test.each(["GET", "HEAD", "POST", "DELETE", "OPTIONS"])("of %s with a body is its length", (method) => {
    expect(framingOf(method, 0)).toEqual(["Content-Length: 0", NONE]);
    expect(framingOf(method, 5)).toEqual(["Content-Length: 5", NONE]);
    expect(framingOf(method, Number.MAX_SAFE_INTEGER)).toEqual(["Content-Length: 9007199254740991", NONE]);
  });

  test.each([
    "GET",
    "POST",
    "DELETE",
  ])("of %s with a body of unknown length is the chunked coding", (method) => {
    expect(framingOf(method, "chunks")).toEqual(["Transfer-Encoding: chunked", NONE]);
  });

  test.each([-1, 1.5, 1e21, Number.NaN, Number.POSITIVE_INFINITY])("is never the length %s", (length) => {
    expect(() => write({ method: "POST" }, length)).toThrow(UnsendableRequest);
  });
});

describe("refused is", () => {
  const NEVER = [
    "\r",
    "\n",
    "\0",
    "\x7f",
    "\x01",
    "\x08",
    "\x0b",
    "\x1b",
    "\x1f",
    "\u0100",
    "\u010a",
    "\u2028",
    "\uff1a",
    "\ud800",
    "😀",
  ];
  const places = (bad: string): readonly string[] => [bad, `${bad}a`, `a${bad}`, `a${bad}b`];

  test.each(NEVER)("%j in a name, a value, a path or a method", (bad) => {
    for (const text of places(bad)) {
      for (const change of [
        { fields: [text, "1"] },
        { fields: ["Host", "a", text, "1", "X-B", "b"] },
        { fields: ["Host", text] },
        { fields: ["Host", "a", "X-A", text, "X-B", "b"] },
        { fields: ["Host", "a", "X-A", text] },
        { path: text },
        { path: `/${text}` },
        { path: `/a?${text}` },
        { method: text },
      ]) {
        for (const framing of ["none", "chunks", 5] as const) {
          expect(() => write(change, framing)).toThrow(UnsendableRequest);
        }
      }
    }
  });

  test.each([
    ["a value with a field behind it", { fields: ["Host", "a\r\nX-Injected: 1"] }],
    ["a value with a framing behind it", { fields: ["Host", "a\r\nTransfer-Encoding: chunked"] }],
    ["a value with a field and a beginning behind it", { fields: ["Host", "a\r\nX-Injected: 1\r\nX-B: b"] }],
    ["a value with a folded line behind it", { fields: ["Host", "a\r\n b"] }],
    ["a value with the end of the head behind it", { fields: ["Host", "a\r\n\r\n"] }],
    ["a value with a request behind it", { fields: ["Host", "a\r\n\r\nGET /b HTTP/1.1\r\nHost: b"] }],
    ["a value with a line end behind it", { fields: ["Host", "a\r\n"] }],
    ["a name with a field before it", { fields: ["X-Injected: 1\r\nHost", "a"] }],
    ["a name with a framing before it", { fields: ["Host", "a", "Content-Length: 5\r\nX-A", "b"] }],
    ["a name with a line end before it", { fields: ["\r\nHost", "a"] }],
    ["a path with a field behind it", { path: "/a HTTP/1.1\r\nX-Injected: 1" }],
    ["a path with a request line's end", { path: "/a HTTP/1.1\r\nX-Injected:" }],
    ["a path with a request behind it", { path: "/ HTTP/1.1\r\nHost: a\r\n\r\nGET /b" }],
    ["a method with a request before it", { method: "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET" }],
    ["a method with a field before it", { method: "GET / HTTP/1.1\r\nX-Injected: 1\r\nGET" }],
  ])("%s", (_what, change) => {
    for (const framing of ["none", "chunks", 0] as const) {
      expect(() => write(change, framing)).toThrow(UnsendableRequest);
    }
  });

  test.each([
    "",
    " ",
    "/a b",
    "/a ",
    " /a",
    "/a\tb",
    "a",
    "a/b",
    "?a",
    "#",
    "**",
    "*/",
    "/caf\xe9",
    "/\x80",
  ])("the path %j", (path) => {
    expect(() => write({ path })).toThrow(UnsendableRequest);
  });

  test.each([
    "http://example.com/",
    "example.com:443",
    "\\",
    "%2F",
  ])("what is no path of this server: %j", (path) => {
    expect(() => write({ path })).toThrow(UnsendableRequest);
  });

  test.each([
    "",
    " ",
    "GET ",
    " GET",
    "GE T",
    "GET\t",
    "GET /b",
    "GET:",
    "G\xcbT",
    "(GET)",
    '"GET"',
  ])("the method %j", (method) => {
    expect(() => write({ method })).toThrow(UnsendableRequest);
  });

  test.each([
    "",
    " ",
    "X A",
    " X-A",
    "X-A ",
    "X-A\t",
    "X-A:",
    ":",
    ":X-A",
    "X(A)",
    "X/A",
    '"X"',
    "X@A",
    "caf\xe9",
    "\xa0",
  ])("the name %j", (name) => {
    expect(() => write({ fields: ["Host", "a", name, "1"] })).toThrow(UnsendableRequest);
    expect(() => write({ fields: [name, ""] })).toThrow(UnsendableRequest);
  });

  test("a name without a value", () => {
    expect(() => write({ fields: ["Host"] })).toThrow(UnsendableRequest);
    expect(() => write({ fields: ["Host", "a", "X-A"] })).toThrow(UnsendableRequest);
  });

  test("a request with a code of its own and without a word of the request", () => {
    for (const change of [{ path: "/s3cret\n" }, { fields: ["Host", "s3cret\n"] }, { method: "s3cret\n" }]) {
      let caught: unknown;
      try {
        write(change);
      } catch (error) {
        caught = error;
      }
      expect(caught).toMatchObject({ code: "REQUEST_UNSENDABLE" });
      expect(String(caught)).not.toContain("s3cret");
    }
  });
});

test("whatever goes wrong before, what is written is one head with the given lines and no others", () => {
  const text = fc.oneof(
    fc.string({
      unit: fc.constantFrom(..."aA1:/ \t\r\n\0\x7f\xe9\u010d*", "\r\n", ": ", " HTTP/1.1\r\n"),
      maxLength: 8,
    }),
    fc.constantFrom("GET", "/", "X-A", "Content-Length", "a"),
  );
  const framings = fc.constantFrom<Framing>("none", "chunks", 7);
  const fields = fc.array(fc.tuple(text, text), { maxLength: 3 });
  let written = 0;
  fc.assert(
    fc.property(text, text, fields, framings, (method, path, pairs, framing) => {
      let head: string;
      try {
        head = write({ method, path, fields: pairs.flat() }, framing);
      } catch (error) {
        expect(error).toBeInstanceOf(UnsendableRequest);
        return;
      }
      written += 1;
      const lines = head.split("\r\n");
      const framed =
        framing === "none"
          ? []
          : [expect.stringMatching(/^(?:Content-Length: 7|Transfer-Encoding: chunked)$/)];
      expect(lines).toEqual([
        `${method} ${path} HTTP/1.1`,
        ...pairs.map(([name, value]) => `${name}: ${value}`),
        ...framed,
        "Connection: keep-alive",
        "",
        "",
      ]);
      expect(head).toMatch(/^[\t\r\n\x20-\x7e\x80-\xff]*$/);
      expect(head.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
    }),
    { numRuns: 20_000 },
  );
  expect(written).toBeGreaterThan(100);
});
