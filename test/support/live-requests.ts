// Many different requests to a real gateway, and what it answered: what everything that only tells what a gateway would
// do is held against.

import { randomBytes } from "node:crypto";
import { Agent, request as httpRequest } from "node:http";
import { startUpstream, type TestUpstream } from "../integration/upstream.ts";
import { startGateway, type TestGateway } from "./gateway.ts";
import { type SigningKey, signToken } from "./tokens.ts";

/** Who sends a request: none, a key of the file, or a verified caller with these claims. */
export type Caller =
  | { readonly kind: "nobody" }
  | { readonly kind: "key"; readonly id: string }
  | {
      readonly kind: "token";
      readonly issuer: "corp" | "partner";
      readonly claims: Readonly<Record<string, unknown>>;
    };

export interface LiveRequest {
  readonly method: string;
  readonly path: string;
  readonly host?: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly caller: Caller;
}

export interface LiveAnswer {
  readonly status: number;
  readonly code: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** What the upstream got; undefined when it wasn't asked. */
  readonly seen: { readonly path: string; readonly headers: Readonly<Record<string, string>> } | undefined;
}

const CORP = "https://corp.example.com/";
const PARTNER = "https://partner.example.com/";
const KEY_IDS = ["reader", "writer", "off", "old", "elsewhere"];

/** A file with every kind of guard. `more` is put at its end. */
export function liveYaml(upstream: string, more = ""): string {
  return `listen: 127.0.0.1:0
failedCredentials: false
logs: { access: 0%, decisions: all }
issuers:
  corp: { issuer: "${CORP}", audience: api, secret: "\${CORP_SECRET}", algorithms: [HS256], claims: { roles: realm.roles, org: org_id } }
  partner: { issuer: "${PARTNER}", audience: api, secret: "\${PARTNER_SECRET}", algorithms: [HS256] }
apiKeys:
${KEY_IDS.map((id) => `  - { id: ${id}, value: "\${KEY_${id.toUpperCase()}}", ${KEY_TRAITS[id]} }`).join("\n")}
roles:
  editor: { scopes: [write], tier: gold }
  auditor: { scopes: ["audit:*"] }
upstreams:
  app: ${upstream}
  other: ${upstream}/base
routes:
  - { match: GET /read, to: app, auth: [jwt, apiKey], scopes: [read], limit: 1000000/min per user }
  - { match: "GET,POST /items/:id", to: app, auth: [jwt, apiKey], scopes: { any: [write, "items:write"] } }
  - { match: DELETE /items/:id, to: app, auth: ["jwt:corp"], roles: [editor] }
  - { match: "/orgs/:org/*", to: other, auth: [jwt], require: { org: ":org" } }
  - { match: GET /plans, to: app, auth: [jwt], require: { claims.plan: [pro, team] } }
  - { match: /api/v1/*, to: other, auth: [apiKey], stripPrefix: /api/v1, limit: 1000000/h per key }
  - { match: /both, to: app, auth: { all: [jwt, apiKey] } }
  - { match: /maybe, to: app, auth: [jwt], optional: true }
  - { match: /open/*, to: app, public: true, ips: { deny: [10.0.0.0/8] } }
  - { match: /inside/*, to: app, auth: [apiKey], ips: { allow: [10.0.0.0/8] } }
  - { match: { path: /hosted, host: admin.example.com }, to: app, auth: [jwt], scopes: [admin] }
  - { match: { path: /hosted }, to: other, public: true }
  - { match: { path: /versioned, headers: { X-Version: "2" } }, to: other, auth: [apiKey] }
  - { match: { path: /versioned }, to: app, auth: [jwt, apiKey] }
  - { match: /watched, to: app, auth: [jwt], scopes: [admin], observe: true }
  - { match: /closed, to: app, auth: [jwt, apiKey], limit: { tier: { guest: 0/day, user: 1000000/day, gold: 1000000/h } } }
${more}`;
}

const KEY_TRAITS: Readonly<Record<string, string>> = {
  reader: "subject: reader-subject, scopes: [read], org: acme",
  writer: "scopes: [write, read], tier: gold",
  off: "scopes: [read], enabled: false",
  old: "scopes: [read], expires: 2020-01-01",
  elsewhere: "scopes: [read], allowIps: [192.0.2.0/24]",
};

/** A running gateway of that file with its upstream. */
export class LiveWorld {
  readonly gateway: TestGateway;
  readonly environment: Readonly<Record<string, string>>;
  readonly yaml: string;
  readonly #upstream: TestUpstream;
  readonly #keys: Readonly<Record<"corp" | "partner", SigningKey>>;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });

  private constructor(
    gateway: TestGateway,
    upstream: TestUpstream,
    yaml: string,
    environment: Readonly<Record<string, string>>,
    keys: Readonly<Record<"corp" | "partner", SigningKey>>,
  ) {
    this.gateway = gateway;
    this.#upstream = upstream;
    this.yaml = yaml;
    this.environment = environment;
    this.#keys = keys;
  }

  /** @param edit changes the file before the gateway starts */
  static async start(more = "", edit: (yaml: string) => string = (yaml) => yaml): Promise<LiveWorld> {
    const upstream = await startUpstream();
    upstream.handler = (request, response) => {
      response.end(JSON.stringify({ path: request.url, headers: request.headers }));
    };
    const keys = { corp: secretKey(), partner: secretKey() };
    const environment: Record<string, string> = {
      CORP_SECRET: String(keys.corp.signer),
      PARTNER_SECRET: String(keys.partner.signer),
    };
    for (const id of KEY_IDS) environment[`KEY_${id.toUpperCase()}`] = `a-key-of-${id}-0123456789`;
    const yaml = edit(liveYaml(upstream.url, more));
    const gateway = await startGateway(yaml, { env: environment });
    return new LiveWorld(gateway, upstream, yaml, environment, keys);
  }

  async send({ method, path, host, headers, caller }: LiveRequest): Promise<LiveAnswer> {
    const credential = this.credential(caller);
    return await new Promise((resolve, reject) => {
      const request = httpRequest({
        port: this.gateway.port,
        host: "127.0.0.1",
        method,
        path,
        headers: { host: host ?? "localhost", ...headers, ...credential },
        agent: this.#agent,
      });
      request.on("error", reject);
      request.on("response", (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", reject);
        response.on("end", () => resolve(answerOf(response.statusCode ?? 0, response.headers, text)));
      });
      request.end();
    });
  }

  /** Sends all of them, sixteen at a time, and gives the answers in their order. */
  async sendAll(requests: readonly LiveRequest[]): Promise<readonly LiveAnswer[]> {
    const answers: LiveAnswer[] = [];
    for (let start = 0; start < requests.length; start += 16) {
      answers.push(...(await Promise.all(requests.slice(start, start + 16).map((one) => this.send(one)))));
    }
    return answers;
  }

  async stop(): Promise<void> {
    this.#agent.destroy();
    await this.gateway.stop();
    await this.#upstream.stop();
  }

  /** The header that carries the caller's credential. */
  credential(caller: Caller): Record<string, string> {
    if (caller.kind === "nobody") return {};
    if (caller.kind === "key") {
      return { "x-api-key": this.environment[`KEY_${caller.id.toUpperCase()}`] ?? "" };
    }
    const iss = caller.issuer === "corp" ? CORP : PARTNER;
    const exp = Math.floor(Date.now() / 1_000) + 3_600;
    const claims = { iss, aud: "api", exp, ...caller.claims };
    return { authorization: `Bearer ${signToken(claims, this.#keys[caller.issuer])}` };
  }
}

/** A key whose secret is text, as it stands in an environment. */
function secretKey(): SigningKey {
  const secret = randomBytes(32).toString("hex");
  return { alg: "HS256", kid: "secret", signer: Buffer.from(secret), pem: "", jwk: {} };
}

function answerOf(
  status: number,
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  text: string,
): LiveAnswer {
  const flat = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
  let body: Record<string, unknown> = {};
  try {
    body = JSON.parse(text) as Record<string, unknown>;
  } catch {
    // No body, as an answer to HEAD has none.
  }
  const code = typeof body.code === "string" ? body.code : undefined;
  const seen =
    code === undefined && typeof body.path === "string"
      ? { path: body.path, headers: body.headers as Record<string, string> }
      : undefined;
  return { status, code, headers: flat, seen };
}

const PATHS = [
  "/read",
  "/read/",
  "/READ",
  "/items/7",
  "/items/7/8",
  "/items/a%20b",
  "/orgs/acme/list",
  "/orgs/other/x/y",
  "/plans",
  "/plans?x=1",
  "/api/v1/things",
  "/api/v1",
  "/api/v1/a%2fb",
  "/both",
  "/maybe",
  "/open/a",
  "/open/a//b",
  "/open/../read",
  "/open/%2e%2e/x",
  "/open/a;b",
  "/inside/x",
  "/hosted",
  "/versioned",
  "/watched",
  "/closed",
  "/",
  "/none",
  "/read?access_token=x",
  "/open/%zz",
  "/open/%41",
];
const METHODS = ["GET", "GET", "GET", "GET", "POST", "DELETE", "HEAD", "PUT", "OPTIONS"];
const SCOPES = ["read", "write", "admin", "items:*", "*", "audit:x"];

/** A request of every kind, chosen by `random`. */
export function liveRequest(random: (below: number) => number): LiveRequest {
  const one = <T>(list: readonly T[]): T => list[random(list.length)] as T;
  const headers: Record<string, string> = {};
  if (random(4) === 0) headers["x-version"] = one(["1", "2"]);
  if (random(12) === 0) headers["x-user-id"] = "forged";
  if (random(20) === 0) headers["content-type"] = "application/grpc-web+proto";
  const caller = callerOf(random, one);
  if (caller.kind === "nobody" && random(4) === 0) {
    headers.authorization = one(["Bearer nonsense", "Basic eDp5", "Bearer a.b.c", "Bearer "]);
  }
  return {
    method: one(METHODS),
    path: one(PATHS),
    host: random(5) === 0 ? "admin.example.com" : undefined,
    headers,
    caller,
  };
}

function callerOf(random: (below: number) => number, one: <T>(list: readonly T[]) => T): Caller {
  const kind = random(10);
  if (kind < 2) return { kind: "nobody" };
  if (kind < 5) return { kind: "key", id: one(KEY_IDS) };
  const claims: Record<string, unknown> = { sub: one(["alice", "bob", "zoë"]) };
  if (random(3) > 0) claims.scope = [one(SCOPES), one(SCOPES)].join(" ");
  if (random(3) === 0) claims.realm = { roles: [one(["editor", "auditor", "nobody"])] };
  if (random(3) === 0) claims.org_id = one(["acme", "other"]);
  if (random(3) === 0) claims.plan = one(["pro", "free"]);
  return { kind: "token", issuer: one(["corp", "partner"]), claims };
}
