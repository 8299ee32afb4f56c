// Starts the upstream for bulk transfer on the load core.

import { join } from "node:path";
import { answersTcp, freePort, type Launched, LOAD_CORE, launch } from "../process.ts";

export async function startSink(directory: string): Promise<Launched & { readonly port: number }> {
  const port = await freePort();
  const server = join(import.meta.dirname, "sink-server.ts");
  const process_ = await launch(
    {
      name: `sink-${port}`,
      command: process.execPath,
      args: [server, String(port)],
      core: LOAD_CORE,
      directory,
    },
    () => answersTcp(port),
  );
  return { ...process_, port };
}
