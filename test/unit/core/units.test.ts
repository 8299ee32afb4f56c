import { describe, expect, test } from "vitest";
import { parseDuration, parseRate, parseSize } from "../../../src/core/units.ts";

describe("a duration", () => {
  test.for([
    ["250ms", 250],
    ["10s", 10_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["7d", 604_800_000],
    ["0s", 0],
  ] as const)("%s is %i ms", ([text, ms]) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.for([
    "",
    "10",
    "s",
    "-1s",
    "1.5s",
    "01s",
    "10 s",
    "10S",
    "1w",
    "10s ",
    "1h30m",
    "99999999999s",
    "1e3s",
  ])("%j is none", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });
});

describe("a size", () => {
  test.for([
    ["0B", 0],
    ["512B", 512],
    ["16KiB", 16_384],
    ["10MiB", 10_485_760],
    ["1GiB", 1_073_741_824],
  ] as const)("%s is %i bytes", ([text, bytes]) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.for(["", "16", "16KB", "16kib", "1.5MiB", "-1B", "16 KiB"])("%j is none", (text) => {
    expect(parseSize(text)).toBeUndefined();
  });
});

describe("a rate", () => {
  test.for([
    ["10/s", 10, 1_000],
    ["100/min", 100, 60_000],
    ["1000/h", 1_000, 3_600_000],
    ["5000/day", 5_000, 86_400_000],
    ["100/30s", 100, 30_000],
    ["1/250ms", 1, 250],
    ["0/day", 0, 86_400_000],
  ] as const)("%s is %i in %i ms", ([text, count, windowMs]) => {
    expect(parseRate(text)).toEqual({ count, windowMs });
  });

  test.for([
    "",
    "10",
    "10/",
    "/s",
    "10/minute",
    "10/m",
    "10/0s",
    "10 / s",
    "1.5/s",
    "-1/s",
    "10/s/s",
  ])("%j is none", (text) => {
    expect(parseRate(text)).toBeUndefined();
  });
});
