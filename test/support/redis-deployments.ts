// Redis as users run it, for tests: a master with replicas that Sentinels watch, and a cluster. Real servers on loopback.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { freePort, redisCommand, startRedis, type TestRedis, type TestRedisOptions } from "./redis.ts";

const WITHIN_MS = 15_000;

/** Waits until `condition` holds, asking every 20 ms; milliseconds that it took. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  withinMs = WITHIN_MS,
): Promise<number> {
  const start = performance.now();
  while (!(await condition())) {
    if (performance.now() - start > withinMs) throw new Error(`not within ${withinMs} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return performance.now() - start;
}

/** Rights of the gateway's user, as docs/OPERATIONS.md tells to give them. */
export function documentedRights(): string {
  const page = readFileSync(fileURLToPath(new URL("../../docs/OPERATIONS.md", import.meta.url)), "utf8");
  const rights = /^ACL SETUSER gateway on >PASSWORD (.*)$/m.exec(page)?.[1];
  if (rights === undefined) throw new Error("docs/OPERATIONS.md has no ACL SETUSER line");
  return rights;
}

/** Servers that belong together. */
interface Deployment {
  readonly servers: readonly TestRedis[];
  stop(): Promise<void>;
}

/** A master, two replicas and three Sentinels. */
export interface SentinelDeployment extends Deployment {
  readonly sentinels: readonly TestRedis[];
  /** Name that the Sentinels know the master by. */
  readonly name: string;
  /** The server that the Sentinels call the master now. */
  master(): Promise<TestRedis>;
}

/** What the deployment needs to enter its own servers. */
export interface SentinelOptions {
  readonly server?: TestRedisOptions;
  /** More lines of the Sentinels' configuration. */
  readonly sentinel?: string;
}

function together(servers: readonly TestRedis[]): Deployment {
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  return { servers, stop };
}

/** Starts a watched master; a lost one is replaced after about a second. */
export async function startSentinels({
  server = {},
  sentinel = "",
}: SentinelOptions = {}): Promise<SentinelDeployment> {
  const name = "main";
  const first = await startRedis(server);
  const replicaArgs = [...(server.args ?? []), "--replicaof", "127.0.0.1", String(first.port)];
  const fast = ["--repl-diskless-sync-delay", "0"];
  await redisCommand(first, "CONFIG SET repl-diskless-sync-delay 0");
  const replicas = await Promise.all(
    [1, 2].map(() => startRedis({ ...server, args: [...replicaArgs, ...fast] })),
  );
  const servers = [first, ...replicas];
  const config = [
    `sentinel monitor ${name} 127.0.0.1 ${first.port} 2`,
    `sentinel down-after-milliseconds ${name} 500`,
    `sentinel failover-timeout ${name} 1000`,
    sentinel,
    "",
  ].join("\n");
  const sentinels = await Promise.all([1, 2, 3].map(() => startRedis({ config, args: ["--sentinel"] })));
  const all = together([...sentinels, ...servers]);
  const master = async (): Promise<TestRedis> => {
    for (const one of sentinels) {
      const answer = await redisCommand(one, `SENTINEL get-master-addr-by-name ${name}`).catch(() => "");
      const port = Number(/\r\n(\d+)\r\n$/.exec(answer)?.[1]);
      const found = servers.find((candidate) => candidate.port === port);
      if (found !== undefined) return found;
    }
    throw new Error("no Sentinel names a master");
  };
  try {
    for (const one of sentinels) {
      const told = async (what: string): Promise<string> => redisCommand(one, `SENTINEL ${what} ${name}`);
      await eventually(
        async () => ((await told("replicas")).match(/master-link-status\r\n\$2\r\nok/g) ?? []).length === 2,
      );
      await eventually(async () => (await told("ckquorum")).startsWith("+OK 3"));
    }
  } catch (error) {
    await all.stop();
    throw error;
  }
  return { ...all, sentinels, name, master };
}

/** Three masters, and a replica of the first. */
export interface ClusterDeployment extends Deployment {
  readonly masters: readonly [TestRedis, TestRedis, TestRedis];
  readonly replica: TestRedis;
  /** Name of a node within the cluster. */
  idOf(node: TestRedis): Promise<string>;
}

const RANGES = ["0 5460", "5461 10922", "10923 16383"] as const;

async function startNode(options: TestRedisOptions): Promise<TestRedis & { readonly bus: number }> {
  const bus = await freePort();
  const args = ["--cluster-enabled", "yes", "--cluster-port", String(bus), "--cluster-node-timeout", "1000"];
  const more = ["--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"];
  return { ...(await startRedis({ ...options, args: [...(options.args ?? []), ...args, ...more] })), bus };
}

/** Starts a cluster; a lost first master is replaced by its replica after about two seconds. */
export async function startCluster(options: TestRedisOptions = {}): Promise<ClusterDeployment> {
  const [a, b, c, replica] = await Promise.all([
    startNode(options),
    startNode(options),
    startNode(options),
    startNode(options),
  ]);
  const nodes = [a, b, c, replica];
  const all = together(nodes);
  const idOf = async (node: TestRedis): Promise<string> =>
    /[0-9a-f]{40}/.exec(await redisCommand(node, "CLUSTER MYID"))?.[0] ?? "";
  try {
    for (const [index, node] of nodes.entries()) {
      await redisCommand(node, `CLUSTER SET-CONFIG-EPOCH ${index + 1}`);
      const range = RANGES[index];
      if (range !== undefined) await redisCommand(node, `CLUSTER ADDSLOTSRANGE ${range}`);
      if (index > 0) await redisCommand(a, `CLUSTER MEET 127.0.0.1 ${node.port} ${node.bus}`);
    }
    const first = await idOf(a);
    await eventually(async () =>
      (await redisCommand(replica, `CLUSTER REPLICATE ${first}`)).startsWith("+OK"),
    );
    for (const node of nodes) {
      const info = async (): Promise<string> => redisCommand(node, "CLUSTER INFO");
      await eventually(async () => /cluster_state:ok[\s\S]*cluster_known_nodes:4/.test(await info()));
    }
    await eventually(async () => (await redisCommand(a, "INFO replication")).includes("state=online"));
  } catch (error) {
    await all.stop();
    throw error;
  }
  return { ...all, masters: [a, b, c], replica, idOf };
}
