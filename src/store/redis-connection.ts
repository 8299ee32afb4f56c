// One connection to one Redis server, made anew whenever it ends until it is closed.
// A new client for every attempt: it has the password of this moment and nothing left over from the last one.

import { Redis, type RedisOptions } from "ioredis";
import { reasonOf, StoreFailure } from "./failure.ts";
import type { Link, LinkEvents, Script } from "./link.ts";
import { readEntry } from "./redis-access.ts";
import type { RedisAccess, RedisAddress } from "./redis-address.ts";

// A connection that owes an answer for so long is given up, so that recovery never waits for TCP to notice.
const SILENCE_MS = 1_000;
const FIRST_RECONNECT_MS = 25;
const LONGEST_RECONNECT_MS = 500;
const FAREWELL_MS = 100;

// A server that says so is the wrong one, or doesn't know who is calling: another attempt finds the new master, or
// brings the new password.
const RECONNECT_ON = new Set(["readonly", "masterdown", "noreplicas", "noauth", "wrongpass"]);

const FIXED = {
  lazyConnect: true,
  // A command that can't be sent now fails now, and nothing is sent again later: a late decision is of no use.
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  // This file makes a new client instead.
  retryStrategy: null,
  // Whether the server is well is found out with the commands that are needed; INFO may be forbidden.
  enableReadyCheck: false,
  connectTimeout: SILENCE_MS,
  socketTimeout: SILENCE_MS,
  disconnectTimeout: FAREWELL_MS,
  protocol: 2,
  replyMapping: "legacy",
  disableClientInfo: true,
} as const satisfies RedisOptions;

type ClientOptions = RedisOptions & { readonly replyMapping: "legacy" };

/** The server to connect to. */
export interface ConnectionTarget {
  readonly address: RedisAddress;
  /** Version of IP that a name is looked up for; 0, the default, is either. */
  readonly family?: 0 | 4 | 6 | undefined;
}

/** Longest time to the next attempt after `attempts` failed ones, milliseconds. */
export function reconnectDelay(attempts: number): number {
  const most = Math.min(LONGEST_RECONNECT_MS, FIRST_RECONNECT_MS * 2 ** Math.min(attempts, 10));
  // Jitter, so that many gateways don't come back in step.
  return most * (0.5 + Math.random() / 2);
}

/** See the head of this file. As a link it is what a single server needs. */
export class RedisConnection implements Link {
  readonly #target: ConnectionTarget;
  readonly #access: RedisAccess;
  readonly #events: LinkEvents;
  readonly #ending = new Set<Redis>();
  #client: Redis | undefined;
  #attempt: Promise<void> | undefined;
  #attempts = 0;
  #timer: NodeJS.Timeout | undefined;
  /** When the connection was made, or last answered in time. */
  #goodAtMs = 0;
  #closed = false;

  constructor(target: ConnectionTarget, access: RedisAccess, events: LinkEvents) {
    this.#target = target;
    this.#access = access;
    this.#events = events;
  }

  get ready(): boolean {
    return this.#client?.status === "ready";
  }

  /** Connects, unless that is done or on its way; resolves when the attempt ended. */
  async open(): Promise<void> {
    if (this.#closed || this.#client?.status === "ready") return;
    if (this.#attempt === undefined && this.#timer === undefined) this.#start();
    await this.#attempt;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#drop();
    if (this.#ending.size === 0) return;
    const ended = [...this.#ending].map((client) => new Promise((done) => client.once("end", done)));
    let timer: NodeJS.Timeout | undefined;
    const bound = new Promise((done) => {
      timer = setTimeout(done, 2 * FAREWELL_MS);
    });
    await Promise.race([Promise.all(ended), bound]);
    clearTimeout(timer);
  }

  settle(): void {
    this.#attempts = 0;
  }

  /** `asking` has the server answer for a slot that is still moving to it. */
  async evaluate(
    script: Script,
    keys: readonly string[],
    args: readonly string[],
    until: number,
    asking = false,
  ): Promise<unknown> {
    const client = this.#client;
    if (client?.status !== "ready") throw new StoreFailure("not_connected");
    const ask = (): void => {
      if (asking) client.call("ASKING").catch(() => undefined);
    };
    try {
      ask();
      try {
        const answer = await client.evalsha(script.sha1, keys.length, ...keys, ...args);
        const now = performance.now();
        if (now <= until) this.#goodAtMs = now;
        return answer;
      } catch (error) {
        // A restarted or failed-over server has forgotten the script; EVAL teaches it again.
        if (reasonOf(error) !== "noscript" || performance.now() > until) throw error;
        ask();
        return await client.eval(script.text, keys.length, ...keys, ...args);
      }
    } catch (error) {
      if (client === this.#client && RECONNECT_ON.has(reasonOf(error))) this.#reconnect();
      throw error;
    }
  }

  /** Any other command. */
  async call(command: string, ...args: readonly string[]): Promise<unknown> {
    const client = this.#client;
    if (client?.status !== "ready") throw new StoreFailure("not_connected");
    return client.call(command, ...args);
  }

  late(): void {
    if (this.ready && performance.now() - this.#goodAtMs > SILENCE_MS) this.#reconnect();
  }

  async refresh(): Promise<void> {
    // There is one place for every key.
  }

  probeKeys(): readonly string[] {
    return [];
  }

  /** Run and history of the server: another one, a restarted one and one that took over another's data differ. */
  async identity(): Promise<string | undefined> {
    const [server, replication] = await Promise.all([this.#info("server"), this.#info("replication")]);
    const run = /^run_id:([0-9a-f]{40})\r?$/m.exec(server)?.[1];
    const history = /^master_replid:([0-9a-f]{40})\r?$/m.exec(replication)?.[1];
    return run === undefined || history === undefined ? undefined : `${run} ${history}`;
  }

  info(section: "memory"): Promise<string> {
    return this.#info(section);
  }

  async #info(section: "memory" | "server" | "replication"): Promise<string> {
    return String(await this.call("INFO", section));
  }

  #start(): void {
    this.#timer = undefined;
    const attempt = this.#connect();
    this.#attempt = attempt;
    void attempt.then(() => {
      if (this.#attempt === attempt) this.#attempt = undefined;
    });
  }

  /** One attempt; never rejects. */
  async #connect(): Promise<void> {
    let options: ClientOptions;
    try {
      options = await this.#options();
    } catch (error) {
      this.#lost(reasonOf(error));
      this.#schedule();
      return;
    }
    if (this.#closed) return;
    const client = new Redis(options);
    this.#client = client;
    this.#ending.add(client);
    client.on("error", (error) => {
      if (client !== this.#client) return;
      this.#lost(reasonOf(error));
      // An error before the connection is ready, such as a database that doesn't exist, must not pass unheeded.
      if (client.status !== "ready") client.disconnect();
    });
    client.once("end", () => {
      this.#ending.delete(client);
      if (client !== this.#client) return;
      this.#client = undefined;
      this.#lost("connection_lost");
      this.#schedule();
    });
    client.once("ready", () => {
      if (client !== this.#client) return;
      this.#goodAtMs = performance.now();
      this.#events.ready();
    });
    // The failure of an attempt is told by its events.
    await client.connect().catch(() => undefined);
  }

  async #options(): Promise<ClientOptions> {
    const { username, password, tls } = await readEntry(this.#access);
    const { address, family } = this.#target;
    return {
      ...FIXED,
      host: address.host,
      port: address.port,
      family: family ?? 0,
      db: this.#access.database ?? 0,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      ...(tls === undefined ? {} : { tls }),
    };
  }

  #lost(reason: string): void {
    if (!this.#closed) this.#events.lost(reason);
  }

  #reconnect(): void {
    this.#drop();
    this.#schedule();
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.disconnect();
  }

  #schedule(): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#start(), reconnectDelay(this.#attempts++)).unref();
  }
}
