// `gatewarden check --online`: whether what a valid file depends on can be reached from this machine.

import { isRemote, probeIssuer } from "../authn/jwt/probe.ts";
import type { GatewayConfig, RedisPolicy } from "../config/gateway-config.ts";
import type { Result } from "../core/result.ts";
import { parseRedisUrl } from "../store/redis-address.ts";
import { probeUpstream } from "../upstream/probe.ts";
import { type Paint, progress } from "./paint.ts";
import { alignedTable } from "./table.ts";

// For each dependency; all are asked at the same time.
const WITHIN_MS = 5_000;
const AT_ONCE = 64;

/** One thing that the gateway depends on, and what came of asking it. */
export interface Dependency {
  readonly kind: "issuer" | "redis" | "upstream";
  /** Name in the file; of Redis `redis`. */
  readonly name: string;
  /** Where it is; holds no credentials, path or query. */
  readonly address: string;
  readonly ok: boolean;
  /** What was found, or the reason why it can't be used. */
  readonly detail: string;
  readonly elapsedMs: number;
}

type Question = Pick<Dependency, "kind" | "name" | "address"> & {
  readonly ask: () => Promise<Result<string, string>>;
};

/** Asks every dependency of `config`, at most 5 s each, and gives what came of it in the order of the file. */
export async function askDependencies(config: GatewayConfig): Promise<readonly Dependency[]> {
  const questions = [...issuers(config), ...redis(config.redis), ...upstreams(config)];
  const answers: Dependency[] = [];
  const shown = progress(process.stderr, "asking");
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < questions.length) {
      const index = next++;
      const question = questions[index];
      if (question === undefined) continue;
      const { ask, ...rest } = question;
      const started = performance.now();
      const answer = await ask();
      const elapsedMs = Math.round(performance.now() - started);
      answers[index] = { ...rest, ok: answer.ok, detail: answer.ok ? answer.value : answer.error, elapsedMs };
      shown.update(`${answers.filter(Boolean).length} of ${questions.length}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  shown.end();
  return answers;
}

function issuers({ issuers: policies }: GatewayConfig): readonly Question[] {
  return policies.filter(isRemote).map((policy) => ({
    kind: "issuer",
    name: policy.name,
    address: originOf(addressOf(policy)),
    ask: async () => {
      const found = await probeIssuer(policy, WITHIN_MS);
      return found.ok ? { ok: true, value: `${found.value.keys} usable keys` } : found;
    },
  }));
}

function addressOf({ source, issuer }: GatewayConfig["issuers"][number]): string {
  return source.kind === "jwksUri" || source.kind === "discovery" ? (source.url ?? issuer) : issuer;
}

function originOf(text: string): string {
  return URL.canParse(text) ? new URL(text).origin : "";
}

function redis(policy: RedisPolicy | undefined): readonly Question[] {
  if (policy === undefined) return [];
  return [
    {
      kind: "redis",
      name: "redis",
      address: serversOf(policy),
      ask: async () => {
        const { probeRedis } = await import("../store/probe.ts");
        const found = await probeRedis(policy, WITHIN_MS);
        return found.ok ? { ok: true, value: "scripts run" } : found;
      },
    },
  ];
}

function serversOf(policy: RedisPolicy): string {
  const text = ({ host, port }: { readonly host: string; readonly port: number }): string =>
    `${host.includes(":") ? `[${host}]` : host}:${port}`;
  if ("cluster" in policy) return policy.cluster.map(text).join(", ");
  if ("sentinels" in policy) return policy.sentinels.map(text).join(", ");
  const parsed = parseRedisUrl(policy.url);
  return parsed.ok ? text(parsed.value) : "";
}

function upstreams({ upstreams: policies }: GatewayConfig): readonly Question[] {
  return policies.map(({ name, origin }) => ({
    kind: "upstream",
    name,
    address: origin,
    ask: async () => {
      const found = await probeUpstream(origin, WITHIN_MS);
      return found.ok
        ? { ok: true, value: origin.startsWith("https:") ? "certificate valid" : "connected" }
        : found;
    },
  }));
}

/** A table for people. */
export function dependencyTable(answers: readonly Dependency[], { red, green }: Paint): string {
  if (answers.length === 0)
    return "nothing to reach: the file names no remote issuer, no Redis and no upstream\n";
  const rows = answers.map(({ kind, name, address, ok, detail, elapsedMs }) => [
    kind,
    name,
    address,
    ok ? "reached" : "failed",
    detail,
    `${elapsedMs} ms`,
  ]);
  // Colours would count as width: they are put in when the columns stand.
  const table = alignedTable(["WHAT", "NAME", "WHERE", "STATE", "DETAIL", "TIME"], rows);
  const lines = table.trimEnd().split("\n");
  const colored = lines.map((line, index) => {
    const answer = answers[index - 1];
    if (answer === undefined) return line;
    return answer.ok
      ? line.replace("  reached", `  ${green("reached")}`)
      : line.replace("  failed", `  ${red("failed")}`);
  });
  return `${colored.join("\n")}\n`;
}
