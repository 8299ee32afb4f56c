// Requests as the decision sees them, for tests that need no socket.

import { Fields } from "../../src/core/fields.ts";
import type { GatewayRequest } from "../../src/core/request.ts";
import { canonicalise } from "../../src/core/request-target.ts";

const HOST = "api.example.com";

/** What a test changes about a plain GET of `/modules` from an untrusted peer. */
export interface RequestParts extends Partial<Omit<GatewayRequest, "target" | "fields">> {
  readonly target?: string;
  /** Flat name and value list. */
  readonly fields?: readonly string[];
}

/** @throws Error when `target` is not canonical: the test itself is wrong. */
export function gatewayRequest({
  target = "/modules",
  fields = [],
  ...rest
}: RequestParts = {}): GatewayRequest {
  const canonical = canonicalise(target, HOST);
  if (!canonical.ok) throw new Error(`${target}: ${canonical.error}`);
  return {
    id: "request-1",
    method: "GET",
    target: canonical.value,
    authority: HOST,
    scheme: "http",
    fields: new Fields(fields),
    peerAddress: "192.0.2.1",
    peerTrusted: false,
    clientAddress: "192.0.2.1",
    protocol: "http",
    ...rest,
  };
}

/** All values of `name` (in any case) in a flat list. */
export function valuesOf(list: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index < list.length; index += 2)
    if (list[index]?.toLowerCase() === name.toLowerCase()) values.push(list[index + 1] ?? "");
  return values;
}

/** Names of a flat list, in lower case and in order. */
export function namesOf(list: readonly string[]): string[] {
  return list.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
}
