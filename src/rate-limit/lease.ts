// A slice of a limit that this process took from the shared counter, and spends by itself until it ends.

/**
 * One lease. Times are steady microseconds of this process. What the store lent counts there, as a whole and until it is
 * settled, so that nothing spent from it is ever missing from the counter.
 */
export class Lease {
  /** Names the lease in the store; a new one for each, so that an answer about an older one changes nothing. */
  readonly id: string;
  /** Units that may still be spent. */
  budget = 0;
  /** Units spent and not yet told to the store. */
  spent = 0;
  /** Units that the store was told of and has to take back, once it is certain that it counted them. */
  owed = 0;
  /** Store's time before which none of it was told, microseconds. */
  owedSince = 0;
  /** Store's time of its last answer about this lease, microseconds. */
  answeredAt = 0;
  /** From here on nothing may be spent; 0 for a lease that holds nothing. */
  endsAt = 0;
  /** Units that counted over all instances by the last answer, with all that was lent. */
  counted = 0;
  /** A call that asks for the next slice is under way. */
  asking = false;
  /** Calls about this lease that are under way. */
  calls = 0;
  /** When to renew or give back. */
  dueAt = 0;
  #lowWater = 0;
  // The most that a limit under which it was lent admits.
  #cap = 0;
  // How often the store was told.
  #settled = 0;
  // Use since a moment not long ago, from which the size of the next slice follows.
  #used = 0;
  #since: number;

  constructor(id: string, now: number) {
    this.id = id;
    this.#since = now;
  }

  isOver(now: number): boolean {
    return this.endsAt <= now;
  }

  /**
   * Whether it is open what the store still holds of this lease: it ended while calls about it are under way, so it may
   * have ended there before they ran, and all of it been counted as spent. Nothing may be told of it any more.
   */
  isDoubtful(now: number): boolean {
    return this.calls > 0 && this.endsAt > 0 && this.isOver(now);
  }

  /**
   * Whether `cost` units can be spent at `now` under a limit of `cap`. What was lent under a wider one, of another tier,
   * may lie beyond all that this one admits.
   */
  covers(cost: number, cap: number, now: number): boolean {
    return this.budget >= cost && now < this.endsAt && cap >= this.#cap;
  }

  /** Spends `cost` units; by what is returned they can be taken back. */
  spend(cost: number): number {
    this.budget -= cost;
    this.spent += cost;
    this.#used += cost;
    return this.#settled;
  }

  /**
   * Takes back what was spent for a request that another limit refused. What the store was told of meanwhile is owed: if
   * it were spent once more, the store would forget it as long after the first time.
   */
  unspend(cost: number, settled: number, knownAt: number): void {
    this.#used -= cost;
    if (settled === this.#settled) {
      this.budget += cost;
      this.spent -= cost;
    } else {
      this.owedSince = this.owed === 0 ? knownAt : Math.min(this.owedSince, knownAt);
      this.owed += cost;
    }
  }

  /** Notes units that were counted in the store directly, for this process. */
  noteUse(cost: number): void {
    this.#used += cost;
  }

  /** Whether the slice is nearly used up, so that the next one should be asked for. */
  get isLow(): boolean {
    return this.budget <= this.#lowWater;
  }

  /** Units spent since the store was told last. What is spent from now on is told next time. */
  tell(): number {
    const { spent } = this;
    this.spent = 0;
    this.#settled++;
    return spent;
  }

  /**
   * Units that will be spent in `micros` at the rate of late, and some more; 0 for a caller that hardly comes, so that its
   * limit lies where all instances can take from it.
   */
  forecast(now: number, micros: number): number {
    const used = this.#used;
    // A short look overstates a burst, and sees no more than one of the requests that come one after the other: a quarter
    // of the lease is the shortest that counts.
    const shortest = micros / 4;
    const over = now - this.#since;
    if (over >= shortest) {
      this.#used = 0;
      this.#since = now;
    }
    return used < 2 ? 0 : Math.ceil((used / Math.max(over, shortest)) * micros * 1.25);
  }

  /** Keeps at most `most` units; what is left is to be given back. */
  giveBack(most = 0): number {
    const back = Math.max(0, this.budget - most);
    this.budget -= back;
    return back;
  }

  /** Ends a lease that is over; what is left is to be given back. */
  end(): number {
    this.endsAt = 0;
    this.#cap = 0;
    return this.giveBack();
  }

  /** Adds what the store granted under a limit of `cap` when it was asked at `since`; `counted` is what counts there. */
  extend(granted: number, counted: number, cap: number, since: number, micros: number): void {
    this.#cap = Math.max(this.#cap, cap);
    this.budget += granted;
    this.counted = counted;
    // Counted from before the question, so that it ends here before it does there.
    this.endsAt = since + micros;
    this.dueAt = since + micros / 2;
    this.#lowWater = Math.floor(this.budget / 4);
  }
}
