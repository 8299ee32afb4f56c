// Divides all request paths into classes within which neither of two files makes a difference: every literal that one of
// them knows at a place, and whatever else may stand there.

import { decodeSegment } from "../../core/request-target.ts";
import type { RouteMatch } from "../../routing/policy.ts";

/** Paths that both files treat alike. */
export interface PathClass<T> {
  /** One of them, in canonical form. */
  readonly path: string;
  /** Its segments where every path of the class has the same; undefined where they differ. */
  readonly segments: readonly (string | undefined)[];
  /** What may match them, whatever the rest of the request is. */
  readonly old: readonly T[];
  readonly new: readonly T[];
}

interface Node<T> {
  /** By value, in lower case where case doesn't matter. */
  readonly literals: Map<string, Node<T>>;
  parameter: Node<T> | undefined;
  readonly end: T[];
  readonly slash: T[];
  readonly rest: T[];
}

/** The patterns of one file. */
export class PathTree<T> {
  readonly root: Node<T> = node();
  readonly caseSensitive: boolean;

  constructor(entries: Iterable<readonly [match: RouteMatch, value: T]>, caseSensitive: boolean) {
    this.caseSensitive = caseSensitive;
    for (const [match, value] of entries) this.#insert(match, value);
  }

  /** Tells `path` apart from others, though no pattern names it. @param path canonical */
  mark(path: string): void {
    let at = this.root;
    for (const segment of path.slice(1).split("/")) {
      const key = this.keyOf(decodeSegment(segment));
      const next = at.literals.get(key) ?? node<T>();
      at.literals.set(key, next);
      at = next;
    }
  }

  #insert(match: RouteMatch, value: T): void {
    let at = this.root;
    for (const segment of match.segments) {
      if (segment.kind === "parameter") {
        at.parameter ??= node();
        at = at.parameter;
        continue;
      }
      const key = this.keyOf(segment.value);
      const next = at.literals.get(key) ?? node<T>();
      at.literals.set(key, next);
      at = next;
    }
    at[match.wildcard ? "rest" : match.trailingSlash ? "slash" : "end"].push(value);
  }

  keyOf(value: string): string {
    return this.caseSensitive ? value : value.toLowerCase();
  }
}

function node<T>(): Node<T> {
  return { literals: new Map(), parameter: undefined, end: [], slash: [], rest: [] };
}

export interface ClassOptions<T> {
  readonly old: PathTree<T>;
  readonly new: PathTree<T>;
  /** Whether both files take paths with empty segments as they are (`paths.duplicateSlash: keep`). */
  readonly emptySegments: boolean;
  /** Takes a class; false ends the walk. */
  readonly visit: (one: PathClass<T>) => boolean;
}

/** Visits a class for every path that anything may match. Returns false when the visitor ended it. */
export function visitPathClasses<T>(options: ClassOptions<T>): boolean {
  const start: Walk<T> = {
    old: [options.old.root],
    new: [options.new.root],
    oldRest: [],
    newRest: [],
    path: "",
    segments: [],
  };
  return new ClassWalk(options).from(start);
}

interface Walk<T> {
  /** The nodes of each file at which the path may be. */
  readonly old: readonly Node<T>[];
  readonly new: readonly Node<T>[];
  /** Patterns passed on the way that take any rest. */
  readonly oldRest: readonly T[];
  readonly newRest: readonly T[];
  readonly path: string;
  readonly segments: readonly (string | undefined)[];
}

/** What may stand at one place of the path. */
interface Step {
  /** Such a value. */
  readonly value: string;
  /** Whether it is the only one. */
  readonly exact: boolean;
}

class ClassWalk<T> {
  readonly #options: ClassOptions<T>;

  constructor(options: ClassOptions<T>) {
    this.#options = options;
  }

  from(walk: Walk<T>): boolean {
    const here = {
      oldRest: [...walk.oldRest, ...walk.old.flatMap(({ rest }) => rest)],
      newRest: [...walk.newRest, ...walk.new.flatMap(({ rest }) => rest)],
    };
    const ends = {
      old: [...walk.old.flatMap(({ end }) => end), ...here.oldRest],
      new: [...walk.new.flatMap(({ end }) => end), ...here.newRest],
    };
    const { segments } = walk;
    if (!this.#visit({ path: walk.path === "" ? "/" : walk.path, segments, ...ends })) return false;
    const slashed = {
      old: walk.old.flatMap(({ slash }) => slash),
      new: walk.new.flatMap(({ slash }) => slash),
    };
    // Without a pattern that ends in a slash, one behind the path makes no difference.
    if (segments.length > 0 && slashed.old.length + slashed.new.length > 0) {
      const both = { old: [...slashed.old, ...ends.old], new: [...slashed.new, ...ends.new] };
      if (!this.#visit({ path: `${walk.path}/`, segments, ...both })) return false;
    }
    return this.#steps(walk).every((step) => this.#take({ ...walk, ...here }, step));
  }

  #take(walk: Walk<T>, { value, exact }: Step): boolean {
    const { old, new: next } = this.#options;
    const after: Walk<T> = {
      ...walk,
      old: nodesAfter(walk.old, old.keyOf(value)),
      new: nodesAfter(walk.new, next.keyOf(value)),
      path: `${walk.path}/${encodeURIComponent(value)}`,
      segments: [...walk.segments, exact ? value : undefined],
    };
    if (after.old.length > 0 || after.new.length > 0) return this.from(after);
    // From here on only what takes any rest can match, whatever follows.
    return this.#visit({
      path: after.path,
      segments: after.segments,
      old: walk.oldRest,
      new: walk.newRest,
    });
  }

  #visit(one: PathClass<T>): boolean {
    return (one.old.length === 0 && one.new.length === 0) || this.#options.visit(one);
  }

  #steps(walk: Walk<T>): readonly Step[] {
    const { old, new: next, emptySegments } = this.#options;
    const known = {
      old: new Set(walk.old.flatMap(({ literals }) => [...literals.keys()])),
      new: new Set(walk.new.flatMap(({ literals }) => [...literals.keys()])),
    };
    const steps: Step[] = [];
    const spellings = new Map<string, Set<string>>();
    for (const [tree, values] of [[old, known.old] as const, [next, known.new] as const]) {
      for (const value of values) {
        const folded = old.caseSensitive && next.caseSensitive ? value : value.toLowerCase();
        const exact = spellings.get(folded) ?? new Set();
        spellings.set(folded, exact);
        if (tree.caseSensitive) exact.add(value);
      }
    }
    for (const [folded, exact] of spellings) {
      if (folded === "" && !emptySegments) continue;
      for (const value of exact) steps.push({ value, exact: true });
      const both = old.caseSensitive && next.caseSensitive;
      const variant = both ? undefined : otherSpelling(folded, exact);
      if (variant !== undefined) steps.push({ value: variant, exact: false });
    }
    if (emptySegments && !spellings.has("")) steps.push({ value: "", exact: true });
    steps.push({ value: unusedWord((word) => spellings.has(word)), exact: false });
    return steps;
  }
}

/** A parameter takes everything but an empty segment. */
function nodesAfter<T>(nodes: readonly Node<T>[], key: string): readonly Node<T>[] {
  return nodes.flatMap(({ literals, parameter }) => {
    const literal = literals.get(key);
    const found = literal === undefined ? [] : [literal];
    return parameter === undefined || key === "" ? found : [...found, parameter];
  });
}

/** A spelling of `folded` in other letter case that is none of `taken`; undefined when there is none. */
function otherSpelling(folded: string, taken: ReadonlySet<string>): string | undefined {
  if (!taken.has(folded)) return folded;
  const letters = [...folded];
  for (const [index, letter] of letters.entries()) {
    const spelling = letters.with(index, letter.toUpperCase()).join("");
    if (!taken.has(spelling) && spelling.toLowerCase() === folded) return spelling;
  }
  const upper = folded.toUpperCase();
  return !taken.has(upper) && upper.toLowerCase() === folded ? upper : undefined;
}

/** A word in lower case that isn't known. */
export function unusedWord(isKnown: (word: string) => boolean, base = "any"): string {
  for (let number = 0; ; number++) {
    const word = number === 0 ? base : `${base}${number}`;
    if (!isKnown(word)) return word;
  }
}
