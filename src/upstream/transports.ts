// What carries requests to the upstreams of one configuration, and what of it goes on when the configuration changes.

import { isDeepStrictEqual } from "node:util";
import { HttpTransport } from "./http-transport.ts";
import type { UpstreamPolicy } from "./policy.ts";
import { UpgradeTransport } from "./upgrade-transport.ts";

/** What carries requests to one upstream. */
export interface Transports {
  readonly policy: UpstreamPolicy;
  readonly http: HttpTransport;
  readonly tunnels: UpgradeTransport;
}

/** The transports of one configuration, by name of the upstream. */
export class UpstreamTransports {
  readonly #known: ReadonlyMap<string, Transports>;
  /** Most connections open to one upstream at one time. */
  readonly connections: number;

  /** Makes the transports; those of `previous` whose upstream is the same are taken over with their connections. */
  constructor(policies: readonly UpstreamPolicy[], connections: number, previous?: UpstreamTransports) {
    this.connections = connections;
    const before = previous?.connections === connections ? previous.byName : undefined;
    this.#known = new Map(
      policies.map((policy) => {
        const known = before?.get(policy.name);
        const same = known !== undefined && isDeepStrictEqual(known.policy, policy);
        return [policy.name, same ? known : make(policy, connections)];
      }),
    );
  }

  get byName(): ReadonlyMap<string, Transports> {
    return this.#known;
  }

  /** Ends what `next` didn't take over: idle connections at once, the others with the exchange that they carry. */
  retireFor(next: UpstreamTransports): void {
    const kept = new Set(Array.from(next.#known.values(), ({ http }) => http));
    for (const { http } of this.#known.values()) if (!kept.has(http)) http.retire();
  }

  /** Closes every connection; exchanges under way end with an error. */
  close(): void {
    for (const { http } of this.#known.values()) http.close();
  }
}

function make(policy: UpstreamPolicy, connections: number): Transports {
  return {
    policy,
    http: new HttpTransport(policy, connections),
    tunnels: new UpgradeTransport(policy, policy.timeouts.headersMs),
  };
}
