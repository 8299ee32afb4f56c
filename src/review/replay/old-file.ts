// What the file that wrote a log tells about its lines, beside the lines themselves.

import type { GatewayConfig } from "../../config/gateway-config.ts";
import { ratesOf } from "./limit-changes.ts";
import type { LoggedDecision } from "./log-lines.ts";
import type { Sender } from "./senders.ts";

export class OldFile {
  readonly #old: GatewayConfig;
  readonly #new: GatewayConfig;
  /** Identifiers of issuers whose tokens are judged or read otherwise now. */
  readonly #changedIssuers: ReadonlySet<string>;
  readonly #keysChanged: boolean;
  readonly #limits = new Map<string, boolean>();

  constructor(old: GatewayConfig, now: GatewayConfig) {
    this.#old = old;
    this.#new = now;
    const all = new Set([...old.issuers, ...now.issuers].map(({ issuer }) => issuer));
    const rules = (config: GatewayConfig, issuer: string): string =>
      meaning(config.issuers.filter((one) => one.issuer === issuer).map(({ name: _, ...rest }) => rest));
    this.#changedIssuers = new Set([...all].filter((issuer) => rules(old, issuer) !== rules(now, issuer)));
    this.#keysChanged =
      meaning(old.apiKeys) !== meaning(now.apiKeys) ||
      meaning(old.apiKeyHeaders) !== meaning(now.apiKeyHeaders);
  }

  /** Why the line doesn't tell what its credential is worth in the new file; undefined when it does. */
  doubt(line: LoggedDecision, sender: Sender, route: string | undefined): string | undefined {
    const access = this.#new.routes.find(({ name }) => name === route)?.access;
    if (access === undefined || access === "public") return undefined;
    const knows = this.#new.issuers.some(({ issuer }) => issuer === line.issuer);
    if (
      sender.kind === "token" &&
      line.issuer !== undefined &&
      knows &&
      this.#changedIssuers.has(line.issuer)
    ) {
      return `tokens of ${line.issuer}: the new file judges or reads them otherwise`;
    }
    if (sender.kind === "bad" && sender.code.startsWith("token_") && this.#changedIssuers.size > 0) {
      return `${sender.code}: the new file judges tokens otherwise`;
    }
    if (sender.kind === "bad" && sender.code === "api_key_invalid" && this.#keysChanged) {
      return "api_key_invalid: the new file has other keys";
    }
    if (sender.kind === "nobody" && this.#takesMore(line.route, route)) {
      return "credentials_missing: the route takes kinds of credentials now that were not looked at then";
    }
    return undefined;
  }

  /** Whether both files give the routes a limit of this rate that is alike in all. */
  hasLimit(before: string | undefined, after: string | undefined, quota: string): boolean {
    const key = JSON.stringify([before, after, quota]);
    const known = this.#limits.get(key);
    if (known !== undefined) return known;
    const find = (config: GatewayConfig, name: string | undefined): string =>
      meaning(
        [
          ...(config.routes.find((route) => route.name === name)?.limits ?? []),
          ...[...config.keyLimits.values()].flat(),
        ].filter((limit) => ratesOf(limit).includes(quota)),
      );
    const then = find(this.#old, before);
    const same = then !== "[]" && then === find(this.#new, after);
    this.#limits.set(key, same);
    return same;
  }

  #takesMore(before: string | undefined, after: string | undefined): boolean {
    const kinds = (config: GatewayConfig, name: string | undefined): string[] =>
      (config.routes.find((route) => route.name === name)?.auth ?? [])
        .flat()
        .map((one) => (one === "apiKey" ? one : "jwt"));
    const then = new Set(kinds(this.#old, before));
    return kinds(this.#new, after).some((kind) => !then.has(kind));
  }
}

/** The same text for what is the same; maps and bytes included. */
function meaning(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => (one instanceof Map ? [...one] : one));
}
