import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { failureOf } from "../../../src/upstream/failure-map.ts";

const failing = (code: string): Error =>
  Object.assign(new Error("with 10.0.0.9:9000 in its message"), { code });

test.each([
  ["CONNECT_TIMEOUT", "upstream_timeout", "connect_timeout", false],
  ["ETIMEDOUT", "upstream_timeout", "connect_timeout", false],
  ["BODY_TOO_LARGE", "body_too_large", "body_bytes", false],
  ["ECONNREFUSED", "upstream_unreachable", "connection_refused", true],
  ["ECONNRESET", "upstream_unreachable", "connection_reset", true],
  ["EPIPE", "upstream_unreachable", "connection_reset", true],
  ["CONNECTION_LOST", "upstream_unreachable", "connection_reset", true],
  ["ENOTFOUND", "upstream_unreachable", "dns_error", true],
  ["EAI_AGAIN", "upstream_unreachable", "dns_error", true],
  ["EHOSTUNREACH", "upstream_unreachable", "host_unreachable", true],
  ["ENETUNREACH", "upstream_unreachable", "host_unreachable", true],
  ["TRANSPORT_CLOSED", "upstream_unreachable", "connection_closed", true],
  ["ERR_TLS_CERT_ALTNAME_INVALID", "upstream_unreachable", "tls_error", false],
  ["CERT_HAS_EXPIRED", "upstream_unreachable", "tls_error", false],
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "upstream_unreachable", "tls_error", false],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "upstream_unreachable", "tls_error", false],
  ["SELF_SIGNED_CERT_IN_CHAIN", "upstream_unreachable", "tls_error", false],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "upstream_unreachable", "tls_error", false],
  ["EPROTO", "upstream_unreachable", "tls_error", false],
  ["ANSWER_INVALID", "upstream_invalid", "protocol_error", false],
  ["REQUEST_UNSENDABLE", "upstream_invalid", "protocol_error", false],
  ["constructor", "upstream_invalid", "protocol_error", false],
])("%s means %s (%s), and that nothing saw the request can be believed: %s", (code, denial, reason, unanswered) => {
  expect(failureOf(failing(code), true)).toEqual({ code: denial, reason, unanswered });
  expect(failureOf(failing(code), false).unanswered).toBe(false);
});

test.each([
  undefined,
  null,
  "ECONNREFUSED",
  7,
  {},
  new Error("x"),
  { code: 5 },
  { errors: [] },
])("what is no network error (%j) is an invalid answer", (error) => {
  expect(failureOf(error).code).toBe("upstream_invalid");
});

test("a bundle of errors means what its first one means", () => {
  expect(failureOf(new AggregateError([failing("ECONNREFUSED"), failing("ETIMEDOUT")])).reason).toBe(
    "connection_refused",
  );
});

test("a port on which nobody listens is refused", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  const error = await new Promise<unknown>((resolve) => connect(port, "127.0.0.1").on("error", resolve));
  expect(failureOf(error)).toMatchObject({ code: "upstream_unreachable", reason: "connection_refused" });
});
