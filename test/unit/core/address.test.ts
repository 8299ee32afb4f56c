import { describe, expect, test } from "vitest";
import {
  type AddressRange,
  canonicalAddress,
  clientAddress,
  formatAddress,
  inRanges,
  isLoopback,
  limitUnit,
  parseAddress,
  parseRange,
} from "../../../src/core/address.ts";

function ranges(...texts: readonly string[]): AddressRange[] {
  return texts.map((text) => {
    const range = parseRange(text);
    if (range === undefined) throw new Error(`${text} is no range`);
    return range;
  });
}

describe("an address", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "0:0:0:0:0:0:0:0"],
    ["::1", "0:0:0:0:0:0:0:1"],
    ["1::", "1:0:0:0:0:0:0:0"],
    ["2001:DB8::A", "2001:db8:0:0:0:0:0:a"],
    ["2001:0db8:0000:0000:0000:0000:0000:000a", "2001:db8:0:0:0:0:0:a"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
    ["fe80::1%eth0", "fe80:0:0:0:0:0:0:1"],
    ["64:ff9b::192.0.2.33", "64:ff9b:0:0:0:0:c000:221"],
    ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:201", "192.0.2.1"],
    ["0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"],
  ])("%s is spelt %s", (text, spelling) => {
    expect(canonicalAddress(text)).toBe(spelling);
    expect(formatAddress(parseAddress(spelling) ?? [])).toBe(spelling);
  });

  test.each([
    "",
    "localhost",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "1.2.3.-4",
    "01.2.3.4",
    "0x7f.0.0.1",
    "2130706433",
    "1.2.3.4 ",
    "1.2.3.4:80",
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4::5:6:7:8",
    "12345::",
    "g::",
    "[::1]",
    "::1.2.3",
    "::1.2.3.4.5",
    "1.2.3.4::",
    "1:1.2.3.4::",
    "::1.2.3.4:1",
    "%eth0",
    `::${"0".repeat(70)}1`,
  ])("%j is none", (text) => {
    expect(parseAddress(text)).toBeUndefined();
    expect(canonicalAddress(text)).toBe(text);
  });
});

describe("a range", () => {
  test.each([
    ["10.0.0.0/8", "10.255.255.255", "11.0.0.0"],
    ["192.0.2.128/25", "192.0.2.255", "192.0.2.127"],
    ["192.0.2.1", "192.0.2.1", "192.0.2.2"],
    ["192.0.2.1/32", "192.0.2.1", "192.0.2.0"],
    ["172.16.0.0/12", "172.31.0.1", "172.32.0.1"],
    ["0.0.0.0/0", "255.1.2.3", "::1"],
    ["2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"],
    ["2001:db8:0:80::/57", "2001:db8:0:ff::", "2001:db8:0:7f::"],
    ["::/0", "2001:db8::1", "192.0.2.1"],
    ["::1", "::1", "::2"],
    ["::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.1"],
    ["10.0.0.0/8", "::ffff:10.9.9.9", "::ffff:11.0.0.1"],
    ["10.1.2.3/8", "10.200.0.1", "9.255.255.255"],
  ])("%s holds %s and not %s", (text, inside, outside) => {
    expect(inRanges(inside, ranges(text))).toBe(true);
    expect(inRanges(outside, ranges(text))).toBe(false);
  });

  test.each([
    "",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0/8",
    "::/129",
    "::ffff:10.0.0.0/95",
    "example.com/8",
    "/8",
  ])("%j is none", (text) => {
    expect(parseRange(text)).toBeUndefined();
  });

  test("holds nothing that isn't an address", () => {
    expect(inRanges("unknown", ranges("0.0.0.0/0", "::/0"))).toBe(false);
  });
});

describe("loopback", () => {
  test.each([
    "localhost",
    "LocalHost",
    "127.0.0.1",
    "127.255.255.254",
    "::1",
    "0:0:0:0:0:0:0:1",
    "::ffff:127.0.0.1",
  ])("is %s", (host) => expect(isLoopback(host)).toBe(true));

  test.each([
    "",
    "localhost.",
    "my.localhost",
    "127.1",
    "0.0.0.0",
    "128.0.0.1",
    "::",
    "::2",
    "[::1]",
    "::ffff:128.0.0.1",
  ])("isn't %j", (host) => expect(isLoopback(host)).toBe(false));
});

describe("limits count by", () => {
  test.each([
    ["the address of IPv4", "192.0.2.1", "192.0.2.1"],
    ["the address in IPv4-mapped form", "::ffff:192.0.2.1", "192.0.2.1"],
    ["the /64 of IPv6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["one unit for whatever is no address", "nonsense", "unknown"],
  ])("%s", (_what, address, unit) => {
    expect(limitUnit(address)).toBe(unit);
  });
});

describe("the client", () => {
  const trusted = ranges("10.0.0.0/8", "2001:db8:ffff::/48");

  test.each<readonly [what: string, peer: string, forwardedFor: readonly string[], client: string]>([
    [
      "first address from the right that isn't trusted",
      "10.0.0.1",
      ["1.2.3.4, 203.0.113.9, 10.0.0.7"],
      "203.0.113.9",
    ],
    ["peer, when it isn't trusted", "192.0.2.1", ["1.2.3.4"], "192.0.2.1"],
    ["peer, when nothing was forwarded", "10.0.0.1", [], "10.0.0.1"],
    ["last one, when every hop is trusted", "10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"],
    ["last line's last entry", "10.0.0.1", ["1.1.1.1", "2.2.2.2"], "2.2.2.2"],
    ["hop before what can't be read", "10.0.0.1", ["1.2.3.4, unknown, 10.0.0.7"], "10.0.0.7"],
    ["peer, when the last entry can't be read", "10.0.0.1", ["1.2.3.4, "], "10.0.0.1"],
    ["entry without its port", "10.0.0.1", ["1.2.3.4:5678"], "1.2.3.4"],
    ["entry without brackets and port", "10.0.0.1", ["[2001:db8::1]:443"], "2001:db8:0:0:0:0:0:1"],
    ["bare IPv6 entry", "10.0.0.1", ["2001:db8::1"], "2001:db8:0:0:0:0:0:1"],
    ["IPv4 address of a mapped peer", "::ffff:10.0.0.1", ["::ffff:1.2.3.4"], "1.2.3.4"],
    ["entry after a trusted IPv6 hop", "2001:db8:ffff::1", ["1.2.3.4, 2001:db8:ffff::2"], "1.2.3.4"],
    ["entry within tabs and spaces", "10.0.0.1", ["\t1.2.3.4  "], "1.2.3.4"],
  ])("is the %s", (_what, peer, forwardedFor, client) => {
    expect(clientAddress(peer, forwardedFor, trusted)).toBe(client);
  });

  test("is the peer when no proxy is trusted at all", () => {
    expect(clientAddress("10.0.0.1", ["1.2.3.4"], [])).toBe("10.0.0.1");
  });

  test("is looked for among the last 20 hops only", () => {
    const hops = (count: number): string[] => ["1.2.3.4", ...new Array<string>(count).fill("10.0.0.9")];
    expect(clientAddress("10.0.0.1", [hops(19).join(",")], trusted)).toBe("1.2.3.4");
    expect(clientAddress("10.0.0.1", [hops(20).join(",")], trusted)).toBe("10.0.0.9");
    expect(clientAddress("10.0.0.1", [hops(50_000).join(",")], trusted)).toBe("10.0.0.9");
  });
});
