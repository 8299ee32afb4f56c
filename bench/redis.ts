// The Redis of the rows with shared limits: in memory only, on the load core.

import { connect } from "node:net";
import { answersTcp, freePort, type Launched, LOAD_CORE, launch } from "./process.ts";

/** Number of keys that a Redis holds. */
export function countKeys(url: string): Promise<number> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.end("DBSIZE\r\n"));
    socket.setTimeout(2_000, () => socket.destroy(new Error("Redis does not answer")));
    socket.once("error", reject);
    socket.once("data", (reply) => resolve(Number(reply.toString("latin1").slice(1))));
  });
}

/** Starts Redis and returns its URL. */
export async function startRedis(directory: string): Promise<Launched & { readonly url: string }> {
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
        "--dir",
        directory,
      ],
      core: LOAD_CORE,
      directory,
    },
    () => answersTcp(port),
  );
  return { ...process, url: `redis://127.0.0.1:${port}` };
}
