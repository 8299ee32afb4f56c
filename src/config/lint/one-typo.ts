// Finds, among thousands of words, those that are one slip of the fingers away: a letter missing, added, replaced, or
// swapped with its neighbour.

import { editDistance } from "../suggest.ts";

const LONGEST = 64;

/** Words by what is left of them when a letter is taken out: words at one slip have one of these in common. */
export class OneTypoIndex {
  readonly #words = new Map<string, string[]>();

  add(word: string): void {
    if (word.length > LONGEST) return;
    for (const form of formsOf(word)) {
      const words = this.#words.get(form);
      if (words === undefined) this.#words.set(form, [word]);
      else words.push(word);
    }
  }

  /** Words other than `word` at one slip from it, the first added first. */
  near(word: string): readonly string[] {
    if (word.length > LONGEST) return [];
    const found = new Set<string>();
    for (const form of formsOf(word))
      for (const other of this.#words.get(form) ?? [])
        if (other !== word && editDistance(word, other) === 1) found.add(other);
    return [...found];
  }
}

function formsOf(word: string): ReadonlySet<string> {
  const forms = new Set([word]);
  for (let at = 0; at < word.length; at++) forms.add(word.slice(0, at) + word.slice(at + 1));
  return forms;
}
