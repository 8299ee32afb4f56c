// Who may make a request of one class under one file and might not under the other. A caller is a client address and the
// credentials that he holds; he is let in where some of them are enough. Whatever can't be ruled out counts as a gain, so
// that an empty list is a promise.

import { isDeepStrictEqual } from "node:util";
import type { IssuerPolicy } from "../../authn/jwt/policy.ts";
import { type AddressSet, intersect, isEverywhere, isNone, isWithin } from "./address-set.ts";
import type { Guard, Way } from "./guard.ts";
import { issuerGains } from "./issuer-gains.ts";
import { holdsWherever, passesOn } from "./key-passes.ts";
import { permissionGains } from "./permission-gains.ts";
import { possibly, type Reason, surely } from "./reasons.ts";
import type { Side, UsableKey } from "./side.ts";

/** Callers who are let in and weren't before. */
export interface Gain {
  readonly kind: "anybody" | "addresses" | "issuer" | "keys" | "keysWithToken" | "origins";
  /** Names of issuers, ids of keys, or origins. */
  readonly names: readonly string[];
  readonly reason: Reason;
}

type Segments = readonly (string | undefined)[];

/** Compares two guards under two files, in one direction. */
export class GainFinder {
  readonly #from: Side;
  readonly #to: Side;
  /** Keys that may do anything more, or anything else, than they could. */
  readonly #changedKeys: readonly UsableKey[];
  readonly #sameTokens: boolean;
  /** Whether client addresses are found in the same way. */
  readonly #sameAddresses: boolean;

  constructor(from: Side, to: Side, sameAddresses: boolean) {
    this.#from = from;
    this.#to = to;
    this.#sameAddresses = sameAddresses;
    this.#changedKeys = [...to.keys.values()].filter((key) => !isSame(key, from.keys.get(key.record.hash)));
    this.#sameTokens = isDeepStrictEqual(from.issuers, to.issuers) && isDeepStrictEqual(from.roles, to.roles);
  }

  /** Who passes `to` and might not pass `from`; undefined: no route. @param segments those of the path that are known */
  gains(from: Guard | undefined, to: Guard | undefined, segments: Segments): readonly Gain[] {
    if (to === undefined || isNone(to.addresses)) return [];
    if (from === undefined) return this.#everybody(to, segments);
    if (from.anybody) return this.#addressGain(from, to, segments);
    if (to.anybody) return [{ kind: "anybody", names: [], reason: surely("") }];
    const alike = from.signature === to.signature && this.#sameAddresses;
    const keys = alike ? this.#changedKeys : [...this.#to.keys.values()];
    return to.ways.flatMap((way) => {
      if (way.issuers === undefined) return this.#keyGains(from, to, keys, segments);
      if (!way.key) return alike && this.#sameTokens ? [] : this.#tokenGains(from, to, way, segments);
      return this.#bothGains(
        from,
        to,
        way,
        alike && this.#sameTokens ? this.#changedKeys : undefined,
        segments,
      );
    });
  }

  /** Everybody whom `to` lets in. */
  #everybody(to: Guard, segments: Segments): readonly Gain[] {
    const reason = surely("");
    if (to.anybody) return [{ kind: "anybody", names: [], reason }];
    return to.ways.flatMap(({ issuers, key }): Gain[] => {
      const ids = [...this.#to.keys.values()].filter(
        (one) => !isNone(intersect(to.addresses, one.addresses)),
      );
      if (issuers === undefined) {
        const able = ids.filter(({ principal }) => passesOn(to, principal, segments) !== undefined);
        return able.length === 0 ? [] : [{ kind: "keys", names: idsOf(able), reason }];
      }
      if (!key) return [{ kind: "issuer", names: issuers, reason }];
      return ids.length === 0 ? [] : [{ kind: "keysWithToken", names: idsOf(ids), reason }];
    });
  }

  #addressGain(from: Guard, to: Guard, segments: Segments): readonly Gain[] {
    // Nobody at all comes through where nobody can.
    if (this.#everybody(to, segments).length === 0) return [];
    const gain = this.#addressReason(from.addresses, to.addresses);
    return gain === undefined ? [] : [{ kind: "addresses", names: [], reason: gain }];
  }

  #addressReason(from: AddressSet, to: AddressSet): Reason | undefined {
    if (!isWithin(to, from)) return surely("more client addresses may call");
    if (this.#sameAddresses || isEverywhere(from)) return undefined;
    return possibly("other trusted proxies tell the client's address");
  }

  #keyGains(from: Guard, to: Guard, keys: readonly UsableKey[], segments: Segments): readonly Gain[] {
    const able = keys.flatMap((key) => {
      const reason = this.#keyReason(from, to, key, segments);
      return reason === undefined ? [] : [{ key, reason }];
    });
    return [...Map.groupBy(able, ({ reason }) => `${reason.certain} ${reason.text}`).values()].map(
      (alike): Gain => ({
        kind: "keys",
        names: idsOf(alike.map(({ key }) => key)),
        reason: alike[0]?.reason ?? surely(""),
      }),
    );
  }

  /** Why a key by itself passes `to` and not `from`; undefined when it doesn't. */
  #keyReason(from: Guard, to: Guard, key: UsableKey, segments: Segments): Reason | undefined {
    const condition = passesOn(to, key.principal, segments);
    const addresses = intersect(to.addresses, key.addresses);
    if (condition === undefined || isNone(addresses)) return undefined;
    const before = this.#from.keys.get(key.record.hash);
    if (before === undefined) return surely("not usable before");
    if (!from.ways.some((way) => way.issuers === undefined)) return surely("keys were not accepted");
    const old = passesOn(from, before.principal, segments);
    if (old === undefined) return surely("not permitted before");
    if (!holdsWherever(old, condition)) return surely("permitted on other paths only");
    if (lastsLonger(key, before)) return surely("valid for longer");
    return this.#addressReason(intersect(from.addresses, before.addresses), addresses);
  }

  #tokenGains(from: Guard, to: Guard, { issuers = [] }: Way, segments: Segments): readonly Gain[] {
    return issuers.flatMap((name): Gain[] => {
      const issuer = this.#issuer(this.#to, name);
      if (issuer === undefined) return [];
      const reasons = this.#fewest(
        from.ways
          .filter((way) => !way.key)
          .flatMap(({ issuers: names = [] }) => names)
          .map((other) => this.#tokenReasons(from, to, this.#issuer(this.#from, other), issuer, segments)),
      );
      const all = reasons ?? [surely("")];
      return all.map((reason) => ({ kind: "issuer", names: [name], reason }));
    });
  }

  #tokenReasons(
    from: Guard,
    to: Guard,
    before: IssuerPolicy | undefined,
    after: IssuerPolicy,
    segments: Segments,
  ): readonly Reason[] | undefined {
    if (before === undefined || before.issuer !== after.issuer) return undefined;
    const addresses = this.#addressReason(from.addresses, to.addresses);
    const caller = { fromClaims: before.claims, toClaims: after.claims };
    return [
      ...issuerGains(before, after),
      ...permissionGains(from, to, segments, caller),
      ...(addresses === undefined ? [] : [addresses]),
    ];
  }

  /** Callers who need a token and a key. @param changed keys to look at; undefined: all */
  #bothGains(
    from: Guard,
    to: Guard,
    { issuers = [] }: Way,
    changed: readonly UsableKey[] | undefined,
    segments: Segments,
  ): readonly Gain[] {
    const able = (changed ?? [...this.#to.keys.values()]).flatMap((key) => {
      const addresses = intersect(to.addresses, key.addresses);
      if (isNone(addresses)) return [];
      if (
        from.ways.some((way) => way.issuers === undefined) &&
        this.#passedAlone(from, key, addresses, segments)
      )
        return [];
      return issuers.flatMap((name) => {
        const issuer = this.#issuer(this.#to, name);
        if (issuer === undefined) return [];
        const reasons = this.#fewest(
          from.ways.flatMap((way) =>
            (way.issuers ?? []).map((other) => {
              const before = this.#issuer(this.#from, other);
              return this.#bothReasons(from, to, { before, after: issuer, key, way, addresses }, segments);
            }),
          ),
        );
        return (reasons ?? [surely("not accepted before")]).map((reason) => ({ key, reason }));
      });
    });
    return [...Map.groupBy(able, ({ reason }) => `${reason.certain} ${reason.text}`).values()].map(
      (alike): Gain => ({
        kind: "keysWithToken",
        names: [...new Set(idsOf(alike.map(({ key }) => key)))],
        reason: alike[0]?.reason ?? surely(""),
      }),
    );
  }

  #passedAlone(from: Guard, key: UsableKey, addresses: AddressSet, segments: Segments): boolean {
    const before = this.#from.keys.get(key.record.hash);
    if (before === undefined || lastsLonger(key, before)) return false;
    const condition = passesOn(from, before.principal, segments);
    const within = this.#addressReason(intersect(from.addresses, before.addresses), addresses) === undefined;
    return condition !== undefined && condition.size === 0 && within;
  }

  #bothReasons(
    from: Guard,
    to: Guard,
    pair: {
      readonly before: IssuerPolicy | undefined;
      readonly after: IssuerPolicy;
      readonly key: UsableKey;
      readonly way: Way;
      readonly addresses: AddressSet;
    },
    segments: Segments,
  ): readonly Reason[] | undefined {
    const { before, after, key, way, addresses } = pair;
    if (before === undefined || before.issuer !== after.issuer) return undefined;
    const old = way.key ? this.#from.keys.get(key.record.hash) : undefined;
    if (way.key && old === undefined) return [surely("the key was not usable before")];
    const caller = {
      fromClaims: before.claims,
      toClaims: after.claims,
      toHeld: heldBy(key),
      toClient: key.record.id,
      ...(old === undefined ? {} : { fromHeld: heldBy(old), fromClient: old.record.id }),
    };
    const reachable = old === undefined ? from.addresses : intersect(from.addresses, old.addresses);
    const address = this.#addressReason(reachable, addresses);
    return [
      ...issuerGains(before, after),
      ...permissionGains(from, to, segments, caller),
      ...(old !== undefined && lastsLonger(key, old) ? [surely("the key is valid for longer")] : []),
      ...(address === undefined ? [] : [address]),
    ];
  }

  #issuer({ issuers }: Side, name: string): IssuerPolicy | undefined {
    return issuers.find((one) => one.name === name);
  }

  /** Of several ways that were open before, that which explains the most; undefined when there was none. */
  #fewest(ways: readonly (readonly Reason[] | undefined)[]): readonly Reason[] | undefined {
    return ways
      .filter((reasons) => reasons !== undefined)
      .reduce<readonly Reason[] | undefined>(
        (best, reasons) => (best === undefined || reasons.length < best.length ? reasons : best),
        undefined,
      );
  }
}

function idsOf(keys: readonly UsableKey[]): string[] {
  return keys.map(({ record }) => record.id);
}

function heldBy({ principal }: UsableKey): { scopes: readonly string[]; roles: readonly string[] } {
  return { scopes: principal.scopes.values, roles: principal.roles };
}

function lastsLonger(after: UsableKey, before: UsableKey): boolean {
  const [late, early] = [after, before].map(
    ({ record }) => record.expiresAtMs ?? Number.POSITIVE_INFINITY,
  ) as [number, number];
  return late > early;
}

/** Whether a key is the same credential for the same principal, from the same addresses and for no longer. */
function isSame(key: UsableKey, before: UsableKey | undefined): boolean {
  if (before === undefined || lastsLonger(key, before) || !isWithin(key.addresses, before.addresses))
    return false;
  const facts = ({ principal }: UsableKey) => {
    const { expiresAtMs: _, scopes, ...rest } = principal;
    return { ...rest, scopes: new Set(scopes.values) };
  };
  return isDeepStrictEqual(facts(key), facts(before));
}
