// When the terminal gets colour and signs of progress, and when it doesn't.

import { describe, expect, it } from "vitest";
import { paint, progress, usesColor } from "../../../src/cli/paint.ts";

const TERMINAL = { isTTY: true };
const PIPE = {};

describe("colour", () => {
  it.each([
    ["is on for a terminal", TERMINAL, { TERM: "xterm" }, true],
    ["is off for a pipe or a file", PIPE, { TERM: "xterm" }, false],
    ["is off when NO_COLOR has any value", TERMINAL, { NO_COLOR: "0" }, false],
    ["is on when NO_COLOR is empty", TERMINAL, { NO_COLOR: "" }, true],
    ["is off for a dumb terminal", TERMINAL, { TERM: "dumb" }, false],
    ["is on for a pipe when FORCE_COLOR says so", PIPE, { FORCE_COLOR: "1" }, true],
    ["is off for a terminal when FORCE_COLOR is 0", TERMINAL, { FORCE_COLOR: "0" }, false],
    ["is off for a terminal when FORCE_COLOR is false", TERMINAL, { FORCE_COLOR: "false" }, false],
    ["is left to the terminal when FORCE_COLOR is empty", PIPE, { FORCE_COLOR: "" }, false],
    ["follows NO_COLOR before FORCE_COLOR", PIPE, { FORCE_COLOR: "1", NO_COLOR: "1" }, false],
  ] as const)("%s", (_title, stream, environment, expected) => {
    expect(usesColor(stream, environment)).toBe(expected);
    expect(paint(stream, environment).on).toBe(expected);
  });

  it("changes nothing where it is off", () => {
    const { on: _, ...styles } = paint(PIPE, {});
    expect(Object.values(styles).map((set) => set("text"))).toEqual(Object.values(styles).map(() => "text"));
  });

  it("nests, and leaves empty text empty", () => {
    const { bold, red } = paint(TERMINAL, {});
    expect(bold(`a ${red("b")} c`)).toBe("\x1b[1ma \x1b[31mb\x1b[39m c\x1b[22m");
    expect(red("")).toBe("");
  });
});

describe("progress", () => {
  function watch(stream: { isTTY?: boolean; columns?: number }, environment = {}) {
    const written: string[] = [];
    const clock = { now: 0 };
    const output = { ...stream, write: (text: string) => written.push(text) };
    return { written, clock, line: progress(output, "reading", () => clock.now, environment) };
  }

  it("shows nothing for short work", () => {
    const { written, clock, line } = watch(TERMINAL);
    clock.now = 299;
    line.update("1");
    line.end();
    expect(written).toEqual([]);
  });

  it("appears after 0.3 s, at most ten times a second, and is taken away", () => {
    const { written, clock, line } = watch(TERMINAL);
    for (clock.now = 0; clock.now < 500; clock.now += 10) line.update(String(clock.now));
    line.end();
    line.end();
    expect(written).toEqual(["\r\x1b[2Kreading 300", "\r\x1b[2Kreading 400", "\r\x1b[2K"]);
  });

  it("never wraps", () => {
    const { written, clock, line } = watch({ isTTY: true, columns: 10 });
    clock.now = 400;
    line.update("something long");
    expect(written).toEqual(["\r\x1b[2Kreading s"]);
  });

  it.each([
    ["a pipe", {}, {}],
    ["a dumb terminal", TERMINAL, { TERM: "dumb" }],
  ])("writes nothing to %s", (_title, stream, environment) => {
    const { written, clock, line } = watch(stream, environment);
    clock.now = 1_000;
    line.update("1");
    line.end();
    expect(written).toEqual([]);
  });
});
