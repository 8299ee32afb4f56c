// Metrics in the text format of Prometheus. The only file that knows prom-client: whoever counts does so in plain
// numbers, which are read when they are asked for. Labels come from the file alone, so their number is bounded by it.

import { Counter, Gauge, Registry } from "prom-client";
import { VERSION } from "./version.ts";

/** The decisions of one limit of one route since the start. */
export interface LimitStats {
  readonly route: string;
  /** Name of the limit. */
  readonly limit: string;
  readonly admitted: number;
  readonly refused: number;
  /** The store could not answer and the limit says `deny`. */
  readonly unavailable: number;
  /** Refused by a limit that only observes. */
  readonly wouldRefuse: number;
  /** Its `onStoreFailure`. */
  readonly mode: "local" | "deny" | "allow";
  readonly observed?: boolean;
}

/** The shared store of the limits. */
export interface StoreStats {
  readonly name: string;
  readonly up: boolean;
  /** How often it failed since the start, by reason. */
  readonly failures: ReadonlyMap<string, number>;
}

/** Where the numbers come from; asked at each scrape. */
export interface MetricsSource {
  limits(): Iterable<LimitStats>;
  /** Whether each limit's `onStoreFailure` decides now. */
  degraded(): boolean;
  /** Counters in the memory of this process. */
  counters(): number;
  /** Undefined when nothing is shared. */
  store(): StoreStats | undefined;
  /** Requests refused for the sake of failed credentials, by what was blocked; absent when nobody counts them. */
  failedCredentials?(): ReadonlyMap<string, number>;
}

/** The metrics of one gateway. */
export class Metrics {
  readonly #registry = new Registry();

  constructor(source: MetricsSource) {
    const registers = [this.#registry];
    limitMetrics(source, registers);
    storeMetrics(source, registers);
    processMetrics(registers);
    if (source.failedCredentials !== undefined) {
      counter(
        "gateway_failed_credentials_total",
        "Requests refused for failed credentials",
        ["result"],
        registers,
        (add) => {
          for (const [result, count] of source.failedCredentials?.() ?? []) add({ result }, count);
        },
      );
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics as they are now. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }
}

type Registers = Registry[];
type Add<L extends string> = (labels: Readonly<Record<L, string>>, value: number) => void;

/** A counter whose values are counted elsewhere. */
function counter<L extends string>(
  name: string,
  help: string,
  labelNames: L[],
  registers: Registers,
  read: (add: Add<L>) => void,
): void {
  new Counter({
    name,
    help,
    labelNames,
    registers,
    collect() {
      this.reset();
      read((labels, value) => this.inc(labels, value));
    },
  });
}

/** A gauge that is read elsewhere; `set` of the same labels again replaces the value. */
function gauge<L extends string>(
  name: string,
  help: string,
  labelNames: L[],
  registers: Registers,
  read: (set: Add<L>) => void,
): void {
  new Gauge({
    name,
    help,
    labelNames,
    registers,
    collect() {
      this.reset();
      read((labels, value) => this.set(labels, value));
    },
  });
}

function limitMetrics(source: MetricsSource, registers: Registers): void {
  counter(
    "gateway_ratelimit_decisions_total",
    "Decisions of each limit",
    ["route", "limit", "result"],
    registers,
    (add) => {
      for (const stats of source.limits()) {
        const { route, limit, admitted, refused, unavailable, wouldRefuse, mode, observed } = stats;
        add({ route, limit, result: "admitted" }, admitted);
        add({ route, limit, result: "refused" }, refused);
        // A file may have thousands of limits, so what can't happen to one has no series.
        if (mode === "deny" || unavailable > 0) add({ route, limit, result: "unavailable" }, unavailable);
        if (observed === true || wouldRefuse > 0) add({ route, limit, result: "would_refuse" }, wouldRefuse);
      }
    },
  );
  gauge(
    "gateway_ratelimit_degraded",
    "Whether a limit's onStoreFailure decides now",
    ["limit", "mode"],
    registers,
    (set) => {
      const degraded = source.degraded() ? 1 : 0;
      for (const { limit, mode } of source.limits()) set({ limit, mode }, degraded);
    },
  );
  gauge("gateway_ratelimit_counters", "Counters in the memory of this process", [], registers, (set) =>
    set({}, source.counters()),
  );
}

function storeMetrics(source: MetricsSource, registers: Registers): void {
  gauge(
    "gateway_ratelimit_backend_up",
    "Whether the shared store of the limits answers",
    ["store"],
    registers,
    (set) => {
      const store = source.store();
      if (store !== undefined) set({ store: store.name }, store.up ? 1 : 0);
    },
  );
  counter(
    "gateway_ratelimit_backend_errors_total",
    "Failures of the shared store of the limits",
    ["store", "reason"],
    registers,
    (add) => {
      const store = source.store();
      for (const [reason, count] of store?.failures ?? []) add({ store: store?.name ?? "", reason }, count);
    },
  );
}

function processMetrics(registers: Registers): void {
  gauge("gateway_build_info", "The program, as labels; always 1", ["version", "node"], registers, (set) =>
    set({ version: VERSION, node: process.version }, 1),
  );
  gauge("process_resident_memory_bytes", "Resident memory", [], registers, (set) =>
    set({}, process.memoryUsage.rss()),
  );
}
