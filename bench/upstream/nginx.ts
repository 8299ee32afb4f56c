// The upstream of every row: nginx on the load core, answering 104 bytes, or the identity headers it got when asked to echo.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { answers, freePort, type Launched, LOAD_CORE, launch } from "../process.ts";

/** A request with this header is answered with the identity headers that arrived, as JSON. */
export const ECHO_HEADER = "x-bench-echo";

const BODY = `{"modules":[{"id":1,"name":"alpha"},{"id":2,"name":"beta"},{"id":3,"name":"gamma"}],"total":3,"ok":true}`;

/** Starts the upstream and returns its port. */
export async function startUpstream(directory: string): Promise<Launched & { readonly port: number }> {
  if (BODY.length !== 104) throw new Error(`the upstream's body has ${BODY.length} bytes`);
  const port = await freePort();
  const file = join(directory, "upstream.conf");
  writeFileSync(file, configuration(directory, port));
  const process = await launch(
    { name: "upstream", command: "nginx", args: ["-p", directory, "-c", file], core: LOAD_CORE, directory },
    () => answers(`http://127.0.0.1:${port}/`),
  );
  return { ...process, port };
}

/** Settings without which one nginx process can't run unprivileged in a directory of its own. */
export function nginxFrame(directory: string, name: string, http: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((kind) => `  ${kind}_temp_path ${join(directory, `${name}-${kind}`)};`)
    .join("\n");
  return `daemon off;
master_process off;
worker_processes 1;
error_log stderr warn;
pid ${join(directory, `${name}.pid`)};
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_timeout 300s;
  keepalive_requests 1000000000;
  default_type application/json;
${temporary}
${http}
}
`;
}

function configuration(directory: string, port: number): string {
  const echo = `{"user":"$http_x_user_id","authorization":"$http_authorization"}`;
  return nginxFrame(
    directory,
    "upstream",
    `  map $http_${ECHO_HEADER.replaceAll("-", "_")} $answer {
    default '${BODY}';
    1 '${echo}';
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { return 200 $answer; }
  }`,
  );
}
