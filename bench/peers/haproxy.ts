// HAProxy, plain or with token check, scope, limit per subject and identity header, as its manual tells to write it.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ISSUER, SCOPE } from "../fixtures.ts";
import { answers, freePort, launch, TARGET_CORE, versionOf } from "../process.ts";
import type { Peer, Scenario } from "../target.ts";

export const haproxy: Peer = {
  name: "HAProxy",
  missing: async () =>
    versionOf("haproxy", "-v") === undefined
      ? "haproxy is not installed (apt-get install haproxy)"
      : undefined,
  start: async (scenario) => {
    const port = await freePort();
    const file = join(scenario.directory, "haproxy.cfg");
    writeFileSync(file, configuration(scenario, port));
    const began = performance.now();
    const process = await launch(
      {
        name: "haproxy",
        command: "haproxy",
        args: ["-db", "-f", file],
        core: TARGET_CORE,
        directory: scenario.directory,
      },
      () => answers(`http://127.0.0.1:${port}/`),
    );
    return { ...process, port, startMs: performance.now() - began };
  },
};

function configuration(scenario: Scenario, port: number): string {
  return `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 60s
  http-reuse always
frontend gateway
  bind 127.0.0.1:${port} backlog 4096
${guard(scenario)}  default_backend modules
backend modules
  server one 127.0.0.1:${scenario.upstreamPort}
`;
}

function guard(scenario: Scenario): string {
  const { credential, fixtures, limit } = scenario;
  if (credential === "none") return "";
  if (credential === "apiKey") throw new Error("the HAProxy row has no API keys");
  const key = credential === "HS256" ? fixtures.secret : fixtures.publicKeys[credential].pem;
  return `  stick-table type string len 64 size 100k expire 2m store http_req_rate(60s)
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.sub) var(txn.bearer),jwt_payload_query('$.sub')
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify("${credential}","${key}") -m int 1 }
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_payload_query('$.iss') -m str ${ISSUER} }
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
  http-request deny deny_status 403 unless { var(txn.bearer),jwt_payload_query('$.scope') -m reg '(^| )${SCOPE}( |$)' }
  http-request track-sc0 var(txn.sub)
  http-request deny deny_status 429 if { sc_http_req_rate(0) gt ${limit} }
  http-request del-header X-User-Id
  http-request set-header X-User-Id %[var(txn.sub)]
`;
}
