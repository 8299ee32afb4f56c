// A JWT verifier for tests: short to set up, with a clock that can be moved and everything it says recorded.

import type { AuthnOutcome } from "../../src/authn/authenticator.ts";
import type { IssuerPolicy, KeySource } from "../../src/authn/jwt/policy.ts";
import type { Grants } from "../../src/authn/jwt/principal.ts";
import { type IssuerNames, type JwtOptions, JwtVerifier } from "../../src/authn/jwt/verifier.ts";
import type { Clock } from "../../src/core/clock.ts";
import type { GatewayEvent } from "../../src/core/events.ts";
import type { Principal } from "../../src/core/principal.ts";
import type { SigningKey, TestIssuer } from "./issuer.ts";

/** Real time plus what a test adds. */
export class MovableClock implements Clock {
  wallOffsetMs = 0;
  steadyOffsetMs = 0;
  /** When set, the wall clock stands still here. */
  frozenWallMs: number | undefined;

  wallMs(): number {
    return (this.frozenWallMs ?? Date.now()) + this.wallOffsetMs;
  }

  steadyMs(): number {
    return performance.now() + this.steadyOffsetMs;
  }
}

/** A policy as gateway.yaml would give with nothing but issuer, audience and key source. */
export function issuerPolicy(source: KeySource, over: Partial<IssuerPolicy> = {}): IssuerPolicy {
  return {
    name: "corp",
    issuer: "https://login.example.com/",
    audience: ["modules-api"],
    algorithms:
      source.kind === "secret" ? ["HS256"] : ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"],
    source,
    leewaySeconds: 0,
    types: undefined,
    clientId: undefined,
    claims: {
      subject: ["sub"],
      scopes: undefined,
      roles: ["roles"],
      org: ["org_id"],
      email: ["email"],
      tier: ["tier"],
    },
    ...over,
  };
}

/** A policy for keys that stand in the configuration. */
export function keyPolicy(keys: readonly SigningKey[], over: Partial<IssuerPolicy> = {}): IssuerPolicy {
  return issuerPolicy({ kind: "jwks", keys: keys.map((key) => key.jwk) }, over);
}

/** A policy for a local issuer's published key set, or with `discovery` for its metadata. */
export function remotePolicy(
  issuer: TestIssuer,
  over: Partial<IssuerPolicy> = {},
  discovery = false,
): IssuerPolicy {
  const source: KeySource = discovery
    ? { kind: "discovery", url: undefined }
    : { kind: "jwksUri", url: issuer.jwksUri };
  return issuerPolicy(source, { issuer: issuer.issuer, ...over });
}

export interface RunningVerifier {
  readonly verifier: JwtVerifier;
  readonly clock: MovableClock;
  readonly events: GatewayEvent[];
  /** `code/reason` of a refusal, or `ok`. */
  verdict(token: string, issuerNames?: IssuerNames): Promise<string>;
  /** The principal of a token that must pass. */
  principal(token: string, issuerNames?: IssuerNames): Promise<Principal>;
}

const NO_GRANTS: Grants = () => ({ scopes: [], tier: undefined });

/** Starts a verifier and waits for its keys (or for the first attempt to get them). The caller stops it. */
export async function startVerifier(
  policies: readonly IssuerPolicy[],
  options: JwtOptions & { readonly grants?: Grants; readonly clock?: MovableClock } = {},
): Promise<RunningVerifier> {
  const clock = options.clock ?? new MovableClock();
  const events: GatewayEvent[] = [];
  const ports = {
    clock,
    emit: (event: GatewayEvent) => void events.push(event),
    grants: options.grants ?? NO_GRANTS,
  };
  const verifier = new JwtVerifier(policies, ports, options);
  verifier.start();
  await verifier.settled();
  return {
    verifier,
    clock,
    events,
    async verdict(token, issuerNames) {
      return verdictOf(await verifier.verify(token, issuerNames));
    },
    async principal(token, issuerNames) {
      const outcome = await verifier.verify(token, issuerNames);
      if (outcome.kind === "rejected") throw new Error(`refused: ${outcome.denial.reason}`);
      return outcome.principal;
    },
  };
}

/** `code/reason` of a refusal, or `ok`. */
export function verdictOf(outcome: AuthnOutcome): string {
  return outcome.kind === "authenticated" ? "ok" : `${outcome.denial.code}/${outcome.denial.reason}`;
}

/** Waits until `met` holds, looking every few milliseconds. */
export async function until(met: () => boolean, withinMs = 5_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!met()) {
    if (performance.now() > deadline) throw new Error("the condition was not met in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
