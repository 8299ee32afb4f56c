// Opens one connection to an upstream and closes it again, for those who check a configuration before it goes live.

import { connect, isIP } from "node:net";
import { connect as connectTls } from "node:tls";
import { err, ok, type Result } from "../core/result.ts";

/**
 * Connects to `origin` (`http://host:port` or `https://host:port`) and, for https, checks its certificate as forwarding
 * does. Nothing is sent. The error is a system's code in lower case, such as `econnrefused`, `enotfound`,
 * `self_signed_cert_in_chain` or `cert_has_expired`, or `timeout`. Never rejects.
 */
export function probeUpstream(origin: string, timeoutMs: number): Promise<Result<undefined, string>> {
  const { protocol, hostname, port } = new URL(origin);
  const tls = protocol === "https:";
  const host = hostname.replace(/^\[|\]$/g, "");
  const tcp = { host, port: Number(port === "" ? (tls ? 443 : 80) : port) };
  const { promise, resolve } = Promise.withResolvers<Result<undefined, string>>();
  const socket = tls
    ? connectTls({
        ...tcp,
        servername: isIP(host) === 0 ? host : "",
        ALPNProtocols: ["http/1.1"],
        rejectUnauthorized: true,
      })
    : connect(tcp);
  const timer = setTimeout(() => resolve(err("timeout")), timeoutMs);
  socket.once(tls ? "secureConnect" : "connect", () => resolve(ok(undefined)));
  socket.on("error", (error) => resolve(err(codeOf(error))));
  socket.once("close", () => resolve(err("closed")));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

/** The code alone: messages repeat what the other side said. */
function codeOf(error: Error): string {
  const code = "code" in error ? error.code : undefined;
  return typeof code === "string" && /^[A-Z0-9_]{1,64}$/.test(code) ? code.toLowerCase() : "failed";
}
