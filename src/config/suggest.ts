// Did-you-mean: the valid word that is nearest to a mistyped one.

/** The nearest of `valid` by edit distance (a swap of neighbours counts once); undefined when none is near enough. */
export function nearest(word: string, valid: Iterable<string>): string | undefined {
  if (word.length > 64) return undefined;
  const typed = word.toLowerCase();
  const most = Math.max(1, Math.floor((word.length + 1) / 3));
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of valid) {
    const distance = editDistance(typed, candidate.toLowerCase());
    const near = distance <= most || isPart(typed, candidate.toLowerCase());
    if (near && distance < least) {
      best = candidate;
      least = distance;
    }
  }
  return best;
}

/** `timeout` for `requestTimeout`, `ratelimits` for `limits`. */
function isPart(typed: string, candidate: string): boolean {
  const [short, long] = typed.length < candidate.length ? [typed, candidate] : [candidate, typed];
  return short.length >= 3 && (long.startsWith(short) || (short.length >= 4 && long.endsWith(short)));
}

/** Damerau-Levenshtein distance with adjacent swaps (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let value = Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + cost);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) value = Math.min(value, (before[j - 2] ?? 0) + 1);
      next.push(value);
    }
    before = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
