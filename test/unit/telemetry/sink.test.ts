import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Writable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LineSink } from "../../../src/telemetry/sink.ts";

/** A destination that can stop reading and can break. */
class Reader extends Writable {
  readonly writes: string[] = [];
  reading = true;
  #waiting: (() => void) | undefined;

  constructor() {
    super({ decodeStrings: false });
  }

  override _write(chunk: string, _encoding: string, callback: () => void): void {
    this.writes.push(chunk);
    if (this.reading) callback();
    else this.#waiting = callback;
  }

  readOn(): void {
    this.reading = true;
    this.#waiting?.();
  }
}

describe("lines", () => {
  test("leave in order, those of one turn in one write", async () => {
    const reader = new Reader();
    const sink = new LineSink(reader);
    for (const line of ["a\n", "b\n", "c\n"]) sink.write(line);
    expect(reader.writes).toEqual([]);
    await nextTurn();
    sink.write("d\n");
    await nextTurn();
    expect(reader.writes).toEqual(["a\nb\nc\n", "d\n"]);
    expect(sink.dropped).toBe(0);
  });

  test("are counted when the reader stops and 8 MiB wait, and flow on in order when it reads again", async () => {
    const reader = new Reader();
    reader.reading = false;
    const sink = new LineSink(reader);
    const line = `${"x".repeat(1023)}\n`;
    const total = 10_000;
    for (let index = 0; index < total; index++) {
      sink.write(`${index}`.padEnd(8) + line.slice(8));
      if (index % 1_000 === 0) await nextTurn();
    }
    expect(sink.dropped).toBeGreaterThan(1_000);
    expect(sink.dropped).toBeLessThan(2_500);
    const dropped = sink.dropped;
    reader.readOn();
    await sink.drain(1_000);
    const kept = reader.writes.join("").trimEnd().split("\n");
    expect(kept).toHaveLength(total - dropped);
    expect(kept.map((text) => Number(text.slice(0, 8)))).toEqual(kept.map((_, index) => index));
    sink.write("again\n");
    await sink.drain(1_000);
    expect(reader.writes.at(-1)).toBe("again\n");
    expect(sink.dropped).toBe(dropped);
  });

  test("never throw nor wait once the destination broke; each is counted", async () => {
    const reader = new Reader();
    const sink = new LineSink(reader);
    sink.write("a\n");
    reader.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
    await new Promise((resolve) => reader.once("close", resolve));
    const before = sink.dropped;
    expect(before).toBeGreaterThan(0);
    for (let index = 0; index < 5; index++) sink.write("b\n");
    expect(sink.dropped).toBe(before + 5);
    await sink.drain(10_000);
    expect(reader.writes.join("")).not.toContain("b");
  });
});

describe("draining", () => {
  test("waits for what was taken", async () => {
    const reader = new Reader();
    const sink = new LineSink(reader);
    sink.write("last\n");
    await sink.drain(1_000);
    expect(reader.writes.join("")).toBe("last\n");
  });

  test("gives up on a reader that stopped", async () => {
    const reader = new Reader();
    reader.reading = false;
    const sink = new LineSink(reader);
    sink.write("a\n");
    const started = performance.now();
    await sink.drain(30);
    expect(performance.now() - started).toBeGreaterThanOrEqual(25);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe("a pipe whose reader goes away", () => {
  let server: Server;
  let served: Promise<Socket>;

  beforeEach(async () => {
    server = createServer();
    served = new Promise((resolve) => server.once("connection", resolve));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });
  afterEach(() => {
    server.close();
  });

  test("costs lines, and nothing else", async () => {
    const { port } = server.address() as { port: number };
    const socket = connect(port, "127.0.0.1");
    const sink = new LineSink(socket);
    const reader = await served;
    reader.resetAndDestroy();
    const deadline = performance.now() + 5_000;
    while (sink.dropped === 0 && performance.now() < deadline) {
      sink.write("line\n");
      await nextTurn();
    }
    expect(sink.dropped).toBeGreaterThan(0);
    await sink.drain(1_000);
  });
});
