// One limit as it stands in gateway.yaml, compiled.

/** Whose requests are counted together. */
export type LimitSubject =
  | { readonly by: "user" }
  | { readonly by: "key" }
  | { readonly by: "ip" }
  | { readonly by: "org" }
  | { readonly by: "route" }
  | { readonly by: "header"; readonly name: string }
  | { readonly by: "claim"; readonly path: readonly string[] };

/** What happens to a request while the limiter's store can't answer. */
export type StoreFailurePolicy = "local" | "deny" | "allow";

export interface LimitPolicy {
  /** Counters are shared by all limits of one name; without `name` in the file it is made from the route. */
  readonly name: string;
  /** Most requests (cost units) admitted in any trailing window. At least 1. */
  readonly limit: number;
  readonly windowMs: number;
  readonly subject: LimitSubject;
  /** Units that one request takes, 1 to `limit`; 0 for a limit that is only looked at. */
  readonly cost: number;
  readonly onStoreFailure: StoreFailurePolicy;
}
