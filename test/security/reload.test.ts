// Reloads under load: valid and broken files in turn, while connections are busy and streams are open. Nobody may notice.
// RELOADS and RELOAD_EVERY_MS make it as long as wanted; unset, it is short enough for every run of the suite.

import { once } from "node:events";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { Agent, get as httpGet, request as httpRequest, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { startUpstream } from "../integration/upstream.ts";
import { startGateway } from "../support/gateway.ts";
import { freePort } from "../support/redis.ts";

const RELOADS = Number(process.env.RELOADS ?? 40);
const EVERY_MS = Number(process.env.RELOAD_EVERY_MS ?? 250);
const CONNECTIONS = 64;
// 1,000 requests a second over all connections.
const PAUSE_MS = 64;
const STREAMS = 8;
const MOST_GROWTH_MIB = 16;

/** A request on a kept connection; its status, or the code of the error. */
async function ask(url: string, agent: Agent): Promise<number | string> {
  try {
    const request = httpRequest(url, { agent }).end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    response.resume();
    await once(response, "end");
    return response.statusCode ?? 0;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "error";
  }
}

test(`Y12 ${RELOADS} reloads drop no request, mix no two files, break no stream and keep no memory`, {
  timeout: RELOADS * EVERY_MS + 60_000,
}, async () => {
  const upstream = await startUpstream((request, response) => {
    if (request.url !== "/events") {
      response.end("ok");
      return;
    }
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const timer = setInterval(() => response.write("data: tick\n\n"), 50);
    response.on("close", () => clearInterval(timer));
  });
  const sockets = new WebSocketServer({ server: upstream.server, path: "/ws" });
  sockets.on("connection", (socket) => socket.on("message", (text) => socket.send(String(text))));

  const admin = await freePort();
  const file = (version: number, broken = false): string => `listen: 127.0.0.1:0
admin: 127.0.0.1:${admin}
upstreams: { app: "${upstream.url}" }
logs: { access: off, decisions: off }
apiKeys:
  - { id: bot, hash: "sha256:9695a918e1ac586fd55881e3d754e756fa52c8d81696d6345a2594004b9dfbe0", scopes: [read] }
routes:
  - { match: GET /things, to: app, public: true, limit: 1000000/min per ip }
  - { match: GET /events, to: app, public: true }
  - { match: GET /ws, to: app, public: true }
  - { match: GET /version-${version}, to: ${broken ? "nowhere" : "app"}, auth: [apiKey], scopes: [read] }
`;
  const gateway = await startGateway(file(0));
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const answers = new Map<number | string, number>();
  const broken: string[] = [];
  let ended = false;

  const traffic = Array.from({ length: CONNECTIONS }, async () => {
    while (!ended) {
      const answer = await ask(`${gateway.url}/things`, agent);
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
      await sleep(PAUSE_MS);
    }
  });
  let events = 0;
  const streams = Array.from({ length: STREAMS }, () => {
    const request = httpGet(`${gateway.url}/events`, { agent: false }, (response) => {
      response.on("data", () => events++);
      response.on("close", () => ended || broken.push("event stream"));
    });
    request.on("error", () => ended || broken.push("event stream failed"));
    return request;
  });
  const tunnels = await Promise.all(
    Array.from({ length: STREAMS }, async () => {
      const socket = new WebSocket(`${gateway.url.replace("http", "ws")}/ws`);
      socket.on("close", () => ended || broken.push("websocket"));
      socket.on("error", () => undefined);
      await once(socket, "open");
      return socket;
    }),
  );
  const echo = async (): Promise<void> => {
    for (const socket of tunnels) {
      const answer = once(socket, "message");
      socket.send("still there?");
      await answer;
    }
  };

  const reload = async (): Promise<{ readonly status: number; readonly result: string }> => {
    const response = await fetch(`http://127.0.0.1:${admin}/api/v1/reload`, { method: "POST" });
    return { status: response.status, result: ((await response.json()) as { result: string }).result };
  };
  const memory = async (): Promise<number> => {
    const text = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
    return Number(/^nodejs_heap_size_used_bytes (\S+)$/m.exec(text)?.[1]) / 2 ** 20;
  };

  const results = new Map<string, number>();
  const samples: number[] = [];
  for (let turn = 1; turn <= RELOADS; turn++) {
    const due = sleep(EVERY_MS);
    const isBroken = turn % 2 === 0;
    writeFileSync(join(gateway.folder, "gateway.yaml"), file(turn, isBroken));
    const { result } = await reload();
    // A look that the gateway took by itself may have been first.
    const told = result === "unchanged" ? "applied" : result;
    results.set(told, (results.get(told) ?? 0) + 1);
    if (turn % 10 === 0) await echo();
    samples.push(await memory());
    await due;
  }
  await echo();
  ended = true;
  await Promise.all(traffic);
  const before = events;
  for (const request of streams) request.destroy();
  for (const socket of tunnels) socket.terminate();
  agent.destroy();
  await gateway.stop();
  sockets.close();
  await upstream.stop();

  const third = Math.floor(samples.length / 3);
  // What is left after a collection is what is kept; between two of them memory says nothing.
  const least = (some: readonly number[]): number => Math.min(...some);
  const growth = least(samples.slice(-third)) - least(samples.slice(third, 2 * third));
  process.stdout.write(
    `${RELOADS} reloads: ${[...answers].map(([answer, count]) => `${count} × ${answer}`)}, ${before} events, ` +
      `${Math.round(least(samples.slice(third, 2 * third)))} MiB, growth ${growth.toFixed(1)} MiB\n`,
  );
  expect(Object.fromEntries(results)).toEqual({
    applied: Math.ceil(RELOADS / 2),
    rejected: Math.floor(RELOADS / 2),
  });
  expect([...answers.keys()]).toEqual([200]);
  expect(broken).toEqual([]);
  expect(before).toBeGreaterThan(STREAMS * 10);
  expect(growth).toBeLessThan(MOST_GROWTH_MIB);
});

test("Y13 a ConfigMap that is swapped twice, a rename and an edit in place are all applied within 5 s", async () => {
  const upstream = await startUpstream();
  const file = (version: number): string => `listen: 127.0.0.1:0
upstreams: { app: "${upstream.url}" }
routes:
  - { match: GET /version-${version}, to: app, public: true }
`;
  const gateway = await startGateway(file(0));
  const { folder } = gateway;
  const path = join(folder, "gateway.yaml");
  const applied = async (version: number): Promise<void> => {
    const savedAt = performance.now();
    for (;;) {
      const { status } = await fetch(`${gateway.url}/version-${version}`);
      if (status === 200) return;
      if (performance.now() > savedAt + 5_000) throw new Error(`version ${version} was not applied`);
      await sleep(50);
    }
  };
  let data = "";
  const swap = (version: number): void => {
    const before = data;
    data = `..data-${version}`;
    mkdirSync(join(folder, data));
    writeFileSync(join(folder, data, "gateway.yaml"), file(version));
    symlinkSync(data, join(folder, "..tmp"));
    renameSync(join(folder, "..tmp"), join(folder, "..data"));
    if (before !== "") rmSync(join(folder, before), { recursive: true });
  };
  try {
    await applied(0);
    swap(1);
    symlinkSync("..data/gateway.yaml", join(folder, "..link"));
    renameSync(join(folder, "..link"), path);
    await applied(1);
    for (const version of [2, 3]) {
      swap(version);
      await applied(version);
    }
    writeFileSync(join(folder, "next"), file(4));
    renameSync(join(folder, "next"), path);
    await applied(4);
    writeFileSync(path, file(5));
    await applied(5);
    expect(gateway.logs.filter(({ event }) => event === "config_rejected")).toEqual([]);
  } finally {
    await gateway.stop();
    await upstream.stop();
  }
});
