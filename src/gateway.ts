// The composition root: from a validated configuration to a running gateway. The only file that knows every adapter.

import type { AddressInfo } from "node:net";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import type { AdminServer } from "./admin/server.ts";
import { ApiKeyAuthenticator } from "./authn/api-key/authenticator.ts";
import { LocalFailureCounter } from "./authn/failures/local-counter.ts";
import { SharedFailureCounter } from "./authn/failures/shared-counter.ts";
import { FailureThrottle } from "./authn/failures/throttle.ts";
import { JwtVerifier } from "./authn/jwt/verifier.ts";
import { grantsOf } from "./authz/roles.ts";
import type { GatewayConfig } from "./config/gateway-config.ts";
import type { Clock } from "./core/clock.ts";
import type { Emit, GatewayEvent } from "./core/events.ts";
import type { Readiness } from "./core/health.ts";
import { createApp, ownPaths } from "./http/app.ts";
import { EdgeState, type Transports } from "./http/edge-state.ts";
import { EdgeServer } from "./http/server.ts";
import { compilePolicy } from "./pipeline/compile.ts";
import type { Policy } from "./pipeline/decide.ts";
import { LIMITER_SCRIPT, Limiter } from "./rate-limit/limiter.ts";
import type { RedisStore } from "./store/redis.ts";
import { GatewayLog } from "./telemetry/log.ts";
import type { MetricsSource } from "./telemetry/metrics.ts";
import { LineSink, standardOutput } from "./telemetry/sink.ts";
import { HttpTransport } from "./upstream/http-transport.ts";
import { UpgradeTransport } from "./upstream/upgrade-transport.ts";

const systemClock: Clock = { wallMs: () => Date.now(), steadyMs: () => performance.now() };

const TEARDOWN_MS = 1_000;

interface Parts {
  readonly log: GatewayLog;
  readonly store: RedisStore | undefined;
}

/** A gateway made from one configuration. Nothing happens before `start`. */
export class Gateway {
  readonly policy: Policy;
  readonly log: GatewayLog;
  readonly #store: RedisStore | undefined;
  readonly #limiter: Limiter;
  readonly #failures: FailureThrottle | undefined;
  readonly #config: GatewayConfig;
  readonly #verifier: JwtVerifier;
  readonly #transports = new Map<string, Transports>();
  readonly #state: EdgeState;
  readonly #servers: EdgeServer[] = [];
  #admin: AdminServer | undefined;
  #stopping: Promise<void> | undefined;

  /** Builds a gateway. What only some configurations need is loaded only for them. */
  static async create(
    config: GatewayConfig,
    sink: LineSink = new LineSink(standardOutput()),
  ): Promise<Gateway> {
    const log = new GatewayLog({ level: config.logs.level, fields: config.logs.fields, sink });
    if (config.redis === undefined) return new Gateway(config, { log, store: undefined });
    const { RedisStore } = await import("./store/redis.ts");
    const store = new RedisStore({ ...config.redis, emit: (event) => log.event(event) });
    return new Gateway(config, { log, store });
  }

  private constructor(config: GatewayConfig, { log, store }: Parts) {
    this.#config = config;
    this.#store = store;
    this.log = log;
    const emit = (event: GatewayEvent): void => this.log.event(event);
    const grants = (roles: readonly string[]) => grantsOf(config.roles, roles);
    this.#verifier = new JwtVerifier(config.issuers, { clock: systemClock, emit, grants });
    const apiKeys = new ApiKeyAuthenticator(config.apiKeys, { clock: systemClock, grants });
    const limiter = makeLimiter(config, store);
    const failures = makeThrottle(config, limiter, emit);
    const { policy, routes } = compilePolicy(config, {
      verifier: this.#verifier,
      apiKeys,
      limiter,
      failures,
    });
    for (const route of routes) {
      limiter.register(route.limits, route.name);
      limiter.register(route.refusalLimits, route.name);
    }
    this.#limiter = limiter;
    this.#failures = failures;
    this.policy = policy;
    for (const upstream of config.upstreams) {
      this.#transports.set(upstream.name, {
        http: new HttpTransport(upstream, config.limits.inFlight),
        tunnels: new UpgradeTransport(upstream, upstream.timeouts.headersMs),
      });
    }
    this.#state = new EdgeState(
      {
        policy,
        transports: this.#transports,
        inFlight: config.limits.inFlight,
        legacyLimitFields: config.legacyRateLimitHeaders,
        access: config.logs.access,
        decisions: config.logs.decisions,
      },
      { log, emit },
    );
  }

  /** Starts serving; resolves with the addresses listened on. @throws GatewayFailure `listen_failed` */
  async start(): Promise<readonly AddressInfo[]> {
    this.#verifier.start();
    await this.#store?.open();
    // Before the traffic port: an address that is taken is told before anything is served.
    await this.#openAdmin();
    const app = createApp({
      health: this.#config.health,
      readiness: () => this.readiness(),
      state: this.#state,
    });
    const addresses: AddressInfo[] = [];
    for (const { host, port } of this.#config.listen) {
      const server = new EdgeServer({
        app,
        ownPaths: ownPaths(this.#config.health),
        state: this.#state,
        bounds: this.#config.limits,
      });
      this.#servers.push(server);
      const address = await server.listen(host, port);
      addresses.push(address);
      this.log.system("info", "listening", { address: addressText(address) });
    }
    const { redis, routes, keyLimits } = this.#config;
    if (redis === undefined && (keyLimits.size > 0 || routes.some(({ limits }) => limits.length > 0))) {
      this.log.system("info", "limits_in_process", { hint: "without redis each instance counts for itself" });
    }
    return addresses;
  }

  async #openAdmin(): Promise<void> {
    const { admin } = this.#config;
    if (admin === undefined) return;
    const { AdminServer } = await import("./admin/server.ts");
    this.#admin = new AdminServer({
      ...admin,
      file: this.#config,
      readiness: () => this.readiness(),
      metrics: this.#metricsSource(),
      counters: { show: (who) => this.#limiter.show(who), reset: (who) => this.#limiter.reset(who) },
      audit: (act) => this.log.audit(act),
      defect: (error) => this.log.defect(error),
      listenerError: (code) => this.log.system("error", "listener_error", { code, port: "admin" }),
    });
    const address = await this.#admin.listen();
    this.log.system("info", "admin_listening", { address: addressText(address) });
  }

  #metricsSource(): MetricsSource {
    const store = this.#store;
    return {
      limits: () => this.#limiter.stats(),
      degraded: () => this.#limiter.degraded,
      counters: () => this.#limiter.size,
      failedCredentials: () => new Map(Object.entries(this.#failures?.refusals ?? {})),
      store: () => store && { name: "redis", up: store.reachable, failures: store.failures },
    };
  }

  readiness(): Readiness {
    const notes: string[] = [];
    if (this.#state.draining) notes.push("draining");
    if (this.#verifier.health().some((issuer) => issuer.state === "waiting")) notes.push("keys_unavailable");
    const ready = notes.length === 0;
    // Losing Redis leaves every limit with the answer that its policy chose, so traffic goes on.
    if (this.#store?.reachable === false) {
      notes.push("redis_unreachable");
      for (const mode of this.#limiter.modes) notes.push(`limits_${mode}`);
    }
    if (this.#verifier.health().some((issuer) => issuer.state === "stale")) notes.push("keys_stale");
    return { ready, notes };
  }

  /** Drains and ends: readiness first, then new connections, then what is in flight. Repeated calls share one end. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { delayMs, timeoutMs } = this.#config.drain;
    this.log.system("info", "draining", {
      inFlight: this.#state.runs.size,
      tunnels: this.#state.tunnels.size,
    });
    this.#state.startDraining();
    if (delayMs > 0) await sleep(delayMs);
    // A server is closed an instant before the last of its requests has seen its own end.
    const closed = Promise.all(this.#servers.map((server) => server.close())).then(() => setImmediate());
    const idle = setInterval(() => {
      for (const server of this.#servers) server.closeIdle();
    }, 100);
    await Promise.race([closed, sleep(timeoutMs, undefined, { ref: false })]);
    const cut = this.#state.runs.size + this.#state.tunnels.size;
    for (const entry of [...this.#state.runs.snapshot(), ...this.#state.tunnels]) entry.cut();
    if (cut > 0) {
      this.log.system("warn", "drain_cut", { count: cut });
      await Promise.race([closed, sleep(TEARDOWN_MS, undefined, { ref: false })]);
    }
    clearInterval(idle);
    for (const server of this.#servers) server.destroyAll();
    // Last of the listeners, so that the drain can be watched.
    await this.#admin?.close();
    this.#verifier.stop();
    for (const { http } of this.#transports.values()) http.close();
    await this.#limiter.close();
    await this.#store?.close();
    this.log.system("info", "stopped");
    await this.log.drain(TEARDOWN_MS);
  }
}

function makeLimiter(config: GatewayConfig, store: RedisStore | undefined): Limiter {
  const prefix = config.redis?.prefix ?? "gw";
  const issuers = config.issuers.map(({ issuer }) => issuer);
  if (store === undefined) return new Limiter({ prefix, clock: systemClock, issuers });
  const limiter = new Limiter({
    prefix,
    clock: systemClock,
    issuers,
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

function addressText(address: AddressInfo): string {
  return address.family === "IPv6"
    ? `[${address.address}]:${address.port}`
    : `${address.address}:${address.port}`;
}
