// Why somebody may pass who might not have passed before.

/** One reason, as the end of a sentence about who passes. */
export interface Reason {
  readonly text: string;
  /** False when it only can't be ruled out. */
  readonly certain: boolean;
}

export function surely(text: string): Reason {
  return { text, certain: true };
}

export function possibly(text: string): Reason {
  return { text, certain: false };
}
