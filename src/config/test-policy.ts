// One entry of `tests` after validation: a request, who sends it, and what has to become of it.

import type { DenialCode } from "../core/denial.ts";

/** What is known about a caller who is taken at his word. */
export interface AssumedCaller {
  /** `test` unless said. */
  readonly subject?: string | undefined;
  /** Name of the issuer in the file whose token it would be; the first that the route accepts unless said. */
  readonly issuer?: string | undefined;
  readonly scopes?: readonly string[] | undefined;
  readonly roles?: readonly string[] | undefined;
  readonly org?: string | undefined;
  readonly email?: string | undefined;
  readonly tier?: string | undefined;
  readonly clientId?: string | undefined;
  /** Read as the claims of a verified token, by the issuer's own mapping. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

/** Who sends the request. */
export type TestCaller =
  | { readonly kind: "nobody" }
  | { readonly kind: "assumed"; readonly facts: AssumedCaller }
  /** The API key of this id. */
  | { readonly kind: "key"; readonly id: string }
  /** A real credential, sent as a bearer token. Secret. */
  | { readonly kind: "token"; readonly token: string };

export interface TestRequest {
  readonly method: string;
  /** As on the request line. */
  readonly target: string;
  readonly host: string | undefined;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Canonical address of whoever connects. */
  readonly peerAddress: string | undefined;
  readonly scheme: "http" | "https" | undefined;
  /** A whole WebSocket handshake. */
  readonly upgrade: boolean;
}

/** What a header has to hold. */
export interface ExpectedField {
  readonly name: string;
  /** Undefined: it must not be there. */
  readonly value: string | undefined;
  /** The value came out of a variable or a file and is never shown. */
  readonly secret: boolean;
}

/** What has to become of the last request; what is undefined may be anything. */
export interface TestExpectation {
  /** What the request has to be: let through, or any refusal. */
  readonly decision: "forward" | "refuse" | undefined;
  /** 200: let through; else the status of the refusal in the catalogue, whatever protocol the caller speaks. */
  readonly status: number | undefined;
  readonly grpcStatus: number | undefined;
  readonly code: DenialCode | undefined;
  readonly route: string | undefined;
  readonly upstream: string | undefined;
  /** Path and query that the upstream is asked for. */
  readonly path: string | undefined;
  /** Header fields that the upstream gets. */
  readonly headers: readonly ExpectedField[];
  /** Header fields that the gateway itself puts on the answer. */
  readonly response: readonly ExpectedField[];
  readonly limit: string | undefined;
  /** Whom the limit counts: `user:alice`, `key:ci-bot`, `ip:203.0.113.7`, as `gatewarden limits show` takes it. */
  readonly limitKey: string | undefined;
  readonly remaining: number | undefined;
  /** Codes of the refusals that are only observed, in the order of the checks. */
  readonly observed: readonly DenialCode[] | undefined;
}

export interface ConfigTest {
  /** As given, else the request and its caller in words. */
  readonly name: string;
  /** From 1. */
  readonly line: number;
  readonly request: TestRequest;
  readonly caller: TestCaller;
  /** How often the request is sent; the expectation is for the last time. At least 1. */
  readonly times: number;
  readonly expect: TestExpectation;
}
