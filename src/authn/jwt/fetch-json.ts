// Fetches one JSON document from an issuer, within bounds of time and memory, trusting nothing that comes back.

import { err, ok, type Result } from "../../core/result.ts";

/** Why a document could not be had; goes to the operator's log. */
export type FetchFault =
  | "unreachable"
  | "timeout"
  | "redirect"
  | "too_large"
  | "not_json"
  | `status_${number}`;

/** What one fetch may take. */
export interface FetchBounds {
  /** Milliseconds for the whole exchange. */
  readonly timeoutMs: number;
  /** Most bytes of the body, after decompression. */
  readonly bodyBytes: number;
}

/** A document and how long it may be kept. */
export interface FetchedJson {
  readonly document: unknown;
  /** Milliseconds of `max-age` (RFC 9111 section 5.2.2.1), when caching is allowed and it is given. */
  readonly maxAgeMs: number | undefined;
}

/** GETs `url`. Only status 200 counts and no redirect is followed. Never throws; an aborted `signal` reads as unreachable. */
export async function fetchJson(
  url: string,
  bounds: FetchBounds,
  signal: AbortSignal,
): Promise<Result<FetchedJson, FetchFault>> {
  const timeout = AbortSignal.timeout(bounds.timeoutMs);
  const done = new AbortController();
  try {
    const response = await fetch(url, {
      redirect: "manual",
      credentials: "omit",
      headers: { accept: "application/jwk-set+json, application/json", "user-agent": "gatewarden" },
      signal: AbortSignal.any([timeout, signal, done.signal]),
    });
    const { status, body } = response;
    if (status !== 200 || body === null) {
      const redirect = status >= 300 && status < 400;
      return err<FetchFault>(redirect ? "redirect" : `status_${status}`);
    }
    const bytes = await readBounded(body, bounds.bodyBytes);
    if (bytes === undefined) return err("too_large");
    const document = parse(bytes);
    if (document === undefined) return err("not_json");
    return ok({ document, maxAgeMs: maxAge(response.headers.get("cache-control")) });
  } catch {
    return err(timeout.aborted ? "timeout" : "unreachable");
  } finally {
    // Cuts the connection of a body that was not read to its end.
    done.abort();
  }
}

/** All bytes of `body`, or undefined as soon as there are more than `most`. */
async function readBounded(body: ReadableStream<Uint8Array>, most: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > most) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

function maxAge(cacheControl: string | null): number | undefined {
  if (cacheControl === null || /\bno-(?:store|cache)\b/i.test(cacheControl)) return undefined;
  const seconds = /(?:^|[\s,])max-age="?(\d{1,10})/i.exec(cacheControl)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
