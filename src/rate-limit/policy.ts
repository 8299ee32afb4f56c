// One limit as it stands in gateway.yaml, compiled.

/** Whose requests are counted together. */
export type LimitSubject =
  | { readonly by: "user" }
  | { readonly by: "key" }
  | {
      readonly by: "ip";
      /** Bits of an IPv6 network that counts as one client, 32 to 128; 64 unless said. */
      readonly ipv6Prefix?: number;
    }
  | { readonly by: "org" }
  | { readonly by: "route" }
  | { readonly by: "header"; readonly name: string }
  | { readonly by: "claim"; readonly path: readonly string[] };

/** A subject as the file writes it: `user`, `header:x-tenant`, `claim:org.id`. */
export function subjectText(subject: LimitSubject): string {
  if (subject.by === "header") return `header:${subject.name}`;
  return subject.by === "claim" ? `claim:${subject.path.join(".")}` : subject.by;
}

/** What happens to a request while the limiter's store can't answer. */
export type StoreFailurePolicy = "local" | "deny" | "allow";

export type LimitAlgorithm = "slidingWindow" | "slidingLog" | "tokenBucket";

/** How instances agree: on every request, or by slices of the limit that each spends by itself. */
export type LimitSync = "exact" | "leased";

/** What a limit has besides its rate. */
export interface LimitTraits {
  /** Counters are shared by all limits of one name; without `name` in the file it is made from the route. */
  readonly name: string;
  readonly subject: LimitSubject;
  /** Units that one request takes, 1 to `limit`; 0 for a limit that is only looked at. */
  readonly cost: number;
  readonly onStoreFailure: StoreFailurePolicy;
  /** `slidingWindow` unless said. */
  readonly algorithm?: LimitAlgorithm;
  /** Most units at one moment, `tokenBucket` only; the limit itself unless said. */
  readonly burst?: number;
  /** `exact` unless said. */
  readonly sync?: LimitSync;
  /** Counted and told, never enforced. */
  readonly observe?: boolean;
  /** Lower-case name of the upstream's response field that holds what the request really cost. */
  readonly costFrom?: string;
  /** Only looked at, for callers who were refused already: nothing is decided, so statistics leave it out. */
  readonly looked?: true;
}

export interface LimitPolicy extends LimitTraits {
  /**
   * Most units admitted in any trailing window; of a `tokenBucket` the units that come back in one window.
   * 0 admits nothing.
   */
  readonly limit: number;
  readonly windowMs: number;
}

/** The numbers of one tier. */
export interface TierRate {
  readonly limit: number;
  readonly windowMs: number;
}

/** A limit whose numbers depend on the caller's tier. */
export interface TieredLimit extends LimitTraits {
  /** By tier; `undefined` is no limit. Callers whose tier isn't listed are told by `tierOf`. */
  readonly tiers: ReadonlyMap<string, TierRate | undefined>;
}

/** Limits that belong to API keys: they count wherever the key is used. */
export interface KeyedLimits {
  /** By id of the key. */
  readonly byKey: ReadonlyMap<string, readonly LimitPolicy[]>;
}

/** A limit as the file gives it to a route. */
export type FileLimit = LimitPolicy | TieredLimit;

/** A limit of a route before it is known who calls. */
export type RouteLimit = FileLimit | KeyedLimits;

export function isTiered(limit: RouteLimit): limit is TieredLimit {
  return "tiers" in limit;
}

export function isKeyed(limit: RouteLimit): limit is KeyedLimits {
  return "byKey" in limit;
}

/**
 * What a refused caller is charged: the limits that need no principal, or else all of them at cost 0, so that their state
 * is told. Limits of keys concern only those who were let in. A tier that admits nothing charges nothing: it would answer
 * for good that the caller has to wait, and never what is wrong with his credentials.
 */
export function refusalLimits(limits: readonly RouteLimit[]): readonly RouteLimit[] {
  const own = limits.filter((limit): limit is LimitPolicy | TieredLimit => !isKeyed(limit));
  const byAddress = own.filter(({ subject }) => subject.by === "ip" || subject.by === "route");
  return byAddress.length > 0
    ? byAddress.map(withoutClosedTiers)
    : own.map((limit) => ({ ...limit, cost: 0, looked: true }));
}

function withoutClosedTiers(limit: FileLimit): FileLimit {
  if (!isTiered(limit)) return limit;
  const tiers = [...limit.tiers].map(([tier, rate]) => [tier, rate?.limit === 0 ? undefined : rate] as const);
  return { ...limit, tiers: new Map(tiers) };
}

/** Tier of callers without a credential, and of everybody whose own tier and `USER_TIER` have no numbers. */
export const GUEST_TIER = "guest";
/** Tier of callers with a credential that names no tier. */
export const USER_TIER = "user";

/** Whether a request takes something from this limit; else it is only looked at. */
export function isCharged(limit: RouteLimit): boolean {
  return !isKeyed(limit) && limit.cost > 0;
}

/** Lower-case names of the fields in which upstreams tell what requests cost; they are no business of the client's. */
export function costFields(limits: readonly FileLimit[]): readonly string[] {
  return [...new Set(limits.flatMap(({ costFrom }) => costFrom ?? []))];
}
