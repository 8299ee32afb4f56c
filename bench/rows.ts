// The rows of the benchmark and the ratios that are to be reached.

import { fastify } from "./peers/fastify.ts";
import { gatewarden } from "./peers/gatewarden.ts";
import { haproxy } from "./peers/haproxy.ts";
import { nginx } from "./peers/nginx.ts";
import { passthrough } from "./peers/passthrough.ts";
import type { Algorithm, Credential, Peer, Sync } from "./target.ts";

export interface Row {
  /** As given to `--rows`. */
  readonly id: string;
  readonly title: string;
  readonly peer: Peer;
  readonly credential: Credential;
  readonly accessLog?: boolean;
  /** Counters are in Redis, and instances agree so; absent: they are in the program itself. */
  readonly redis?: Sync;
  /** How requests are counted; `slidingWindow` unless said. */
  readonly algorithm?: Algorithm;
  /** How many routes the configuration holds besides the one of the task; the load then uses those. */
  readonly routes?: number;
  /** How many API keys the configuration holds besides those of the callers. */
  readonly keys?: number;
}

/** CPU per request of `row` divided by that of `base`. */
export interface Comparison {
  readonly row: string;
  readonly base: string;
  /** The ratio to stay at or below. */
  readonly reach: number;
  readonly moonshot: number | undefined;
}

export const ROWS: readonly Row[] = [
  { id: "haproxy-plain", title: "HAProxy, plain proxy", peer: haproxy, credential: "none" },
  { id: "nginx-plain", title: "nginx, plain proxy", peer: nginx, credential: "none" },
  { id: "passthrough", title: "node:http + undici, no checks", peer: passthrough, credential: "none" },
  { id: "gatewarden-plain", title: "Gatewarden, public route", peer: gatewarden, credential: "none" },
  { id: "haproxy-hs256", title: "HAProxy, HS256", peer: haproxy, credential: "HS256" },
  { id: "fastify-hs256", title: "Fastify, HS256", peer: fastify, credential: "HS256" },
  { id: "gatewarden-hs256", title: "Gatewarden, HS256", peer: gatewarden, credential: "HS256" },
  { id: "haproxy-rs256", title: "HAProxy, RS256", peer: haproxy, credential: "RS256" },
  { id: "fastify-rs256", title: "Fastify, RS256", peer: fastify, credential: "RS256" },
  { id: "gatewarden-rs256", title: "Gatewarden, RS256", peer: gatewarden, credential: "RS256" },
  { id: "haproxy-es256", title: "HAProxy, ES256", peer: haproxy, credential: "ES256" },
  { id: "fastify-es256", title: "Fastify, ES256", peer: fastify, credential: "ES256" },
  { id: "gatewarden-es256", title: "Gatewarden, ES256", peer: gatewarden, credential: "ES256" },
  { id: "gatewarden-apikey", title: "Gatewarden, API key", peer: gatewarden, credential: "apiKey" },
  {
    id: "gatewarden-log",
    title: "Gatewarden, HS256, access log to a pipe",
    peer: gatewarden,
    credential: "HS256",
    accessLog: true,
  },
  {
    id: "gatewarden-redis",
    title: "Gatewarden, HS256, limit in Redis (exact)",
    peer: gatewarden,
    credential: "HS256",
    redis: "exact",
  },
  {
    id: "gatewarden-leased",
    title: "Gatewarden, HS256, limit in Redis (leased)",
    peer: gatewarden,
    credential: "HS256",
    redis: "leased",
  },
  {
    id: "gatewarden-sliding-log",
    title: "Gatewarden, HS256, sliding log",
    peer: gatewarden,
    credential: "HS256",
    algorithm: "slidingLog",
  },
  {
    id: "gatewarden-token-bucket",
    title: "Gatewarden, HS256, token bucket",
    peer: gatewarden,
    credential: "HS256",
    algorithm: "tokenBucket",
  },
  ...[10, 1_000, 10_000].map(
    (routes): Row => ({
      id: `gatewarden-routes-${routes}`,
      title: `Gatewarden, HS256, ${routes.toLocaleString("en")} routes`,
      peer: gatewarden,
      credential: "HS256",
      routes,
    }),
  ),
  ...[10, 10_000].map(
    (keys): Row => ({
      id: `gatewarden-keys-${keys}`,
      title: `Gatewarden, API key, ${keys.toLocaleString("en")} more keys`,
      peer: gatewarden,
      credential: "apiKey",
      keys,
    }),
  ),
];

export const COMPARISONS: readonly Comparison[] = [
  { row: "gatewarden-plain", base: "passthrough", reach: 1.2, moonshot: 1.05 },
  { row: "gatewarden-hs256", base: "haproxy-hs256", reach: 1.6, moonshot: 1.0 },
  { row: "gatewarden-rs256", base: "haproxy-rs256", reach: 0.85, moonshot: 0.5 },
  { row: "gatewarden-es256", base: "haproxy-es256", reach: 0.45, moonshot: 0.25 },
  { row: "gatewarden-hs256", base: "passthrough", reach: 1.2, moonshot: 1.05 },
  { row: "gatewarden-hs256", base: "fastify-hs256", reach: 1.0, moonshot: undefined },
  { row: "gatewarden-apikey", base: "gatewarden-hs256", reach: 1.0, moonshot: undefined },
  { row: "gatewarden-log", base: "gatewarden-hs256", reach: 1.15, moonshot: 1.05 },
  { row: "gatewarden-leased", base: "gatewarden-hs256", reach: 1.1, moonshot: undefined },
  { row: "gatewarden-sliding-log", base: "gatewarden-hs256", reach: 1.1, moonshot: undefined },
  { row: "gatewarden-token-bucket", base: "gatewarden-hs256", reach: 1.1, moonshot: undefined },
  { row: "gatewarden-routes-1000", base: "gatewarden-routes-10", reach: 1.1, moonshot: undefined },
  { row: "gatewarden-routes-10000", base: "gatewarden-routes-10", reach: 1.1, moonshot: undefined },
  { row: "gatewarden-keys-10000", base: "gatewarden-keys-10", reach: 1.1, moonshot: undefined },
];

/** Most CPU microseconds that a row may take, where the goal is no ratio. */
export const ABSOLUTE_GOALS: Readonly<Record<string, number>> = { "gatewarden-redis": 48 };

/** The row of an id; throws when there is none. */
export function rowOf(id: string): Row {
  const row = ROWS.find((candidate) => candidate.id === id);
  if (row === undefined) throw new Error(`no row is called ${id}`);
  return row;
}

/** The rows whose id is listed or starts with a listed word; throws on a word that fits none. */
export function selectRows(words: readonly string[]): readonly Row[] {
  if (words.length === 0) return ROWS;
  for (const word of words) {
    if (!ROWS.some((row) => row.id.startsWith(word))) {
      throw new Error(`no row is called ${word}; rows: ${ROWS.map((row) => row.id).join(", ")}`);
    }
  }
  return ROWS.filter((row) => words.some((word) => row.id.startsWith(word)));
}
