import { afterEach, describe, expect, test } from "vitest";
import { RequestBody } from "../../../src/upstream/request-body.ts";
import { type Served, serve, until } from "../../support/served.ts";

let served: Served & { close(): void };
afterEach(() => {
  served.close();
});

const post = (framing: string): Promise<Served & { close(): void }> =>
  serve(`POST / HTTP/1.1\r\nHost: a\r\n${framing}`);

/** Reads a body to its end: what came, or the code of the error. */
async function read(body: RequestBody): Promise<string> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of body) chunks.push(chunk as Buffer);
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
  return Buffer.concat(chunks).toString("latin1");
}

describe("a body", () => {
  test("passes as it came", async () => {
    served = await post("Content-Length: 6");
    served.client.write("abc");
    const reading = read(new RequestBody(served.incoming, 6));
    served.client.write("def");
    expect(await reading).toBe("abcdef");
  });

  test("of exactly the limit passes, of one byte more doesn't", async () => {
    served = await post("Transfer-Encoding: chunked");
    served.client.write("5\r\nabcde\r\n0\r\n\r\n");
    expect(await read(new RequestBody(served.incoming, 5))).toBe("abcde");
    served.close();
    served = await post("Transfer-Encoding: chunked");
    served.client.write("5\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n");
    expect(await read(new RequestBody(served.incoming, 5))).toBe("BODY_TOO_LARGE");
  });

  test("that the client breaks off is incomplete, never whole", async () => {
    served = await post("Content-Length: 6");
    served.client.write("abc");
    const reading = read(new RequestBody(served.incoming, 6));
    await until(() => served.incoming.readableFlowing === true);
    served.client.destroy();
    expect(await reading).toBe("BODY_INCOMPLETE");
  });

  test("is not read before somebody asks for it, nor faster than it is taken", async () => {
    const total = 8 * 1024 * 1024;
    served = await post(`Content-Length: ${total}`);
    const body = new RequestBody(served.incoming, total);
    served.client.write(Buffer.alloc(total, 97));
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect([served.incoming.readableFlowing, body.readableLength]).toEqual([null, 0]);
    body.once("readable", () => undefined);
    body.read(0);
    await until(() => body.readableLength > 0 && served.incoming.isPaused());
    expect(body.readableLength).toBeLessThan(512 * 1024);
    expect((await read(body)).length).toBe(total);
  });

  test("that the upstream gives up leaves the client's connection standing", async () => {
    served = await post("Content-Length: 1000000");
    const body = new RequestBody(served.incoming, 1_000_000);
    const reading = read(body);
    served.client.write(Buffer.alloc(1_000, 97));
    await until(() => served.incoming.readableFlowing === true);
    body.destroy();
    await reading;
    expect(served.incoming.destroyed).toBe(false);
    served.outgoing.end("early");
    await until(() => served.received().includes("early"));
  });
});
