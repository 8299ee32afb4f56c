// The reference rig of the security suite: a real gateway process between a raw client and a recording upstream, with two
// issuers, an HMAC issuer, API keys, and the routes that every case assumes.

import { Canaries } from "./canary.ts";
import { type GatewayOptions, startGateway, type TestGateway } from "./gateway.ts";
import type { Line } from "./http-bytes.ts";
import { type Claims, type Fault, makeKey, type SigningKey, signToken, TestIssuer } from "./issuer.ts";
import { type Exchange, type ExchangeOptions, exchange, type RawResponse } from "./raw-client.ts";
import { type Recorder, startRecorder } from "./recorder.ts";

/** Audience of every issuer of the rig. */
export const AUDIENCE = "rig-api";
/** Issuer identifier of the HMAC issuer. */
export const HMAC_ISSUER = "https://hmac.rig.test/";
/** A value that a client forges; it must never reach the upstream. */
export const FORGED = "forged-by-the-client";

/** What a test file changes about the rig. */
export interface RigOptions extends GatewayOptions {
  /** More entries of `routes`, as YAML lines that start with `  - `. */
  readonly routes?: string;
  /** More entries of `apiKeys`, as YAML lines that start with `  - `. */
  readonly keyEntries?: string;
  /** More entries of `upstreams`, as YAML lines indented by two. */
  readonly upstreams?: string;
  /** More top-level sections, as YAML. */
  readonly sections?: string;
  /** Value of the upstream's `timeouts`. */
  readonly timeouts?: string;
  /** Keys of issuer A; the first one signs. Default: one ES256 key. */
  readonly keysA?: readonly SigningKey[];
  readonly keyB?: SigningKey;
  /** How issuer A misbehaves from the start. */
  readonly fault?: Fault;
  /** Value of `algorithms` of issuer A. Default `[ES256, RS256]`. */
  readonly algorithms?: string;
  /** Address of the upstream, when it isn't the recorder itself. */
  readonly upstream?: string;
  readonly untilReady?: boolean;
}

/** The file of the rig. */
function rigYaml(options: RigOptions, issuerA: TestIssuer, issuerB: string, upstream: string): string {
  return `listen: 127.0.0.1:0
issuers:
  a: { issuer: "${issuerA.issuer}", jwksUri: "${issuerA.jwksUri}", audience: ${AUDIENCE}, algorithms: ${options.algorithms ?? "[ES256, RS256]"}, leeway: 0s }
  b: { issuer: "${issuerB}", jwks: b.jwks.json, audience: ${AUDIENCE} }
  h: { issuer: "${HMAC_ISSUER}", secret: "\${HMAC_SECRET}", audience: ${AUDIENCE}, algorithms: [HS256] }
apiKeys:
  - { id: reader, value: "\${READER_KEY}", subject: reader-subject, scopes: [read] }
  - { id: writer, value: "\${WRITER_KEY}", scopes: [write] }
  - { id: expired, value: "\${EXPIRED_KEY}", scopes: [read], expires: 2020-01-01 }
  - { id: disabled, value: "\${DISABLED_KEY}", scopes: [read], enabled: false }
${options.keyEntries ?? ""}
upstreams:
  app: { url: "${upstream}", timeouts: ${options.timeouts ?? "{ connect: 300ms, headers: 400ms, idle: 400ms }"} }
${options.upstreams ?? ""}
${options.sections ?? ""}
routes:
  - { match: /public/*, to: app, public: true }
  - { match: /api/*, to: app, auth: [jwt, apiKey], scopes: [read] }
  - { match: /admin/*, to: app, auth: [jwt], scopes: [admin] }
${options.routes ?? ""}
`;
}

/** Header lines of a request, as a record or a list. */
export type HeaderSpec = Readonly<Record<string, string>> | readonly Line[];

/** A well-formed request; `Host: rig.test` is added unless a Host line is given. */
export interface RequestSpec {
  readonly method?: string;
  readonly target: string;
  readonly headers?: HeaderSpec;
  /** Sent with a Content-Length. */
  readonly body?: string | Buffer;
}

/** The bytes of a request. */
export function requestBytes({ method = "GET", target, headers = {}, body }: RequestSpec): Buffer {
  const lines: Line[] = Array.isArray(headers) ? [...(headers as readonly Line[])] : Object.entries(headers);
  if (!lines.some(([name]) => name.toLowerCase() === "host")) lines.unshift(["Host", "rig.test"]);
  if (body !== undefined) lines.push(["Content-Length", String(Buffer.byteLength(body))]);
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const start = Buffer.from(`${method} ${target} HTTP/1.1\r\n${head}\r\n`, "latin1");
  return body === undefined ? start : Buffer.concat([start, Buffer.from(body)]);
}

interface RigParts {
  readonly gateway: TestGateway;
  readonly recorder: Recorder;
  readonly issuerA: TestIssuer;
  /** Issuer B has no server: its key set is a file. */
  readonly issuerB: { readonly issuer: string; readonly key: SigningKey };
  readonly canaries: Canaries;
  readonly keys: Readonly<Record<"reader" | "writer" | "expired" | "disabled", string>>;
  readonly hmacKey: SigningKey;
}

/** The rig while it runs. */
export class Rig implements RigParts {
  readonly gateway: TestGateway;
  readonly recorder: Recorder;
  readonly issuerA: TestIssuer;
  readonly issuerB: RigParts["issuerB"];
  readonly canaries: Canaries;
  readonly keys: RigParts["keys"];
  readonly hmacKey: SigningKey;

  constructor(parts: RigParts) {
    this.gateway = parts.gateway;
    this.recorder = parts.recorder;
    this.issuerA = parts.issuerA;
    this.issuerB = parts.issuerB;
    this.canaries = parts.canaries;
    this.keys = parts.keys;
    this.hmacKey = parts.hmacKey;
  }

  get port(): number {
    return this.gateway.port;
  }

  /** Claims of issuer A that any route of the rig with scope `read` accepts. */
  claims(over: Claims = {}): Claims {
    return this.issuerA.claims({ scope: "read", ...over });
  }

  /** A token of issuer A. */
  token(claims: Claims = {}, header: Claims = {}, key: SigningKey = this.issuerA.key): string {
    return this.canaries.token("a token", signToken(this.claims(claims), key, header));
  }

  /** `Authorization` with a token of issuer A. */
  bearer(claims: Claims = {}): { readonly Authorization: string } {
    return { Authorization: `Bearer ${this.token(claims)}` };
  }

  /** Sends exact bytes to the gateway. */
  exchange(bytes: Parameters<typeof exchange>[1], options?: ExchangeOptions): Promise<Exchange> {
    return exchange(this.port, bytes, options);
  }

  /** Sends one well-formed request on its own connection; throws when there is no answer. */
  async call(request: RequestSpec | string, options?: ExchangeOptions): Promise<RawResponse> {
    const spec = typeof request === "string" ? { target: request } : request;
    const { responses, end } = await this.exchange(requestBytes(spec), {
      heads: [spec.method === "HEAD"],
      ...options,
    });
    if (responses[0] === undefined)
      throw new Error(`no answer to ${spec.method ?? "GET"}, connection ${end}`);
    return responses[0];
  }

  /** Nothing in the logs since line `fromLine`, nor on standard error, holds a secret. */
  assertQuiet(fromLine = 0): void {
    this.canaries.assertNoCanary({
      log: this.gateway.stdout.slice(fromLine).join("\n"),
      "standard error": this.gateway.stderr,
    });
  }

  /** Stops everything; the gateway must still end with exit code 0. */
  async stop(): Promise<void> {
    try {
      await this.gateway.stop();
    } finally {
      await this.recorder.stop();
      await this.issuerA.stop();
    }
  }
}

/** Starts the rig. One per test file: it costs about half a second. */
export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const canaries = new Canaries();
  const recorder = await startRecorder();
  const issuerA = await TestIssuer.start({ keys: options.keysA ?? [makeKey("ES256")], audience: AUDIENCE });
  issuerA.fault = options.fault;
  const keyB = options.keyB ?? makeKey("ES256");
  const issuerB = { issuer: "https://b.rig.test", key: keyB };
  const keys = {
    reader: canaries.make("the reader key", 40),
    writer: canaries.make("the writer key", 40),
    expired: canaries.make("the expired key", 40),
    disabled: canaries.make("the disabled key", 40),
  };
  const secret = canaries.make("the HMAC secret", 48);
  const hmacKey: SigningKey = { alg: "HS256", kid: "h", signer: Buffer.from(secret), pem: "", jwk: {} };
  try {
    const gateway = await startGateway(
      rigYaml(options, issuerA, issuerB.issuer, options.upstream ?? recorder.url),
      {
        ...options,
        env: {
          HMAC_SECRET: secret,
          READER_KEY: keys.reader,
          WRITER_KEY: keys.writer,
          EXPIRED_KEY: keys.expired,
          DISABLED_KEY: keys.disabled,
          ...options.env,
        },
        files: { "b.jwks.json": JSON.stringify({ keys: [keyB.jwk] }), ...options.files },
      },
    );
    return new Rig({ gateway, recorder, issuerA, issuerB, canaries, keys, hmacKey });
  } catch (error) {
    await recorder.stop();
    await issuerA.stop();
    throw error;
  }
}
