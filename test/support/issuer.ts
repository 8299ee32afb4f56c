// A token issuer on a free loopback port for tests: publishes a JWK Set and both discovery documents, signs tokens, and
// misbehaves on demand.
//
//   const issuer = await TestIssuer.start();                       // one RS256 key
//   const token = issuer.token({ sub: "u1", scope: "modules:read" });
//   issuer.fault = { kind: "status", status: 500 };                // until set back to undefined
//   expect(issuer.fetches.jwks).toBe(1);
//   await issuer.stop();

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type Claims, type Jwk, makeKey, type SigningKey, signToken } from "./tokens.ts";

export * from "./tokens.ts";

/** How the issuer misbehaves. */
export type Fault =
  /** This status with a normal JSON body. */
  | { readonly kind: "status"; readonly status: number }
  /** Accepts the request and never answers. */
  | { readonly kind: "hang" }
  /** Sends the header section and then nothing. */
  | { readonly kind: "hangAfterHeaders" }
  /** A body that never ends. */
  | { readonly kind: "endless" }
  | { readonly kind: "redirect"; readonly location: string }
  /** Cuts the connection in the middle of the body. */
  | { readonly kind: "cut" }
  | { readonly kind: "html" }
  /** Half of the JSON text, correctly framed. */
  | { readonly kind: "truncated" }
  /** `{"keys":[]}`. */
  | { readonly kind: "empty" }
  /** This very text with status 200. */
  | { readonly kind: "body"; readonly body: string }
  /** Closes the connection without an answer. */
  | { readonly kind: "reset" };

export interface IssuerOptions {
  /** Keys to publish; the first one signs. Default: one RS256 key. */
  readonly keys?: readonly SigningKey[];
  /** Path of the issuer identifier, such as `/realms/one`. Default: none. */
  readonly path?: string;
  /** Value of `aud` in tokens. Default `modules-api`. */
  readonly audience?: string;
}

const DISCOVERY =
  /^(?:.*\/\.well-known\/openid-configuration|\/\.well-known\/(?:oauth-authorization-server|openid-configuration).*)$/;

export class TestIssuer {
  /** Issuer identifier: `http://127.0.0.1:PORT` plus the path. */
  readonly issuer: string;
  readonly jwksUri: string;
  readonly audience: string;
  /** Signs by default. */
  key: SigningKey;
  /** What the JWK Set holds; replace it to rotate. */
  published: readonly Jwk[];
  /** Cache-Control of the JWK Set. */
  cacheControl: string | undefined;
  /** Milliseconds before every answer. */
  delayMs = 0;
  fault: Fault | undefined;
  discoveryFault: Fault | undefined;
  /** Laid over the discovery document. */
  discovery: Claims = {};
  /** Which discovery paths exist; undefined: all of them. */
  discoveryPaths: readonly string[] | undefined;
  /** Requests answered or left hanging so far. */
  readonly fetches: { jwks: number; discovery: number; other: number } = { jwks: 0, discovery: 0, other: 0 };
  /** Paths asked for, in order. */
  readonly paths: string[] = [];
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  readonly #pending = new Set<ServerResponse>();

  private constructor(server: Server, sockets: Set<Socket>, options: IssuerOptions) {
    const { port } = server.address() as AddressInfo;
    const origin = `http://127.0.0.1:${port}`;
    const keys = options.keys ?? [makeKey("RS256")];
    this.#server = server;
    this.#sockets = sockets;
    this.issuer = `${origin}${options.path ?? ""}`;
    this.jwksUri = `${origin}/jwks.json`;
    this.audience = options.audience ?? "modules-api";
    this.key = keys[0]!;
    this.published = keys.map((key) => key.jwk);
    server.on("request", (request, response) => this.#answer(request, response));
  }

  static async start(options: IssuerOptions = {}): Promise<TestIssuer> {
    const server = createServer();
    const sockets = new Set<Socket>();
    server.on("connection", (socket: Socket) => {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    return new TestIssuer(server, sockets, options);
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Answers that are neither complete nor cut: shows whether a client has let go. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Claims that any verifier accepts, valid for five minutes; a member set to undefined is left out. */
  claims(over: Claims = {}): Claims {
    const now = Math.floor(Date.now() / 1000);
    return { iss: this.issuer, sub: "user-1", aud: this.audience, iat: now, exp: now + 300, ...over };
  }

  /** A valid token with these claims and header members laid over the usual ones. */
  token(claims: Claims = {}, header: Claims = {}, key: SigningKey = this.key): string {
    return signToken(this.claims(claims), key, header);
  }

  /** Publishes `key` beside the others (or, with `only`, instead of them) and signs with it from now on. */
  rotate(key: SigningKey, only = false): void {
    this.published = only ? [key.jwk] : [...this.published, key.jwk];
    this.key = key;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? "/";
    this.paths.push(path);
    response.on("error", () => response.destroy());
    this.#pending.add(response);
    response.on("close", () => this.#pending.delete(response));
    const send = () => {
      if (path === "/jwks.json") {
        this.fetches.jwks++;
        const headers = this.cacheControl === undefined ? {} : { "cache-control": this.cacheControl };
        misbehave(response, this.fault, JSON.stringify({ keys: this.published }), headers);
      } else if (DISCOVERY.test(path)) {
        this.fetches.discovery++;
        const known = this.discoveryPaths?.includes(path) ?? true;
        const document = { issuer: this.issuer, jwks_uri: this.jwksUri, ...this.discovery };
        const fault = known ? this.discoveryFault : ({ kind: "status", status: 404 } as const);
        misbehave(response, fault, JSON.stringify(document), {});
      } else {
        this.fetches.other++;
        response.writeHead(404).end();
      }
    };
    if (this.delayMs === 0) send();
    else setTimeout(send, this.delayMs);
  }
}

/** Answers with `body`, bent as `fault` says. */
function misbehave(
  response: ServerResponse,
  fault: Fault | undefined,
  body: string,
  headers: Record<string, string>,
): void {
  const json = { "content-type": "application/json", ...headers };
  switch (fault?.kind) {
    case undefined:
      response.writeHead(200, json).end(body);
      return;
    case "status":
      response.writeHead(fault.status, json).end(body);
      return;
    case "hang":
      return;
    case "hangAfterHeaders":
      response.writeHead(200, json).flushHeaders();
      return;
    case "endless":
      response.writeHead(200, json);
      pour(response);
      return;
    case "redirect":
      response.writeHead(302, { location: fault.location }).end();
      return;
    case "cut":
      response.writeHead(200, { ...json, "content-length": String(body.length) });
      response.write(body.slice(0, body.length >> 1), () => response.destroy());
      return;
    case "html":
      response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>Sign in</title>");
      return;
    case "truncated":
      response.writeHead(200, json).end(body.slice(0, body.length >> 1));
      return;
    case "empty":
      response.writeHead(200, json).end('{"keys":[]}');
      return;
    case "body":
      response.writeHead(200, json).end(fault.body);
      return;
    case "reset":
      response.destroy();
  }
}

/** Writes for as long as somebody reads. */
function pour(response: ServerResponse): void {
  const chunk = `{"keys":[${'{"kty":"RSA"},'.repeat(4096)}`;
  const more = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on("drain", more);
  more();
}
