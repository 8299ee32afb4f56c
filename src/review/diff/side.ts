// One of the two files, made ready to be compared: its route table, and who the holders of its keys are.

import { principalOf } from "../../authn/api-key/authenticator.ts";
import type { ApiKeyRecord } from "../../authn/api-key/policy.ts";
import type { IssuerPolicy } from "../../authn/jwt/policy.ts";
import type { RoleTable } from "../../authz/policy.ts";
import { grantsOf } from "../../authz/roles.ts";
import type { GatewayConfig, RoutePolicy } from "../../config/gateway-config.ts";
import type { Principal } from "../../core/principal.ts";
import type { RouteMatch } from "../../routing/policy.ts";
import { RouteTable } from "../../routing/table.ts";
import { type AddressSet, withinAny } from "./address-set.ts";
import { PathTree } from "./path-classes.ts";

/** One pattern of one route. */
export interface Served {
  readonly route: RoutePolicy;
  readonly match: RouteMatch;
}

/** An API key that may be used. */
export interface UsableKey {
  readonly record: ApiKeyRecord;
  readonly principal: Principal;
  /** Where it may be used. */
  readonly addresses: AddressSet;
}

export class Side {
  readonly config: GatewayConfig;
  readonly served: readonly Served[];
  readonly table: RouteTable<Served>;
  readonly tree: PathTree<Served>;
  /** By the hash of the key; those that are disabled or over are left out. */
  readonly keys: ReadonlyMap<string, UsableKey>;

  /** @param nowMs wall clock; keys that have expired by then can't be used */
  constructor(config: GatewayConfig, nowMs: number) {
    this.config = config;
    this.served = config.routes.flatMap((route) => route.matches.map((match) => ({ route, match })));
    const entries = this.served.map((one) => [one.match, one] as const);
    this.table = new RouteTable(entries, config.paths.caseSensitive);
    this.tree = new PathTree(entries, config.paths.caseSensitive);
    for (const path of this.ownPaths) this.tree.mark(path);
    const grants = (roles: readonly string[]) => grantsOf(config.roles, roles);
    this.keys = new Map(
      config.apiKeys
        .filter(({ enabled, expiresAtMs = Number.POSITIVE_INFINITY }) => enabled && expiresAtMs > nowMs)
        .map((record) => [
          record.hash,
          { record, principal: principalOf(record, { grants }), addresses: withinAny(record.allowIps) },
        ]),
    );
  }

  /** What the gateway answers itself. */
  get ownPaths(): readonly string[] {
    const { health } = this.config;
    return health === undefined ? [] : [health.live, health.ready];
  }

  get roles(): RoleTable {
    return this.config.roles;
  }

  get issuers(): readonly IssuerPolicy[] {
    return this.config.issuers;
  }
}
