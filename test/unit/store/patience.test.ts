import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { whileItProgresses } from "../../../src/store/patience.ts";

beforeEach(() => void vi.useFakeTimers());

afterEach(() => void vi.useRealTimers());

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test("work that gets further is waited for, however long it takes", async () => {
  const ended = vi.fn();
  const work = whileItProgresses(async (progress) => {
    for (let step = 0; step < 100; step++) {
      await sleep(900);
      progress();
    }
  }, 1_000).then(ended);
  await vi.advanceTimersByTimeAsync(89_999);
  expect(ended).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  await work;
  expect(vi.getTimerCount()).toBe(0);
});

test("work that gets no further is given up", async () => {
  const failed = vi.fn();
  void whileItProgresses(async (progress) => {
    await sleep(500);
    progress();
    await sleep(60_000);
  }, 1_000).catch(failed);
  await vi.advanceTimersByTimeAsync(1_499);
  expect(failed).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(2);
  expect(failed).toHaveBeenCalledWith(expect.objectContaining({ reason: "recovery_late" }));
});

test("what fails fails at once", async () => {
  const work = whileItProgresses(() => Promise.reject(new Error("canary")), 1_000);
  await expect(work).rejects.toThrow("canary");
  expect(vi.getTimerCount()).toBe(0);
});
