// The admin port of a real gateway: its life from before the first request to after the last, and what its metrics say
// about a store that comes and goes.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, inject, test } from "vitest";
import { adminUrl, scrape } from "../support/exposition.ts";
import { startFaultProxy } from "../support/fault-proxy.ts";
import { runCli, startGateway, type TestGateway } from "../support/gateway.ts";
import { exchange } from "../support/raw-client.ts";
import { eventually, startUpstream, type TestUpstream } from "./upstream.ts";

let gateway: TestGateway | undefined;
let upstream: TestUpstream | undefined;
afterEach(async () => {
  await gateway?.kill();
  await upstream?.stop();
  gateway = undefined;
  upstream = undefined;
});

function file(sections: string, to = "http://127.0.0.1:9"): string {
  return `listen: 127.0.0.1:0
upstreams: { app: ${to} }
routes:
  - { match: GET /a, to: app, public: true, limit: { rate: 5/min, per: ip, name: a, onStoreFailure: deny } }
  - { match: GET /free, to: app, public: true }
${sections}
`;
}

describe("the life of the admin port", () => {
  test("begins before the traffic port's and goes on while requests are drained", async () => {
    upstream = await startUpstream();
    let finish = (): void => {};
    upstream.handler = (_request, response) => {
      finish = () => response.end("finished");
    };
    const one = await startGateway(file("admin: 127.0.0.1:0\ndrain: { timeout: 10s }", upstream.url));
    gateway = one;
    const events = one.logsOf("system").map((line) => line.event);
    expect(events.indexOf("admin_listening")).toBeLessThan(events.indexOf("listening"));
    const slow = fetch(`${one.url}/free`).then((response) => response.text());
    await eventually("the request is under way", () => upstream?.openExchanges === 1);
    const ended = one.signal("SIGTERM");
    await one.waitForLog((line) => line.event === "draining");
    const ready = await fetch(`${adminUrl(one)}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([503, { status: "not_ready", notes: ["draining"] }]);
    expect((await scrape(one)).has("process_resident_memory_bytes")).toBe(true);
    finish();
    expect(await slow).toBe("finished");
    // A scraper keeps its connection; that must not keep the gateway.
    const before = performance.now();
    expect(await ended).toBe(0);
    expect(performance.now() - before).toBeLessThan(3_000);
    await expect(fetch(`${adminUrl(one)}/healthz`)).rejects.toThrow();
  });

  test("doesn't begin on a port that is taken: nothing is served, and the message says which", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const ended = await runCli(["start"], file(`admin: 127.0.0.1:${port}`));
    other.close();
    expect([ended.code, ended.stderr]).toEqual([
      1,
      `gatewarden: can't listen on 127.0.0.1:${port} (admin): EADDRINUSE\n`,
    ]);
    expect(ended.stdout).not.toContain('"listening"');
  });

  test("doesn't begin without the section", async () => {
    gateway = await startGateway(file(""));
    expect(gateway.logs.some((line) => line.event === "admin_listening")).toBe(false);
  });
});

describe("the metrics of a gateway", () => {
  test("A04 have the same series whatever callers send", async () => {
    const one = await startGateway(file("admin: 127.0.0.1:0"));
    gateway = one;
    const spray = async (from: number): Promise<void> => {
      for (let index = from; index < from + 100; index++) {
        const headers = { "X-User-Id": `user-${index}`, Authorization: `Bearer e.${index}` };
        const url = `${one.url}/${index}?a=${index}`;
        await (await fetch(url, { headers, method: `M${index}` })).arrayBuffer();
        await (await fetch(url, { headers: { ...headers, "X-API-Key": `key-${index}` } })).arrayBuffer();
        await (await fetch(`${one.url}/a?a=${index}`, { headers })).arrayBuffer();
        await exchange(
          one.port,
          `GET /${index} HTTP/1.1\r\nHost: host-${index}.example\r\nConnection: close\r\n\r\n`,
        );
      }
    };
    await spray(0);
    // What was counted for the first time has its series now, under names of the file and of closed lists.
    const before = [...(await scrape(one)).keys()];
    expect(before.filter((series) => /M\d|user-|key-\d|host-/.test(series))).toEqual([]);
    await spray(100);
    expect([...(await scrape(one)).keys()]).toEqual(before);
  });

  test("say while the shared store is away, and which answer is in force", async () => {
    const redis = new URL(inject("redisUrl"));
    const proxy = await startFaultProxy({ host: redis.hostname, port: Number(redis.port) });
    redis.host = `127.0.0.1:${proxy.port}`;
    try {
      const one = await startGateway(
        file(`admin: 127.0.0.1:0\nredis: { url: "${redis.href}", prefix: "admin-${process.pid}" }`),
      );
      gateway = one;
      const up = 'gateway_ratelimit_backend_up{store="redis"}';
      const degraded = 'gateway_ratelimit_degraded{limit="a",mode="deny"}';
      // On a busy machine the first call may come too late, which is a loss of its own.
      if ((await scrape(one)).get(up) === 0)
        await one.waitForLog((line) => line.event === "store_recovered", 5_000);
      let metrics = await scrape(one);
      expect([metrics.get(up), metrics.get(degraded)]).toEqual([1, 0]);
      const before = one.logs.length;
      await proxy.set({ kind: "refuse" });
      await one.waitForLog((line) => line.event === "store_unreachable", 2_000, before);
      metrics = await scrape(one);
      expect([metrics.get(up), metrics.get(degraded)]).toEqual([0, 1]);
      const failures = [...metrics].filter(([name]) =>
        name.startsWith("gateway_ratelimit_backend_errors_total"),
      );
      expect(failures.reduce((sum, [, count]) => sum + count, 0)).toBeGreaterThan(0);
      expect((await fetch(`${one.url}/a`)).status).toBe(503);
      const ready = await fetch(`${one.url}/readyz`);
      expect([ready.status, await ready.json()]).toEqual([
        200,
        { status: "ready", notes: ["redis_unreachable", "limits_deny"] },
      ]);
      await proxy.set({ kind: "none" });
      await one.waitForLog((line) => line.event === "store_recovered", 5_000, before);
      metrics = await scrape(one);
      expect([metrics.get(up), metrics.get(degraded)]).toEqual([1, 0]);
    } finally {
      await proxy.stop();
    }
  });
});
