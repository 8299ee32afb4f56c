// Pairs of files that differ in a few places, and requests with callers for both, all out of small alphabets so that they
// meet. Files are compiled as they would be from text; tokens are verified but for their signatures, which are names.

import { createHash } from "node:crypto";
import fc from "fast-check";
import { ApiKeyAuthenticator } from "../../src/authn/api-key/authenticator.ts";
import { type AuthnOutcome, rejected } from "../../src/authn/authenticator.ts";
import { claimsFault, headerFault } from "../../src/authn/jwt/claims.ts";
import { toPrincipal } from "../../src/authn/jwt/principal.ts";
import { grantsOf } from "../../src/authz/roles.ts";
import { compileFile } from "../../src/config/compile/file.ts";
import type { GatewayConfig } from "../../src/config/gateway-config.ts";
import { Report } from "../../src/config/report.ts";
import type { TreeNode } from "../../src/config/tree.ts";
import { DAY_MS } from "../../src/core/clock.ts";
import { deny } from "../../src/core/denial.ts";
import { compilePolicy } from "../../src/pipeline/compile.ts";
import { decide, type Policy } from "../../src/pipeline/decide.ts";
import type { Decision } from "../../src/pipeline/decision.ts";
import { arrivalOf, type SimulatedRequest } from "../../src/pipeline/simulate.ts";
import { Limiter } from "../../src/rate-limit/limiter.ts";

/** A part of a file as it would be written. */
export type Written = Readonly<Record<string, unknown>>;

/** A file: its routes, and all other sections. */
export interface FileModel {
  readonly sections: Written;
  readonly routes: readonly Written[];
}

/** The moment at which files are compared. */
export const NOW_MS = Date.parse("2026-06-01T00:00:00Z");
const LONGEST_FILE = "\n".repeat(4_000);

/** The configuration that a model is; undefined when it is invalid. */
export async function compileModel({ sections, routes }: FileModel): Promise<GatewayConfig | undefined> {
  const report = new Report("gateway.yaml", LONGEST_FILE);
  let at = 0;
  const tree = (value: unknown): TreeNode => {
    const here = at++;
    if (Array.isArray(value)) return { kind: "list", at: here, items: value.map(tree) };
    if (typeof value !== "object" || value === null)
      return { kind: "scalar", at: here, value: value as string };
    const entries = Object.entries(value).filter(([, one]) => one !== undefined);
    return {
      kind: "map",
      at: here,
      entries: entries.map(([key, one]) => ({ key, keyAt: here, value: tree(one) })),
    };
  };
  const { apiKeys } = sections;
  const keys = typeof apiKeys === "object" && apiKeys !== null ? Object.values(apiKeys) : [];
  const listed = keys.filter((key) => key !== undefined);
  const config = await compileFile(report, tree({ ...sections, apiKeys: listed, routes }));
  return report.failed ? undefined : config;
}

const SECRETS = ["first", "other"].map((name) => `${name}-${"secret-".repeat(10)}`);
const keyValue = (name: string) => `legacy-key-${name}`;
const hashOf = (name: string) => `sha256:${createHash("sha256").update(keyValue(name)).digest("hex")}`;

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined, freq: 2 });
/** One time in `of`. */
const seldom = <T>(of: number, value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: of - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });
const someOf = (...names: string[]) => fc.subarray(names, { minLength: 1 });

const SCOPES = ["m:read", "m:write", "m:*", "*", "other"];
const ROLES = ["dev", "ops"];
const RANGES = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "192.168.0.0/16", "2001:db8::/32"];
const choice = (...names: string[]) =>
  fc.oneof(
    someOf(...names),
    someOf(...names).map((any) => ({ any })),
  );
const tierTable = fc.record({
  guest: fc.constantFrom("0/day", "1000000/s", false),
  user: maybe(fc.constantFrom("0/day", "1000000/s")),
  gold: maybe(fc.constantFrom("0/day", "1000000/s", false)),
});

const segment = fc.constantFrom("a", "a", "b", "A", ":x", ":y");
const path = fc
  .record({
    segments: fc.array(segment, { maxLength: 3 }),
    end: fc.constantFrom("", "", "", "/", "/*"),
  })
  .map(({ segments, end }) => {
    const text = segments.map((one, depth) => `/${one.startsWith(":") ? `${one}${depth}` : one}`).join("");
    return text === "" ? (end === "/*" ? "/*" : "/") : text + end;
  });

const condition = fc.constantFrom<Written>({ v: "1" }, { v: "2" }, { v: true }, { w: true });
const match = fc.record({
  path,
  methods: maybe(someOf("GET", "POST", "HEAD", "DELETE")),
  host: seldom(6, someOf("h1.example", "*.example", "*.h1.example", "h2.h1.example")),
  headers: seldom(6, condition),
  query: seldom(6, condition),
});

const auth = fc.oneof(
  fc.uniqueArray(fc.constantFrom("jwt", "apiKey", "jwt:one", "jwt:two"), { minLength: 1, maxLength: 3 }),
  fc.constantFrom<unknown[]>(
    [{ all: ["apiKey", "jwt"] }],
    [{ all: ["apiKey", "jwt:one"] }, "apiKey"],
    ["jwt", { all: ["apiKey", "jwt:two"] }],
  ),
);

/** Parts of files. @param of one in so many has what most files don't have */
function partsOf(of: number, matches: fc.Arbitrary<Written>) {
  const rarely = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => seldom(of, value);
  const guard = fc.record({
    auth,
    credentials: rarely(fc.constant("firstMatch")),
    optional: seldom(6, fc.constant(true)),
    scopes: maybe(choice(...SCOPES)),
    roles: rarely(choice(...ROLES)),
    require: rarely(
      fc.constantFrom<Written>(
        { org: "acme" },
        { "claims.plan": ["pro", "team"] },
        { "claims.plan": ["pro"] },
        { clientId: ["one", "c1"] },
        { subject: ["PARAMETER"] },
        { subject: "PARAMETER" },
        { org: "PARAMETER", "claims.plan": "pro" },
      ),
    ),
  });
  const ips = fc
    .record({ allow: maybe(someOf(...RANGES)), deny: maybe(someOf(...RANGES)) })
    .filter(({ allow, deny }) => allow !== undefined || deny !== undefined);
  const checks = fc.oneof(fc.constant(true), someOf("ips", "auth", "scopes", "roles", "require", "limit"));
  const limits = fc.oneof(
    tierTable.map((tier) => ({ tier })),
    fc.constant("1000000/s"),
  );
  const route: fc.Arbitrary<Written> = fc
    .record({
      match: matches,
      guard: fc.oneof(
        { weight: 1, arbitrary: fc.constant<Written>({ public: true }) },
        { weight: 5, arbitrary: guard },
      ),
      ips: rarely(ips),
      observe: seldom(6, checks),
      limit: rarely(limits),
      cors: seldom(6, fc.constant({ origins: ["https://app.example"] })),
    })
    .map(({ match: matched, guard: guarded, ...more }) => {
      const names = String(matched.path).match(/:\w+/g) ?? [];
      const text = JSON.stringify({ match: matched, to: "app", ...guarded, ...more });
      return JSON.parse(text.replaceAll('"PARAMETER"', JSON.stringify(names[0] ?? "sam")));
    });
  const apiKey = (name: string) =>
    fc.record({
      id: fc.constantFrom(name, `${name}-renamed`),
      hash: fc.constant(hashOf(name)),
      subject: rarely(fc.constantFrom("sam", "a")),
      scopes: maybe(someOf(...SCOPES)),
      roles: rarely(someOf(...ROLES)),
      tier: rarely(fc.constantFrom("gold", "user")),
      org: rarely(fc.constantFrom("acme", "b")),
      expires: rarely(fc.constantFrom("2026-05-01", "2026-06-02", "2026-06-05")),
      enabled: seldom(6, fc.constant(false)),
      allowIps: rarely(someOf(...RANGES)),
      metadata: rarely(fc.constantFrom({ plan: "pro" }, { plan: "team" }, { plan: ["free", "pro"] })),
    });
  const issuer = (name: string) =>
    fc.record({
      issuer: fc.oneof(
        { weight: 5, arbitrary: fc.constant(`https://${name}.example/`) },
        { weight: 1, arbitrary: fc.constant(`https://${name}-2.example/`) },
      ),
      audience: fc.constantFrom<unknown>(["x"], ["x"], ["x", "y"], "none"),
      secret: fc.constantFrom(SECRETS[0], SECRETS[0], SECRETS[0], SECRETS[1]),
      algorithms: rarely(fc.constant(["HS256", "HS384"])),
      leeway: rarely(fc.constantFrom("0s", "60s")),
      typ: rarely(fc.constantFrom(["at+jwt"], ["jwt", "at+jwt"])),
      clientId: rarely(fc.constant("c1")),
      claims: seldom(
        6,
        fc.constantFrom<Written>(
          { roles: "groups" },
          { scopes: "perms" },
          { org: "company" },
          { tier: "level" },
          { subject: "uid" },
        ),
      ),
    });
  const role = fc.record({
    scopes: maybe(someOf(...SCOPES)),
    tier: rarely(fc.constantFrom("gold", "user")),
  });
  const sections: fc.Arbitrary<Written> = fc.record({
    issuers: fc.record({ one: issuer("one"), two: issuer("two") }),
    apiKeys: fc.record({ one: apiKey("one"), two: maybe(apiKey("two")), three: maybe(apiKey("three")) }),
    apiKeyHeaders: rarely(fc.constantFrom(["X-API-Key", "X-Key"], ["X-Key"])),
    roles: fc.record({ dev: role, ops: role }),
    upstreams: fc.constant({ app: "http://127.0.0.1:9" }),
    trustedProxies: rarely(someOf("10.9.0.0/16", "10.0.0.0/8", "192.168.7.7")),
    paths: seldom(
      6,
      fc.record({
        caseSensitive: fc.boolean(),
        encodedSlash: fc.constantFrom("refuse", "keep"),
        semicolon: fc.constantFrom("refuse", "keep"),
        duplicateSlash: fc.constantFrom("refuse", "merge", "keep"),
      }),
    ),
  });
  return { route, sections };
}

function filesOf(parts: ReturnType<typeof partsOf>, mostRoutes: number): fc.Arbitrary<FileModel> {
  return fc.record({
    sections: parts.sections,
    routes: fc.uniqueArray(parts.route, {
      minLength: 1,
      maxLength: mostRoutes,
      // Most overlaps at equal rank, which no file may have.
      selector: ({ match: matched }) => JSON.stringify(matched).replace(/:\w+/g, ":"),
    }),
  });
}

const isMap = (part: unknown): part is Written =>
  typeof part === "object" && part !== null && !Array.isArray(part);

/** Takes from `other` what `taken` says of each part in which the two differ. */
function mixed(one: Written, other: Written, taken: () => boolean): Written {
  const keys = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries(
    [...keys].map((key) => {
      const [value, there] = [one[key], other[key]];
      if (isMap(value) && isMap(there)) return [key, mixed(value, there, taken)];
      const differ = JSON.stringify(value) !== JSON.stringify(there);
      return [key, differ && taken() ? there : value];
    }),
  );
}

/** Files of several routes, of which the second is the first with some parts of a third. */
export const farPair: fc.Arbitrary<readonly [FileModel, FileModel]> = fc
  .tuple(
    filesOf(partsOf(6, match), 6),
    filesOf(partsOf(6, match), 6),
    fc.infiniteStream(fc.integer({ min: 0, max: 99 })),
    fc.constantFrom(2, 5, 12, 30),
  )
  .map(([old, other, numbers, share]) => {
    const taken = (): boolean => (numbers.next().value ?? 99) < share;
    const routes = old.routes.flatMap((one, index) => {
      if (taken()) return [];
      const there = other.routes[index];
      return [there === undefined ? one : mixed(one, there, taken)];
    });
    const next = {
      sections: mixed(old.sections, other.sections, taken),
      routes: [...routes, ...other.routes.filter(taken)],
    };
    return [old, next.routes.length === 0 ? { ...next, routes: old.routes } : next];
  });

const plainMatch = fc.record({
  path: fc.constantFrom("/a/:x1", "/a/:x1", "/a/b"),
  methods: fc.constant(["GET"]),
});

/** Files of one route that differ in one part alone. */
export const closePair: fc.Arbitrary<readonly [FileModel, FileModel]> = fc
  .tuple(filesOf(partsOf(2, plainMatch), 1), filesOf(partsOf(2, plainMatch), 1), fc.nat())
  .map(([old, other, number]) => {
    const written = ({ sections, routes }: FileModel): Written => ({ ...sections, route: routes[0] });
    let differences = 0;
    mixed(written(old), written(other), () => {
      differences += 1;
      return false;
    });
    let at = differences === 0 ? -1 : number % differences;
    const { route, ...sections } = mixed(written(old), written(other), () => at-- === 0);
    return [old, { sections, routes: [route as Written] }];
  });

/** A token whose signature is the name of the secret that it was made with. */
export interface TokenModel {
  readonly header: Written;
  readonly payload: Written;
  readonly secret: string;
}

/** A request and the credentials that its caller holds. */
export interface RequestModel extends SimulatedRequest {
  readonly key: string | undefined;
  readonly token: TokenModel | undefined;
  /** Wall clock. */
  readonly atMs: number;
  /** Number of the route that it is meant for; undefined: none in particular. */
  readonly aim: number | undefined;
}

const token: fc.Arbitrary<TokenModel> = fc.record({
  header: fc.record({
    alg: fc.constantFrom("HS256", "HS256", "HS256", "HS384"),
    typ: fc.constantFrom("at+jwt", "at+jwt", "jwt"),
  }),
  payload: fc
    .record({
      iss: fc.constantFrom(
        "https://one.example/",
        "https://one.example/",
        "https://two.example/",
        "https://one-2.example/",
      ),
      aud: fc.constantFrom("x", "x", "x", "y", "z"),
      sub: fc.constantFrom("sam", "a", "b"),
      uid: fc.constantFrom("sam", "a"),
      late: fc.constantFrom(-45, -15, 999_999_999, 999_999_999, 999_999_999),
      scope: maybe(someOf(...SCOPES).map((list) => list.join(" "))),
      perms: maybe(someOf(...SCOPES)),
      roles: maybe(someOf(...ROLES)),
      groups: maybe(someOf(...ROLES)),
      org_id: maybe(fc.constantFrom("acme", "a")),
      company: maybe(fc.constantFrom("acme", "a")),
      tier: maybe(fc.constantFrom("gold", "user", "silver")),
      level: maybe(fc.constantFrom("gold", "user")),
      plan: maybe(fc.constantFrom<unknown>("pro", "team", ["free", "pro"])),
      client_id: maybe(fc.constantFrom("c1", "one")),
    })
    .map(({ late, ...claims }) => ({
      ...Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined)),
      exp: NOW_MS / 1000 + late,
    })),
  secret: fc.constantFrom(SECRETS[0] ?? "", SECRETS[0] ?? "", SECRETS[0] ?? "", SECRETS[1] ?? ""),
});

const target = fc
  .record({
    pieces: fc.array(fc.constantFrom("a", "a", "b", "A", "sam", "acme", "c", "", "%2F", "a;v"), {
      maxLength: 4,
    }),
    slash: fc.constantFrom("", "", "/"),
    query: fc.constantFrom("", "", "?v=1", "?v=2", "?v=1&v=2", "?w", "?v=1&w=x"),
  })
  .map(({ pieces, slash, query }) => `/${pieces.join("/")}${pieces.length > 0 ? slash : ""}${query}`);

const address = fc.constantFrom(
  "10.0.0.1",
  "10.1.2.3",
  "10.1.9.9",
  "10.9.0.1",
  "192.168.7.7",
  "172.16.0.1",
  "2001:db8::1",
);

/** A request that may meet any of the files. */
export const requestModel: fc.Arbitrary<RequestModel> = fc
  .record({
    method: fc.constantFrom("GET", "GET", "POST", "HEAD", "DELETE", "PUT", "OPTIONS"),
    target,
    host: fc.constantFrom("h1.example", "h2.h1.example:81", "x.example", "y.h1.example", "other"),
    headers: fc.constantFrom<readonly (readonly [string, string])[]>(
      [],
      [],
      [["v", "1"]],
      [["V", "2"]],
      [["w", ""]],
      [
        ["v", "1"],
        ["v", "2"],
      ],
      [
        ["v", "1"],
        ["w", "x"],
      ],
    ),
    forwarded: seldom(3, address),
    peerAddress: address,
    key: maybe(fc.constantFrom("one", "two", "three")),
    token: maybe(token),
    atMs: fc.constantFrom(NOW_MS, NOW_MS, NOW_MS + 2 * DAY_MS),
    aim: fc.oneof({ weight: 1, arbitrary: fc.constant(undefined) }, { weight: 4, arbitrary: fc.nat(40) }),
  })
  .map(({ forwarded, headers, ...rest }) => ({
    ...rest,
    headers: forwarded === undefined ? headers : [...headers, ["X-Forwarded-For", forwarded] as const],
  }));

const FILLINGS = ["sam", "acme", "a", "b"];

/** The request, turned to the route of `model` that it is meant for. */
export function aimed(request: RequestModel, { routes }: FileModel): RequestModel {
  const { aim } = request;
  const wanted =
    aim === undefined ? undefined : (routes[aim % routes.length]?.match as MatchModel | undefined);
  if (aim === undefined || wanted === undefined) return request;
  const { path: pattern, methods, host, headers, query } = wanted;
  const filled = pattern.replace(/:\w+/g, FILLINGS[aim % FILLINGS.length] ?? "a");
  const rest = aim % 3 === 0 ? "" : aim % 3 === 1 ? "/a" : "/c/d";
  const text = (values: MatchModel["headers"]) =>
    Object.entries(values ?? {})
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, value === true ? "x" : value] as const);
  const search = new URLSearchParams(text(query).map((pair) => [...pair])).toString();
  return {
    ...request,
    method: methods?.[aim % methods.length] ?? request.method,
    target:
      (filled.endsWith("/*") ? filled.slice(0, -2) + rest || "/" : filled) +
      (search === "" ? "" : `?${search}`),
    host: host?.[aim % host.length]?.replace("*", "x") ?? request.host,
    headers: [...(request.headers ?? []).filter(([name]) => name.startsWith("X-")), ...text(headers)],
  };
}

interface MatchModel {
  readonly path: string;
  readonly methods?: readonly string[];
  readonly host?: readonly string[];
  readonly headers?: Readonly<Record<string, string | true>>;
  readonly query?: Readonly<Record<string, string | true>>;
}

/** A file that decides, without a network. */
export class Decider {
  readonly config: GatewayConfig;
  readonly #policy: Policy;
  #nowMs = NOW_MS;

  constructor(config: GatewayConfig) {
    this.config = config;
    const clock = { wallMs: () => this.#nowMs, steadyMs: () => 0 };
    const grants = (roles: readonly string[]) => grantsOf(config.roles, roles);
    this.#policy = compilePolicy(config, {
      verifier: { verify: (text, names) => this.#verify(text, names) },
      apiKeys: new ApiKeyAuthenticator(config.apiKeys, { clock, grants }),
      limiter: new Limiter({ prefix: "gw", clock, issuers: [] }),
      failures: undefined,
    }).policy;
  }

  /** Whether the request is forwarded when these of the caller's credentials are sent. */
  decide(request: RequestModel, sent: { readonly key: boolean; readonly token: boolean }): Promise<Decision> {
    this.#nowMs = request.atMs;
    const { key, token: held } = request;
    const credentials: (readonly [string, string])[] = [];
    if (sent.key && key !== undefined)
      credentials.push([this.config.apiKeyHeaders[0] ?? "x-api-key", keyValue(key)]);
    if (sent.token && held !== undefined)
      credentials.push([
        "Authorization",
        `Bearer ${Buffer.from(JSON.stringify(held)).toString("base64url")}`,
      ]);
    const headers = [...(request.headers ?? []), ...credentials];
    return Promise.resolve(decide(this.#policy, arrivalOf({ ...request, headers })));
  }

  #verify(text: string, names: string | readonly string[] | undefined): AuthnOutcome {
    const { header, payload, secret }: TokenModel = JSON.parse(Buffer.from(text, "base64url").toString());
    for (const policy of this.config.issuers) {
      const asked = names === undefined || [names].flat().includes(policy.name);
      const signed =
        policy.source.kind === "secret" && Buffer.from(policy.source.secret).toString() === secret;
      if (!asked || !signed || policy.issuer !== payload.iss || headerFault(header, policy) !== undefined)
        continue;
      if (claimsFault({ header, payload, policy, nowMs: this.#nowMs }) !== undefined) continue;
      const grants = (roles: readonly string[]) => grantsOf(this.config.roles, roles);
      return { kind: "authenticated", principal: toPrincipal(payload, policy, grants) };
    }
    return rejected(deny("token_invalid", "jwt_issuer"));
  }
}
