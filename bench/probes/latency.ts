// How much latency a target adds at 2,000 requests a second, compared with asking the upstream directly.

import { CALLERS } from "../fixtures.ts";
import { type Latency, steadyLatency } from "../load/steady.ts";
import { LOAD_PATH } from "../load/wrk.ts";
import { type Row, rowOf } from "../rows.ts";
import type { Session } from "../session.ts";
import type { Scenario } from "../target.ts";
import type { Probe, ProbeResult } from "./probe.ts";

const RATE = 2_000;
const WARM_UP_SECONDS = 3;
const rows = ["haproxy-hs256", "gatewarden-hs256"].map(rowOf);

export const latency: Probe = {
  id: "latency",
  rows,
  run: async (session, quick) => {
    const seconds = quick ? 2 : 10;
    const results: ProbeResult[] = [];
    for (const row of rows) results.push(...(await added(session, row, seconds)));
    return results;
  },
};

async function added(session: Session, row: Row, seconds: number): Promise<readonly ProbeResult[]> {
  const scenario = await session.scenario(row);
  const target = await row.peer.start(scenario);
  try {
    await ask(target.port, scenario, WARM_UP_SECONDS);
    const direct = await ask(scenario.upstreamPort, scenario, seconds);
    const through = await ask(target.port, scenario, seconds);
    const isOurs = row.peer.name === "Gatewarden";
    const result = (name: string, value: number, atMost: number): ProbeResult => ({
      title: `${row.title}: latency added at 2,000 req/s, ${name}`,
      value,
      unit: "ms",
      goal: isOurs ? { atMost } : undefined,
    });
    return [
      result("p50", through.p50Ms - direct.p50Ms, 0.3),
      result("p99", through.p99Ms - direct.p99Ms, 1.5),
    ];
  } finally {
    await target.stop();
  }
}

function ask(port: number, { credential, fixtures }: Scenario, seconds: number): Promise<Latency> {
  if (credential === "none") return steadyLatency(port, LOAD_PATH, Array(CALLERS).fill(""), RATE, seconds);
  const { header, good } = fixtures.credentials[credential];
  const lines = good.map((value) => `${header}: ${value}\r\n`);
  return steadyLatency(port, LOAD_PATH, lines, RATE, seconds);
}
