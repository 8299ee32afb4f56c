// A Redis Cluster: which master has which slot, and one connection to each of them. Follows MOVED and ASK itself, within
// the caller's deadline, because the library's cluster client queues calls behind reconnects, keeps the password that it
// was made with, and leaves the promise of ASKING unhandled.

import { reasonOf, StoreFailure } from "./failure.ts";
import { hashTag, SLOTS, slotOf } from "./key-slot.ts";
import type { Link, LinkEvents, Script } from "./link.ts";
import { nameOf, type RedisAccess, type RedisAddress } from "./redis-address.ts";
import { RedisConnection } from "./redis-connection.ts";

const MOST_HOPS = 4;
const REFRESH_WITHIN_MS = 500;
// A master with a hundredth of all slots has a tag among the first thousand numbers, most likely.
const MOST_TAGS = 20_000;
const MOST_SUSPECTS = 16;

interface Redirect {
  readonly node: string;
  readonly asking: boolean;
}

/** A link to a cluster, found through any of its nodes. It is as well as the least well of its masters. */
export class RedisCluster implements Link {
  readonly slotOf = slotOf;
  readonly #seeds: readonly RedisAddress[];
  readonly #access: RedisAccess;
  readonly #events: LinkEvents;
  readonly #nodes = new Map<string, RedisConnection>();
  readonly #tags = new Map<string, string>();
  /** Master of each slot, as `host:port`. */
  #owners: (string | undefined)[] = [];
  #masters: ReadonlySet<string> = new Set();
  /** Hash tags that calls failed for since the cluster was last found well; each has to answer before it is again. */
  readonly #suspects = new Set<string>();
  #refreshing: Promise<void> | undefined;
  #closed = false;

  constructor(seeds: readonly RedisAddress[], access: RedisAccess, events: LinkEvents) {
    this.#seeds = seeds;
    this.#access = access;
    this.#events = events;
  }

  get ready(): boolean {
    const masters = [...this.#masters];
    return masters.length > 0 && masters.every((name) => this.#nodes.get(name)?.ready === true);
  }

  async open(): Promise<void> {
    if (this.ready) return;
    await this.refresh().catch((error: unknown) => this.#events.lost(reasonOf(error)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#nodes.values()].map((node) => node.close()));
    this.#nodes.clear();
  }

  settle(): void {
    this.#suspects.clear();
    for (const node of this.#nodes.values()) node.settle();
  }

  async identity(): Promise<undefined> {
    return undefined;
  }

  async info(): Promise<undefined> {
    return undefined;
  }

  async evaluate(
    script: Script,
    keys: readonly string[],
    args: readonly string[],
    until: number,
  ): Promise<unknown> {
    const [first = ""] = keys;
    const slot = slotOf(first);
    let name = this.#owners[slot];
    let asking = false;
    try {
      for (let hop = 0; hop < MOST_HOPS && name !== undefined && performance.now() <= until; hop++) {
        const node = this.#nodes.get(name);
        try {
          if (node === undefined) throw new StoreFailure("not_connected");
          return await node.evaluate(script, keys, args, until, asking);
        } catch (error) {
          const redirect = redirectOf(error, name);
          if (redirect === undefined) throw error;
          ({ node: name, asking } = redirect);
          if (!asking) this.#moved(slot, name);
          await this.#node(name).open();
        }
      }
      throw new StoreFailure(name === undefined ? "not_connected" : "redirected");
    } catch (error) {
      this.#suspect(first);
      throw error;
    }
  }

  late(keys: readonly string[]): void {
    const [first = ""] = keys;
    this.#suspect(first);
    this.#nodes.get(this.#owners[slotOf(first)] ?? "")?.late();
  }

  /** Asks the nodes for the table of slots and takes the first answer. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** A key for each master and each suspect slot, so that a write proves the way there and its health. */
  probeKeys(prefix: string): readonly string[] {
    const tags = [...this.#masters].map((name) => this.#tagOf(name)).filter((tag) => tag !== undefined);
    return [...tags, ...this.#suspects].map((tag) => `${prefix}:{${tag}}:alive`);
  }

  #tagOf(name: string): string | undefined {
    const known = this.#tags.get(name);
    if (known !== undefined && this.#owners[slotOf(known)] === name) return known;
    for (let number = 0; number < MOST_TAGS; number++) {
      const tag = String(number);
      if (this.#owners[slotOf(tag)] !== name) continue;
      this.#tags.set(name, tag);
      return tag;
    }
    return undefined;
  }

  #suspect(key: string): void {
    const tag = hashTag(key);
    if (this.#suspects.size < MOST_SUSPECTS && tag !== "" && !tag.includes("}")) this.#suspects.add(tag);
  }

  #moved(slot: number, name: string): void {
    this.#owners[slot] = name;
    // Where one slot went others did as well. A failure is met by the next probe.
    this.refresh().catch(() => undefined);
  }

  #node(name: string): RedisConnection {
    const present = this.#nodes.get(name);
    if (present !== undefined) return present;
    const split = name.lastIndexOf(":");
    const address = { host: name.slice(0, split), port: Number(name.slice(split + 1)) };
    const node = new RedisConnection({ address }, this.#access, {
      ready: () => {
        if (this.ready) this.#events.ready();
      },
      // Without masters the first ones are still sought, and why none is found matters.
      lost: (reason) => {
        if (this.#masters.has(name) || this.#masters.size === 0) this.#events.lost(reason);
      },
    });
    // One that is closed already is never opened.
    if (!this.#closed) this.#nodes.set(name, node);
    return node;
  }

  async #refresh(): Promise<void> {
    if (this.#closed) return;
    let asked = [...this.#nodes].filter(([, node]) => node.ready);
    if (asked.length === 0) {
      const names = new Set([...this.#seeds.map(nameOf), ...this.#masters]);
      asked = [...names].map((name) => [name, this.#node(name)]);
    }
    const table = await firstOf(asked.map(([name, node]) => slotsFrom(name, node)));
    if (this.#closed) return;
    const covered = table.length === SLOTS && !table.includes(undefined);
    this.#owners = table;
    this.#masters = new Set(table.filter((name) => name !== undefined));
    for (const [name, node] of this.#nodes) {
      if (this.#masters.has(name)) continue;
      this.#nodes.delete(name);
      void node.close();
    }
    for (const name of this.#tags.keys()) if (!this.#masters.has(name)) this.#tags.delete(name);
    await Promise.all([...this.#masters].map((name) => this.#node(name).open()));
    // Keys of a slot that nobody has would fail one by one.
    if (!covered) throw new StoreFailure("clusterdown");
  }
}

/** `MOVED 3999 host:port` and `ASK 3999 host:port`; without a host it is that of the server which says so. */
function redirectOf(error: unknown, from: string): Redirect | undefined {
  const match = error instanceof Error ? /^(MOVED|ASK) \d+ (\S*):(\d+)$/.exec(error.message) : null;
  if (match === null) return undefined;
  const host = match[2] === "" ? from.slice(0, from.lastIndexOf(":")) : match[2];
  return { node: `${host}:${match[3]}`, asking: match[1] === "ASK" };
}

async function slotsFrom(name: string, node: RedisConnection): Promise<(string | undefined)[]> {
  await node.open();
  return slotTable(await node.call("CLUSTER", "SLOTS"), name.slice(0, name.lastIndexOf(":")));
}

/** The master of each slot by an answer to CLUSTER SLOTS. @throws StoreFailure `malformed` */
function slotTable(answer: unknown, asked: string): (string | undefined)[] {
  const owners: (string | undefined)[] = new Array(SLOTS).fill(undefined);
  if (!Array.isArray(answer)) throw new StoreFailure("malformed");
  for (const range of answer) {
    const [start, end, master]: unknown[] = Array.isArray(range) ? range : [];
    const [host, port]: unknown[] = Array.isArray(master) ? master : [];
    const slots = [start, end, port].every((number) => Number.isSafeInteger(number));
    if (!slots || Number(start) < 0 || Number(end) >= SLOTS) throw new StoreFailure("malformed");
    // A node that doesn't know its own address means the one that it was reached by.
    const known = typeof host === "string" && host !== "" && host !== "?";
    owners.fill(`${known ? host : asked}:${port}`, Number(start), Number(end) + 1);
  }
  return owners;
}

/** The first answer of several, within the time that a refresh has; else the first failure. */
function firstOf<T>(calls: readonly Promise<T>[]): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new StoreFailure("timeout")), REFRESH_WITHIN_MS);
    Promise.any(calls)
      .then(resolve, (error: unknown) => {
        const [first]: unknown[] = error instanceof AggregateError ? error.errors : [error];
        reject(first);
      })
      .finally(() => clearTimeout(timer));
  });
}
