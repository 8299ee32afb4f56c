// Hash slots by the reference values of the Redis Cluster specification.

import { describe, expect, test } from "vitest";
import { crc16, hashTag, slotOf } from "../../../src/store/key-slot.ts";

describe("the slot of a key", () => {
  test("is taken from CRC-16/XMODEM, with the specification's reference value", () => {
    expect(crc16("123456789")).toBe(0x31c3);
    expect(crc16("")).toBe(0);
    expect(slotOf("123456789")).toBe(0x31c3 % 16_384);
  });

  test.each([
    ["{user1000}.following", "user1000"],
    ["foo{}{bar}", "foo{}{bar}"],
    ["foo{{bar}}zap", "{bar"],
    ["foo{bar}{zap}", "bar"],
    ["foo{bar", "foo{bar"],
    ["foo}bar{", "foo}bar{"],
    ["", ""],
  ])("of %s is decided by %s", (key, tag) => {
    expect(hashTag(key)).toBe(tag);
    expect(slotOf(key)).toBe(crc16(tag) % 16_384);
  });
});
