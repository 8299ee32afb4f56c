import { Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { closeAfterAnswer, connectionOf } from "../../../src/http/connection.ts";
import { type Served, serve, until } from "../../support/served.ts";

let served: (Served & { close(): void }) | undefined;
afterEach(() => {
  served?.close();
  served = undefined;
});

test("a connection is remembered by its socket, with the peer in canonical spelling", async () => {
  served = await serve("GET / HTTP/1.1\r\nHost: a");
  const { socket } = served.incoming;
  expect(connectionOf(socket)).toMatchObject({ peerAddress: "127.0.0.1", closing: false });
  expect(connectionOf(socket)).toBe(connectionOf(socket));
  expect(connectionOf(new Socket()).peerAddress).toBe("");
});

describe("a connection that can't be used again", () => {
  test("lets the client read the answer though it is still sending, and parses nothing more", async () => {
    served = await serve("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000");
    closeAfterAnswer(served.incoming);
    expect(connectionOf(served.incoming.socket).closing).toBe(true);
    served.outgoing.writeHead(413, { connection: "close" }).end("too large");
    served.client.write(Buffer.alloc(100_000, 97));
    await until(() => served?.received().includes("too large") ?? false);
    served.client.end(Buffer.alloc(100_000, 97));
    const { text, orderly } = await served.closed();
    expect([text.match(/HTTP\/1\.1/g)?.length, orderly]).toEqual([1, true]);
  });

  test("ends at once when the request was read to its end", async () => {
    served = await serve("GET / HTTP/1.1\r\nHost: a");
    closeAfterAnswer(served.incoming);
    served.incoming.resume();
    await until(() => served?.incoming.complete ?? false);
    const started = performance.now();
    served.outgoing.writeHead(400, { connection: "close" }).end("bad");
    const { text, orderly } = await served.closed();
    expect([text.includes("bad"), orderly]).toEqual([true, true]);
    expect(performance.now() - started).toBeLessThan(1_500);
  });

  test("is cut when the client sends on beyond 256 KiB", async () => {
    served = await serve("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000", { allowHalfOpen: true });
    const { client, incoming, outgoing } = served;
    const { socket } = incoming;
    closeAfterAnswer(incoming);
    outgoing.writeHead(413, { connection: "close" }).end("too large");
    const started = performance.now();
    const sender = setInterval(() => client.write(Buffer.alloc(64 * 1024, 97)), 1);
    await until(() => socket.destroyed);
    clearInterval(sender);
    expect(socket.bytesRead).toBeGreaterThan(256 * 1024);
    expect(performance.now() - started).toBeLessThan(1_500);
  });
});
