// Finds the patterns behind many paths: segments that look like ids, and places where too many different ones stand.

import { Observations } from "./observations.ts";

// Different names at one place of the path from which on they are taken for values.
const MOST_NAMES = 20;
const MOST_DEPTH = 32;
export const PARAMETER = ":id";

const NUMBER = /^\d+$/;
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
// Hashes, ULIDs, object ids and the like: long, and letters and digits mixed.
const HASH = /^(?=.*\d)[0-9a-z_-]{16,}$/i;

interface Node {
  /** So many names stood here that they are values. */
  values: boolean;
  readonly children: Map<string, Node>;
  /** By method. */
  readonly seen: Map<string, Observations>;
}

/** One pattern with what was seen of each method. */
export interface SeenPattern {
  /** Such as `/modules/:id`. */
  readonly pattern: string;
  readonly methods: ReadonlyMap<string, Observations>;
}

/** A tree of path segments that never holds more than twenty names at one place. */
export class PathTree {
  readonly #root = node();

  /** What was seen of such requests; undefined for a path that is too deep to be a pattern. */
  at(method: string, path: string): Observations | undefined {
    const pieces = path === "/" ? [] : path.slice(1).replace(/\/$/, "").split("/");
    if (pieces.length > MOST_DEPTH) return undefined;
    let at = this.#root;
    for (const piece of pieces) at = child(at, looksLikeId(piece) ? PARAMETER : piece);
    let seen = at.seen.get(method);
    if (seen === undefined) {
      seen = new Observations();
      at.seen.set(method, seen);
    }
    return seen;
  }

  /** Every pattern, in the order of the paths. */
  patterns(): readonly SeenPattern[] {
    const found: SeenPattern[] = [];
    const visit = ({ children, seen }: Node, pieces: readonly string[]): void => {
      if (seen.size > 0) found.push({ pattern: `/${numbered(pieces).join("/")}`, methods: seen });
      for (const [piece, next] of [...children].sort(([a], [b]) => (a < b ? -1 : 1)))
        visit(next, [...pieces, piece]);
    };
    visit(this.#root, []);
    return found;
  }
}

function node(): Node {
  return { values: false, children: new Map(), seen: new Map() };
}

function child(parent: Node, piece: string): Node {
  const known = parent.children.get(piece);
  if (known !== undefined) return known;
  if (!parent.values && piece !== PARAMETER) {
    const names = parent.children.size - (parent.children.has(PARAMETER) ? 1 : 0);
    if (names >= MOST_NAMES) takeForValues(parent);
  }
  const place = parent.values ? PARAMETER : piece;
  const made = parent.children.get(place) ?? node();
  parent.children.set(place, made);
  return made;
}

/** Joins everything below the names of one place. */
function takeForValues(parent: Node): void {
  const joined = parent.children.get(PARAMETER) ?? node();
  for (const [name, one] of parent.children) if (name !== PARAMETER) mergeInto(joined, one);
  parent.values = true;
  parent.children.clear();
  parent.children.set(PARAMETER, joined);
}

function mergeInto(target: Node, source: Node): void {
  for (const [method, seen] of source.seen) {
    const known = target.seen.get(method);
    if (known === undefined) target.seen.set(method, seen);
    else known.merge(seen);
  }
  for (const [piece, one] of source.children) mergeInto(child(target, piece), one);
}

function looksLikeId(piece: string): boolean {
  return NUMBER.test(piece) || UUID.test(piece) || HASH.test(piece);
}

/** Parameters of one pattern need names of their own: `:id`, `:id2`. */
function numbered(pieces: readonly string[]): readonly string[] {
  let number = 0;
  return pieces.map((piece) => {
    if (piece !== PARAMETER) return piece;
    number++;
    return number === 1 ? PARAMETER : `${PARAMETER}${number}`;
  });
}
