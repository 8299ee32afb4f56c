// A question for an explanation as people put it, from the command line or to the admin port: plain data, of which a
// simulated request and whoever stands for its caller are made.

import type { GatewayConfig } from "../config/gateway-config.ts";
import type { AssumedCaller } from "../config/test-policy.ts";
import { canonicalAddress, parseAddress } from "../core/address.ts";
import type { Clock } from "../core/clock.ts";
import { isFieldName } from "../core/fields.ts";
import { err, ok, type Result } from "../core/result.ts";
import { type Explained, type ExplainQuestion, explain } from "./explain.ts";
import type { Explanation } from "./explanation.ts";
import { OfflineGateway } from "./offline.ts";

export interface AskedQuestion {
  readonly method: string;
  /** Path and query, as on the request line. */
  readonly path: string;
  readonly host?: string | undefined;
  readonly headers?: readonly (readonly [name: string, value: string])[] | undefined;
  /** Take the caller for somebody of whom this is known. */
  readonly as?: AssumedCaller | undefined;
  /** Take the caller for the owner of the API key with this id. */
  readonly key?: string | undefined;
  /** A token to be verified: short for an Authorization header. */
  readonly token?: string | undefined;
  readonly clientAddress?: string | undefined;
  readonly scheme?: "http" | "https" | undefined;
  readonly nearMisses?: number | undefined;
}

// RFC 9110 section 5.6.2; no server takes longer methods.
const METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}$/;

/** Makes the question, or says why it can't be put to this file. */
export function readQuestion(asked: AskedQuestion, asker: OfflineGateway): Result<ExplainQuestion, string> {
  const { method, path, host, headers = [], as, key, token, clientAddress, scheme, nearMisses } = asked;
  if (!METHOD.test(method)) return err("expected a method such as GET");
  if (!/^[^\s\p{Cc}]+$/u.test(path)) return err("expected a path such as /modules?page=2, without spaces");
  if (clientAddress !== undefined && parseAddress(clientAddress) === undefined)
    return err("the client's address is no IP address");
  const bad = headers.find(([name, value]) => !isFieldName(name) || /[\r\n\0]/.test(value));
  if (bad !== undefined) return err("a header is not a field name and a value of one line");
  if (host !== undefined && /[\r\n\0]/.test(host)) return err("the host is no host");
  if ([as, key, token].filter((one) => one !== undefined).length > 1)
    return err("only one of `as`, `key` and `token` can say who the caller is");
  const stand = standOf(asker, as, key);
  if (!stand.ok) return stand;
  const bearer = token === undefined ? [] : [["Authorization", `Bearer ${token}`] as const];
  return ok({
    request: {
      method,
      target: path,
      host,
      headers: [...headers, ...bearer],
      peerAddress: clientAddress === undefined ? undefined : canonicalAddress(clientAddress),
      scheme,
    },
    as: stand.value,
    nearMisses,
  });
}

function standOf(
  asker: OfflineGateway,
  as: AssumedCaller | undefined,
  key: string | undefined,
): Result<ExplainQuestion["as"], string> {
  if (key !== undefined) {
    const stand = asker.key(key);
    return stand === undefined
      ? err(`the file has no API key called ${key}`)
      : ok({ stand, text: `API key ${key}` });
  }
  if (as === undefined) return ok(undefined);
  const { issuers } = asker.config;
  if (as.issuer !== undefined && !issuers.some(({ name }) => name === as.issuer))
    return err(`the file has no issuer called ${as.issuer}`);
  return ok({ stand: asker.caller(as), text: "a verified caller" });
}

// What stands for callers is made of the configuration alone, once.
const askers = new WeakMap<GatewayConfig, OfflineGateway>();

/** Explains by a running gateway: its policy, counters, keys and throttle as they are now. */
export async function explainAsked(
  running: Explained,
  asked: AskedQuestion,
  clock: Clock,
): Promise<Result<Explanation, string>> {
  let asker = askers.get(running.config);
  if (asker === undefined) {
    asker = new OfflineGateway(running.config, clock);
    askers.set(running.config, asker);
  }
  const question = readQuestion(asked, asker);
  return question.ok ? ok(await explain(running, question.value)) : question;
}
