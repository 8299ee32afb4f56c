// Which heads of answers are taken, what they mean, and which are refused.

import { describe, expect, test } from "vitest";
import {
  CHUNKED,
  InvalidAnswer,
  parseResponseHead,
  type ResponseHead,
  UNTIL_CLOSE,
} from "../../../../src/upstream/http1/response-head.ts";

/** The answer with this first line and these field lines. */
function parse(start: string, lines: readonly string[] = [], method = "GET"): ResponseHead {
  return parseResponseHead([start, ...lines].map((line) => `${line}\r\n`).join(""), method);
}

/** The fields of an answer with these lines. */
const fieldsOf = (...lines: readonly string[]): readonly string[] => parse("HTTP/1.1 200 OK", lines).fields;

/** Why the text is refused; fails when it is taken. */
function refusalOf(text: string, method = "GET"): InvalidAnswer {
  try {
    parseResponseHead(text, method);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidAnswer);
    return error as InvalidAnswer;
  }
  throw new Error(`taken: ${JSON.stringify(text)}`);
}

describe("a status line is taken", () => {
  test.each([
    ["HTTP/1.1 200 OK", 200],
    ["HTTP/1.0 404 Not Found", 404],
    ["HTTP/1.1 301 ", 301],
    ["HTTP/1.1 204", 204],
    ["HTTP/1.0 500", 500],
    ["HTTP/1.1 200 \tTr\xe8s: bien\xff\x80 ", 200],
    ["HTTP/1.1 200  two spaces", 200],
    ["HTTP/1.1 200 404", 200],
    ["HTTP/1.1 000 Any", 0],
    ["HTTP/1.1 099 Any", 99],
    ["HTTP/1.1 100 Continue", 100],
    ["HTTP/1.1 599 Any", 599],
    ["HTTP/1.1 600 Any", 600],
    ["HTTP/1.1 999 Any", 999],
  ])("from %j", (line, status) => {
    expect(parse(line)).toMatchObject({ status, fields: [], connection: "" });
  });
});

describe("a field line", () => {
  test.each([
    ["A:1", "a", "1"],
    ["A: 1", "a", "1"],
    ["A: \t 1 \t ", "a", "1"],
    ["A:\t1\t", "a", "1"],
    ["A:", "a", ""],
    ["A: ", "a", ""],
    ["A:\t \t", "a", ""],
    ["A: b \t c", "a", "b \t c"],
    ["A: b: c:d", "a", "b: c:d"],
    ["A::", "a", ":"],
    ["A: caf\xe9 \x80\xff", "a", "caf\xe9 \x80\xff"],
    ["A: \xa0b\xa0", "a", "\xa0b\xa0"],
    ["X-Mixed-CASE_1: Keep Case", "x-mixed-case_1", "Keep Case"],
    ["!#$%&'*+-.^_`|~09azAZ: 1", "!#$%&'*+-.^_`|~09azaz", "1"],
    ["__proto__: 1", "__proto__", "1"],
  ])("%j is a name in lower case and a value without white space around it", (line, name, value) => {
    expect(fieldsOf(line)).toEqual([name, value]);
  });

  test("keeps its place, repeated ones too", () => {
    expect(fieldsOf("Set-Cookie: a=1", "Date: x", "set-cookie: b=2, c", "SET-COOKIE: a=1", "Via:")).toEqual([
      "set-cookie",
      "a=1",
      "date",
      "x",
      "set-cookie",
      "b=2, c",
      "set-cookie",
      "a=1",
      "via",
      "",
    ]);
  });

  test("is read alike however many names came before", () => {
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 3_000; index++) {
        const [name, value] = [`X-Name-${index}`, `${index}`];
        expect(fieldsOf(`${name}: ${value}`)).toEqual([name.toLowerCase(), value]);
      }
    }
    expect(() => fieldsOf("X Name: 1")).toThrow(InvalidAnswer);
  });
});

describe("the connection", () => {
  test.each([
    ["HTTP/1.1", [], true],
    ["HTTP/1.0", [], false],
    ["HTTP/1.1", ["Connection: close"], false],
    ["HTTP/1.0", ["Connection: close"], false],
    ["HTTP/1.1", ["Connection: keep-alive"], true],
    ["HTTP/1.0", ["Connection: keep-alive"], true],
    ["HTTP/1.1", ["connection: CLOSE"], false],
    ["HTTP/1.0", ["CONNECTION: Keep-Alive"], true],
    ["HTTP/1.1", ["Connection: x, close"], false],
    ["HTTP/1.1", ["Connection: Close,x"], false],
    ["HTTP/1.1", ["Connection: ,\t close \t, ,"], false],
    ["HTTP/1.0", ["Connection: x,Keep-Alive\t, y"], true],
    ["HTTP/1.1", ["Connection: keep-alive, close"], false],
    ["HTTP/1.0", ["Connection: close, keep-alive"], false],
    ["HTTP/1.1", ["Connection: keep-alive", "Connection: close"], false],
    ["HTTP/1.0", ["Connection: close", "Connection: keep-alive"], false],
    ["HTTP/1.0", ["Connection: x", "Connection: keep-alive"], true],
    ["HTTP/1.1", ["Connection:", "Connection: close"], false],
    ["HTTP/1.0", ["Connection:"], false],
    ["HTTP/1.1", ["Connection:"], true],
    ["HTTP/1.1", ["Connection: closed, not-close, close-not"], true],
    ["HTTP/1.1", ['Connection: "close"'], true],
    ["HTTP/1.0", ["Connection: keep-alive-not, keep alive"], false],
    ["HTTP/1.1", ["Connection: upgrade"], true],
    ["HTTP/1.1", ["X-Connection: close", "Proxy-Connection: close"], true],
    ["HTTP/1.0", ["Keep-Alive: timeout=5", "Proxy-Connection: keep-alive"], false],
  ])("after %s with %j persists: %s", (version, lines, persistent) => {
    const head = parse(`${version} 200 OK`, ["Content-Length: 0", ...lines]);
    expect(head.persistent).toBe(persistent);
  });

  test("is told what all Connection lines say, in lower case", () => {
    expect(parse("HTTP/1.1 200 OK").connection).toBe("");
    expect(parse("HTTP/1.1 200 OK", ["Connection: X-A"]).connection).toBe("x-a");
    expect(parse("HTTP/1.1 200 OK", ["Connection: X-A, y", "A: 1", "connection: Z"]).connection).toBe(
      "x-a, y,z",
    );
  });
});

describe("the body", () => {
  test.each([
    ["Content-Length: 0", 0, true],
    ["Content-Length: 5", 5, true],
    ["content-length:\t42", 42, true],
    ["Content-Length: 00007", 7, true],
    ["Content-Length: 999999999999999", 999_999_999_999_999, true],
    ["Content-Length: 000000000000005", 5, true],
    ["Transfer-Encoding: chunked", CHUNKED, true],
    ["transfer-encoding: \tChunked", CHUNKED, true],
    ["TRANSFER-ENCODING:CHUNKED", CHUNKED, true],
    ["X-Content-Length: 5", UNTIL_CLOSE, false],
  ])("framed by %j has the length %s, and the connection persists: %s", (line, bodyLength, persistent) => {
    expect(parse("HTTP/1.1 200 OK", [line])).toMatchObject({ bodyLength, persistent });
  });

  test("that nothing frames lasts until the connection ends, which is not kept", () => {
    const lines = ["Connection: keep-alive"];
    expect(parse("HTTP/1.1 200 OK")).toMatchObject({ bodyLength: UNTIL_CLOSE, persistent: false });
    expect(parse("HTTP/1.1 200 OK", lines)).toMatchObject({ bodyLength: UNTIL_CLOSE, persistent: false });
    expect(parse("HTTP/1.0 200 OK", lines)).toMatchObject({ bodyLength: UNTIL_CLOSE, persistent: false });
  });

  test("has its length in HTTP/1.0 too", () => {
    expect(parse("HTTP/1.0 200 OK", ["Content-Length: 5"])).toMatchObject({
      bodyLength: 5,
      persistent: false,
    });
  });

  test.each(["GET", "POST", "PUT", "DELETE", "OPTIONS", "head", "HEADS"])("is there after %s", (method) => {
    expect(parse("HTTP/1.1 200 OK", ["Content-Length: 5"], method).bodyLength).toBe(5);
  });

  test.each([200, 201, 205, 206, 300, 303, 305, 404, 500])("is there with status %s", (status) => {
    expect(parse(`HTTP/1.1 ${status} Any`, ["Content-Length: 5"]).bodyLength).toBe(5);
    expect(parse(`HTTP/1.1 ${status} Any`).bodyLength).toBe(UNTIL_CLOSE);
  });

  // The last column: a server that sends a body all the same must not have it read as the next answer.
  test.each([
    ["HEAD", 200, [], false],
    ["HEAD", 200, ["Content-Length: 0"], false],
    ["HEAD", 200, ["Content-Length: 5"], false],
    ["HEAD", 200, ["Transfer-Encoding: chunked"], false],
    ["HEAD", 304, [], false],
    ["HEAD", 404, ["Content-Length: 5"], false],
    ["GET", 204, [], true],
    ["GET", 204, ["Content-Length: 0"], true],
    ["GET", 204, ["Content-Length: 00"], true],
    ["GET", 204, ["Content-Length: 5"], false],
    ["GET", 204, ["Transfer-Encoding: chunked"], false],
    ["GET", 204, ["Connection: close"], false],
    ["GET", 304, [], true],
    ["GET", 304, ["Content-Length: 5"], false],
    ["GET", 304, ["Transfer-Encoding: chunked"], false],
    ["POST", 204, [], true],
    ["GET", 100, [], true],
    ["GET", 103, ["Content-Length: 5"], false],
    ["GET", 199, ["Transfer-Encoding: chunked"], false],
  ])("is none after %s with status %s and %j, and the connection persists: %s", (method, status, lines, persistent) => {
    expect(parse(`HTTP/1.1 ${status} Any`, lines, method)).toMatchObject({ bodyLength: 0, persistent });
  });

  test("that there is none of keeps no HTTP/1.0 connection", () => {
    expect(parse("HTTP/1.0 204 Any").persistent).toBe(false);
    expect(parse("HTTP/1.0 204 Any", ["Connection: keep-alive"]).persistent).toBe(true);
  });
});

describe("Keep-Alive", () => {
  test.each([
    ["timeout=5", 5],
    ["timeout=5, max=100", 5],
    ["max=100, timeout=30", 30],
    ["max=100,timeout=30", 30],
    ["max=100;timeout=30", 30],
    ["Timeout = 15", 15],
    ['TIMEOUT="20"', 20],
    ["timeout=0", 0],
    ["timeout=999999", 999_999],
    ["timeout=5.9", 5],
    ["max=5", undefined],
    ["xtimeout=5", undefined],
    ["timeout", undefined],
    ["timeout=", undefined],
    ["timeout=-1", undefined],
    ["timeout=abc", undefined],
    ["5", undefined],
    ["", undefined],
  ])("%j promises %s seconds", (value, seconds) => {
    expect(parse("HTTP/1.1 200 OK", [`Keep-Alive: ${value}`]).keepAliveSeconds).toBe(seconds);
  });

  test("that is missing promises nothing", () => {
    expect(parse("HTTP/1.1 200 OK", ["X-Keep-Alive: timeout=5"]).keepAliveSeconds).toBeUndefined();
  });
});

describe("refused is", () => {
  const whole = (...lines: readonly string[]): string => lines.map((line) => `${line}\r\n`).join("");
  const withFields = (...lines: readonly string[]): string => whole("HTTP/1.1 200 OK", ...lines);

  test.each([
    "",
    "HTTP/1.1",
    "HTTP/1.1 ",
    "HTTP/2 200 OK",
    "HTTP/2.0 200 OK",
    "HTTP/3 200 OK",
    "HTTP/0.9 200 OK",
    "HTTP/1.2 200 OK",
    "HTTP/1 200 OK",
    "HTTP/1. 200 OK",
    "HTTP/1.10 200 OK",
    "HTTP/1.01 200 OK",
    "HTTP/01.1 200 OK",
    "HTTP/11 200 OK",
    "HTTP/1,1 200 OK",
    "HTTP 200 OK",
    "HTTP/ 1.1 200 OK",
    "http/1.1 200 OK",
    "Http/1.1 200 OK",
    "HTTPS/1.1 200 OK",
    "HTP/1.1 200 OK",
    "ICY 200 OK",
    "RTSP/1.0 200 OK",
    "SIP/2.0 200 OK",
    "200 OK",
    "GET / HTTP/1.1",
    " HTTP/1.1 200 OK",
    "\tHTTP/1.1 200 OK",
    "\xefHTTP/1.1 200 OK",
    "HTTP/1.1\t200 OK",
    "Content-Length: 5",
  ])("another protocol: %j", (line) => {
    refusalOf(whole(line));
    refusalOf(whole(line, "Content-Length: 0"));
  });

  test.each([
    "20",
    "2",
    "",
    " 200",
    "2000",
    "0200",
    "20 OK",
    "200OK",
    "200\tOK",
    "200,",
    "200\xa0OK",
    "2O0",
    "abc",
    "20a",
    "0xC",
    "2e2",
    "+20",
    "-20",
    "2.0",
    "\xb2\xb2\xb2",
    "OK 200",
  ])("a status that is not three digits and a space: %j", (status) => {
    refusalOf(whole(`HTTP/1.1 ${status}`));
    refusalOf(whole(`HTTP/1.0 ${status}`, "Content-Length: 0"));
  });

  // RFC 9110 section 5.5: white space, visible characters and 0x80 to 0xff are all that a line may hold.
  const FORBIDDEN = [...Array(256).keys()].filter((code) => (code < 32 && code !== 9) || code === 127);
  test.each([
    ["the protocol", "HTTP/\u0000X1.1 200 OK\r\nA: 1\r\n"],
    ["the status", "HTTP/1.1 20\u0000X0 OK\r\nA: 1\r\n"],
    ["a reason", "HTTP/1.1 200 O\u0000XK\r\nA: 1\r\n"],
    ["the end of a reason", "HTTP/1.1 200 OK\u0000X\r\nA: 1\r\n"],
    ["the beginning of a name", "HTTP/1.1 200 OK\r\n\u0000XA: 1\r\n"],
    ["a name", "HTTP/1.1 200 OK\r\nA\u0000XB: 1\r\n"],
    ["the end of a name", "HTTP/1.1 200 OK\r\nA\u0000X: 1\r\n"],
    ["the beginning of a value", "HTTP/1.1 200 OK\r\nA:\u0000X1\r\n"],
    ["a value", "HTTP/1.1 200 OK\r\nA: 1\u0000X2\r\n"],
    ["the end of a value", "HTTP/1.1 200 OK\r\nA: 1\u0000X\r\n"],
    ["the last value", "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\u0000X\r\n"],
    ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\u0000X\r\n"],
    ["a coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\u0000X\r\n"],
  ])("each control character in %s, a lone CR and a lone LF among them", (_where, pattern) => {
    expect(FORBIDDEN).toHaveLength(32);
    for (const code of FORBIDDEN) refusalOf(pattern.replace("\u0000X", String.fromCharCode(code)));
  });

  test.each([
    ["a line that ends with LF alone", "HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\n"],
    ["a status line that ends with LF alone", "HTTP/1.1 200 OK\nA: 1\r\n"],
    ["a line that ends with CR alone", "HTTP/1.1 200 OK\r\nA: 1\rB: 2\r\n"],
    ["a line that ends with CR CR LF", "HTTP/1.1 200 OK\r\r\nA: 1\r\n"],
    ["a line that ends with LF CR", "HTTP/1.1 200 OK\n\rA: 1\r\n"],
    ["a last line without its end", "HTTP/1.1 200 OK\r\nA: 1"],
    ["a last line that ends with LF", "HTTP/1.1 200 OK\r\nA: 1\n"],
    ["a last line that ends with CR", "HTTP/1.1 200 OK\r\nA: 1\r"],
    ["an empty line in front", "\r\nHTTP/1.1 200 OK\r\n"],
    ["an empty line behind", "HTTP/1.1 200 OK\r\n\r\n"],
    ["an empty line between", "HTTP/1.1 200 OK\r\n\r\nA: 1\r\n"],
    ["a character that is no byte", "HTTP/1.1 200 OK\r\nA: \u0100\r\n"],
  ])("%s", (_what, text) => {
    refusalOf(text);
  });

  // RFC 9112 sections 5 to 5.2.
  test.each([
    ["a space before the colon", ["A : 1"]],
    ["a tab before the colon", ["A\t: 1"]],
    ["a space before the colon of a length", ["Content-Length : 5"]],
    ["a space before the colon of a coding", ["Transfer-Encoding : chunked"]],
    ["a space in a name", ["A B: 1"]],
    ["a line folded with a space", ["A: 1", " b"]],
    ["a line folded with a tab", ["A: 1", "\tb"]],
    ["a folded line that looks like a field", ["A: 1", " Content-Length: 5"]],
    ["a folded line of white space alone", ["A: 1", " "]],
    ["a folded first line", [" A: 1"]],
    ["a folded length", ["Content-Length:", " 5"]],
    ["a line without a colon", ["A"]],
    ["a line without a colon between others", ["A: 1", "B", "C: 3"]],
    ["a line without a colon at the end", ["A: 1", "B"]],
    ["a second status line", ["HTTP/1.1 200 OK"]],
    ["an empty name", [": 1"]],
    ["a lone colon", [":"]],
    ["a name in Latin-1", ["caf\xe9: 1"]],
    ["a no-break space before the colon", ["A\xa0: 1"]],
  ])("%s", (_what, lines) => {
    refusalOf(withFields(...lines));
    refusalOf(withFields("X-Before: 1", ...lines, "X-After: 2"));
  });

  test.each([...'"(),/;<=>?@[\\]{}'])("a name with %s", (delimiter) => {
    refusalOf(withFields(`A${delimiter}: 1`));
    refusalOf(withFields(`${delimiter}A: 1`));
    refusalOf(withFields(`A${delimiter}B: 1`));
  });

  // RFC 9112 section 6.2, RFC 9110 section 8.6.
  test.each([
    "",
    "+5",
    "-5",
    "-0",
    "0x5",
    "0b1",
    "5, 5",
    "5,5",
    "5,",
    ",5",
    "5 5",
    "5;5",
    "5.0",
    "5.",
    "1e1",
    "1_0",
    "5a",
    "a",
    '"5"',
    "'5'",
    "5\xa0",
    "\xa05",
    "\xb2",
    "Infinity",
    "NaN",
    "chunked",
    "0000000000000005",
    "1000000000000000",
    "9007199254740993",
    "18446744073709551621",
  ])("the length %j", (value) => {
    for (const [start, method] of [
      ["HTTP/1.1 200 OK", "GET"],
      ["HTTP/1.0 200 OK", "GET"],
      ["HTTP/1.1 200 OK", "HEAD"],
      ["HTTP/1.1 204 Any", "GET"],
      ["HTTP/1.1 304 Any", "GET"],
      ["HTTP/1.1 103 Any", "GET"],
    ] as const) {
      refusalOf(whole(start, `Content-Length: ${value}`), method);
    }
  });

  // RFC 9112 sections 6.1 and 6.3.
  test.each([
    "",
    "gzip",
    "identity",
    "gzip, chunked",
    "chunked, gzip",
    "chunked, chunked",
    "chunked, identity",
    "identity, chunked",
    "chunked,",
    ",chunked",
    ", chunked",
    "chunked;q=1",
    "chunked; a",
    '"chunked"',
    "chunkedx",
    "xchunked",
    "chunk",
    "chun\tked",
    "chunked\xa0",
    "\xa0chunked",
    "5",
  ])("the coding %j", (value) => {
    for (const [start, method] of [
      ["HTTP/1.1 200 OK", "GET"],
      ["HTTP/1.1 200 OK", "HEAD"],
      ["HTTP/1.1 204 Any", "GET"],
      ["HTTP/1.1 304 Any", "GET"],
      ["HTTP/1.1 103 Any", "GET"],
    ] as const) {
      refusalOf(whole(start, `Transfer-Encoding: ${value}`), method);
    }
  });

  test.each([
    ["two lengths that differ", ["Content-Length: 5", "Content-Length: 6"]],
    ["two lengths that are alike", ["Content-Length: 5", "content-length: 5"]],
    ["two lengths apart from each other", ["Content-Length: 5", "A: 1", "CONTENT-LENGTH: 5"]],
    ["a second length that is empty", ["Content-Length: 5", "Content-Length:"]],
    ["a first length that is empty", ["Content-Length:", "Content-Length: 5"]],
    ["two codings", ["Transfer-Encoding: chunked", "transfer-encoding: chunked"]],
    ["two codings that differ", ["Transfer-Encoding: gzip", "Transfer-Encoding: chunked"]],
    ["a second coding that is empty", ["Transfer-Encoding: chunked", "Transfer-Encoding:"]],
    ["a first coding that is empty", ["Transfer-Encoding:", "Transfer-Encoding: chunked"]],
    ["white space behind a length", ["Content-Length: 5 "]],
    ["a tab behind a coding", ["Transfer-Encoding: chunked\t"]],
    ["a length beside a coding", ["Transfer-Encoding: chunked", "Content-Length: 5"]],
    ["a coding beside a length", ["Content-Length: 5", "Transfer-Encoding: chunked"]],
    ["a length of nothing beside a coding", ["Content-Length: 0", "Transfer-Encoding: chunked"]],
  ])("%s", (_what, lines) => {
    refusalOf(withFields(...lines));
    refusalOf(withFields(...lines), "HEAD");
    for (const status of [100, 204, 304]) refusalOf(whole(`HTTP/1.1 ${status} Any`, ...lines));
  });

  test("a coding in HTTP/1.0", () => {
    refusalOf(whole("HTTP/1.0 200 OK", "Transfer-Encoding: chunked"));
    refusalOf(whole("HTTP/1.0 200 OK", "Connection: keep-alive", "Transfer-Encoding: chunked"));
    refusalOf(whole("HTTP/1.0 204 Any", "Transfer-Encoding: chunked"));
    refusalOf(whole("HTTP/1.0 200 OK", "Transfer-Encoding: chunked"), "HEAD");
  });

  test("an answer with a code of its own and without a word of the answer", () => {
    for (const text of [
      whole("S3CRET/1.1 200 OK"),
      whole("HTTP/1.1 S3CRET"),
      withFields("S3CRET"),
      withFields("S3 CRET: 1"),
      withFields("A: S3CRET\0"),
      withFields("Content-Length: S3CRET"),
      withFields("Transfer-Encoding: S3CRET"),
    ]) {
      const { code, message } = refusalOf(text);
      expect(code).toBe("ANSWER_INVALID");
      expect(message).not.toMatch(/S3|CRET/);
    }
  });
});
