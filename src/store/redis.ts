// The connection to Redis: scripts with a deadline, and a circuit that fails at once while the server can't answer.
// The only importer of ioredis.

import { createHash, randomUUID } from "node:crypto";
import { Redis, type RedisOptions } from "ioredis";
import type { Emit } from "../core/events.ts";

const PROBE_EVERY_MS = 100;
const PRESENCE_EVERY_MS = 5_000;
const PRESENCE_LASTS_MS = 15_000;
// A connection that owes an answer for so long is given up, so that recovery never waits for TCP to notice.
const SILENCE_MS = 1_000;
const LONGEST_RECONNECT_MS = 500;

// One member per instance, scored with the server's time; the answer is how many there are. As a script that writes
// it meets whatever a decision would meet: no memory, a read-only replica, a forbidden command.
const PRESENCE_SCRIPT = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
`;

/** How a store is set up. */
export interface RedisStoreOptions {
  /** `redis://` or `rediss://`, with user, password and database number where needed. */
  readonly url: string;
  /** First part of every key that the store itself writes. */
  readonly prefix: string;
  /** Deadline of one call, milliseconds. */
  readonly timeoutMs: number;
  readonly emit: Emit;
}

/** A script on the server. */
export interface RedisScript {
  /** Whether a call has a chance now; while it has none, `run` fails at once. */
  readonly available: boolean;
  /**
   * Runs the script atomically. Undefined when there was no answer within the deadline, or an error for one: then it
   * is not known whether the script took effect. Never rejects.
   */
  run(keys: readonly string[], args: readonly string[]): Promise<readonly unknown[] | undefined>;
}

interface ScriptText {
  readonly text: string;
  readonly sha1: string;
}

type Reply = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly reason: string };

type State = "starting" | "reachable" | "unreachable" | "closed";

const NOT_CONNECTED: Reply = { ok: false, reason: "not_connected" };

function scriptText(text: string): ScriptText {
  return { text, sha1: createHash("sha1").update(text).digest("hex") };
}

const presence = scriptText(PRESENCE_SCRIPT);

/** The kind of an error, such as `ECONNREFUSED` or `READONLY`; never its message, which may quote keys or a URL. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "error";
  const code = (error as NodeJS.ErrnoException).code;
  if (typeof code === "string" && /^[A-Z][A-Z0-9_]{1,39}$/.test(code)) return code.toLowerCase();
  return /^[A-Z]{2,20}(?= )/.exec(error.message)?.[0].toLowerCase() ?? "connection_lost";
}

function reconnectDelay(attempt: number): number {
  const most = Math.min(LONGEST_RECONNECT_MS, 25 * 2 ** Math.min(attempt, 10));
  // Jitter, so that many gateways don't come back in step.
  return most * (0.5 + Math.random() / 2);
}

const CONNECTION = {
  lazyConnect: true,
  // A command that can't be sent now fails now, and nothing is sent again later: a late decision is of no use.
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  retryStrategy: reconnectDelay,
  // A demoted server stays read-only; its name may point to the new one by now.
  reconnectOnError: (error: Error) => error.message.startsWith("READONLY"),
  connectTimeout: SILENCE_MS,
  socketTimeout: SILENCE_MS,
  maxLoadingRetryTime: LONGEST_RECONNECT_MS,
  protocol: 2,
  disableClientInfo: true,
} as const satisfies RedisOptions;

/** One Redis server, reached over one connection that is kept up until `close`. */
export class RedisStore {
  readonly #redis: Redis;
  readonly #timeoutMs: number;
  readonly #emit: Emit;
  readonly #presenceKey: string;
  readonly #id = randomUUID();
  #state: State = "starting";
  #instances = 1;
  #evictionChecked = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: RedisStoreOptions) {
    this.#timeoutMs = options.timeoutMs;
    this.#emit = options.emit;
    this.#presenceKey = `${options.prefix}:instances`;
    this.#redis = new Redis(options.url, CONNECTION);
    this.#redis.on("error", (error) => this.#lost(reasonOf(error)));
    this.#redis.on("close", () => this.#lost("connection_lost"));
    this.#redis.on("ready", () => {
      if (this.#state === "unreachable") void this.#probe();
    });
  }

  /** Whether the last that was heard of the server was good. */
  get reachable(): boolean {
    return this.#state === "reachable";
  }

  /** Number of gateways that share this server, this one included: the last count known, at least 1. */
  instances(): number {
    return this.#instances;
  }

  /** Connects. Resolves when the server answered or the first attempt failed; it is tried on and on in any case. */
  async open(): Promise<void> {
    // The failure of an attempt is told by the `error` event.
    await this.#redis.connect().catch(() => undefined);
    await this.#probe();
  }

  /** Signs this instance off and disconnects. */
  async close(): Promise<void> {
    const signOff = this.reachable ? this.#redis.zrem(this.#presenceKey, this.#id) : undefined;
    this.#state = "closed";
    clearTimeout(this.#timer);
    if (signOff !== undefined) await this.#answered(signOff);
    this.#redis.disconnect();
  }

  /** Prepares a script; its text must touch no keys but those that it is given. */
  script(text: string): RedisScript {
    const prepared = scriptText(text);
    const store = this;
    return {
      get available() {
        return store.reachable;
      },
      run: (keys, args) => this.#run(prepared, keys, args),
    };
  }

  async #run(
    script: ScriptText,
    keys: readonly string[],
    args: readonly string[],
  ): Promise<readonly unknown[] | undefined> {
    if (!this.reachable) return undefined;
    const reply = await this.#answered(this.#evaluate(script, keys, args));
    if (reply.ok) return Array.isArray(reply.value) ? reply.value : undefined;
    // A key of another type spoils the calls that touch it; the server itself is well.
    if (reply.reason !== "wrongtype") this.#lost(reply.reason);
    return undefined;
  }

  async #evaluate(script: ScriptText, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    try {
      return await this.#redis.evalsha(script.sha1, keys.length, ...keys, ...args);
    } catch (error) {
      // A restarted or failed-over server has forgotten the script; EVAL teaches it again.
      if (reasonOf(error) !== "noscript") throw error;
      return await this.#redis.eval(script.text, keys.length, ...keys, ...args);
    }
  }

  /** The reply to `call`, or its failure, within the deadline. */
  #answered(call: Promise<unknown>): Promise<Reply> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        // After a stall of this process the reply may be here already, unread: let the sockets have their turn.
        setImmediate(resolve, { ok: false, reason: "timeout" });
      }, this.#timeoutMs);
      const settle = (reply: Reply): void => {
        clearTimeout(timer);
        resolve(reply);
      };
      call.then(
        (value) => settle({ ok: true, value }),
        (error: unknown) => settle({ ok: false, reason: reasonOf(error) }),
      );
    });
  }

  /** Renews this instance's presence, and finds out by it whether the server is well. */
  async #probe(): Promise<void> {
    if (this.#state === "closed") return;
    clearTimeout(this.#timer);
    const args = [this.#id, String(PRESENCE_LASTS_MS)];
    const connected = this.#redis.status === "ready";
    const reply = connected
      ? await this.#answered(this.#evaluate(presence, [this.#presenceKey], args))
      : NOT_CONNECTED;
    if (!reply.ok) this.#lost(reply.reason);
    else if (!Number.isSafeInteger(reply.value)) this.#lost("malformed");
    else this.#found(Number(reply.value));
    this.#schedule(this.reachable ? PRESENCE_EVERY_MS : PROBE_EVERY_MS);
  }

  #schedule(afterMs: number): void {
    if (this.#state === "closed") return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#probe(), afterMs).unref();
  }

  #found(instances: number): void {
    if (this.#state === "closed") return;
    this.#instances = Math.max(1, instances);
    const recovered = this.#state === "unreachable";
    this.#state = "reachable";
    if (recovered) this.#emit({ kind: "store_recovered", store: "redis" });
    void this.#checkEviction();
  }

  #lost(reason: string): void {
    if (this.#state === "closed" || this.#state === "unreachable") return;
    this.#state = "unreachable";
    this.#emit({ kind: "store_unreachable", store: "redis", reason });
    // It may have been a hiccup.
    this.#schedule(0);
  }

  /** Tells once when the server may throw counters away: a limit would then be more than a limit. */
  async #checkEviction(): Promise<void> {
    if (this.#evictionChecked) return;
    this.#evictionChecked = true;
    const reply = await this.#answered(this.#redis.info("memory"));
    if (!reply.ok || typeof reply.value !== "string") return;
    const policy = /^maxmemory_policy:([a-z-]{1,40})\r?$/m.exec(reply.value)?.[1];
    const unbounded = /^maxmemory:0\r?$/m.test(reply.value);
    if (policy === undefined || policy === "noeviction" || unbounded) return;
    this.#emit({ kind: "store_evicts", store: "redis", policy });
  }
}
