// The Redis of the rows with shared limits: in memory only, on the load core.

import { connect } from "node:net";
import { answersTcp, freePort, type Launched, LOAD_CORE, launch } from "./process.ts";

const DATABASES = 1_000;

/** A Redis for the programs of a run. */
export interface RedisServer extends Launched {
  readonly port: number;
  /** URL of a database of one program alone, so that none shares counters with another; `number` is 0 to 999. */
  urlOf(number: number): string;
}

/** Number of keys that a database holds. */
export function countKeys(url: string): Promise<number> {
  const { hostname, port, pathname } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () =>
      socket.end(`SELECT ${pathname.slice(1)}\r\nDBSIZE\r\n`),
    );
    let reply = "";
    socket.setTimeout(2_000, () => socket.destroy(new Error("Redis does not answer")));
    socket.once("error", reject);
    socket.setEncoding("latin1").on("data", (text: string) => {
      reply += text;
    });
    socket.once("end", () => resolve(Number(/^\+OK\r\n:(\d+)/.exec(reply)?.[1])));
  });
}

/** Starts Redis. */
export async function startRedis(directory: string): Promise<RedisServer> {
  const port = await freePort();
  const process = await launch(
    {
      name: "redis",
      command: "redis-server",
      args: [
        "--bind",
        "127.0.0.1",
        "--port",
        String(port),
        "--save",
        "",
        "--appendonly",
        "no",
        "--databases",
        String(DATABASES),
        "--dir",
        directory,
      ],
      core: LOAD_CORE,
      directory,
    },
    () => answersTcp(port),
  );
  return { ...process, port, urlOf: (number) => `redis://127.0.0.1:${port}/${number}` };
}
