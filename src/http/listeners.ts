// The listeners of the traffic port: those of the addresses in force. Another configuration keeps those whose address it
// has, so that nobody is turned away for a change that isn't about the address.

import type { AddressInfo } from "node:net";
import type { EdgeState } from "./edge-state.ts";
import { EdgeServer, type EdgeSite } from "./server.ts";

/** Where to listen; port 0: any free one. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Listeners that stand ready beside those in force. */
export interface PreparedListeners {
  /** Addresses of those that are new. */
  readonly opened: readonly AddressInfo[];
  /** Puts them in force; listeners that are no more part take no new connections, and end when theirs have. */
  commit(site: EdgeSite): void;
  /** Closes those that are new. */
  discard(): void;
}

export class Listeners {
  readonly #state: EdgeState;
  #servers: ReadonlyMap<string, EdgeServer> = new Map();
  readonly #retiring = new Set<EdgeServer>();

  constructor(state: EdgeState) {
    this.#state = state;
  }

  /** The addresses in force. */
  get addresses(): readonly AddressInfo[] {
    return Array.from(this.#servers.values(), ({ address }) => address);
  }

  /** Connections that are open now, also of listeners that are on their way out. */
  get connections(): number {
    let count = 0;
    for (const server of this.#all()) count += server.connections;
    return count;
  }

  /**
   * Opens those of `endpoints` that aren't open yet. They serve `site` at once, by the plan in force.
   * @throws GatewayFailure `listen_failed`; nothing was opened then
   */
  async prepare(endpoints: readonly Endpoint[], site: EdgeSite): Promise<PreparedListeners> {
    const servers = new Map<string, EdgeServer>();
    const made: EdgeServer[] = [];
    const opened: AddressInfo[] = [];
    const discard = (): void => {
      for (const server of made) {
        void server.close();
        server.destroyAll();
      }
    };
    try {
      for (const { host, port } of endpoints) {
        const name = `${host} ${port}`;
        const known = this.#servers.get(name);
        const server = known ?? new EdgeServer(this.#state, site);
        servers.set(name, server);
        if (known !== undefined) continue;
        opened.push(await server.listen(host, port));
        made.push(server);
      }
    } catch (error) {
      discard();
      throw error;
    }
    return { opened, discard, commit: (committed) => this.#commit(servers, committed) };
  }

  #commit(servers: ReadonlyMap<string, EdgeServer>, site: EdgeSite): void {
    const before = this.#servers;
    this.#servers = servers;
    for (const server of servers.values()) server.serve(site);
    for (const [name, server] of before) {
      if (servers.has(name)) continue;
      this.#retiring.add(server);
      void server.retire().then(() => this.#retiring.delete(server));
    }
  }

  /** Takes no new connections and ends idle ones; resolves once every connection has ended. */
  async close(): Promise<void> {
    const closed = Array.from(this.#servers.values(), (server) => server.close());
    await Promise.all([...closed, ...Array.from(this.#retiring, (server) => server.close())]);
  }

  closeIdle(): void {
    for (const server of this.#all()) server.closeIdle();
  }

  /** Resets every connection that is still open. */
  destroyAll(): void {
    for (const server of this.#all()) server.destroyAll();
  }

  *#all(): Generator<EdgeServer> {
    yield* this.#servers.values();
    yield* this.#retiring;
  }
}
