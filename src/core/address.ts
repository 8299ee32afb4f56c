// Internet addresses: parsing, CIDR ranges, and finding the client behind trusted proxies.

/** An address as bytes: 4 for IPv4, 16 for IPv6. IPv4-mapped IPv6 (RFC 4291 2.5.5.2) is read as the IPv4 address it holds. */
export type AddressBytes = readonly number[];

const IPV4_PART = /^(?:0|[1-9][0-9]{0,2})$/;
const IPV6_GROUP = /^[0-9a-f]{1,4}$/i;

function parseIPv4(text: string): AddressBytes | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes: number[] = [];
  for (const part of parts) {
    if (!IPV4_PART.test(part) || Number(part) > 255) return undefined;
    bytes.push(Number(part));
  }
  return bytes;
}

/** Groups on one side of `::`; an IPv4 address may only end the whole (RFC 4291 section 2.2), so where `isLast`. */
function parseGroups(text: string, isLast: boolean): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    if (isLast && index === groups.length - 1 && group.includes(".")) {
      const tail = parseIPv4(group);
      if (tail === undefined) return undefined;
      bytes.push(...tail);
    } else {
      if (!IPV6_GROUP.test(group)) return undefined;
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    }
  }
  return bytes;
}

function parseIPv6(text: string): AddressBytes | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? "", true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined;
  const bytes = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return mapped ? bytes.slice(12) : bytes;
}

/** Parses a bare address; a zone id (`%eth0`) is cut. Undefined when it is none. */
export function parseAddress(text: string): AddressBytes | undefined {
  if (text.length > 64) return undefined;
  if (!text.includes(":")) return parseIPv4(text);
  const zone = text.indexOf("%");
  return parseIPv6(zone === -1 ? text : text.slice(0, zone));
}

/** One spelling per address: dotted IPv4, or eight lower-case hexadecimal groups. */
export function formatAddress(bytes: AddressBytes): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups: string[] = [];
  for (let index = 0; index < 16; index += 2) {
    groups.push((((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0)).toString(16));
  }
  return groups.join(":");
}

/** The unit that limits count by: the IPv4 address itself, or an IPv6 one's network of `ipv6Prefix` bits. */
export function limitUnit(address: string, ipv6Prefix = 64): string {
  const bytes = parseAddress(address);
  if (bytes === undefined) return "unknown";
  if (bytes.length === 4) return bytes.join(".");
  const network = bytes.map((byte, index) => {
    const kept = Math.min(8, Math.max(0, ipv6Prefix - index * 8));
    return byte & (0xff00 >> kept) & 0xff;
  });
  const groups = formatAddress(network)
    .split(":")
    .slice(0, Math.ceil(ipv6Prefix / 16));
  return `${groups.join(":")}${groups.length < 8 ? "::" : ""}/${ipv6Prefix}`;
}

export interface AddressRange {
  readonly bytes: AddressBytes;
  readonly prefix: number;
}

/** A range as people write it: `10.0.0.0/8`, or the address alone. */
export function rangeText({ bytes, prefix }: AddressRange): string {
  const whole = prefix === bytes.length * 8;
  return whole ? formatAddress(bytes) : `${formatAddress(bytes)}/${prefix}`;
}

/** Parses `10.0.0.0/8`, `2001:db8::/32` or a single address. Undefined when it is none of them. */
export function parseRange(text: string): AddressRange | undefined {
  const slash = text.indexOf("/");
  const bytes = parseAddress(slash === -1 ? text : text.slice(0, slash));
  if (bytes === undefined) return undefined;
  const bits = bytes.length * 8;
  if (slash === -1) return { bytes, prefix: bits };
  const digits = text.slice(slash + 1);
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(digits)) return undefined;
  // A range written for the mapped form (`::ffff:10.0.0.0/104`) shrinks with its address.
  const mapped = bits === 32 && text.includes(":");
  const prefix = mapped ? Number(digits) - 96 : Number(digits);
  return prefix >= 0 && prefix <= bits ? { bytes, prefix } : undefined;
}

function inRange(address: AddressBytes, range: AddressRange): boolean {
  if (address.length !== range.bytes.length) return false;
  const whole = range.prefix >> 3;
  for (let index = 0; index < whole; index++) if (address[index] !== range.bytes[index]) return false;
  const rest = range.prefix & 7;
  if (rest === 0) return true;
  const mask = 0xff << (8 - rest);
  return ((address[whole] ?? 0) & mask) === ((range.bytes[whole] ?? 0) & mask);
}

/** Whether every address of `inner` lies in `outer`. */
export function rangeCovers(outer: AddressRange, inner: AddressRange): boolean {
  return outer.prefix <= inner.prefix && inRange(inner.bytes, outer);
}

/** Whether `address` lies in one of `ranges`. An address that can't be parsed lies in none. */
export function inRanges(address: string, ranges: readonly AddressRange[]): boolean {
  const bytes = parseAddress(address);
  if (bytes === undefined) return false;
  for (const range of ranges) if (inRange(bytes, range)) return true;
  return false;
}

// More hops than this in one X-Forwarded-For are not believed any further.
const MOST_HOPS = 20;

/** One X-Forwarded-For entry without its port: `1.2.3.4:80`, `[2001:db8::1]:443`, `2001:db8::1`. */
function hopAddress(entry: string): string {
  const text = entry.trim();
  if (text.startsWith("[")) return text.slice(1, Math.max(1, text.indexOf("]")));
  const colon = text.indexOf(":");
  return colon !== -1 && colon === text.lastIndexOf(":") ? text.slice(0, colon) : text;
}

/**
 * The client's address: walks X-Forwarded-For from the right, past trusted proxies only, and stops at the first
 * address that isn't one. Without a trusted peer it is the peer itself, whatever the request claims.
 */
export function clientAddress(
  peer: string,
  forwardedFor: readonly string[],
  trusted: readonly AddressRange[],
): string {
  let client = canonicalAddress(peer);
  if (trusted.length === 0 || forwardedFor.length === 0 || !inRanges(peer, trusted)) return client;
  const hops = forwardedFor.join(",").split(",");
  for (let walked = 0; walked < MOST_HOPS && hops.length > 0; walked++) {
    const bytes = parseAddress(hopAddress(hops.pop() ?? ""));
    if (bytes === undefined) return client;
    client = formatAddress(bytes);
    if (!inRanges(client, trusted)) return client;
  }
  return client;
}

/** Whether `host`, a name or a bare address, is this machine seen from itself: 127.0.0.0/8, ::1 or localhost. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === "localhost") return true;
  const bytes = parseAddress(host);
  if (bytes === undefined) return false;
  return bytes.length === 4 ? bytes[0] === 127 : formatAddress(bytes) === "0:0:0:0:0:0:0:1";
}

/** The one spelling of `address`, or the text itself when it isn't one. */
export function canonicalAddress(address: string): string {
  const bytes = parseAddress(address);
  return bytes === undefined ? address : formatAddress(bytes);
}
