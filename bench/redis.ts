// The Redis of the rows with shared limits: in memory only, on the load core.

import { answersTcp, freePort, type Launched, LOAD_CORE, launch } from "./process.ts";

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
