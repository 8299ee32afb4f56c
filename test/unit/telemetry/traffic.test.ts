import { describe, expect, test } from "vitest";
import { NO_ROUTE, TrafficStats } from "../../../src/telemetry/traffic.ts";

interface Route {
  readonly name: string;
  readonly upstream: string;
}

function routes(...names: string[]): Route[] {
  return names.map((name) => ({ name, upstream: "app" }));
}

/** Puts a configuration with these routes in force; where each is counted. */
function apply(stats: TrafficStats, list: readonly Route[]) {
  const counted = stats.of(list);
  stats.adopt(counted.values());
  return (name: string) => {
    const found = [...counted].find(([route]) => route.name === name)?.[1];
    if (found === undefined) throw new Error(name);
    return found;
  };
}

const names = (stats: TrafficStats): string[] => Array.from(stats.routes(), ({ name }) => name);

describe("statuses and methods", () => {
  test("have a series each when they are known, and share one when they are made up", () => {
    const stats = new TrafficStats();
    const { route } = apply(stats, routes("a"))("a");
    for (const status of [200, 200, 418, 499, 299, 288, 207, 599, 598]) route.ended("GET", status, 1);
    for (const method of ["POST", "PURGE", "get", "__proto__", "constructor"]) route.ended(method, 200, 1);
    expect(Array.from(route.requests, ({ method, status, count }) => [method, status, count])).toEqual([
      ["GET", "200", 2],
      ["GET", "418", 1],
      ["GET", "499", 1],
      ["GET", "2xx", 2],
      ["GET", "207", 1],
      ["GET", "5xx", 2],
      ["POST", "200", 1],
      ["OTHER", "200", 4],
    ]);
  });

  test("of any number and spelling stay within a bound", () => {
    const stats = new TrafficStats();
    for (let status = 100; status < 600; status++)
      for (const method of ["GET", "PUT", `M${status}`]) stats.unmatched.ended(method, status, 1);
    const found = [...stats.unmatched.requests];
    expect(found.length).toBeLessThan(3 * 75);
    expect(found.reduce((sum, { count }) => sum + count, 0)).toBe(1_500);
    expect(names(stats)).toEqual([NO_ROUTE]);
  });
});

describe("a reload", () => {
  test("lets routes and upstreams of the same name go on", () => {
    const stats = new TrafficStats();
    const first = apply(stats, routes("a", "b"));
    first("a").route.ended("GET", 200, 1);
    first("a").upstream.requests += 1;
    const second = apply(stats, routes("a", "c"));
    expect(second("a")).toEqual(first("a"));
    expect(second("a").route).toBe(first("a").route);
    expect(second("c").upstream).toBe(first("b").upstream);
    // A request that came before it is counted where it began.
    first("b").route.ended("GET", 200, 1);
    expect(names(stats)).toEqual(["b", "a"]);
  });

  test("that isn't taken leaves nothing", () => {
    const stats = new TrafficStats();
    apply(stats, routes("a"))("a").route.forwarded += 1;
    for (const { route } of stats.of(routes("x", "y")).values()) route.forwarded += 1;
    expect(names(stats)).toEqual(["a"]);
  });

  test("after reload keeps those in force, and of those that are gone the last thousand", () => {
    const stats = new TrafficStats();
    apply(stats, routes("stays"))("stays").route.forwarded += 1;
    for (let n = 0; n < 30; n++) {
      const list = routes("stays", ...Array.from({ length: 100 }, (_, index) => `${n}/${index}`));
      for (const { name, upstream } of list) apply(stats, list)(name).route.forwarded += upstream.length;
    }
    const kept = names(stats);
    expect(kept.length).toBeLessThanOrEqual(1_000 + 101);
    expect(kept).toContain("stays");
    expect(kept).toContain("29/0");
    expect(kept).not.toContain("0/0");
  });
});

test("routes of one upstream are counted there together", () => {
  const stats = new TrafficStats();
  const at = apply(stats, [...routes("a", "b"), { name: "c", upstream: "other" }]);
  expect(at("a").upstream).toBe(at("b").upstream);
  stats.upstreamFailed("other", "timeout");
  stats.upstreamFailed("other", "timeout");
  stats.upstreamFailed("unknown", "timeout");
  expect(Array.from(stats.upstreams(), ({ name, failures }) => [name, [...failures]])).toEqual([
    ["app", []],
    ["other", [["timeout", 2]]],
  ]);
});
