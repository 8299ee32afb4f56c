// The master that Sentinels name, and the connection to it. All of them are asked, again and again: after a failover the
// old master may go on taking writes for ten seconds, and one Sentinel may not have heard of the new one yet.

import { reasonOf, StoreFailure } from "./failure.ts";
import type { Link, LinkEvents, Script } from "./link.ts";
import { nameOf, type RedisAccess, type RedisAddress, type RedisServers } from "./redis-address.ts";
import { RedisConnection } from "./redis-connection.ts";

const ASK_EVERY_MS = 100;
const ASK_WITHIN_MS = 500;

/** Sentinels, and the master that they watch. */
export type SentinelServers = Extract<RedisServers, { readonly name: string }>;

interface Verdict {
  readonly address: RedisAddress;
  /** Whether more than half of all Sentinels say so. */
  readonly sure: boolean;
}

/** A link to the master of the moment. */
export class RedisSentinels implements Link {
  readonly #name: string;
  readonly #access: RedisAccess;
  readonly #events: LinkEvents;
  readonly #sentinels: readonly RedisConnection[];
  #address: string | undefined;
  #master: RedisConnection | undefined;
  /** Why no Sentinel could be asked. */
  #trouble = "sentinels_unreachable";
  #asking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(servers: SentinelServers, access: RedisAccess, events: LinkEvents) {
    const { sentinels, name, sentinelUsername, sentinelPassword } = servers;
    this.#name = name;
    this.#access = access;
    this.#events = events;
    const entry = { username: sentinelUsername, password: sentinelPassword, tls: access.tls };
    this.#sentinels = sentinels.map(
      (address) =>
        new RedisConnection({ address }, entry, {
          ready: () => undefined,
          lost: (reason) => {
            // That it ended says nothing about why.
            if (reason !== "connection_lost") this.#trouble = reason;
          },
        }),
    );
  }

  get ready(): boolean {
    return this.#master?.ready === true;
  }

  async open(): Promise<void> {
    if (this.ready) return;
    await this.refresh().catch((error: unknown) => this.#events.lost(reasonOf(error)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    const all = this.#master === undefined ? this.#sentinels : [this.#master, ...this.#sentinels];
    await Promise.all(all.map((connection) => connection.close()));
  }

  async evaluate(
    script: Script,
    keys: readonly string[],
    args: readonly string[],
    until: number,
  ): Promise<unknown> {
    if (this.#master === undefined) throw new StoreFailure("not_connected");
    return this.#master.evaluate(script, keys, args, until);
  }

  late(): void {
    this.#master?.late();
  }

  probeKeys(): readonly string[] {
    return [];
  }

  settle(): void {
    for (const sentinel of this.#sentinels) sentinel.settle();
    this.#master?.settle();
  }

  async identity(): Promise<string | undefined> {
    return this.#master?.identity();
  }

  async info(section: "memory"): Promise<string | undefined> {
    return this.#master?.info(section);
  }

  refresh(): Promise<void> {
    this.#asking ??= this.#refresh().finally(() => {
      this.#asking = undefined;
      clearTimeout(this.#timer);
      if (!this.#closed)
        this.#timer = setTimeout(() => this.refresh().catch(() => undefined), ASK_EVERY_MS).unref();
    });
    return this.#asking;
  }

  async #refresh(): Promise<void> {
    let verdict: Verdict;
    try {
      verdict = await this.#ask();
    } catch (error) {
      // Without Sentinels the master that is known does as well.
      if (this.ready) return;
      throw error;
    }
    if (this.#closed) return;
    const address = nameOf(verdict.address);
    // A few may be behind; a master that answers is left only when most of them agree.
    if (address === this.#address || (this.ready && !verdict.sure)) {
      await this.#master?.open();
      return;
    }
    const former = this.#master;
    const master: RedisConnection = new RedisConnection({ address: verdict.address }, this.#access, {
      ready: () => {
        if (master === this.#master) this.#events.ready();
      },
      lost: (reason) => {
        if (master === this.#master) this.#events.lost(reason);
      },
    });
    this.#address = address;
    this.#master = master;
    void former?.close();
    if (former !== undefined) this.#events.lost("failover");
    await master.open();
  }

  /** What the Sentinels say: as soon as most of all agree, else when every one had its time. */
  #ask(): Promise<Verdict> {
    const votes = new Map<string, { readonly address: RedisAddress; count: number }>();
    const total = this.#sentinels.length;
    let open = total;
    let answered = 0;
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        const [best] = [...votes.values()].sort((a, b) => b.count - a.count);
        if (best !== undefined) resolve({ address: best.address, sure: best.count > total / 2 });
        else reject(new StoreFailure(answered > 0 ? "no_such_master" : this.#trouble));
      };
      const timer = setTimeout(finish, ASK_WITHIN_MS);
      const vote = (address: RedisAddress | undefined): void => {
        answered++;
        if (address === undefined) return;
        const ballot = votes.get(nameOf(address)) ?? { address, count: 0 };
        ballot.count++;
        votes.set(nameOf(address), ballot);
        if (ballot.count > total / 2) finish();
      };
      for (const sentinel of this.#sentinels) {
        this.#masterBy(sentinel)
          .then(vote, () => undefined)
          .finally(() => {
            open--;
            if (open === 0) finish();
          });
      }
    });
  }

  async #masterBy(sentinel: RedisConnection): Promise<RedisAddress | undefined> {
    await sentinel.open();
    const answer = await sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", this.#name);
    const [host, port]: unknown[] = Array.isArray(answer) ? answer : [];
    return typeof host === "string" && /^\d{1,5}$/.test(String(port))
      ? { host, port: Number(port) }
      : undefined;
  }
}
