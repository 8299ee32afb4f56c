// One route condition set, compiled from `match`. A `match` with several patterns gives several of these.

export type PathSegment =
  | { readonly kind: "literal"; readonly value: string }
  | { readonly kind: "parameter"; readonly name: string };

export interface ValueCondition {
  /** Header name in lower case, or query parameter name. */
  readonly name: string;
  /** Exact value, or undefined when mere presence is asked for. */
  readonly value: string | undefined;
}

export interface RouteMatch {
  /** As written in the file. */
  readonly text: string;
  readonly segments: readonly PathSegment[];
  /** The pattern ends in `/*`: any rest, also none. */
  readonly wildcard: boolean;
  /** The pattern ends in a slash of its own (and isn't `/`): then the request must too. */
  readonly trailingSlash: boolean;
  /** Upper case; empty: any method. */
  readonly methods: readonly string[];
  /** Exact host names in lower case or `*.example.com`; empty: any host. */
  readonly hosts: readonly string[];
  readonly headers: readonly ValueCondition[];
  readonly query: readonly ValueCondition[];
}
