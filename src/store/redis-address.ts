// Where Redis is and how it is entered: the forms that a configuration has, and the parts of a redis:// URL.

import { err, ok, type Result } from "../core/result.ts";

/** One server. */
export interface RedisAddress {
  /** Name or address; of IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** PEM files, read again for every connection so that renewed ones are used without a restart. */
export interface RedisTls {
  /** Certificate authorities that are trusted; those of Node.js unless said. */
  readonly ca?: string | undefined;
  /** The client's certificate, with `key`. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Name that the server's certificate must hold; the name connected to unless said. */
  readonly serverName?: string | undefined;
}

/** One server by its URL, a master that Sentinels tell, or a cluster. */
export type RedisServers =
  | { readonly url: string }
  | {
      readonly sentinels: readonly RedisAddress[];
      /** Name of the master. */
      readonly name: string;
      readonly sentinelUsername?: string | undefined;
      readonly sentinelPassword?: string | undefined;
    }
  | { readonly cluster: readonly RedisAddress[] };

/** How servers are entered. What a URL says is not repeated here. */
export interface RedisAccess {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** File with the password, read again for every connection. */
  readonly passwordFile?: string | undefined;
  /** Number of the database; 0 unless said. */
  readonly database?: number | undefined;
  /** Connections are encrypted when set. A rediss:// URL sets it as well. */
  readonly tls?: RedisTls | undefined;
}

/** The parts of a URL. */
export interface RedisUrl extends RedisAddress {
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number | undefined;
  /** 4 or 6 asks for this version of IP, 0 for either. */
  readonly family: 0 | 4 | 6 | undefined;
}

const DEFAULT_PORT = 6379;
const FAMILIES = { "0": 0, "4": 4, "6": 6 } as const;

/** The parts of a redis:// or rediss:// URL, or what was expected; that sentence holds nothing of the URL. */
export function parseRedisUrl(text: string): Result<RedisUrl, string> {
  const url = URL.parse(text);
  if (url === null || !/^rediss?:$/.test(url.protocol) || url.hostname === "" || url.hash !== "")
    return err("expected a URL such as redis://host:6379/0 or rediss://…");
  const username = decoded(url.username);
  const password = decoded(url.password);
  if (username === undefined || password === undefined)
    return err("expected a user name and password with percent-encoding, such as %25 for a percent sign");
  const path = /^\/?(\d{0,5})$/.exec(url.pathname)?.[1];
  if (path === undefined) return err("expected the number of a database as the URL's path, such as /0");
  const { family, more } = familyOf(url.searchParams);
  if (more) return err("expected no query in the URL except family=0, 4 or 6");
  return ok({
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? DEFAULT_PORT : Number(url.port),
    tls: url.protocol === "rediss:",
    username: username === "" ? undefined : username,
    password: password === "" ? undefined : password,
    database: path === "" ? undefined : Number(path),
    family,
  });
}

function familyOf(query: URLSearchParams): { family: RedisUrl["family"]; more: boolean } {
  const asked = query.get("family");
  const family = asked === "0" || asked === "4" || asked === "6" ? FAMILIES[asked] : undefined;
  return { family, more: query.size > (family === undefined ? 0 : 1) };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** `host:port`, `[::1]:port` or a host alone; undefined when it is neither. */
export function parseRedisAddress(text: string, defaultPort: number): RedisAddress | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/@[\]?#]+))(?::(\d{1,5}))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

/** `host:port`, the name of a server within its deployment. */
export function nameOf({ host, port }: RedisAddress): string {
  return `${host}:${port}`;
}
