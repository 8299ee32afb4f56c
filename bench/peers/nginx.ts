// nginx as a plain proxy: the light package knows no tokens, so it has no other row.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { answers, freePort, launch, TARGET_CORE, versionOf } from "../process.ts";
import type { Peer } from "../target.ts";
import { nginxFrame } from "../upstream/nginx.ts";

export const nginx: Peer = {
  name: "nginx",
  missing: async () =>
    versionOf("nginx", "-v") === undefined
      ? "nginx is not installed (apt-get install nginx-light)"
      : undefined,
  start: async (scenario) => {
    const port = await freePort();
    const { directory } = scenario;
    const file = join(directory, "nginx-proxy.conf");
    writeFileSync(file, nginxFrame(directory, "proxy", proxyServer(port, scenario.upstreamPort)));
    const began = performance.now();
    const process = await launch(
      {
        name: "nginx-proxy",
        command: "nginx",
        args: ["-p", directory, "-c", file],
        core: TARGET_CORE,
        directory,
      },
      () => answers(`http://127.0.0.1:${port}/`),
    );
    return { ...process, port, startMs: performance.now() - began };
  },
};

function proxyServer(port: number, upstreamPort: number): string {
  return `  upstream modules {
    server 127.0.0.1:${upstreamPort};
    keepalive 128;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://modules;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }`;
}
