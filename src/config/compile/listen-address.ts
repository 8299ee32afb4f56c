// Reads `host:port`, and tells whether two of them would want the same port of this machine.

import { canonicalAddress } from "../../core/address.ts";
import type { ListenAddress } from "../gateway-config.ts";

/** What an address has to look like, for messages. */
export const ADDRESS_HINT = "expected host:port such as 0.0.0.0:8080, [::1]:8080 or :8080";

/** Reads `host:port`; without a host it is every IPv4 address. Undefined when it is none. */
export function parseListen(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9.-]{0,253})):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  return { host: match[1] ?? (match[2] === "" ? "0.0.0.0" : (match[2] ?? "0.0.0.0")), port };
}

/** Whether only one of the two can be listened on. Port 0 is a free one each time. */
export function overlap(a: ListenAddress, b: ListenAddress): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  const [one, other] = [hostOf(a), hostOf(b)];
  return one === other || covers(one, other) || covers(other, one);
}

function hostOf({ host }: ListenAddress): string {
  return host.toLowerCase() === "localhost" ? "127.0.0.1" : canonicalAddress(host.toLowerCase());
}

/** Node listens on IPv4 as well where it listens on every IPv6 address. */
function covers(every: string, host: string): boolean {
  return every === "0:0:0:0:0:0:0:0" || (every === "0.0.0.0" && !host.includes(":"));
}
