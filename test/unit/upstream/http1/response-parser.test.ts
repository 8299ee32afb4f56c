// Which answers the bytes of a connection hold, however they are cut into reads, and what ends the connection.

import { describe, expect, test } from "vitest";
import { InvalidAnswer, type ResponseHead } from "../../../../src/upstream/http1/response-head.ts";
import {
  LARGEST_HEAD_BYTES,
  type ParserEvents,
  ResponseParser,
} from "../../../../src/upstream/http1/response-parser.ts";

/** A parser with the list of what it reports; pieces of a body that follow each other are one entry. */
class Rig {
  readonly seen: string[] = [];
  readonly heads: ResponseHead[] = [];
  readonly parser: ResponseParser;

  /** @param methods of the requests whose answers are expected, each from the end of the one before */
  constructor(
    methods: readonly string[] = ["GET"],
    also: (event: keyof ParserEvents) => void = () => undefined,
  ) {
    const waiting = [...methods];
    const expectNext = (): void => {
      const method = waiting.shift();
      if (method !== undefined) this.parser.expect(method);
    };
    this.parser = new ResponseParser({
      onHead: (head) => {
        this.heads.push(head);
        this.seen.push(`head ${head.status}`);
        also("onHead");
      },
      onBody: (piece) => {
        const before = this.seen.at(-1)?.startsWith("body ") ? this.seen.pop() : "body ";
        this.seen.push(`${before}${piece.toString("latin1")}`);
        also("onBody");
      },
      onComplete: (head) => {
        expect(head).toBe(this.heads.at(-1));
        this.seen.push("complete");
        expectNext();
        also("onComplete");
      },
    });
    expectNext();
  }

  /** Reads the pieces one after another, each from the same memory: bytes of earlier ones lie behind a short one. */
  read(...pieces: readonly string[]): this {
    const memory = Buffer.alloc(Math.max(...pieces.map((piece) => piece.length)) + 64, "\r\n");
    for (const piece of pieces) {
      memory.write(piece, "latin1");
      this.parser.read(memory, piece.length);
    }
    return this;
  }

  /** What was reported until the pieces were refused; fails when they are taken. */
  refused(...pieces: readonly string[]): readonly string[] {
    expect(() => this.read(...pieces)).toThrow(InvalidAnswer);
    return this.seen;
  }
}

/** Every way to cut the text in two, and all its bytes apart. */
function cutsOf(text: string): string[][] {
  const cuts = [[text], [...text]];
  for (let at = 1; at < text.length; at++) cuts.push([text.slice(0, at), text.slice(at)]);
  return cuts;
}

const SIZED = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED =
  "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3;a\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n";
const EMPTY = "HTTP/1.1 204 No Content\r\n\r\n";
const UNTIL_CLOSE = "HTTP/1.1 200 OK\r\n\r\nuntil the end";

describe("an answer", () => {
  test.each([
    ["with a length", SIZED, ["head 200", "body hello", "complete"]],
    ["in chunks", CHUNKED, ["head 201", "body abcde", "complete"]],
    ["without a body", EMPTY, ["head 204", "complete"]],
    ["with an empty body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ["head 200", "complete"]],
    [
      "with no chunk",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      ["head 200", "complete"],
    ],
    ["without fields or reason", "HTTP/1.1 304\r\n\r\n", ["head 304", "complete"]],
    ["with a body that looks like a head", SIZED.replace("5", "24") + SIZED.slice(0, 19), undefined],
    [
      "after interim ones",
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\nLink: b\r\n\r\n${SIZED}`,
      ["head 100", "head 103", "head 200", "body hello", "complete"],
    ],
    [
      "after interim ones that frame a body which they cannot have",
      `HTTP/1.1 103 Any\r\nContent-Length: 5\r\n\r\nHTTP/1.1 102 Any\r\nTransfer-Encoding: chunked\r\n\r\n${EMPTY}`,
      ["head 103", "head 102", "head 204", "complete"],
    ],
  ])("%s is the same however it is cut", (_what, text, seen) => {
    const expected = seen ?? ["head 200", `body ${text.slice(text.indexOf("\r\n\r\n") + 4)}`, "complete"];
    for (const pieces of cutsOf(text)) {
      const rig = new Rig().read(...pieces);
      expect(rig.seen).toEqual(expected);
      expect(rig.parser.idle).toBe(true);
    }
  });

  test("may follow another, and a third one that, however they are cut", () => {
    const text = SIZED + CHUNKED + EMPTY + SIZED;
    for (const pieces of cutsOf(text)) {
      const rig = new Rig(["GET", "POST", "GET", "PUT"]).read(...pieces);
      expect(rig.seen).toEqual([
        ...["head 200", "body hello", "complete"],
        ...["head 201", "body abcde", "complete"],
        ...["head 204", "complete"],
        ...["head 200", "body hello", "complete"],
      ]);
    }
  });

  test("to HEAD has no body, and the next one may have one again", () => {
    const text = SIZED.slice(0, -5) + CHUNKED.slice(0, CHUNKED.indexOf("3;a")) + SIZED;
    for (const pieces of cutsOf(text)) {
      expect(new Rig(["HEAD", "HEAD", "GET"]).read(...pieces).seen).toEqual([
        ...["head 200", "complete"],
        ...["head 201", "complete"],
        ...["head 200", "body hello", "complete"],
      ]);
    }
  });

  test.each([
    ["", true],
    ["Connection: close\r\n", false],
    ["Connection: x, Close\r\n", false],
  ])("after an interim one with %j leaves a connection that persists: %s", (line, expected) => {
    const seen: boolean[] = [];
    const parser = new ResponseParser({
      onHead: () => undefined,
      onBody: () => undefined,
      onComplete: (_, persistent) => seen.push(persistent),
    });
    for (const text of [`HTTP/1.1 103 Any\r\n${line}\r\n${SIZED}`, SIZED]) {
      parser.expect("GET");
      parser.read(Buffer.from(text), text.length);
    }
    expect(seen).toEqual([expected, true]);
  });

  test("after many interim ones is taken", () => {
    const interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
    const rig = new Rig().read(interim.repeat(200) + SIZED);
    expect(rig.seen.length).toBe(203);
    expect(rig.seen.at(-1)).toBe("complete");
  });

  test("reports its head when it is there, and its body as it comes", () => {
    const rig = new Rig();
    rig.read(SIZED.slice(0, -6));
    expect(rig.seen).toEqual([]);
    rig.read(SIZED.at(-6) ?? "");
    expect(rig.seen).toEqual(["head 200"]);
    rig.read("he");
    expect(rig.seen).toEqual(["head 200", "body he"]);
    rig.read("llo");
    expect(rig.seen).toEqual(["head 200", "body hello", "complete"]);
  });

  test("reports views of the given bytes as its body", () => {
    for (const text of [SIZED, CHUNKED, UNTIL_CLOSE]) {
      const bytes = Buffer.from(text, "latin1");
      const parser = new ResponseParser({
        onHead: () => undefined,
        onBody: (piece) => expect(piece.buffer).toBe(bytes.buffer),
        onComplete: () => undefined,
      });
      parser.expect("GET");
      parser.read(bytes, bytes.length);
    }
    expect.assertions(4);
  });

  test("is read from the given bytes only, not from what lies behind them", () => {
    for (const behind of ["\r\n\r\n", "\n\r\n", "hello", "0\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"]) {
      const rig = new Rig();
      const head = "HTTP/1.1 200 OK\r\nA: 1";
      rig.parser.read(Buffer.from(head + behind, "latin1"), head.length);
      expect(rig.seen).toEqual([]);
      const sized = new Rig();
      sized.parser.read(Buffer.from(SIZED + behind, "latin1"), SIZED.length - 2);
      expect(sized.seen).toEqual(["head 200", "body hel"]);
      const chunked = new Rig();
      chunked.parser.read(Buffer.from(CHUNKED + behind, "latin1"), CHUNKED.length - 2);
      expect(chunked.seen).toEqual(["head 201", "body abcde"]);
    }
  });

  test("is expected until it is complete", () => {
    const rig = new Rig([]);
    expect(rig.parser.idle).toBe(true);
    rig.parser.expect("GET");
    for (const byte of SIZED) {
      expect(rig.parser.idle).toBe(false);
      rig.read(byte);
    }
    expect(rig.parser.idle).toBe(true);
    rig.parser.expect("GET");
    expect(rig.parser.idle).toBe(false);
  });

  test("that is malformed is refused after what came before it", () => {
    expect(new Rig().refused("HTTP/1.1 200 OK\r\nA : 1\r\n\r\n")).toEqual([]);
    expect(new Rig().refused("HTTP/1.1 103 Any\r\n\r\nHTTP/1.1 200 OK\nA: 1\r\n\r\n")).toEqual(["head 103"]);
    expect(new Rig().refused(CHUNKED.replace("2\r\n", "x\r\n"))).toEqual(["head 201", "body abc"]);
    expect(new Rig(["GET", "GET"]).refused(`${SIZED}HTTP/1.1 20 OK\r\n\r\n`)).toEqual([
      ...["head 200", "body hello", "complete"],
    ]);
  });
});

describe("an answer until the connection ends", () => {
  test("is complete then, however it is cut", () => {
    for (const pieces of cutsOf(UNTIL_CLOSE)) {
      const rig = new Rig().read(...pieces);
      expect(rig.parser.idle).toBe(false);
      expect(rig.seen.at(-1)).not.toBe("complete");
      rig.parser.end();
      rig.parser.end();
      expect(rig.seen).toEqual(["head 200", "body until the end", "complete"]);
      expect(rig.parser.idle).toBe(true);
    }
  });

  test("may be empty", () => {
    const rig = new Rig().read("HTTP/1.0 200 OK\r\n\r\n");
    rig.parser.end();
    expect(rig.seen).toEqual(["head 200", "complete"]);
  });

  test("takes everything for its body", () => {
    const rig = new Rig(["GET", "GET"]).read(`HTTP/1.1 200 OK\r\n\r\n${SIZED}`, "\0\r\n\r\n");
    rig.parser.end();
    expect(rig.seen).toEqual(["head 200", `body ${SIZED}\0\r\n\r\n`, "complete"]);
  });
});

test("an end of the connection completes no answer that is framed otherwise", () => {
  for (const text of [SIZED, CHUNKED, `HTTP/1.1 103 Any\r\n\r\n${SIZED}`, EMPTY]) {
    for (let length = 0; length < text.length; length++) {
      const rig = new Rig().read(text.slice(0, length));
      const before = [...rig.seen];
      rig.parser.end();
      expect(rig.seen).toEqual(before);
      expect(rig.seen).not.toContain("complete");
    }
  }
});

test("an end of the connection while nothing is expected means nothing", () => {
  const rig = new Rig([]);
  rig.parser.end();
  rig.read("");
  expect(rig.seen).toEqual([]);
  expect(rig.parser.idle).toBe(true);
});

describe("bytes that belong to no answer are refused", () => {
  test.each([
    ["after a length", SIZED],
    ["after chunks", CHUNKED],
    ["after no body", EMPTY],
    ["after an empty body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
  ])("%s", (_what, text) => {
    const whole = new Rig().read(text).seen;
    for (const more of ["\0", "\r\n", " ", SIZED, "HTTP/1.1 408 Request Timeout\r\n\r\n"]) {
      expect(new Rig().refused(text + more)).toEqual(whole);
      expect(new Rig().refused(text, more)).toEqual(whole);
      expect(new Rig().refused(...(text + more))).toEqual(whole);
    }
  });

  test("after the head of an answer to HEAD", () => {
    expect(new Rig(["HEAD"]).refused(SIZED)).toEqual(["head 200", "complete"]);
  });

  test("after the answer that was expected last", () => {
    const rig = new Rig(["GET", "GET"]);
    expect(rig.refused(SIZED + SIZED + SIZED)).toEqual([
      ...["head 200", "body hello", "complete"],
      ...["head 200", "body hello", "complete"],
    ]);
  });

  test("before any request", () => {
    expect(new Rig([]).refused("\r\n")).toEqual([]);
    expect(new Rig([]).refused(SIZED)).toEqual([]);
    expect(new Rig([]).refused("HTTP/1.1 100 Continue\r\n\r\n")).toEqual([]);
  });
});

test("a switch of protocols that nobody asked for is refused", () => {
  for (const text of [
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05hello",
    `HTTP/1.1 101 Any\r\n\r\n${SIZED}`,
    "HTTP/1.0 101\r\n\r\n",
  ]) {
    for (const pieces of cutsOf(text)) expect(new Rig().refused(...pieces)).toEqual([]);
  }
  expect(new Rig(["HEAD"]).refused("HTTP/1.1 101 Any\r\n\r\n")).toEqual([]);
  expect(new Rig().refused("HTTP/1.1 103 Any\r\n\r\nHTTP/1.1 101 Any\r\n\r\n")).toEqual(["head 103"]);
});

describe("a head of 64 KiB", () => {
  /** A head with this many bytes before its empty line. */
  function headOf(bytes: number): string {
    const line = "HTTP/1.1 204 Any\r\nX-Fill: ";
    return `${line}${"f".repeat(bytes - line.length)}\r\n\r\n`;
  }
  function inPieces(text: string, size: number): string[] {
    const pieces: string[] = [];
    for (let at = 0; at < text.length; at += size) pieces.push(text.slice(at, at + size));
    return pieces;
  }
  const most = headOf(LARGEST_HEAD_BYTES);
  const more = headOf(LARGEST_HEAD_BYTES + 1);

  test("is the largest one", () => {
    expect(LARGEST_HEAD_BYTES).toBe(65_536);
    expect(new Rig().read(most).seen).toEqual(["head 204", "complete"]);
    expect(new Rig().refused(more)).toEqual([]);
  });

  test("is the largest one in pieces too", () => {
    for (const size of [1_460, 16_384, 30_000, 65_536]) {
      expect(new Rig().read(...inPieces(most, size)).seen).toEqual(["head 204", "complete"]);
      expect(new Rig().refused(...inPieces(more, size))).toEqual([]);
    }
  });

  test.each([1, 2, 3, 4])("is taken also when its last piece has %s bytes", (length) => {
    const rig = new Rig().read(most.slice(0, -length), most.slice(-length));
    expect(rig.seen).toEqual(["head 204", "complete"]);
    expect(new Rig().refused(more.slice(0, -length), more.slice(-length))).toEqual([]);
  });

  test("is the largest one behind another answer, and every interim head has it for itself", () => {
    const interim = most.replace("204 Any", "103 Any");
    expect(new Rig().read(interim + interim + most).seen).toEqual([
      "head 103",
      "head 103",
      "head 204",
      "complete",
    ]);
    expect(new Rig(["GET", "GET"]).read(SIZED + most).seen.slice(-2)).toEqual(["head 204", "complete"]);
    expect(new Rig(["GET", "GET"]).refused(SIZED + more)).toHaveLength(3);
    expect(new Rig().refused(interim + more)).toEqual(["head 103"]);
  });

  test("has no bearing on the body behind it", () => {
    const length = 200_000;
    const head = `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`;
    expect(new Rig().read(head + "b".repeat(length)).seen.at(-1)).toBe("complete");
    expect(new Rig().read("HTTP/1.1 ", head.slice(9) + "b".repeat(length)).seen.at(-1)).toBe("complete");
  });

  test("is refused without its end, in one piece or in many, before more is kept", () => {
    const endless = `HTTP/1.1 200 OK\r\n${"X-Fill: f\r\n".repeat(6_000)}`;
    expect(new Rig().refused(endless)).toEqual([]);
    for (const size of [1_000, 16_384, 65_536]) {
      const rig = new Rig();
      let read = 0;
      expect(() => {
        for (;;) {
          const piece = endless.slice(0, size);
          rig.read(read === 0 ? piece : "f".repeat(size));
          read += size;
        }
      }).toThrow(InvalidAnswer);
      // A few bytes more may be the beginning of the empty line.
      expect(read).toBeLessThanOrEqual(LARGEST_HEAD_BYTES + 4);
    }
  });
});

describe("after stop() nothing more is reported, and nothing refused", () => {
  const FOLLOWING = [SIZED, "\0\0\0", "", `${CHUNKED}x`];

  test.each([
    ["the head of an answer with a length", SIZED, "onHead", ["head 200"]],
    ["the head of an answer in chunks", CHUNKED, "onHead", ["head 201"]],
    ["the head of an answer without a body", EMPTY, "onHead", ["head 204"]],
    ["the head of an answer until the end", UNTIL_CLOSE, "onHead", ["head 200"]],
    ["an interim head", `HTTP/1.1 103 Any\r\n\r\n${SIZED}`, "onHead", ["head 103"]],
    ["a body with a length", SIZED, "onBody", ["head 200", "body hello"]],
    ["a body in chunks", CHUNKED, "onBody", ["head 201", "body abc"]],
    ["a body until the end", UNTIL_CLOSE, "onBody", ["head 200", "body until the end"]],
    ["the end of an answer with a length", SIZED, "onComplete", ["head 200", "body hello", "complete"]],
    ["the end of an answer in chunks", CHUNKED, "onComplete", ["head 201", "body abcde", "complete"]],
    ["the end of an answer without a body", EMPTY, "onComplete", ["head 204", "complete"]],
  ])("inside the report of %s", (_what, text, event, seen) => {
    for (const more of FOLLOWING) {
      const rig = new Rig(["GET"], (reported) => {
        if (reported === event) rig.parser.stop();
      });
      rig.read(text + more, more, SIZED);
      rig.parser.end();
      // What follows an answer that lasts until the end is part of its first piece.
      const rest = text === UNTIL_CLOSE && event === "onBody" ? more : "";
      expect(rig.seen.join("|")).toBe(seen.join("|") + rest);
    }
  });

  test("inside the first piece of a body that comes in several", () => {
    for (const text of [SIZED, CHUNKED, UNTIL_CLOSE]) {
      const rig = new Rig(["GET"], (reported) => {
        if (reported === "onBody") rig.parser.stop();
      });
      rig.read(...text);
      rig.parser.end();
      expect(rig.seen).toHaveLength(2);
      expect(rig.seen[1]).toHaveLength("body ".length + 1);
    }
  });

  test("between two reads, wherever the answer stands", () => {
    for (const text of [SIZED, CHUNKED, EMPTY, UNTIL_CLOSE]) {
      for (let length = 0; length <= text.length; length++) {
        const rig = new Rig().read(text.slice(0, length));
        const before = [...rig.seen];
        rig.parser.stop();
        rig.read(text.slice(length), "\0", SIZED);
        rig.parser.end();
        expect(rig.seen).toEqual(before);
        expect(rig.parser.idle).toBe(false);
      }
    }
  });

  test("the last piece of a body is not followed by its end", () => {
    const rig = new Rig(["GET"], (reported) => {
      if (reported === "onBody" && rig.seen.at(-1) === "body hello") rig.parser.stop();
    });
    rig.read(SIZED.slice(0, -2), SIZED.slice(-2));
    expect(rig.seen).toEqual(["head 200", "body hello"]);
  });
});

describe("another protocol is refused from its first bytes", () => {
  test.each([
    ["HTTP/2 in words", "HTTP/2.0 200 OK\r\n", 5],
    ["HTTP/2 in frames", "\0\0\x12\x04\0\0\0\0\0", 0],
    ["HTTP/0.9", "<html>", 0],
    ["HTTP/1 without a dot", "HTTP/1 200", 6],
    ["HTTP in lower case", "http/1.1 200 OK\r\n", 0],
    ["HTTP in mixed case", "Http/1.1 200 OK\r\n", 1],
    ["TLS", "\x15\x03\x01\0\x02\x02\x46", 0],
    ["SSH", "SSH-2.0-OpenSSH_9.9\r\n", 0],
    ["SMTP", "220 mail.example.com ESMTP\r\n", 0],
    ["Shoutcast", "ICY 200 OK\r\n", 0],
    ["RTSP", "RTSP/1.0 200 OK\r\n", 0],
    ["a request", "GET / HTTP/1.1\r\n", 0],
    ["a name that begins alike", "HTTPS/1.1 200 OK\r\n", 4],
    ["a space in front", " HTTP/1.1 200 OK\r\n", 0],
    ["an empty line in front", "\r\nHTTP/1.1 200 OK\r\n", 0],
    ["a byte order mark in front", "\xef\xbb\xbfHTTP/1.1 200 OK\r\n", 0],
  ])("%s", (_what, text, alike) => {
    expect(new Rig().refused(text)).toEqual([]);
    const rig = new Rig();
    // As many bytes as it has in common with HTTP/1 may come; the next one is the last.
    for (const byte of text.slice(0, alike)) rig.read(byte);
    expect(rig.refused(text.charAt(alike))).toEqual([]);
  });

  test("also after an interim answer, and after a whole one", () => {
    const rig = new Rig(["GET", "GET"]).read("HTTP/1.1 103 Any\r\n\r\n");
    expect(rig.refused("<")).toEqual(["head 103"]);
    const second = new Rig(["GET", "GET"]).read(SIZED);
    expect(second.refused("<")).toHaveLength(3);
    expect(new Rig(["GET", "GET"]).refused(`${SIZED}HTTP/2`)).toHaveLength(3);
  });

  test("but not while it may still be HTTP/1", () => {
    const rig = new Rig();
    for (const byte of "HTTP/1.1 2") rig.read(byte);
    expect(rig.parser.idle).toBe(false);
  });
});
