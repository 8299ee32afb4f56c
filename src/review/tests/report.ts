// What came of the tests of a file. Plain values, fit for a terminal and for JSON.

/** One thing that a test expected and that came otherwise. */
export interface Mismatch {
  /** What was compared, as in the file: `status`, `headers.X-User-Id`. */
  readonly what: string;
  readonly expected: string;
  readonly actual: string;
}

/** What a request touched, for coverage. */
export interface Touched {
  readonly route: string;
  readonly method: string;
  /** `denied`: refused for its credential or its permissions; `other`: for another reason, such as a limit. */
  readonly outcome: "allowed" | "denied" | "other";
}

export interface TestResult {
  readonly name: string;
  /** Line of the test in its file. */
  readonly line: number;
  readonly ok: boolean;
  /** Empty when the test passed. */
  readonly mismatches: readonly Mismatch[];
  /** Why it came so, in a sentence; undefined when the test passed. */
  readonly why: string | undefined;
  /** Undefined when no route was found. */
  readonly touched: Touched | undefined;
}

/** The tests of one file. */
export interface TestReport {
  /** Path of the file as given. */
  readonly file: string;
  /** In the order of the file. */
  readonly results: readonly TestResult[];
  readonly failed: number;
}
