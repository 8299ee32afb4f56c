// The process: it ends as it is told to and in no other way.

import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { expectAlive } from "../support/cases.ts";
import { exchange, RawConnection } from "../support/raw-client.ts";
import { chunk, respond } from "../support/recorder.ts";
import { type Rig, type RigOptions, requestBytes, startRig } from "../support/rig.ts";

let rig: Rig | undefined;
/** A rig for one test, ended after it. */
async function start(options: RigOptions = {}): Promise<Rig> {
  rig = await startRig(options);
  return rig;
}
afterEach(async () => {
  const old = rig;
  rig = undefined;
  if (old === undefined) return;
  await old.gateway.kill();
  await old.recorder.stop();
  await old.issuerA.stop();
});

const SLOW = 250;

describe("SIGTERM", () => {
  test("★X01 requests in flight are answered whole, with Connection: close, and the exit code is 0", async () => {
    const one = await start({ sections: "drain: { delay: 0s, timeout: 5s }", timeouts: "{ headers: 5s }" });
    one.recorder.script([SLOW, respond(200, {}, "whole")]);
    const calls = Array.from({ length: 50 }, () =>
      exchange(one.port, requestBytes({ target: "/public/slow" }), { untilClose: true, timeoutMs: 5_000 }),
    );
    while (one.recorder.requests.length < 50) await sleep(5);
    const started = performance.now();
    const code = await one.gateway.signal("SIGTERM");
    expect(code).toBe(0);
    expect(performance.now() - started).toBeLessThan(2_500);
    for (const { responses, end } of await Promise.all(calls)) {
      expect([responses[0]?.status, responses[0]?.text, responses[0]?.header("connection"), end]).toEqual([
        200,
        "whole",
        "close",
        "fin",
      ]);
    }
  });

  test("★X01 readiness says no at once, and until the delay is over everybody is served", async () => {
    const one = await start({ sections: "drain: { delay: 600ms, timeout: 5s }" });
    const idle = new RawConnection(one.port);
    await idle.send(requestBytes({ target: "/public/idle" }));
    await idle.receive(1);
    const ended = one.gateway.signal("SIGTERM");
    const deadline = performance.now() + 300;
    let ready = 200;
    while (ready === 200 && performance.now() < deadline) ready = (await one.call("/readyz")).status;
    expect(ready).toBe(503);
    // A new connection, and one that stood before: both are served.
    expect((await one.call("/public/new")).status).toBe(200);
    await idle.send(requestBytes({ target: "/public/again" }));
    expect((await idle.receive(2))[1]?.status).toBe(200);
    expect(await ended).toBe(0);
    await expect(exchange(one.port, requestBytes({ target: "/public/late" }))).rejects.toThrow(
      "ECONNREFUSED",
    );
    idle.destroy();
  });

  test("★X02 a request that is longer than the grace is cut at its end", async () => {
    const one = await start({
      sections: "drain: { delay: 0s, timeout: 400ms }",
      timeouts: "{ headers: 20s, idle: 20s }",
    });
    one.recorder.script(({ request, send }) =>
      request.target.endsWith("silent")
        ? undefined
        : send(["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk("begun")]),
    );
    const calls = ["/public/silent", "/public/begun"].map((target) =>
      exchange(one.port, requestBytes({ target }), { untilClose: true, timeoutMs: 5_000 }),
    );
    while (one.recorder.requests.length < 2) await sleep(5);
    const started = performance.now();
    await one.gateway.signal("SIGTERM");
    const elapsed = performance.now() - started;
    expect(elapsed).toBeGreaterThan(350);
    expect(elapsed).toBeLessThan(2_000);
    for (const { responses, end } of await Promise.all(calls)) {
      expect(end).not.toBe("open");
      expect(responses[0]?.complete ?? false).toBe(false);
    }
  });

  test("★X01 idle connections do not hold the process up", async () => {
    const one = await start({ sections: "drain: { delay: 0s, timeout: 5s }" });
    const idle = Array.from({ length: 20 }, () => new RawConnection(one.port));
    for (const connection of idle.slice(0, 10)) await connection.send(requestBytes({ target: "/public/x" }));
    await Promise.all(idle.slice(0, 10).map((connection) => connection.receive(1)));
    const started = performance.now();
    expect(await one.gateway.signal("SIGTERM")).toBe(0);
    expect(performance.now() - started).toBeLessThan(2_500);
    for (const connection of idle) connection.destroy();
  });

  test("★X02 a second signal ends the process at once, with another exit code", async () => {
    const one = await start({
      sections: "drain: { delay: 0s, timeout: 20s }",
      timeouts: "{ headers: 20s }",
    });
    one.recorder.script(() => undefined);
    const hanging = exchange(one.port, requestBytes({ target: "/public/x" }), { untilClose: true });
    while (one.recorder.requests.length === 0) await sleep(5);
    one.gateway.child.kill("SIGTERM");
    await one.gateway.waitForLog((line) => line.event === "draining");
    expect(await one.gateway.signal("SIGTERM")).toBe(130);
    expect((await hanging).end).not.toBe("open");
  });
});

describe("hardship", () => {
  test.runIf(process.platform === "linux")(
    "★X05 out of file descriptors the gateway keeps what it has and recovers",
    async () => {
      const one = await start({ fileDescriptors: 80 });
      const kept = new RawConnection(one.port);
      await kept.send(requestBytes({ target: "/public/kept" }));
      await kept.receive(1);
      const many = Array.from({ length: 150 }, () => new RawConnection(one.port));
      await sleep(300);
      expect(one.gateway.alive()).toBe(true);
      await kept.send(requestBytes({ target: "/public/kept-again" }));
      expect((await kept.receive(2))[1]?.status).toBe(200);
      for (const connection of many) connection.destroy();
      kept.destroy();
      await sleep(300);
      await expectAlive(one);
    },
  );

  for (const shellPipe of [true, false]) {
    const what = shellPipe ? "pipe" : "socket pair";

    test(`★X06 a log reader that stops reading its ${what} stops no request`, async () => {
      const one = await start({ shellPipe });
      one.gateway.output?.pause();
      const longPath = `/public/${"p".repeat(400)}`;
      for (let round = 0; round < 40; round++) {
        const calls = Array.from({ length: 20 }, () => one.call(longPath, { timeoutMs: 2_000 }));
        const statuses = (await Promise.all(calls)).map((answer) => answer.status);
        expect(new Set(statuses)).toEqual(new Set([200]));
      }
      one.gateway.output?.resume();
      await expectAlive(one);
      expect(await one.gateway.signal("SIGTERM")).toBe(0);
    });

    test(`★X06 a log reader that closes its ${what} takes nobody along`, async () => {
      const one = await start({ shellPipe });
      one.gateway.output?.destroy();
      one.gateway.child.stderr?.destroy();
      for (let round = 0; round < 20; round++) {
        const calls = Array.from({ length: 10 }, (_, index) =>
          one.call(index % 2 === 0 ? "/public/x" : "/api/x"),
        );
        const statuses = (await Promise.all(calls)).map((answer) => answer.status);
        expect(new Set(statuses)).toEqual(new Set([200, 401]));
      }
      await expectAlive(one);
      expect(await one.gateway.signal("SIGTERM")).toBe(0);
    });
  }

  test.runIf(process.platform === "linux")(
    "★X07 a storm of aborted, refused and broken requests leaves no connection, no error line and little memory",
    async () => {
      const one = await start({});
      const storm = async (rounds: number): Promise<void> => {
        for (let round = 0; round < rounds; round++) {
          one.recorder.script(
            round % 3 === 0
              ? ({ socket }) => void socket.resetAndDestroy()
              : round % 3 === 1
                ? ({ send, socket }) =>
                    send(["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", chunk("x")]).then(
                      () => void socket.destroy(),
                    )
                : undefined,
          );
          await Promise.all(
            Array.from({ length: 20 }, (_, index) =>
              exchange(
                one.port,
                requestBytes({
                  method: index % 2 === 0 ? "POST" : "GET",
                  target: "/public/x",
                  headers: index % 5 === 0 ? { "Content-Length": "100" } : {},
                }),
                { timeoutMs: index % 4 === 0 ? 2 : 40 },
              ),
            ),
          );
        }
        one.recorder.script(undefined);
      };
      await storm(30);
      const before = await residentKiB(one.gateway.pid);
      await storm(60);
      await sleep(100);
      expect((await residentKiB(one.gateway.pid)) - before).toBeLessThan(60 * 1_024);
      await expectAlive(one);
      expect(one.gateway.logs.filter((line) => line.event === "defect")).toEqual([]);
      expect(one.gateway.stderr).toBe("");
      expect(one.recorder.open).toBeLessThan(40);
    },
    30_000,
  );
});

async function residentKiB(pid: number): Promise<number> {
  const { readFile } = await import("node:fs/promises");
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+([0-9]+) kB/.exec(status)?.[1]);
}

test("X13 with its dependencies down the gateway starts, is not ready, and serves what needs none of them", async () => {
  const one = await start({
    fault: { kind: "hang" },
    untilReady: false,
    sections: 'redis: "redis://127.0.0.1:1"',
    routes: "  - { match: /limited/*, to: app, public: true, limit: 5/h per ip }",
  });
  expect(await one.gateway.isReady()).toBe(false);
  expect((await one.call("/public/x")).status).toBe(200);
  expect((await one.call("/limited/x")).status).toBe(200);
  expect((await one.call("/healthz")).status).toBe(200);
  await expectAlive(one);
});
