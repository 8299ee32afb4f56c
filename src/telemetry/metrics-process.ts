// Metrics of the process, by the names that every Node.js dashboard knows. The only file that knows prom-client.

import { readdir } from "node:fs/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, Registry } from "prom-client";

const LOOP_RESOLUTION_MS = 20;
const MICROS_PER_SECOND = 1e6;
const NANOS_PER_MS = 1e6;
const MS_PER_SECOND = 1_000;

/** Metrics of this process. */
export class ProcessMetrics {
  readonly #registry = new Registry();

  constructor() {
    const delay = loopDelay();
    this.#gauge(
      "process_start_time_seconds",
      "When the process began",
      () => performance.timeOrigin / MS_PER_SECOND,
    );
    this.#counter("process_cpu_seconds_total", "CPU time, user and system", () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / MICROS_PER_SECOND;
    });
    this.#gauge("process_resident_memory_bytes", "Resident memory", () => process.memoryUsage.rss());
    this.#gauge("process_open_fds", "Open file descriptors", openDescriptors);
    this.#gauge("nodejs_heap_size_total_bytes", "Size of V8's heap", () => process.memoryUsage().heapTotal);
    this.#gauge(
      "nodejs_heap_size_used_bytes",
      "Part of V8's heap in use",
      () => process.memoryUsage().heapUsed,
    );
    this.#gauge("nodejs_external_memory_bytes", "Memory of buffers", () => process.memoryUsage().external);
    this.#counter("nodejs_eventloop_busy_seconds_total", "Time in which the event loop was busy", () => {
      return performance.eventLoopUtilization().active / MS_PER_SECOND;
    });
    this.#gauge("nodejs_eventloop_lag_mean_seconds", "Mean delay of the event loop", () =>
      seconds(delay.mean),
    );
    this.#gauge("nodejs_eventloop_lag_p99_seconds", "Delay of the event loop, 99th percentile", () =>
      seconds(delay.percentile(99)),
    );
    this.#gauge("nodejs_eventloop_lag_max_seconds", "Longest delay of the event loop", () => {
      const longest = seconds(delay.max);
      // The last to be read: what was told is not told again.
      delay.reset();
      return longest;
    });
  }

  /** All of them as they are now, in the text format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #gauge(name: string, help: string, read: () => number | Promise<number>): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      async collect() {
        this.set(await read());
      },
    });
  }

  #counter(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }
}

type LoopDelay = ReturnType<typeof monitorEventLoopDelay>;
let watched: LoopDelay | undefined;

/** One for the whole process: it goes on for as long as the process does. */
function loopDelay(): LoopDelay {
  if (watched === undefined) {
    watched = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
    watched.enable();
  }
  return watched;
}

/** What is measured is the time between two looks of the loop, so their regular distance is no delay. */
function seconds(nanos: number): number {
  const ms = nanos / NANOS_PER_MS - LOOP_RESOLUTION_MS;
  // Nothing was measured yet: no number, or one that is no time.
  return ms > 0 && Number.isFinite(ms) ? ms / MS_PER_SECOND : 0;
}

async function openDescriptors(): Promise<number> {
  const names = await readdir("/proc/self/fd").catch(() => []);
  return names.length;
}
