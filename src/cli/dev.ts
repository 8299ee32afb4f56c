// `gatewarden dev`: a running gateway for a first look. With a gateway.yaml it serves that; without one it serves
// config/dev.yaml with a demo upstream and prints requests to try.

import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { formatKey } from "../authn/api-key/format.ts";
import { signDemoToken } from "../authn/jwt/sign.ts";
import { serve } from "./serve.ts";

const DEMO_FILE = fileURLToPath(new URL("../../config/dev.yaml", import.meta.url));
const DEMO_TOKEN_SECONDS = 12 * 3600;

export async function dev(options: { readonly config: string }): Promise<number> {
  if (existsSync(options.config)) {
    process.stderr.write(`Serving ${options.config}\n`);
    return await serve(options.config);
  }
  const secret = randomBytes(32).toString("hex");
  const key = formatKey("test");
  const upstream = await startDemoUpstream();
  process.env.GATEWARDEN_DEMO_SECRET = secret;
  process.env.GATEWARDEN_DEMO_KEY = key;
  process.env.GATEWARDEN_DEMO_UPSTREAM = `http://127.0.0.1:${upstream.port}`;
  try {
    return await serve(DEMO_FILE, async ([address]) => {
      const token = await demoToken(secret);
      process.stderr.write(instructions(`http://127.0.0.1:${address?.port ?? 8080}`, token, key));
    });
  } finally {
    upstream.close();
  }
}

function demoToken(secret: string): Promise<string> {
  return signDemoToken(
    {
      issuer: "https://demo.gatewarden.example/",
      audience: "demo-api",
      subject: "alice",
      scopes: ["modules:read"],
    },
    secret,
    DEMO_TOKEN_SECONDS,
  );
}

function instructions(base: string, token: string, key: string): string {
  const bearer = `-H 'Authorization: Bearer ${token}'`;
  return `
Gatewarden listens on ${base}, in front of a demo upstream (config/dev.yaml). Try:

# 200: a token with the scope modules:read
curl -i ${bearer} ${base}/modules

# 200: an API key
curl -i -H 'X-API-Key: ${key}' ${base}/modules

# 401: no credential
curl -i ${base}/modules

# 403: the token lacks modules:write
curl -i -X POST ${bearer} ${base}/modules

# 429: the fourth request within a minute
curl -s -o /dev/null -w '%{http_code}\\n' ${bearer} '${base}/reports?n=[1-4]'

Next: cp gateway.yaml.example gateway.yaml, edit it, and run npm start again.
`;
}

interface DemoUpstream {
  readonly port: number;
  close(): void;
}

/** Answers every request with what it was told about the caller. */
async function startDemoUpstream(): Promise<DemoUpstream> {
  const server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  request.resume();
  const identity = Object.entries(request.headers).filter(([name]) =>
    /^x-(?:user|auth|org|client)-/.test(name),
  );
  const body = {
    upstream: "demo",
    method: request.method,
    path: request.url,
    identity: Object.fromEntries(identity),
  };
  response.setHeader("Content-Type", "application/json");
  response.end(`${JSON.stringify(body, undefined, 2)}\n`);
}
