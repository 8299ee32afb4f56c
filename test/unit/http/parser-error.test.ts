import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { denialOfParserError, writeToSocket } from "../../../src/http/parser-error.ts";

const failing = (code: string, rawPacket?: unknown): Error =>
  Object.assign(new Error("x"), { code, rawPacket });

describe("an error of the parser", () => {
  test.each([
    ["ERR_HTTP_REQUEST_TIMEOUT", "request_timeout request_timeout"],
    ["HPE_CHUNK_EXTENSIONS_OVERFLOW", "body_too_large chunk_extensions"],
    ["HPE_INVALID_METHOD", "request_invalid hpe_invalid_method"],
    ["HPE_INVALID_TRANSFER_ENCODING", "request_invalid hpe_invalid_transfer_encoding"],
    ["HPE_HEADER_OVERFLOW", "headers_too_large header_bytes"],
    ["ERR_SOMETHING", "request_invalid parse_error"],
  ])("%s means %s", (code, denial) => {
    const found = denialOfParserError(failing(code), 100);
    expect(`${found?.code} ${found?.reason}`).toBe(denial);
  });

  test.each(["ECONNRESET", "EPIPE"])("%s means that nobody is there to answer", (code) => {
    expect(denialOfParserError(failing(code), 100)).toBeUndefined();
  });

  test.each([undefined, null, "x", {}, { code: 7 }])("%j means a bad request", (error) => {
    expect(denialOfParserError(error, 100)?.code).toBe("request_invalid");
  });

  test.each([
    ["a request line above the limit", `GET /${"a".repeat(200)} HTTP/1.1\r\nHost: x\r\n`, "url_too_long"],
    ["a request line without an end", `GET /${"a".repeat(200)}`, "url_too_long"],
    ["a long field", `GET / HTTP/1.1\r\nX: ${"a".repeat(200)}`, "headers_too_large"],
    ["the middle of a field", "a".repeat(200), "headers_too_large"],
    ["no packet", undefined, "headers_too_large"],
  ])("about too much of %s tells which", (_what, packet, code) => {
    const raw = packet === undefined ? undefined : Buffer.from(packet);
    expect(denialOfParserError(failing("HPE_HEADER_OVERFLOW", raw), 100)?.code).toBe(code);
  });
});

describe("an answer to a bare socket", () => {
  const ANSWER = {
    status: 400,
    fields: ["A", "1", "B", "2"],
    body: "{}",
    grpcStatus: undefined,
    closes: true,
  };
  let server: Server;
  let accept: (socket: Socket) => void = () => undefined;

  beforeAll(async () => {
    server = createServer({ allowHalfOpen: true }, (socket) => accept(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  afterAll(() => {
    server.close();
  });

  async function connected(halfOpen = false): Promise<readonly [client: Socket, served: Socket]> {
    const served = new Promise<Socket>((resolve) => {
      accept = resolve;
    });
    const { port } = server.address() as { port: number };
    const client = connect({ port, host: "127.0.0.1", allowHalfOpen: halfOpen });
    return [client, await served];
  }

  test("is complete and ends the connection", async () => {
    const [client, served] = await connected();
    let text = "";
    client.setEncoding("latin1").on("data", (chunk: string) => {
      text += chunk;
    });
    writeToSocket(served, ANSWER);
    await once(client, "close");
    expect(text).toMatch(
      /^HTTP\/1\.1 400 Bad Request\r\nA: 1\r\nB: 2\r\nConnection: close\r\nDate: [^\r]+ GMT\r\n\r\n\{\}$/,
    );
    expect(served.destroyed).toBe(true);
  });

  test("destroys a socket that nothing can be written to", async () => {
    const [client, served] = await connected();
    client.on("error", () => undefined);
    served.end();
    await once(served, "finish");
    writeToSocket(served, ANSWER);
    expect(served.destroyed).toBe(true);
    client.destroy();
  });

  test("holds no socket of a client that keeps its side open", async () => {
    const [client, served] = await connected(true);
    client.on("error", () => undefined).resume();
    writeToSocket(served, ANSWER);
    await once(served, "close");
    expect(served.destroyed).toBe(true);
    client.destroy();
  });

  test("holds no socket of a client that doesn't read", async () => {
    const [client, served] = await connected(true);
    client.on("error", () => undefined).pause();
    writeToSocket(served, { ...ANSWER, body: "x".repeat(20_000_000) });
    await once(served, "close");
    expect(served.bytesWritten).toBeGreaterThan(0);
    client.destroy();
  });

  test("survives a client that resets", async () => {
    const [client, served] = await connected();
    client.resetAndDestroy();
    writeToSocket(served, ANSWER);
    await once(served, "close");
    expect(served.destroyed).toBe(true);
  });
});
