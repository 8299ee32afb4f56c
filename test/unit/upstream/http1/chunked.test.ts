// What a body in the chunked coding holds, where it ends, and which codings are refused.

import { describe, expect, test } from "vitest";
import { ChunkedBody } from "../../../../src/upstream/http1/chunked.ts";
import { InvalidAnswer } from "../../../../src/upstream/http1/response-head.ts";

const KIB = 1024;

interface Read {
  readonly body: string;
  readonly done: boolean;
  /** Bytes that belong to the body and its coding. */
  readonly used: number;
}

/** Reads the pieces one after another. Each stands between other bytes, which are no part of it. */
function read(pieces: readonly string[], chunked = new ChunkedBody()): Read {
  let body = "";
  let used = 0;
  for (const piece of pieces) {
    const bytes = Buffer.from(`5\r\n${piece}\r\n0\r\n\r\n`, "latin1");
    const to = 3 + piece.length;
    const at = chunked.read(bytes, 3, to, (start, end) => {
      expect(start).toBeLessThan(end);
      body += bytes.toString("latin1", start, end);
      return true;
    });
    expect(at).toBeLessThanOrEqual(to);
    used += at - 3;
  }
  return { body, done: chunked.done, used };
}

const isWhole = (coding: string, body: string): Read => ({ body, done: true, used: coding.length });

describe("a body", () => {
  test.each([
    ["of nothing", "0\r\n\r\n", ""],
    ["of one chunk", "5\r\nhello\r\n0\r\n\r\n", "hello"],
    ["of several chunks", "1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\n\r\n", "abcdef"],
    ["with a size in lower case", `1f\r\n${"a".repeat(31)}\r\n0\r\n\r\n`, "a".repeat(31)],
    ["with a size in upper case", `1F\r\n${"a".repeat(31)}\r\n0\r\n\r\n`, "a".repeat(31)],
    ["with a size in both cases", `aB\r\n${"b".repeat(171)}\r\n0\r\n\r\n`, "b".repeat(171)],
    ["with a size of every digit", `0fF\r\n${"c".repeat(255)}\r\n0\r\n\r\n`, "c".repeat(255)],
    ["with leading zeros", "0005\r\nhello\r\n0\r\n\r\n", "hello"],
    ["with leading zeros up to 13 digits", "0000000000005\r\nhello\r\n0000000000000\r\n\r\n", "hello"],
    ["with a last chunk of several zeros", "5\r\nhello\r\n000\r\n\r\n", "hello"],
    ["with line ends of its own", "4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"],
    ["that looks like its end", "7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n"],
    ["with any byte", "6\r\n\0\r\n\x7f\x80\xff\r\n0\r\n\r\n", "\0\r\n\x7f\x80\xff"],
    ["with an extension", "5;a=b\r\nhello\r\n0\r\n\r\n", "hello"],
    ["with an extension without a value", "5;a\r\nhello\r\n0\r\n\r\n", "hello"],
    ["with several extensions", '5;a;b=c;d="e; f"\r\nhello\r\n0;last\r\n\r\n', "hello"],
    ["with white space in an extension", "5; a = b\t\r\nhello\r\n0\r\n\r\n", "hello"],
    ["with Latin-1 in an extension", '5;a="\x80\xe9"\r\nhello\r\n0\r\n\r\n', "hello"],
    ["with an extension that looks like a size", "5;10\r\nhello\r\n0\r\n\r\n", "hello"],
    ["with a trailer", "5\r\nhello\r\n0\r\nX-Sum: abc\r\n\r\n", "hello"],
    ["with several trailers", "5\r\nhello\r\n0\r\nA: 1\r\nB:\r\nC:\t\xe9\r\n\r\n", "hello"],
    ["with trailers and extensions", "1;a\r\nx\r\n0;b=c\r\nD: e\r\n\r\n", "x"],
  ])("%s is taken", (_what, coding, body) => {
    expect(read([coding])).toEqual(isWhole(coding, body));
  });

  test("ends where its coding ends, whatever follows", () => {
    for (const coding of ["0\r\n\r\n", "1\r\nx\r\n0\r\n\r\n", "1\r\nx\r\n0\r\nA: 1\r\n\r\n"]) {
      for (const more of ["0\r\n\r\n", "\r\n", "HTTP/1.1 200 OK\r\n\r\n", "\0"]) {
        expect(read([coding + more])).toMatchObject({ done: true, used: coding.length });
        expect(read([coding, more])).toMatchObject({ done: true, used: coding.length });
      }
    }
  });

  const RICH = '3;a="b"\r\none\r\n00A\r\n0\r\n\r\n4\r\n\r\n\r\n1;c\r\n!\r\n0;d\r\nE: f\r\nG:\r\n\r\n';
  const BODY = "one0\r\n\r\n4\r\n\r\n!";

  test("is the same in two pieces, and in three, wherever it is cut", () => {
    for (let first = 0; first <= RICH.length; first++) {
      for (let second = first; second <= RICH.length; second++) {
        const pieces = [RICH.slice(0, first), RICH.slice(first, second), RICH.slice(second)];
        expect(read(pieces)).toEqual(isWhole(RICH, BODY));
      }
    }
  });

  test("is the same byte by byte", () => {
    expect(read([...RICH])).toEqual(isWhole(RICH, BODY));
  });

  test("is not complete before its last byte", () => {
    for (let length = 0; length < RICH.length; length++) {
      const { body, done, used } = read([RICH.slice(0, length)]);
      expect([done, used]).toEqual([false, length]);
      expect(BODY.startsWith(body)).toBe(true);
    }
  });

  test("is handed over as it comes, not when a chunk is complete", () => {
    expect(read(["5\r\nhel"])).toEqual({ body: "hel", done: false, used: 6 });
  });

  test("waits when its reader has enough", () => {
    const bytes = Buffer.from("2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n", "latin1");
    const chunked = new ChunkedBody();
    const pieces: string[] = [];
    const once = (start: number, end: number): boolean => {
      pieces.push(bytes.toString("latin1", start, end));
      return false;
    };
    const first = chunked.read(bytes, 0, bytes.length, once);
    expect([first, pieces, chunked.done]).toEqual([5, ["ab"], false]);
    const second = chunked.read(bytes, first, bytes.length, once);
    expect([second, pieces, chunked.done]).toEqual([13, ["ab", "cde"], false]);
    const third = chunked.read(bytes, second, bytes.length, once);
    expect([third, pieces, chunked.done]).toEqual([bytes.length, ["ab", "cde"], true]);
  });

  test("begins anew after a reset, wherever the one before broke off", () => {
    const other = "2;x\r\nok\r\n0\r\nY: z\r\n\r\n";
    for (let length = 0; length <= RICH.length; length++) {
      const chunked = new ChunkedBody();
      read([RICH.slice(0, length)], chunked);
      chunked.reset();
      expect(chunked.done).toBe(false);
      expect(read([other], chunked)).toEqual(isWhole(other, "ok"));
    }
  });
});

describe("bounds:", () => {
  test("a size of 13 digits is taken, the largest one too", () => {
    expect(read(["fffffffffffff\r\nabc"])).toMatchObject({ body: "abc", done: false });
    expect(read(["FFFFFFFFFFFFF\r\nabc"])).toMatchObject({ body: "abc", done: false });
  });

  test.each([
    "10000000000000",
    "00000000000005",
    "00000000000000",
    "f".repeat(17),
    "1".repeat(400),
  ])("the size %s is refused, after 14 digits at the latest", (size) => {
    expect(() => read([`${size}\r\n`])).toThrow(InvalidAnswer);
    expect(() => read([size.slice(0, 14)])).toThrow(InvalidAnswer);
    expect(() => read([...size.slice(0, 14)])).toThrow(InvalidAnswer);
  });

  test("a chunk may have extensions of 16 KiB, and each chunk anew", () => {
    const most = "e".repeat(16 * KIB);
    const coding = `1;${most}\r\na\r\n1;${most}\r\nb\r\n0;${most}\r\n\r\n`;
    expect(read([coding])).toEqual(isWhole(coding, "ab"));
    expect(() => read([`1;${most}e`])).toThrow(InvalidAnswer);
    expect(() => read([`1\r\na\r\n0;${most}e`])).toThrow(InvalidAnswer);
    expect(() => read(["1;", ...`${most}e`])).toThrow(InvalidAnswer);
  });

  test("all trailers together may have 16 KiB", () => {
    const line = `T: ${"t".repeat(KIB - 3)}`;
    const trailers = Array(16).fill(line).join("\r\n");
    const coding = `1\r\na\r\n0;${"e".repeat(16 * KIB)}\r\n${trailers}\r\n\r\n`;
    expect(read([coding])).toEqual(isWhole(coding, "a"));
    expect(() => read([`0\r\n${trailers}\r\nt`])).toThrow(InvalidAnswer);
    expect(() => read([`0\r\n${trailers}t`])).toThrow(InvalidAnswer);
    expect(() => read(["0\r\n", ...`${trailers}t`])).toThrow(InvalidAnswer);
    expect(() => read([`0\r\n${"A:\r\n".repeat(8 * KIB)}t`])).toThrow(InvalidAnswer);
  });
});

describe("refused is", () => {
  test.each([
    ["no size", "\r\n"],
    ["no size before an extension", ";a\r\n"],
    ["no size of the second chunk", "1\r\na\r\n\r\n"],
    ["a sign", "+5\r\n"],
    ["a minus", "-5\r\n"],
    ["a hexadecimal prefix", "0x5\r\n"],
    ["a space before a size", " 5\r\n"],
    ["a tab before a size", "\t5\r\n"],
    ["a space behind a size", "5 \r\n"],
    ["a tab behind a size", "5\t\r\n"],
    ["a space before an extension", "5 ;a\r\n"],
    ["a letter that is no digit", "5g\r\n"],
    ["an upper-case letter that is no digit", "G\r\n"],
    ["a decimal point", "5.0\r\n"],
    ["a comma", "5,5\r\n"],
    ["an underscore", "1_0\r\n"],
    ["a quoted size", '"5"\r\n'],
    ["a digit that is no ASCII", "\xb2\r\n"],
    ["a character beside the digits", "/\r\n"],
    ["a colon", ":\r\n"],
    ["an at sign", "@\r\n"],
    ["a grave accent", "`\r\n"],
    ["a byte that is a digit but for its highest bit", "\xb5\r\n"],
    ["NUL behind a size", "5\0\r\n"],
    ["an empty line before a size", "\r\n5\r\nhello\r\n"],
    ["a size line that ends with LF", "5\nhello\r\n"],
    ["a size line that ends with CR", "5\rhello\r\n"],
    ["a size line that ends with CR CR LF", "5\r\r\nhello\r\n"],
    ["an extension that ends with LF", "5;a\nhello\r\n"],
    ["an extension that ends with CR", "5;a\rhello\r\n"],
    ["NUL in an extension", "5;a\0\r\n"],
    ["a control character in an extension", "5;a=\x0b\r\n"],
    ["DEL in an extension", "5;a\x7f\r\n"],
    ["a line end in a quoted extension", '5;a="\nb"\r\n'],
    ["a CR in a quoted extension", '5;a="\rb"\r\n'],
    ["a chunk longer than its size", "5\r\nhello!\r\n"],
    ["a chunk that ends with LF", "5\r\nhello\n"],
    ["a chunk that ends with CR", "5\r\nhello\r0"],
    ["a chunk without its line end", "5\r\nhello0\r\n\r\n"],
    ["a chunk that ends with CR CR LF", "5\r\nhello\r\r\n"],
    ["a chunk shorter than its size", "6\r\nhello\r\n0\r\n\r\n"],
    ["a last line that ends with LF", "0\r\n\n"],
    ["a last line that ends with CR", "0\r\n\r0"],
    ["a last line that ends with CR CR LF", "0\r\n\r\r\n"],
    ["a last chunk that ends with LF", "0\n\r\n"],
    ["a trailer without a name", "0\r\n: 1\r\n\r\n"],
    ["a trailer without a colon", "0\r\nA\r\n\r\n"],
    ["a folded trailer", "0\r\nA: 1\r\n 2\r\n\r\n"],
    ["a space before a trailer's colon", "0\r\nA : 1\r\n\r\n"],
    ["another answer for a trailer", "0\r\nHTTP/1.1 200 OK\r\n\r\n"],
    ["a trailer that ends with LF", "0\r\nA: 1\n\r\n"],
    ["a trailer that ends with CR", "0\r\nA: 1\rB: 2\r\n\r\n"],
    ["NUL in a trailer", "0\r\nA: \0\r\n\r\n"],
    ["NUL at the beginning of a trailer", "0\r\n\0A: 1\r\n\r\n"],
    ["DEL in a trailer", "0\r\nA: \x7f\r\n\r\n"],
    ["a control character in a trailer", "0\r\nA\x1f: 1\r\n\r\n"],
    ["a control character in the second trailer", "0\r\nA: 1\r\n\x01B: 2\r\n\r\n"],
  ])("%s", (_what, coding) => {
    expect(() => read([coding])).toThrow(InvalidAnswer);
    expect(() => read([...coding])).toThrow(InvalidAnswer);
    expect(() => read([`1\r\na\r\n${coding}`])).toThrow(InvalidAnswer);
  });

  test("every byte but digits, CR and a semicolon after a size", () => {
    for (let code = 0; code < 256; code++) {
      const byte = String.fromCharCode(code);
      if (/[0-9a-fA-F\r;]/.test(byte)) expect(read([`5${byte}`]).used).toBe(2);
      else expect(() => read([`5${byte}`])).toThrow(InvalidAnswer);
    }
  });

  test("every byte but a digit in front", () => {
    for (let code = 0; code < 256; code++) {
      const byte = String.fromCharCode(code);
      if (/[0-9a-fA-F]/.test(byte)) expect(read([byte]).used).toBe(1);
      else expect(() => read([byte])).toThrow(InvalidAnswer);
    }
  });
});
