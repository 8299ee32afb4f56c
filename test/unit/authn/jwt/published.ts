// An issuer that publishes keys and a verifier that fetches them, both ended after each test of this folder.

import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach } from "vitest";
import type { IssuerPolicy } from "../../../../src/authn/jwt/policy.ts";
import type { KeyTimings } from "../../../../src/authn/jwt/remote-key-set.ts";
import { type IssuerOptions, makeKey, TestIssuer } from "../../../support/issuer.ts";
import { type RunningVerifier, startVerifier, until } from "../../../support/verifier.ts";

export const first = makeKey("RS256", "first");
export const second = makeKey("RS256", "second");
export const HOUR = 3_600_000;

/** Failures are retried soon and nobody waits long for hanging peers; cool-downs and ages are those of production. */
const QUICK: Partial<KeyTimings> = { backoffMs: 20, mostBackoffMs: 40, fetchTimeoutMs: 400, waitMs: 200 };
/** As `QUICK`, but no failure is retried while the test runs. */
export const PATIENT: Partial<KeyTimings> = { ...QUICK, backoffMs: 60_000, mostBackoffMs: 60_000 };

/** Run after each test, last one first. */
export const cleanUp: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

/** An issuer that publishes `first`, unless told otherwise. */
export async function publishing(options: IssuerOptions = { keys: [first] }): Promise<TestIssuer> {
  const issuer = await TestIssuer.start(options);
  cleanUp.push(() => issuer.stop());
  return issuer;
}

/** A plain HTTP server; gives its origin. */
export async function serving(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUp.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A started verifier whose first attempt to get keys has ended. */
export async function verifying(
  policy: IssuerPolicy,
  timings: Partial<KeyTimings> = {},
): Promise<RunningVerifier> {
  const running = await startVerifier([policy], { timings: { ...QUICK, ...timings } });
  cleanUp.push(() => running.verifier.stop());
  await until(() => running.events.some((event) => event.kind !== "key_ignored"));
  return running;
}

/** State of the one issuer's keys. */
export function state(running: RunningVerifier): string | undefined {
  return running.verifier.health()[0]?.state;
}

/** Reasons of the refreshes that failed, in order. */
export function reasons(running: RunningVerifier): string[] {
  return running.events.flatMap((event) => (event.kind === "keys_refresh_failed" ? [event.reason] : []));
}
