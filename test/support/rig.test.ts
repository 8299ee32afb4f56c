// The rig itself: a test tool that can't see a fault proves nothing.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Canaries } from "./canary.ts";
import { type FaultProxy, startFaultProxy } from "./fault-proxy.ts";
import { exchange, RawConnection } from "./raw-client.ts";
import { chunk, type Recorder, respond, startRecorder } from "./recorder.ts";
import { modelsThatSeeAdmin } from "./upstream-models.ts";

let recorder: Recorder;
let proxy: FaultProxy;

beforeAll(async () => {
  recorder = await startRecorder();
  proxy = await startFaultProxy({ port: recorder.port });
});
afterEach(async () => {
  recorder.script(undefined);
  await proxy.set({ kind: "none" }, "drop");
});
afterAll(async () => {
  await proxy.stop();
  await recorder.stop();
});

const GET = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

describe("the raw client", () => {
  test("reads several responses of one connection, with every framing", async () => {
    const { responses } = await exchange(recorder.port, GET + GET, { responses: 2 });
    expect(responses.map((one) => [one.status, one.complete])).toEqual([
      [200, true],
      [200, true],
    ]);
    recorder.script([
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      2,
      chunk("ab"),
      chunk("c"),
      "0\r\nT: 1\r\n\r\n",
    ]);
    const chunked = (await exchange(recorder.port, GET)).responses[0];
    expect([chunked?.text, chunked?.complete, chunked?.trailers]).toEqual(["abc", true, [["T", "1"]]]);
  });

  test.each([
    ["a body shorter than its length", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"],
    ["a chunked body without its end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"],
    ["a chunk that was cut", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc"],
    ["a body that ends with the connection", "HTTP/1.1 200 OK\r\n\r\nabc"],
  ])("never calls %s complete", async (_, bytes) => {
    recorder.script(async ({ send, socket }) => {
      await send(bytes);
      socket.end();
    });
    const { responses, end } = await exchange(recorder.port, GET);
    expect([responses[0]?.text, responses[0]?.complete, end]).toEqual(["abc", false, "fin"]);
  });

  test("tells a reset from a clean end", async () => {
    recorder.script(({ socket }) => void socket.resetAndDestroy());
    expect((await exchange(recorder.port, GET)).end).toBe("reset");
  });

  test("can send byte by byte and in timed parts", async () => {
    const mark = recorder.mark();
    const one = await exchange(recorder.port, GET, { byteByByte: true });
    const two = await exchange(recorder.port, ["GET /b HTTP/1.1\r\nHo", 20, "st: h\r\n\r\n"]);
    expect([one.responses[0]?.status, two.responses[0]?.status]).toEqual([200, 200]);
    expect(recorder.seenSince(mark).map((request) => request.target)).toEqual(["/a", "/b"]);
    expect(recorder.raw.at(-1)?.length).toBe(2);
  });
});

describe("the recorder", () => {
  test("keeps bodies, trailers and exact bytes", async () => {
    const mark = recorder.mark();
    const bytes =
      "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: v\r\n\r\n";
    await exchange(recorder.port, bytes);
    const seen = recorder.last;
    expect([seen?.method, seen?.target, seen?.body.toString(), seen?.trailers]).toEqual([
      "POST",
      "/p",
      "hi",
      [["X-T", "v"]],
    ]);
    expect(seen?.raw.toString()).toBe(bytes);
    expect(recorder.since(mark)).toEqual({ requests: 1, connections: 1, bytes: bytes.length });
  });

  test("hands a connection over to a tunnel, early bytes included", async () => {
    recorder.script(async ({ send, onData, socket }) => {
      await send("HTTP/1.1 101 Switching Protocols\r\n\r\n");
      onData((data) => socket.write(data));
    });
    const connection = new RawConnection(recorder.port);
    await connection.send(`${GET}early`);
    await connection.until(() => connection.responses().rest.toString() === "early", 1_000);
    expect(connection.responses().rest.toString()).toBe("early");
    connection.destroy();
  });

  test.each([
    ["/public/../admin/x", ["wsgi", "servlet", "express", "php", "careless"]],
    ["/public/%2e%2e/admin", ["wsgi", "servlet", "php", "careless"]],
    ["/public/..%2fadmin/x", ["wsgi", "servlet", "php", "careless"]],
    ["/public/..;/admin/x", ["servlet", "careless"]],
    ["/public/..%5cadmin/x", ["servlet", "php", "careless"]],
    ["/ADMIN", ["express"]],
    ["//admin/x?y", ["wsgi", "servlet", "express", "php", "careless"]],
    ["/public/%252e%252e/admin", ["careless"]],
    ["/public/admin", []],
    ["/administer", []],
  ])("knows which upstreams read %s as one of /admin", (target, models) => {
    expect(modelsThatSeeAdmin(target)).toEqual(models);
  });

  test("flags contact with /admin that nobody vouched for", async () => {
    const before = recorder.touchedAdmin.length;
    await exchange(recorder.port, "GET /admin/x HTTP/1.1\r\nHost: h\r\nX-User-Scopes: read admin\r\n\r\n");
    expect(recorder.touchedAdmin.length).toBe(before);
    await exchange(
      recorder.port,
      "GET /admin/x HTTP/1.1\r\nHost: h\r\nX_User_Scopes: admin\r\nX-User-Scopes: admin\r\n\r\n",
    );
    await exchange(recorder.port, "GET /x/../admin HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(recorder.touchedAdmin.slice(before).map((one) => one.target)).toEqual(["/admin/x", "/x/../admin"]);
  });
});

describe("the fault proxy", () => {
  test("passes bytes through while nothing is wrong", async () => {
    expect((await exchange(proxy.port, GET)).responses[0]?.status).toBe(200);
  });

  test("delays, dribbles and cuts", async () => {
    await proxy.set({ kind: "delay", ms: 40 });
    expect((await exchange(proxy.port, GET)).elapsedMs).toBeGreaterThan(60);
    recorder.script(respond(200, {}, "0123456789"));
    await proxy.set({ kind: "dribble", ms: 1 });
    expect((await exchange(proxy.port, GET)).responses[0]?.text).toBe("0123456789");
    for (const [how, end] of [
      ["fin", "fin"],
      ["reset", "reset"],
    ] as const) {
      await proxy.set({ kind: "cut", bytes: 50, how });
      const cut = await exchange(proxy.port, GET, { untilClose: true, timeoutMs: 1_000 });
      expect([cut.end, cut.responses[0]?.complete ?? false]).toEqual([end, false]);
    }
  });

  test("swallows, resets, refuses and recovers on the same port", async () => {
    await proxy.set({ kind: "blackhole" });
    expect(await exchange(proxy.port, GET, { timeoutMs: 50 })).toMatchObject({ responses: [], end: "open" });
    await proxy.set({ kind: "reset" });
    expect((await exchange(proxy.port, GET, { untilClose: true })).responses).toEqual([]);
    await proxy.set({ kind: "refuse" });
    await expect(exchange(proxy.port, GET)).rejects.toThrow("ECONNREFUSED");
    await proxy.set({ kind: "none" });
    expect((await exchange(proxy.port, GET)).responses[0]?.status).toBe(200);
  });
});

test("a canary is found plain and in base64, and its value is never in the report", () => {
  const canaries = new Canaries();
  const secret = canaries.make("the key");
  canaries.assertNoCanary({ log: "nothing" });
  for (const text of [`x${secret}y`, Buffer.from(secret).toString("base64")]) {
    expect(() => canaries.assertNoCanary({ log: text })).toThrow('log holds the secret "the key"');
  }
});
