// The promise of `gatewarden diff`: where it says that access doesn't widen, no request is let in that wasn't. Pairs of files
// and requests are tried against the decision that the gateway makes.

import fc from "fast-check";
import { expect, test } from "vitest";
import { type Comparison, compareConfigs, isWider, type RouteChange } from "../../src/review/diff/compare.ts";
import {
  aimed,
  closePair,
  compileModel,
  Decider,
  type FileModel,
  farPair,
  NOW_MS,
  type RequestModel,
  requestModel,
} from "../support/diff-models.ts";

const SUBSETS = [
  { key: false, token: false },
  { key: true, token: false },
  { key: false, token: true },
  { key: true, token: true },
] as const;

/** Whether some of the caller's credentials are enough. */
async function lets(decider: Decider, request: RequestModel) {
  let line: number | undefined;
  for (const sent of SUBSETS) {
    if (sent.key && request.key === undefined) continue;
    if (sent.token && request.token === undefined) continue;
    const decision = await decider.decide(request, sent);
    line ??= decision.route?.line;
    // A preflight is answered by both alike, or by one of them in place of the upstream.
    if (decision.kind !== "refuse") return { in: true, line, kind: decision.kind };
  }
  return { in: false, line, kind: "refuse" };
}

function tells(
  comparison: Comparison,
  method: string,
  old: number | undefined,
  next: number | undefined,
): boolean {
  const { routes, paths, incomplete } = comparison;
  const isIt = (change: RouteChange): boolean =>
    isWider(change.access) &&
    change.old?.route.line === old &&
    change.new?.route.line === next &&
    (change.otherMethods || change.methods.includes(method));
  // Paths that the old file refused in any form are told once for all routes.
  return incomplete !== undefined || routes.some(isIt) || (old === undefined && paths.length > 0);
}

interface Seen {
  requests: number;
  letIn: number;
  gained: number;
  /** Pairs of which it is said that access doesn't widen. */
  notWider: number;
}

async function holdsFor(
  [old, next]: readonly [FileModel, FileModel],
  requests: readonly RequestModel[],
  seen: Seen,
): Promise<void> {
  const [oldConfig, newConfig] = [await compileModel(old), await compileModel(next)];
  if (oldConfig === undefined || newConfig === undefined) return;
  const comparison = compareConfigs(oldConfig, newConfig, NOW_MS);
  const [before, after] = [new Decider(oldConfig), new Decider(newConfig)];
  if (!isWider(comparison.access)) seen.notWider += 1;
  for (const model of requests) {
    const request = aimed(model, next);
    seen.requests += 1;
    const now = await lets(after, request);
    if (now.kind !== "forward") continue;
    seen.letIn += 1;
    const then = await lets(before, request);
    if (then.in) continue;
    seen.gained += 1;
    const told = tells(comparison, request.method, then.line, now.line);
    expect(told, JSON.stringify({ request, then, now, access: comparison.access })).toBe(true);
  }
}

test.each([
  ["in files of several routes", farPair, 600, 30],
  ["where one thing changes", closePair, 2_000, 15],
] as const)(
  "what is let in and wasn't is told as wider, for its route and method, %s",
  async (_, pairs, numRuns, each) => {
    const seen: Seen = { requests: 0, letIn: 0, gained: 0, notWider: 0 };
    const requests = fc.array(requestModel, { minLength: each, maxLength: each });
    await fc.assert(
      fc.asyncProperty(pairs, requests, (pair, asked) => holdsFor(pair, asked, seen)),
      { numRuns },
    );
    // Far below what any draw of so many gives, so that only generators that no longer meet anything fall short.
    expect(seen.requests).toBeGreaterThan(10_000);
    expect(seen.letIn).toBeGreaterThan(1_500);
    expect(seen.gained).toBeGreaterThan(50);
    expect(seen.notWider).toBeGreaterThan(100);
  },
  60_000,
);
