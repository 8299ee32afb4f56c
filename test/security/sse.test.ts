// Event streams: what the upstream says arrives at once, and whoever goes away takes the other side along.

import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { expectAlive } from "../support/cases.ts";
import { RawConnection } from "../support/raw-client.ts";
import { type Answering, chunk } from "../support/recorder.ts";
import { type Rig, requestBytes, startRig } from "../support/rig.ts";

let rig: Rig;
beforeAll(async () => {
  rig = await startRig({ timeouts: "{ connect: 300ms, headers: 1s, idle: 10s }" });
});
afterAll(() => rig?.stop());
afterEach(() => rig.recorder.script(undefined));

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n";

interface Stream {
  readonly client: RawConnection;
  readonly upstream: Answering;
  /** Settles when the upstream's connection has ended. */
  readonly ended: Promise<unknown>;
}

/** Opens an event stream; its first event is "ready". */
async function open(
  framing: "chunked" | "until close",
  headers: Readonly<Record<string, string>> = {},
): Promise<Stream> {
  const made = Promise.withResolvers<Answering>();
  rig.recorder.script(async (answering) => {
    await answering.send(
      framing === "chunked"
        ? [`${HEAD}Transfer-Encoding: chunked\r\n\r\n`, chunk("data: ready\n\n")]
        : `${HEAD}\r\ndata: ready\n\n`,
    );
    made.resolve(answering);
  });
  const client = new RawConnection(rig.port);
  await client.send(requestBytes({ target: "/api/events", headers: { ...rig.bearer(), ...headers } }));
  const upstream = await made.promise;
  const ended = new Promise((resolve) => upstream.socket.once("close", resolve));
  expect(await client.until(() => client.received.includes("data: ready"), 1_000)).toBe(true);
  return { client, upstream, ended };
}

test.each([
  "chunked",
  "until close",
] as const)("★E01 an event is at the client within 50 ms (%s)", async (framing) => {
  const { client, upstream } = await open(framing);
  const times: number[] = [];
  for (let index = 0; index < 7; index++) {
    const event = `data: event-${index}\n\n`;
    await sleep(30);
    const started = performance.now();
    await upstream.send(framing === "chunked" ? chunk(event) : event);
    expect(await client.until(() => client.received.includes(event), 1_000)).toBe(true);
    times.push(performance.now() - started);
  }
  // A busy machine may hold up one of them; a buffer would hold up all.
  expect(times.sort((a, b) => a - b)[3]).toBeLessThan(50);
  const [response] = client.responses().final;
  expect([
    response?.header("content-type"),
    response?.header("content-encoding"),
    response?.header("cache-control"),
  ]).toEqual(["text/event-stream", undefined, "no-cache"]);
  client.destroy();
  await expectAlive(rig);
});

test("★E01 the head of a stream that says nothing yet arrives at once", async () => {
  rig.recorder.script(({ send }) => send(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`));
  const client = new RawConnection(rig.port);
  const started = performance.now();
  await client.send(requestBytes({ target: "/public/events" }));
  expect(await client.until(() => client.responses().final.length === 1, 1_000)).toBe(true);
  expect(performance.now() - started).toBeLessThan(500);
  client.destroy();
});

test.each([
  "reset",
  "end",
  "destroy",
] as const)("★E02 the upstream's connection ends within a second after the client's does (%s)", async (how) => {
  const { client, ended } = await open("chunked");
  if (how === "reset") client.reset();
  else client.destroy();
  expect(await Promise.race([ended.then(() => "ended"), sleep(1_000, "still open")])).toBe("ended");
  await expectAlive(rig);
});

test("★E02 two hundred aborted streams leave no connection behind", async () => {
  for (let round = 0; round < 20; round++) {
    const streams: Stream[] = [];
    for (let index = 0; index < 10; index++)
      streams.push(await open(index % 2 === 0 ? "chunked" : "until close"));
    for (const { client } of streams) client.destroy();
    const all = Promise.all(streams.map((one) => one.ended)).then(() => "ended");
    expect(await Promise.race([all, sleep(1_000, "still open")])).toBe("ended");
  }
  await expectAlive(rig);
});

test("★E02 an upstream that ends or breaks a stream ends the client's", async () => {
  const whole = await open("chunked");
  await whole.upstream.send("0\r\n\r\n");
  expect(await whole.client.until(() => whole.client.responses().final[0]?.complete === true, 1_000)).toBe(
    true,
  );
  whole.client.destroy();
  const broken = await open("chunked");
  broken.upstream.socket.resetAndDestroy();
  expect(await broken.client.closed(1_000)).toBe(true);
  expect(broken.client.responses().final[0]?.complete).toBe(false);
  await expectAlive(rig);
});

test("E04 Last-Event-ID reaches the upstream, and a reconnection is judged again", async () => {
  const { client } = await open("chunked", { "Last-Event-ID": "41" });
  expect(rig.recorder.last?.header("last-event-id")).toBe("41");
  client.destroy();
  const again = await rig.call({
    target: "/api/events",
    headers: { ...rig.bearer({ exp: Math.floor(Date.now() / 1_000) - 1 }), "Last-Event-ID": "42" },
  });
  expect(again.status).toBe(401);
});
