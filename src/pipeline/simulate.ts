// Requests that were never sent, and callers who are taken at their word: what explaining, testing and replaying decide on.
// They go through the same decision as any request; only what stands for the credential differs.

import type { AuthnOutcome } from "../authn/authenticator.ts";
import type { CredentialRule } from "../authn/chain.ts";
import type { Awaitable } from "../core/result.ts";
import type { Arrival } from "./arrival.ts";
import { decide, type Policy } from "./decide.ts";
import type { CompiledRoute, Decision } from "./decision.ts";

/** A request as people write it down. */
export interface SimulatedRequest {
  readonly method: string;
  /** Path and query, as on the request line. */
  readonly target: string;
  /** Host and port that the client addressed; `localhost` unless said. */
  readonly host?: string | undefined;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  /** Address of whoever connects; 127.0.0.1 unless said. */
  readonly peerAddress?: string | undefined;
  readonly scheme?: "http" | "https" | undefined;
  /** A whole WebSocket handshake. */
  readonly upgrade?: boolean;
}

/** The arrival that the request would be. */
export function arrivalOf(request: SimulatedRequest, id = "simulated"): Arrival {
  const named = (request.headers ?? []).some(([name]) => name.toLowerCase() === "host");
  return {
    id,
    method: request.method,
    rawTarget: request.target,
    rawFields: [...(named ? [] : ["Host", request.host ?? "localhost"]), ...(request.headers ?? []).flat()],
    httpVersion: "1.1",
    scheme: request.scheme ?? "http",
    peerAddress: request.peerAddress ?? "127.0.0.1",
    upgrade: request.upgrade ?? false,
  };
}

/** Stands for a credential that was verified: who it makes the caller on a route, or why the route doesn't take it. */
export type Stand = (route: CompiledRoute, clientAddress: string) => Awaitable<AuthnOutcome>;

/**
 * Decides as if the caller had sent what `stand` stands for. Public routes look at no credential, as ever. The rest of the
 * policy is used as it is, counters included.
 */
export function decideAs(policy: Policy, arrival: Arrival, stand: Stand): Awaitable<Decision> {
  const routes: Policy["routes"] = {
    match: (request) => {
      const found = policy.routes.match(request);
      if (found.kind !== "match" || found.route.credentialKinds.size === 0) return found;
      return { ...found, route: { ...found.route, chain: standIn(found.route, stand) } };
    },
  };
  return decide({ ...policy, routes }, arrival);
}

function standIn(route: CompiledRoute, stand: Stand): CredentialRule {
  return {
    authenticate: (_fields, _search, clientAddress) => stand(route, clientAddress),
    // Nothing was sent, so nothing can be a guess.
    deciding: () => ({}),
  };
}
