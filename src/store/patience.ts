// Waits for work that takes as long as it has to, and gives up on work that gets no further.

import { StoreFailure } from "./failure.ts";

/**
 * The end of `work`. `progress` is called by the work whenever it got further.
 * @throws StoreFailure `recovery_late` when that hasn't happened for `longestMs`
 */
export async function whileItProgresses(
  work: (progress: () => void) => Promise<void>,
  longestMs: number,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let lastMs = performance.now();
  const progress = (): void => {
    lastMs = performance.now();
  };
  const stalled = new Promise<never>((_, reject) => {
    const check = (): void => {
      const leftMs = lastMs + longestMs - performance.now();
      if (leftMs <= 0) reject(new StoreFailure("recovery_late"));
      else timer = setTimeout(check, leftMs).unref();
    };
    check();
  });
  try {
    await Promise.race([work(progress), stalled]);
  } finally {
    clearTimeout(timer);
  }
}
