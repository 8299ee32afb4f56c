// Concrete requests that stand for all that an operation or a route takes: routes are asked with them, so that what is
// found is what the gateway would do, precedence included.

import type { GatewayConfig, RoutePolicy } from "../../config/gateway-config.ts";
import { Fields } from "../../core/fields.ts";
import type { RouteMatch } from "../../routing/policy.ts";
import { type RoutedRequest, type RouteResult, RouteTable } from "../../routing/table.ts";

/** Stands for any value of a parameter; no route names it literally. */
export const ANY_VALUE = "gatewarden-any";

/** What a request may have besides method and path, as far as some route asks for it. */
export interface Circumstance {
  readonly authority: string;
  readonly fields: Fields;
  readonly search: string;
  /** For people: the conditions that make the difference, empty for none. */
  readonly text: string;
}

const MOST_CIRCUMSTANCES = 200;

/** The routes of a configuration, as the running gateway has them. */
export class Routes {
  readonly config: GatewayConfig;
  readonly circumstances: readonly Circumstance[];
  readonly #table: RouteTable<RoutePolicy>;

  /** @param hosts what clients address by the document, the usual one first */
  constructor(config: GatewayConfig, hosts: readonly string[]) {
    this.config = config;
    this.#table = new RouteTable(
      config.routes.flatMap((route) => route.matches.map((match) => [match, route] as const)),
      config.paths.caseSensitive,
    );
    this.circumstances = circumstancesOf(config, hosts);
  }

  match(method: string, path: string, circumstance: Circumstance): RouteResult<RoutePolicy> {
    return this.#table.match(requestOf(method, path, circumstance));
  }
}

export function requestOf(method: string, path: string, circumstance: Circumstance): RoutedRequest {
  return { method, path, ...circumstance };
}

/** A path that the pattern takes; with `rest` below it where it takes any rest. */
export function pathOf({ segments, wildcard, trailingSlash }: RouteMatch): string {
  const parts = segments.map((one) => (one.kind === "literal" ? encodeSegment(one.value) : ANY_VALUE));
  return `/${[...parts, ...(wildcard ? [ANY_VALUE] : trailingSlash ? [""] : [])].join("/")}`;
}

/** The canonical spelling of a decoded segment: only unreserved characters and sub-delimiters stay as they are. */
function encodeSegment(value: string): string {
  return encodeURIComponent(value).replace(/%(?:21|24|26|27|28|29|2A|2B|2C|3D|3A|40)/g, decodeURIComponent);
}

function circumstancesOf({ routes }: GatewayConfig, hosts: readonly string[]): readonly Circumstance[] {
  const found = new Map<string, Circumstance>();
  const add = (authority: string, match: Pick<RouteMatch, "headers" | "query">): void => {
    const raw = match.headers.flatMap(({ name, value }) => [name, value ?? ANY_VALUE]);
    const query = new URLSearchParams(match.query.map(({ name, value }) => [name, value ?? ANY_VALUE]));
    const search = match.query.length === 0 ? "" : `?${query}`;
    const lines = match.headers.map(({ name, value }) => `${name}: ${value ?? "…"}`);
    const text = [...lines, search].filter((part) => part !== "").join(", ");
    const key = JSON.stringify([authority, raw, search]);
    if (found.size < MOST_CIRCUMSTANCES) found.set(key, { authority, fields: new Fields(raw), search, text });
  };
  const plain = { headers: [], query: [] };
  const matches = routes.flatMap((route) => route.matches);
  const named = matches.flatMap((match) => match.hosts).map((host) => host.replace(/^\*/, ANY_VALUE));
  const authorities = [...new Set([...(hosts.length > 0 ? hosts : ["localhost"]), ...named])];
  for (const authority of authorities) add(authority, plain);
  for (const match of matches)
    if (match.headers.length + match.query.length > 0)
      for (const authority of authorities) add(authority, match);
  return [...found.values()];
}
