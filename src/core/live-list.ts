// Things that are alive right now, many and short-lived. A Set would do the same, but its table is replaced again and
// again, each old table points to the next one, and what stood in it is kept from the young collections of the garbage
// collector: with a request in it, that is most of all memory that requests ever used.

/** A member of a list; it is in one list at the most. */
export interface Listed {
  /** Where it stands; -1 when it stands nowhere. Only the list writes it. */
  slot: number;
}

export class LiveList<T extends Listed> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  add(item: T): void {
    if (item.slot !== -1) return;
    item.slot = this.#items.length;
    this.#items.push(item);
  }

  /** Takes the item out, if it is in; the order of the others may change. */
  remove(item: T): void {
    const { slot } = item;
    if (slot === -1) return;
    const last = this.#items.pop();
    if (last !== undefined && last !== item) {
      this.#items[slot] = last;
      last.slot = slot;
    }
    item.slot = -1;
  }

  /** The members of this moment; adding and removing meanwhile is fine. */
  snapshot(): readonly T[] {
    return this.#items.slice();
  }
}
