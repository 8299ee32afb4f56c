// The composition root: from a validated configuration to a running gateway, and from one configuration to the next. The
// only file that knows every adapter.

import type { AddressInfo } from "node:net";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { ExplainPort, ReloadPort, StatusFacts } from "./admin/ports.ts";
import type { AdminServer, AdminServerOptions } from "./admin/server.ts";
import { ApiKeyAuthenticator } from "./authn/api-key/authenticator.ts";
import { LocalFailureCounter } from "./authn/failures/local-counter.ts";
import { SharedFailureCounter } from "./authn/failures/shared-counter.ts";
import { FailureThrottle } from "./authn/failures/throttle.ts";
import { JwtVerifier } from "./authn/jwt/verifier.ts";
import { grantsOf } from "./authz/roles.ts";
import type { GatewayConfig } from "./config/gateway-config.ts";
import type { ConfigSource, Inspection } from "./config/load.ts";
import { type FailedTests, Reloader, type ReloadOutcome } from "./config/reloader.ts";
import type { Clock } from "./core/clock.ts";
import type { Emit, GatewayEvent, ReloadTrigger } from "./core/events.ts";
import { GatewayFailure } from "./core/failure.ts";
import type { Readiness } from "./core/health.ts";
import { createApp, ownPaths } from "./http/app.ts";
import { type EdgePlan, EdgeState } from "./http/edge-state.ts";
import { Listeners } from "./http/listeners.ts";
import type { EdgeSite } from "./http/server.ts";
import { type AskedQuestion, explainAsked } from "./pipeline/asked.ts";
import { compilePolicy } from "./pipeline/compile.ts";
import type { Policy } from "./pipeline/decide.ts";
import type { CompiledRoute } from "./pipeline/decision.ts";
import { LIMITER_SCRIPT, Limiter } from "./rate-limit/limiter.ts";
import type { RedisStore } from "./store/redis.ts";
import { GatewayLog } from "./telemetry/log.ts";
import type { MetricsSource, ReloadFigures } from "./telemetry/metrics.ts";
import { LineSink, standardOutput } from "./telemetry/sink.ts";
import { TrafficStats } from "./telemetry/traffic.ts";
import { UpstreamTransports } from "./upstream/transports.ts";

const systemClock: Clock = { wallMs: () => Date.now(), steadyMs: () => performance.now() };

const TEARDOWN_MS = 1_000;
// What decisions of the configuration before may still ask, once it is not in force any more: no request waits longer for
// keys or for the store.
const RETIRED_PARTS_MS = 10_000;

/** How a gateway is set up beside its configuration. */
export interface GatewaySetup {
  /** Where log lines go; standard output unless said. */
  readonly sink?: LineSink;
  /** The file that the configuration was read from, and what was read; without it the configuration stays what it is. */
  readonly source?: ConfigSource;
  readonly inspection?: Inspection;
}

/** Counters and what is counted by them: they outlive a configuration as long as its store is the same. */
interface Counting {
  readonly store: RedisStore | undefined;
  readonly limiter: Limiter;
}

/** All that one configuration is made of. */
interface Running extends Counting {
  readonly config: GatewayConfig;
  readonly verifier: JwtVerifier;
  readonly failures: FailureThrottle | undefined;
  readonly transports: UpstreamTransports;
  readonly routes: readonly CompiledRoute[];
  readonly plan: EdgePlan;
  /** One for the life of the gateway. */
  readonly traffic: TrafficStats;
}

/** A gateway made from one configuration, which others may follow. Nothing happens before `start`. */
export class Gateway {
  readonly log: GatewayLog;
  readonly #emit: Emit;
  readonly #state: EdgeState;
  readonly #listeners: Listeners;
  readonly #reloader: Reloader | undefined;
  readonly #startedAtMs = Date.now();
  #running: Running;
  #admin: AdminServer | undefined;
  readonly #started = Promise.withResolvers<void>();
  #stopping: Promise<void> | undefined;

  /** Builds a gateway. What only some configurations need is loaded only for them. */
  static async create(config: GatewayConfig, setup: GatewaySetup = {}): Promise<Gateway> {
    const sink = setup.sink ?? new LineSink(standardOutput());
    const log = new GatewayLog({ ...config.logs, sink });
    const emit = (event: GatewayEvent): void => log.event(event);
    return new Gateway(await compose(config, emit), { log, emit, setup });
  }

  private constructor(
    running: Running,
    around: { readonly log: GatewayLog; readonly emit: Emit; readonly setup: GatewaySetup },
  ) {
    const { log, emit, setup } = around;
    this.log = log;
    this.#emit = emit;
    this.#running = running;
    running.limiter.adopt(running.routes, issuersOf(running.config));
    running.traffic.adopt(running.plan.counted.values());
    this.#state = new EdgeState(running.plan, { log, emit, traffic: running.traffic });
    this.#listeners = new Listeners(this.#state);
    const { source, inspection } = setup;
    if (source === undefined || inspection === undefined) return;
    this.#reloader = new Reloader(
      { config: running.config, inspection },
      {
        read: () => source.read(),
        test: failedTests,
        apply: (config) => this.#apply(config),
        emit,
        defect: (error) => log.defect(error),
      },
    );
  }

  /** What requests are decided by now. */
  get policy(): Policy {
    return this.#running.plan.policy;
  }

  /** Starts serving; resolves with the addresses listened on. @throws GatewayFailure `listen_failed` */
  async start(): Promise<readonly AddressInfo[]> {
    try {
      return await this.#start();
    } finally {
      this.#started.resolve();
    }
  }

  async #start(): Promise<readonly AddressInfo[]> {
    const { config, verifier, store } = this.#running;
    verifier.start();
    await store?.open();
    if (this.#stopping !== undefined) return [];
    // Before the traffic port: an address that is taken is told before anything is served.
    this.#admin = await this.#openAdmin(config);
    const site = this.#site(config);
    const { opened, commit, discard } = await this.#listeners.prepare(config.listen, site);
    if (this.#stopping !== undefined) {
      // Asked to end while it was starting.
      discard();
      await this.#admin?.close();
      return [];
    }
    commit(site);
    this.#tellListening(opened);
    await this.#reloader?.watch();
    const { redis, routes, keyLimits } = config;
    if (redis === undefined && (keyLimits.size > 0 || routes.some(({ limits }) => limits.length > 0))) {
      this.log.system("info", "limits_in_process", { hint: "without redis each instance counts for itself" });
    }
    return opened;
  }

  /** Reads the file again and, when it is valid, puts it in force; undefined when the gateway was made without a file. */
  reload(trigger: ReloadTrigger = "program"): Promise<ReloadOutcome> | undefined {
    return this.#reloader?.reload(trigger);
  }

  /**
   * Puts another configuration in force for the requests that arrive from then on. What the two have in common goes on:
   * listeners, connections, key sets, verified tokens, counters, blocks of the failed-credential throttle.
   * @throws GatewayFailure when a listener can't be opened or a new issuer has no keys; then nothing changed
   */
  async #apply(config: GatewayConfig): Promise<void> {
    await this.#started.promise;
    const before = this.#running;
    const next = await compose(config, this.#emit, before);
    next.verifier.start();
    const site = this.#site(config);
    const undo: (() => void)[] = [() => void retire(next, before)];
    try {
      if (next.store !== before.store) await next.store?.open();
      // New issuers get the time that a request would wait for their keys, so that none has to.
      await next.verifier.settled();
      refuseWithoutKeys(next, before);
      const listeners = await this.#listeners.prepare(config.listen, site);
      undo.push(() => listeners.discard());
      const admin = await this.#nextAdmin(config);
      if (admin !== this.#admin) undo.push(() => void admin?.close());
      if (this.#stopping !== undefined) throw new GatewayFailure("listen_failed", "the gateway is stopping");
      this.#running = next;
      next.limiter.adopt(next.routes, issuersOf(config));
      next.traffic.adopt(next.plan.counted.values());
      this.#state.plan = next.plan;
      this.log.restyle(config.logs);
      listeners.commit(site);
      this.#tellListening(listeners.opened);
      if (admin !== this.#admin) void this.#admin?.close();
      this.#admin = admin;
      const options = this.#adminOptions(config);
      if (options !== undefined) admin?.serve(options);
    } catch (error) {
      for (const step of undo.reverse()) step();
      throw error;
    }
    before.transports.retireFor(next.transports);
    setTimeout(() => void retire(before, next), RETIRED_PARTS_MS).unref();
  }

  #site(config: GatewayConfig): EdgeSite {
    const app = createApp({
      health: config.health,
      readiness: () => this.readiness(),
      state: this.#state,
    });
    return { app, ownPaths: ownPaths(config.health), bounds: config.limits };
  }

  #tellListening(addresses: readonly AddressInfo[]): void {
    for (const address of addresses) this.log.system("info", "listening", { address: addressText(address) });
  }

  /** The admin port of another configuration: the one that is open where its address stays the same. */
  async #nextAdmin(config: GatewayConfig): Promise<AdminServer | undefined> {
    const { admin } = config;
    if (admin !== undefined && this.#admin?.isAt(admin.listen) === true) return this.#admin;
    return await this.#openAdmin(config);
  }

  async #openAdmin(config: GatewayConfig): Promise<AdminServer | undefined> {
    const options = this.#adminOptions(config);
    if (options === undefined) return undefined;
    const { AdminServer } = await import("./admin/server.ts");
    const server = new AdminServer(options);
    const address = await server.listen();
    this.log.system("info", "admin_listening", { address: addressText(address) });
    return server;
  }

  #adminOptions(config: GatewayConfig): AdminServerOptions | undefined {
    if (config.admin === undefined) return undefined;
    return {
      ...config.admin,
      file: config,
      readiness: () => this.readiness(),
      status: () => this.#statusFacts(),
      reload: this.#reloader && reloadPort(this.#reloader),
      metrics: this.#metricsSource(),
      counters: {
        show: (who) => this.#running.limiter.show(who),
        reset: (who) => this.#running.limiter.reset(who),
      },
      explain: (question) => this.#explain(question),
      audit: (act) => this.log.audit(act),
      defect: (error) => this.log.defect(error),
      listenerError: (code) => this.log.system("error", "listener_error", { code, port: "admin" }),
    };
  }

  #explain(question: AskedQuestion): ReturnType<ExplainPort> {
    const { config, plan, limiter, failures } = this.#running;
    const parts = { config, policy: plan.policy, limiter, failures: failures?.view };
    return explainAsked({ ...parts, ready: this.readiness().ready }, question, systemClock);
  }

  #statusFacts(): StatusFacts {
    const { config, verifier, store } = this.#running;
    return {
      startedAtMs: this.#startedAtMs,
      routes: config.routes.length,
      listening: this.#listeners.addresses.map(addressText),
      inFlight: this.#state.runs.size,
      tunnels: this.#state.tunnels.size,
      dependencies: {
        issuers: verifier.health().map(({ issuer, state, keysAgeMs }) => ({
          name: issuer,
          state,
          keysAgeSeconds: keysAgeMs === undefined ? null : Math.round(keysAgeMs / 1_000),
        })),
        redis: store === undefined ? null : { up: store.reachable },
        upstreams: config.upstreams.map(({ name, origin }) => ({ name, origin })),
      },
    };
  }

  #metricsSource(): MetricsSource {
    const reloader = this.#reloader;
    return {
      traffic: this.#state.traffic,
      open: () => ({
        requests: this.#state.runs.size,
        connections: this.#listeners.connections,
        tunnels: this.#state.tunnels.size,
      }),
      ready: () => this.readiness().ready,
      logLinesDropped: () => this.log.dropped,
      issuers: () => this.#running.verifier.health(),
      ...(reloader === undefined ? {} : { reload: () => reloadFigures(reloader) }),
      limits: () => this.#running.limiter.stats(),
      degraded: () => this.#running.limiter.degraded,
      counters: () => this.#running.limiter.size,
      failedCredentials: () => new Map(Object.entries(this.#running.failures?.refusals ?? {})),
      store: () => {
        const { store } = this.#running;
        return store && { name: "redis", up: store.reachable, failures: store.failures };
      },
    };
  }

  readiness(): Readiness {
    const { verifier, store, limiter } = this.#running;
    const states = verifier.health().map(({ state }) => state);
    const notes: string[] = [];
    if (this.#state.draining) notes.push("draining");
    if (states.includes("waiting")) notes.push("keys_unavailable");
    const ready = notes.length === 0;
    // Losing Redis leaves every limit with the answer that its policy chose, so traffic goes on.
    if (store?.reachable === false) {
      notes.push("redis_unreachable");
      for (const mode of limiter.modes) notes.push(`limits_${mode}`);
    }
    if (states.includes("stale")) notes.push("keys_stale");
    return { ready, notes };
  }

  /** Drains and ends: readiness first, then new connections, then what is in flight. Repeated calls share one end. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#reloader?.stop();
    const { config, verifier, transports, limiter, store } = this.#running;
    const { delayMs, timeoutMs } = config.drain;
    this.log.system("info", "draining", {
      inFlight: this.#state.runs.size,
      tunnels: this.#state.tunnels.size,
    });
    this.#state.startDraining();
    if (delayMs > 0) await sleep(delayMs);
    // A server is closed an instant before the last of its requests has seen its own end.
    const closed = this.#listeners.close().then(() => setImmediate());
    const idle = setInterval(() => this.#listeners.closeIdle(), 100);
    await Promise.race([closed, sleep(timeoutMs, undefined, { ref: false })]);
    const cut = this.#state.runs.size + this.#state.tunnels.size;
    for (const entry of [...this.#state.runs.snapshot(), ...this.#state.tunnels]) entry.cut();
    if (cut > 0) {
      this.log.system("warn", "drain_cut", { count: cut });
      await Promise.race([closed, sleep(TEARDOWN_MS, undefined, { ref: false })]);
    }
    clearInterval(idle);
    this.#listeners.destroyAll();
    // Last of the listeners, so that the drain can be watched.
    await this.#admin?.close();
    verifier.stop();
    transports.close();
    await limiter.close();
    await store?.close();
    this.log.system("info", "stopped");
    await this.log.drain(TEARDOWN_MS);
  }
}

/** Makes all parts of a configuration; those of `before` that are alike are taken over. */
async function compose(config: GatewayConfig, emit: Emit, before?: Running): Promise<Running> {
  const grants = (roles: readonly string[]) => grantsOf(config.roles, roles);
  const sameGrants = isDeepStrictEqual(before?.config.roles, config.roles);
  const ports = { clock: systemClock, emit, grants };
  const verifier = new JwtVerifier(
    config.issuers,
    ports,
    before === undefined ? {} : { previous: before.verifier, sameGrants },
  );
  const apiKeys = new ApiKeyAuthenticator(config.apiKeys, { clock: systemClock, grants });
  const counting = await countingOf(config, emit, before);
  const { limiter } = counting;
  const sameThrottle =
    limiter === before?.limiter &&
    isDeepStrictEqual(before.config.failedCredentials, config.failedCredentials);
  const failures = sameThrottle ? before.failures : makeThrottle(config, limiter, emit);
  const { policy, routes } = compilePolicy(config, { verifier, apiKeys, limiter, failures });
  const transports = new UpstreamTransports(config.upstreams, config.limits.inFlight, before?.transports);
  const traffic = before?.traffic ?? new TrafficStats();
  const plan: EdgePlan = {
    generation: before === undefined ? 1 : before.plan.generation + 1,
    policy,
    transports: transports.byName,
    inFlight: config.limits.inFlight,
    legacyLimitFields: config.legacyRateLimitHeaders,
    access: config.logs.access,
    decisions: config.logs.decisions,
    counted: traffic.of(routes),
  };
  return { config, verifier, failures, transports, routes, plan, traffic, ...counting };
}

/** A reload must not make a gateway unready that was ready: an issuer that can't be had yet is no reason to turn callers away. */
function refuseWithoutKeys({ verifier }: Running, before: Running): void {
  const waiting = new Set(
    before.verifier.health().flatMap(({ issuer, state }) => (state === "waiting" ? [issuer] : [])),
  );
  const missing = verifier.health().find(({ issuer, state }) => state === "waiting" && !waiting.has(issuer));
  if (missing === undefined) return;
  throw new GatewayFailure(
    "dependency_unreachable",
    `the keys of issuer ${missing.issuer} can't be had: mend its settings, or reload again once it answers`,
  );
}

/** Ends the parts of a configuration that `heir` didn't take over. */
async function retire(parts: Running, heir: Running): Promise<void> {
  parts.verifier.stopFor(heir.verifier);
  parts.transports.retireFor(heir.transports);
  if (parts.limiter === heir.limiter) return;
  await parts.limiter.close();
  await parts.store?.close();
}

async function countingOf(config: GatewayConfig, emit: Emit, before?: Running): Promise<Counting> {
  if (before !== undefined && isDeepStrictEqual(before.config.redis, config.redis)) {
    return { store: before.store, limiter: before.limiter };
  }
  if (config.redis === undefined) return { store: undefined, limiter: makeLimiter(config, undefined) };
  const { RedisStore } = await import("./store/redis.ts");
  const store = new RedisStore({ ...config.redis, emit });
  return { store, limiter: makeLimiter(config, store) };
}

/** Runs the file's own tests; what failed, if something did. */
async function failedTests(config: GatewayConfig): Promise<FailedTests | undefined> {
  if (config.tests.length === 0) return undefined;
  const { runTests } = await import("./review/tests/run-tests.ts");
  const { results, failed } = await runTests(config, systemClock);
  const first = results.find(({ ok }) => !ok);
  if (first === undefined) return undefined;
  const [mismatch] = first.mismatches;
  const came =
    mismatch === undefined
      ? ""
      : `: expected ${mismatch.what} ${mismatch.expected}, but ${mismatch.actual} came`;
  return { count: failed, line: first.line, message: `the test "${first.name}" failed${came}` };
}

function issuersOf({ issuers }: GatewayConfig): readonly string[] {
  return issuers.map(({ issuer }) => issuer);
}

function makeLimiter(config: GatewayConfig, store: RedisStore | undefined): Limiter {
  const prefix = config.redis?.prefix ?? "gw";
  if (store === undefined) return new Limiter({ prefix, clock: systemClock });
  const limiter = new Limiter({
    prefix,
    clock: systemClock,
    script: store.script(LIMITER_SCRIPT),
    instances: () => store.instances(),
  });
  store.onRecover(({ sameServer, script, barrier }) => {
    const { run, slotOf } = script(LIMITER_SCRIPT);
    return limiter.comeBack({ sameServer, run, barrier, ...(slotOf === undefined ? {} : { slotOf }) });
  });
  return limiter;
}

function makeThrottle(
  { failedCredentials }: GatewayConfig,
  limiter: Limiter,
  emit: Emit,
): FailureThrottle | undefined {
  if (failedCredentials === undefined) return undefined;
  const { limit, windowMs } = failedCredentials;
  const own = new LocalFailureCounter(windowMs, systemClock);
  const tally = (name: string) =>
    limiter.tally({ name, limit, windowMs, subject: { by: "route" }, cost: 1, onStoreFailure: "local" });
  const address = tally("failed credentials by address");
  const credential = tally("failed credentials by credential");
  const counter =
    address === undefined || credential === undefined
      ? own
      : new SharedFailureCounter(own, { address, credential });
  return new FailureThrottle(failedCredentials, { clock: systemClock, emit, counter });
}

function reloadPort(reloader: Reloader): ReloadPort {
  return {
    state: () => reloader.state,
    fileHash: () => reloader.fileHash(),
    now: () => reloader.reload("admin"),
  };
}

function reloadFigures({ state }: Reloader): ReloadFigures {
  const { counts, last, loadedAtMs, configHash } = state;
  return { ...counts, lastOk: last?.outcome.result !== "rejected", loadedAtMs, hash: configHash };
}

function addressText(address: AddressInfo): string {
  return address.family === "IPv6"
    ? `[${address.address}]:${address.port}`
    : `${address.address}:${address.port}`;
}
