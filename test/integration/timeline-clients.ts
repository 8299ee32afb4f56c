// Clients in a process of their own: so many at once, each asking all gateways in turn, and all of them writing down what
// was admitted when. Also the upstream behind the gateways.

import { Agent, createServer, get } from "node:http";
import type { AddressInfo } from "node:net";
import type { Admission } from "../support/timeline.ts";

/** Command: fire at `ports` until told to stop. */
export interface Campaign {
  readonly kind: "start";
  readonly ports: readonly number[];
  readonly paths: readonly string[];
  readonly clients: number;
  /** Longest pause of a client between two requests, milliseconds. */
  readonly pauseMs: number;
}

/** What was seen of one path. */
export interface Report {
  readonly admitted: readonly Admission[];
  readonly refused: number;
  /** Answers while the store was away, by the mode that they told. */
  readonly modes: Readonly<Record<string, number>>;
  /** Any answer that is neither 200 nor 429, by status; `0` for none. */
  readonly others: Readonly<Record<string, number>>;
}

interface Tally {
  readonly admitted: Admission[];
  refused: number;
  readonly modes: Record<string, number>;
  readonly others: Record<string, number>;
}

const upstream = createServer((_request, response) => response.end("ok")).listen(0, "127.0.0.1");
const tallies = new Map<string, Tally>();
const agents = new Map<number, Agent>();
let running = false;
let clients: readonly Promise<void>[] = [];

function tallyOf(path: string): Tally {
  let tally = tallies.get(path);
  if (tally === undefined) {
    tally = { admitted: [], refused: 0, modes: {}, others: {} };
    tallies.set(path, tally);
  }
  return tally;
}

function agentOf(port: number): Agent {
  let agent = agents.get(port);
  if (agent === undefined) {
    agent = new Agent({ keepAlive: true, maxSockets: 64 });
    agents.set(port, agent);
  }
  return agent;
}

function ask(port: number, path: string): Promise<void> {
  const tally = tallyOf(path);
  const sent = performance.now();
  return new Promise((resolve) => {
    const done = (status: number, mode?: string): void => {
      if (status === 200) tally.admitted.push({ sent, answered: performance.now() });
      else if (status === 429) tally.refused++;
      else tally.others[status] = (tally.others[status] ?? 0) + 1;
      if (mode !== undefined) tally.modes[mode] = (tally.modes[mode] ?? 0) + 1;
      resolve();
    };
    const request = get(
      { port, path, host: "127.0.0.1", agent: agentOf(port), timeout: 5_000 },
      (response) => {
        response.resume();
        response.once("end", () =>
          done(response.statusCode ?? 0, response.headers["ratelimit-mode"] as string),
        );
        response.once("error", () => done(0));
      },
    );
    request.once("timeout", () => request.destroy(new Error("timeout")));
    request.once("error", () => done(0));
  });
}

async function client(campaign: Campaign, number: number): Promise<void> {
  for (let turn = number; running; turn++) {
    const port = campaign.ports[turn % campaign.ports.length] as number;
    const path = campaign.paths[Math.floor(turn / campaign.ports.length) % campaign.paths.length] as string;
    await ask(port, path);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * campaign.pauseMs));
  }
}

async function stop(): Promise<void> {
  running = false;
  await Promise.all(clients);
  process.send?.(Object.fromEntries(tallies));
}

process.on("message", (message: Campaign | { readonly kind: "stop" }) => {
  if (message.kind === "stop") {
    void stop();
    return;
  }
  running = true;
  tallies.clear();
  clients = Array.from({ length: message.clients }, (_, number) => client(message, number));
});
process.on("disconnect", () => process.exit(0));
upstream.once("listening", () => process.send?.((upstream.address() as AddressInfo).port));
