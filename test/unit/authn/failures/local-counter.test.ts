import fc from "fast-check";
import { expect, test } from "vitest";
import { LocalFailureCounter } from "../../../../src/authn/failures/local-counter.ts";

const WINDOW_MS = 1_600;

test("a failure is counted for the window, and for a sixteenth of it longer at the most", () => {
  const gaps = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 300 }), fc.constant(3_000)), {
    minLength: 1,
    maxLength: 200,
  });
  fc.assert(
    fc.property(gaps, fc.integer({ min: 0, max: 1e9 }), (list, start) => {
      let now = start;
      const counter = new LocalFailureCounter(WINDOW_MS, { steadyMs: () => now });
      const times: number[] = [];
      for (const gap of list) {
        now += gap;
        times.push(now);
        const counted = counter.count("address", "a");
        const within = (ms: number): number => times.filter((time) => time > now - ms).length;
        expect(counted).toBeGreaterThanOrEqual(within(WINDOW_MS));
        expect(counted).toBeLessThanOrEqual(within(WINDOW_MS + WINDOW_MS / 16));
      }
    }),
  );
});

test("ids and dimensions don't share counts", () => {
  const counter = new LocalFailureCounter(WINDOW_MS, { steadyMs: () => 5 });
  expect(counter.count("address", "a")).toBe(1);
  expect(counter.count("address", "a")).toBe(2);
  expect(counter.count("address", "b")).toBe(1);
  expect(counter.count("credential", "a")).toBe(1);
});

test("a flood of ids is bounded, and who failed last is still known", () => {
  let now = 0;
  const counter = new LocalFailureCounter(WINDOW_MS, { steadyMs: () => now }, 100);
  for (let index = 0; index < 10_000; index++) {
    now += 0.01;
    counter.count("address", `flood-${index}`);
    // One that goes on failing is not displaced by those that fail once.
    if (index % 40 === 0) expect(counter.count("address", "steady")).toBe(index / 40 + 1);
  }
  expect(counter.size).toBeLessThanOrEqual(100);
});
