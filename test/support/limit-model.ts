// The limiter's script once more, in plain JavaScript: every counter a list of admissions or a level, every lease an
// entry. Slow and without tricks, so that it can be read against what the script promises.

const FORMS = { log: 0, bucket: 1 } as const;

/** A limit as the script is told of it. Times in microseconds. */
export interface ModelLimit {
  readonly key: string;
  readonly form: keyof typeof FORMS;
  readonly cap: number;
  /** Window and grain of a log; scale and drain of a bucket. */
  readonly first: number;
  readonly second: number;
  readonly observed?: boolean;
  readonly leased?: boolean;
}

export interface LeaseTerms {
  readonly id: string;
  readonly spent: number;
  readonly back: number;
  readonly want: number;
  readonly lasts: number;
  readonly part: number;
}

export interface ModelDemand {
  readonly limit: ModelLimit;
  readonly cost: number;
  readonly lease?: LeaseTerms;
  /** Ages of what is claimed, and of its last use. */
  readonly ages?: readonly [age: number, lastUse: number];
  /** When what is taken back was counted at the earliest; now unless said. */
  readonly since?: number;
}

export type ModelMode = "decide" | "charge" | "refund" | "lease" | "floor";

export interface ModelDecision {
  readonly mode: ModelMode;
  readonly demands: readonly ModelDemand[];
}

const MODES: Readonly<Record<ModelMode, number>> = {
  decide: 0,
  charge: 100,
  refund: 200,
  lease: 300,
  floor: 400,
};

/** Keys and arguments of one call. */
export function asCall(batch: readonly ModelDecision[]): { keys: string[]; args: (string | number)[] } {
  const keys: string[] = [];
  const args: (string | number)[] = [];
  for (const { mode, demands } of batch) {
    args.push(MODES[mode] + demands.length);
    for (const { limit, cost, lease, ages = [], since = 0 } of demands) {
      const { key, form, cap, first, second, observed = false, leased = false } = limit;
      keys.push(key);
      if (leased) keys.push(`${key}:leases`);
      args.push(FORMS[form] + (observed ? 2 : 0) + (leased ? 4 : 0), cap, first, second, cost);
      if (lease !== undefined) {
        args.push(lease.id, lease.spent, lease.back, lease.want, lease.lasts, lease.part);
      }
      if (mode === "refund") args.push(since);
      args.push(...ages);
    }
  }
  return { keys, args };
}

interface Counter {
  load(now: number): void;
  readonly used: number;
  add(units: number, at: number): void;
  /** Takes back what was counted at `since`, or later. */
  remove(units: number, since: number): void;
  reset(): number;
  wait(cost: number, cap: number): number;
  /** Makes sure that what counted at `at`, and was used at `till` at the latest, counts on. */
  floor(cost: number, held: number, at: number, till: number): void;
}

interface Group {
  at: number;
  units: number;
  /** When it was made, if it makes up for a loss. */
  made?: number;
}

class LogModel implements Counter {
  readonly #window: number;
  readonly #grain: number;
  // What has left the window goes with the next change, so a clock that is set back before then finds it again.
  #groups: Group[] = [];
  #now = 0;

  constructor(window: number, grain: number) {
    this.#window = window;
    this.#grain = grain;
  }

  load(now: number): void {
    this.#now = now;
    const ahead = (this.#groups.at(-1)?.at ?? now) - now;
    for (const group of ahead > 0 ? this.#groups : []) {
      group.at -= ahead;
      if (group.made !== undefined) group.made -= ahead;
    }
    const last = this.#groups.at(-1);
    if (last?.made !== undefined) last.made = Math.min(last.made, now);
  }

  get #live(): Group[] {
    return this.#groups.filter(({ at }) => at + this.#window > this.#now);
  }

  get used(): number {
    return this.#live.reduce((sum, { units }) => sum + units, 0);
  }

  add(units: number, at: number): void {
    if (at + this.#window <= this.#now) return;
    this.#groups = this.#live;
    const last = this.#groups.at(-1);
    const time = Math.max(at, last?.at ?? at, last?.made ?? at);
    if (last !== undefined && last.made === undefined && last.units + units <= this.#grain) {
      last.at = time;
      last.units += units;
    } else this.#groups.push({ at: time, units });
  }

  remove(units: number, since: number): void {
    if (since + this.#window <= this.#now) return;
    this.#groups = this.#live;
    const newest = this.#groups.at(-1)?.at;
    for (let left = units; left > 0; ) {
      const last = this.#groups.at(-1);
      if (last === undefined) return;
      const taken = Math.min(last.units, left);
      last.units -= taken;
      left -= taken;
      if (last.units === 0) this.#groups.pop();
    }
    const last = this.#groups.at(-1);
    if (last !== undefined && newest !== undefined) last.at = newest;
  }

  reset(): number {
    const last = this.#live.at(-1);
    return last === undefined ? 0 : last.at + this.#window - this.#now;
  }

  wait(cost: number, cap: number): number {
    let left = this.used;
    for (const { at, units } of this.#live) {
      left -= units;
      if (left + cost <= cap) return at + this.#window - this.#now;
    }
    return left === this.used ? this.#window : this.reset();
  }

  floor(cost: number, _held: number, at: number, till: number): void {
    const had = this.#groups.filter((one) => (one.made ?? one.at) <= at && one.at + this.#window > at);
    const missing = cost - had.reduce((sum, { units }) => sum + units, 0);
    if (missing <= 0 || till + this.#window <= this.#now) return;
    this.#groups = this.#live;
    const last = this.#groups.at(-1);
    const time = Math.max(till, last?.at ?? till);
    let units = missing;
    if (last?.made !== undefined && last.made > at) {
      units = Math.max(units, last.units);
      this.#groups.pop();
    }
    this.#groups.push({ at: time, units, made: this.#now });
  }
}

class BucketModel implements Counter {
  readonly #scale: bigint;
  readonly #drain: bigint;
  // As of the last change, or of the last time that the clock was found set back.
  #stored: { at: bigint; level: bigint } | undefined;
  #now = 0n;
  #level = 0n;
  // What more could have drained since that change, and what was added since the load as of an earlier time.
  #spare: bigint | undefined;
  #late = 0n;

  constructor(scale: number, drain: number) {
    this.#scale = BigInt(scale);
    this.#drain = BigInt(drain);
  }

  load(now: number): void {
    this.#now = BigInt(now);
    this.#late = 0n;
    this.#level = 0n;
    this.#spare = undefined;
    if (this.#stored === undefined) return;
    if (this.#stored.at > this.#now) this.#stored.at = this.#now;
    const left = this.#stored.level - (this.#now - this.#stored.at) * this.#drain;
    this.#level = most(left, 0n);
    this.#spare = most(-left, 0n);
  }

  get used(): number {
    return Number(up(this.#level, this.#scale));
  }

  add(units: number, time: number): void {
    const more = BigInt(units) * this.#scale;
    let drained = 0n;
    const past = this.#now - BigInt(time);
    if (past > 0n) {
      drained = past * this.#drain;
      if (this.#spare !== undefined && this.#spare < drained) drained = this.#spare;
      drained = most(0n, drained - this.#late);
      this.#late += more;
    }
    if (more > drained) this.#save(this.#level + more - drained);
  }

  remove(units: number, since: number): void {
    const less = BigInt(units) * this.#scale - most(0n, this.#now - BigInt(since)) * this.#drain;
    if (less > 0n) this.#save(most(0n, this.#level - less));
  }

  reset(): number {
    return Number(up(this.#level, this.#drain));
  }

  wait(cost: number, cap: number): number {
    return Number(up(this.#level + BigInt(cost - cap) * this.#scale, this.#drain));
  }

  floor(cost: number, held: number, _at: number, till: number): void {
    const level = BigInt(cost - held) * this.#scale - (this.#now - BigInt(till)) * this.#drain;
    if (level > this.#level) this.#save(level);
  }

  #save(level: bigint): void {
    this.#level = level;
    this.#stored = level === 0n ? undefined : { at: this.#now, level };
  }
}

function most(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

function up(value: bigint, by: bigint): bigint {
  return value <= 0n ? value / by : (value + by - 1n) / by;
}

interface LeaseModel {
  units: number;
  from: number;
  lasts: number;
}

/** All counters and leases. */
export class ScriptModel {
  readonly #counters = new Map<string, Counter>();
  readonly #leases = new Map<string, Map<string, LeaseModel>>();

  /** The answer to one call. */
  run(batch: readonly ModelDecision[], now: number): number[] {
    return [now, ...batch.flatMap((decision) => this.#decide(decision, now))];
  }

  /** Units that the leases of a counter hold. */
  held(key: string): number {
    return [...(this.#leases.get(key)?.values() ?? [])].reduce((sum, { units }) => sum + units, 0);
  }

  #decide({ mode, demands }: ModelDecision, now: number): number[] {
    const states = demands.map((demand) => {
      const { limit, cost, lease } = demand;
      const counter = this.#counterOf(limit);
      counter.load(now);
      const leases = this.#leasesOf(limit, now, counter);
      if (lease !== undefined) {
        const own = leases.get(lease.id)?.units ?? 0;
        const spent = Math.min(lease.spent, own);
        if (spent > 0) counter.add(spent, now);
        leases.set(lease.id, {
          units: Math.max(0, own - spent - lease.back),
          from: now,
          lasts: lease.lasts,
        });
      }
      const held = this.held(limit.key);
      return { demand, counter, leases, held, fits: counter.used + held + cost <= limit.cap };
    });
    const enforced = mode === "decide" || mode === "lease";
    const admitted = !enforced || states.every(({ fits, demand }) => fits || demand.limit.observed === true);
    const answer = [admitted ? 1 : 0];
    for (const { demand, counter, leases, held, fits } of states) {
      const { limit, cost, lease, ages: [age, lastUse] = [0, 0], since = now } = demand;
      if (mode === "charge" && cost > 0) counter.add(cost, now);
      if (mode === "refund") counter.remove(cost, since);
      if (mode === "floor") counter.floor(cost, held, now - age, now - lastUse);
      if (enforced && admitted && fits && cost > 0) counter.add(cost, now);
      let granted = 0;
      const own = lease && leases.get(lease.id);
      if (lease !== undefined && own !== undefined) {
        const free = Math.floor((limit.cap - counter.used - held) / lease.part);
        granted = admitted ? Math.max(0, Math.min(lease.want, free)) : 0;
        own.units += granted;
        if (own.units === 0) leases.delete(lease.id);
      }
      const retry = enforced && !fits ? Math.max(1, counter.wait(cost, limit.cap - held - granted)) : 0;
      answer.push(counter.used + held + granted, counter.reset(), retry);
      if (lease !== undefined) answer.push(granted);
    }
    return answer;
  }

  #counterOf({ key, form, first, second }: ModelLimit): Counter {
    let counter = this.#counters.get(key);
    if (counter === undefined) {
      counter = form === "log" ? new LogModel(first, second) : new BucketModel(first, second);
      this.#counters.set(key, counter);
    }
    return counter;
  }

  /** The leases that go on; those that are over count as spent at their end. */
  #leasesOf({ key, leased }: ModelLimit, now: number, counter: Counter): Map<string, LeaseModel> {
    if (leased !== true) return new Map();
    let leases = this.#leases.get(key);
    if (leases === undefined) {
      leases = new Map();
      this.#leases.set(key, leases);
    }
    for (const [id, lease] of leases) {
      lease.from = Math.min(lease.from, now);
      if (lease.from + lease.lasts > now) continue;
      leases.delete(id);
      counter.add(lease.units, lease.from + lease.lasts);
    }
    return leases;
  }
}
