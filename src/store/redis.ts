// Scripts with a deadline on Redis, a circuit that fails at once while Redis can't answer, and the recovery after a loss.

import { randomUUID } from "node:crypto";
import type { Emit } from "../core/events.ts";
import { FailureCounts, reasonOf, StoreFailure } from "./failure.ts";
import { type Link, type LinkEvents, type Script, scriptOf } from "./link.ts";
import { whileItProgresses } from "./patience.ts";
import { parseRedisUrl, type RedisAccess, type RedisServers } from "./redis-address.ts";
import { RedisCluster } from "./redis-cluster.ts";
import { RedisConnection } from "./redis-connection.ts";
import { RedisSentinels } from "./redis-sentinels.ts";

const PROBE_EVERY_MS = 100;
const PRESENCE_EVERY_MS = 1_000;
const PRESENCE_LASTS_MS = 15_000;
const BARRIER_POLL_MS = 50;
const BARRIER_WAITS_MS = 1_000;
const BARRIER_LASTS_MS = 60_000;
// A recovery to which nothing is answered for so long is given up and tried again. One that is answered has its time:
// begun anew it would have as much to tell.
const RECOVERY_STALLS_MS = 10_000;

// One member per instance, scored with the server's time; the answer is how many there are. As a script that writes
// it meets whatever a decision would meet: no memory, a read-only replica, a forbidden command.
const presence = scriptOf(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('ZCARD', KEYS[1])
`);

const signOff = scriptOf("return redis.call('ZREM', KEYS[1], ARGV[1])");

const alive = scriptOf("redis.call('SET', KEYS[1], '', 'PX', ARGV[1]) return 1");

// Signs this instance in and answers how many did so in the last ARGV[2] ms.
const barrier = scriptOf(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return redis.call('ZCOUNT', KEYS[1], now - ARGV[2], '+inf')
`);

// What says something about the call, and nothing about the server: a key of another type, keys of several slots, keys
// that move to another node right now.
const CALLS_OWN = new Set(["wrongtype", "crossslot", "tryagain"]);
// Consequences of a loss; they say nothing about its cause.
const CONSEQUENCES = new Set(["not_connected", "connection_lost"]);

/** How a store is set up: where Redis is, how it is entered, and how it is used. */
export type RedisStoreOptions = RedisServers &
  RedisAccess & {
    /** First part of every key that the store itself writes; holds no braces. */
    readonly prefix: string;
    /** Deadline of one call, milliseconds. */
    readonly timeoutMs: number;
    readonly emit: Emit;
  };

/** A script that can be run. */
export interface ScriptRun {
  /**
   * Slot of a key, 0 to 16383. Present only where Redis is a cluster: then all keys of one `run` must be of one slot.
   */
  readonly slotOf?: (key: string) => number;
  /**
   * Runs the script atomically. Undefined when there was no answer within the deadline, or an error for one: then it
   * is not known whether the script took effect. Never rejects.
   */
  run(keys: readonly string[], args: readonly string[]): Promise<readonly unknown[] | undefined>;
}

/** A script on the server. */
export interface RedisScript extends ScriptRun {
  /** Whether a call has a chance now; while it has none, `run` fails at once. */
  readonly available: boolean;
  /** It has none because a server that still answers was left: other instances may go on asking that for a moment. */
  readonly left: boolean;
}

/** What is known, and can be done, when Redis answers again after a loss and nobody uses it yet. */
export interface Recovery {
  /** From the first failure to now, on the steady clock, milliseconds. */
  readonly lostForMs: number;
  /**
   * Whether this is surely the process that answered before the loss, and still the master of its data. False after any
   * change, with a cluster, and where INFO is forbidden. Says nothing about keys that someone deleted.
   */
  readonly sameServer: boolean;
  /** Prepares a script that runs although the store isn't reachable yet. */
  script(text: string): ScriptRun;
  /**
   * Resolves when as many instances as were counted before the loss have called it with the same `phase` since the loss
   * began, or after a second; at once for a single instance. Rejects when Redis is lost again.
   */
  barrier(phase: number): Promise<void>;
}

/** Runs before the store becomes reachable again. When it rejects, the recovery is tried again from the start. */
export type RecoverHook = (recovery: Recovery) => Promise<void>;

type Reply = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly reason: string };

type State = "starting" | "reachable" | "unreachable" | "closed";

interface Loss {
  readonly atMs: number;
  /** A server that still answers was left for another one: others may go on asking it for a moment. */
  readonly left: boolean;
  /** Instances counted before. */
  readonly instances: number;
}

/** Redis, in whatever form it is run, kept connected until `close`. */
export class RedisStore {
  readonly #link: Link;
  readonly #timeoutMs: number;
  readonly #emit: Emit;
  readonly #prefix: string;
  readonly #presenceKey: string;
  readonly #id = randomUUID();
  readonly #hooks: RecoverHook[] = [];
  readonly #failures = new FailureCounts();
  #state: State = "starting";
  #loss: Loss | undefined;
  #lastLoss: string | undefined;
  #instances = 1;
  /** Until when the count before the last loss stands for those that haven't announced themselves again. */
  #returningUntilMs = 0;
  #identity: string | undefined;
  /** Grows with everything that goes wrong, so that a recovery notices a loss in its midst. */
  #troubles = 0;
  #evictionChecked = false;
  #probing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @throws Error when a URL is none; its message holds nothing of it */
  constructor(options: RedisStoreOptions) {
    this.#timeoutMs = options.timeoutMs;
    this.#emit = options.emit;
    this.#prefix = options.prefix;
    // One hash tag, so that all keys of the store itself live on one node of a cluster.
    this.#presenceKey = `${options.prefix}:{gw}:instances`;
    this.#link = linkTo(options, {
      ready: () => {
        if (this.#state === "unreachable") void this.#probe();
      },
      lost: (reason) => this.#lost(reason),
    });
  }

  /** Whether the last that was heard of the server was good. */
  get reachable(): boolean {
    return this.#state === "reachable";
  }

  /** Why the store is unreachable, such as `econnrefused`, by what was heard last; undefined while it is reachable. */
  get lastLoss(): string | undefined {
    return this.#lastLoss;
  }

  /** Failed calls of scripts, and losses that no call met, since the start, by reason; at most 65 reasons. */
  get failures(): ReadonlyMap<string, number> {
    return this.#failures.counts;
  }

  /** Number of gateways that share this server, this one included: the last count known, at least 1. */
  instances(): number {
    return this.#instances;
  }

  /** Connects. Resolves when the server answered or the first attempt failed; it is tried on and on in any case. */
  async open(): Promise<void> {
    await this.#link.open();
    // One that is on its way may have begun before others announced themselves.
    await this.#probing;
    await this.#probe();
  }

  /** Signs this instance off and disconnects. */
  async close(): Promise<void> {
    const wasReachable = this.reachable;
    this.#state = "closed";
    clearTimeout(this.#timer);
    if (wasReachable) await this.#call(signOff, [this.#presenceKey], [this.#id]);
    await this.#link.close();
  }

  /** Prepares a script; its text must touch no keys but those that it is given. */
  script(text: string): RedisScript {
    const prepared = scriptOf(text);
    const store = this;
    return {
      get available() {
        return store.reachable;
      },
      get left() {
        return store.#loss?.left === true;
      },
      ...this.#slots(),
      run: async (keys, args) => (this.reachable ? this.#run(prepared, keys, args) : undefined),
    };
  }

  /** Has `hook` awaited between the first good answer after a loss and the moment that the store is reachable again. */
  onRecover(hook: RecoverHook): void {
    this.#hooks.push(hook);
  }

  #slots(): Pick<ScriptRun, "slotOf"> {
    return this.#link.slotOf === undefined ? {} : { slotOf: this.#link.slotOf };
  }

  async #run(
    script: Script,
    keys: readonly string[],
    args: readonly string[],
  ): Promise<readonly unknown[] | undefined> {
    const reply = await this.#call(script, keys, args);
    if (reply.ok) {
      if (Array.isArray(reply.value)) return reply.value;
      this.#failures.add("malformed");
      return undefined;
    }
    this.#failures.add(reply.reason);
    if (!CALLS_OWN.has(reply.reason)) this.#lost(reply.reason, true);
    return undefined;
  }

  async #call(script: Script, keys: readonly string[], args: readonly string[]): Promise<Reply> {
    const until = performance.now() + this.#timeoutMs;
    const reply = await this.#answered(this.#link.evaluate(script, keys, args, until));
    if (!reply.ok && reply.reason === "timeout") this.#link.late(keys);
    return reply;
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
  #probe(): Promise<void> {
    this.#probing ??= this.#probeOnce().finally(() => {
      this.#probing = undefined;
      this.#schedule(this.reachable ? PRESENCE_EVERY_MS : PROBE_EVERY_MS);
    });
    return this.#probing;
  }

  async #probeOnce(): Promise<void> {
    if (this.#state === "closed") return;
    clearTimeout(this.#timer);
    try {
      await this.#checkHealth();
      await this.#found();
    } catch (error) {
      this.#lost(reasonOf(error));
    }
  }

  async #checkHealth(): Promise<void> {
    await this.#link.refresh();
    const checks = this.#link
      .probeKeys(this.#prefix)
      .map((key) => this.#call(alive, [key], [String(PRESENCE_LASTS_MS)]));
    const announced = this.#call(presence, [this.#presenceKey], [this.#id, String(PRESENCE_LASTS_MS)]);
    for (const reply of await Promise.all(checks)) answerOf(reply);
    const instances = answerOf(await announced);
    if (!Number.isSafeInteger(instances)) throw new StoreFailure("malformed");
    const returning = performance.now() < this.#returningUntilMs ? this.#instances : 1;
    this.#instances = Math.max(returning, Number(instances));
  }

  #schedule(afterMs: number): void {
    if (this.#state === "closed") return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#probe(), afterMs).unref();
  }

  async #found(): Promise<void> {
    if (this.#state === "unreachable") await this.#recover();
    if (this.#state === "closed") return;
    const first = this.#state === "starting";
    const recovered = this.#state === "unreachable";
    this.#state = "reachable";
    this.#loss = undefined;
    this.#lastLoss = undefined;
    this.#link.settle();
    if (recovered) this.#emit({ kind: "store_recovered", store: "redis" });
    if (first) void this.#identify();
    void this.#checkEviction();
  }

  /** @param counted a call failed by it, which was counted already */
  #lost(reason: string, counted = false): void {
    if (this.#state === "closed") return;
    this.#troubles++;
    if (this.#lastLoss === undefined || !CONSEQUENCES.has(reason)) this.#lastLoss = reason;
    if (this.#state === "unreachable") return;
    if (!counted) this.#failures.add(reason);
    this.#state = "unreachable";
    this.#loss = { atMs: performance.now(), instances: this.#instances, left: reason === "failover" };
    // Gateways that come back later than this one have to be counted until they announce themselves again.
    this.#returningUntilMs = Number.POSITIVE_INFINITY;
    this.#emit({ kind: "store_unreachable", store: "redis", reason });
    // It may have been a hiccup.
    this.#schedule(0);
  }

  /** Has the hooks run. @throws StoreFailure when one fails, or when the server is lost meanwhile */
  async #recover(): Promise<void> {
    const troubles = this.#troubles;
    const current = (): void => {
      if (this.#troubles !== troubles || this.#state !== "unreachable") throw new StoreFailure("lost_again");
    };
    const { atMs, instances } = this.#loss ?? { atMs: performance.now(), instances: 1 };
    const identity = await this.#readIdentity();
    const recovery = (progress: () => void): Recovery => ({
      lostForMs: performance.now() - atMs,
      sameServer: identity !== undefined && identity === this.#identity,
      script: (text) => {
        const prepared = scriptOf(text);
        // One that outlives its recovery does nothing any more.
        const run: ScriptRun["run"] = async (keys, args) => {
          const reply = this.#troubles === troubles ? await this.#run(prepared, keys, args) : undefined;
          if (reply !== undefined) progress();
          return reply;
        };
        return { ...this.#slots(), run };
      },
      barrier: (phase) => this.#barrier(phase, { atMs, instances }, current),
    });
    const hooks = (progress: () => void) => this.#runHooks(recovery(progress), current);
    await whileItProgresses(hooks, RECOVERY_STALLS_MS).catch((error: unknown) => {
      // What still runs of it must not go on.
      this.#troubles++;
      throw error instanceof StoreFailure ? error : new StoreFailure("recovery_failed");
    });
    current();
    this.#identity = identity;
    this.#returningUntilMs = performance.now() + PRESENCE_LASTS_MS;
  }

  async #runHooks(recovery: Recovery, current: () => void): Promise<void> {
    for (const hook of this.#hooks) {
      current();
      await hook(recovery);
    }
  }

  async #barrier(phase: number, { atMs, instances }: Omit<Loss, "left">, current: () => void): Promise<void> {
    const key = `${this.#prefix}:{gw}:barrier:${phase}`;
    const end = performance.now() + BARRIER_WAITS_MS;
    for (;;) {
      current();
      const now = performance.now();
      // Others may have noticed the same loss earlier, by at most one deadline: who came through since belongs to it. A
      // wider margin would count those that came through an earlier loss.
      const since = Math.ceil(now - atMs + this.#timeoutMs);
      const args = [this.#id, String(since), String(BARRIER_LASTS_MS)];
      const arrived = Number(answerOf(await this.#call(barrier, [key], args)));
      if (arrived >= instances || performance.now() + BARRIER_POLL_MS > end) return;
      await new Promise((resolve) => setTimeout(resolve, BARRIER_POLL_MS).unref());
    }
  }

  async #identify(): Promise<void> {
    const troubles = this.#troubles;
    const identity = await this.#readIdentity();
    if (this.#troubles === troubles) this.#identity = identity;
  }

  async #readIdentity(): Promise<string | undefined> {
    const reply = await this.#answered(this.#link.identity());
    return reply.ok && typeof reply.value === "string" ? reply.value : undefined;
  }

  /** Tells once when the server may throw counters away: a limit would then be more than a limit. */
  async #checkEviction(): Promise<void> {
    if (this.#evictionChecked) return;
    this.#evictionChecked = true;
    const reply = await this.#answered(this.#link.info("memory"));
    if (!reply.ok || typeof reply.value !== "string") return;
    const policy = /^maxmemory_policy:([a-z-]{1,40})\r?$/m.exec(reply.value)?.[1];
    const unbounded = /^maxmemory:0\r?$/m.test(reply.value);
    if (policy === undefined || policy === "noeviction" || unbounded) return;
    this.#emit({ kind: "store_evicts", store: "redis", policy });
  }
}

function linkTo(options: RedisStoreOptions, events: LinkEvents): Link {
  if ("cluster" in options) return new RedisCluster(options.cluster, options, events);
  if ("sentinels" in options) return new RedisSentinels(options, options, events);
  const parsed = parseRedisUrl(options.url);
  if (!parsed.ok) throw new Error(`redis: ${parsed.error}`);
  const { host, port, family, tls, username, password, database } = parsed.value;
  const access: RedisAccess = {
    username: options.username ?? username,
    password: options.password ?? password,
    passwordFile: options.passwordFile,
    database: options.database ?? database,
    tls: options.tls ?? (tls ? {} : undefined),
  };
  return new RedisConnection({ address: { host, port }, family }, access, events);
}

function answerOf(reply: Reply): unknown {
  if (reply.ok) return reply.value;
  throw new StoreFailure(reply.reason);
}
