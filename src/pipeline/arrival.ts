// From what arrived on the wire to a request that can be decided on, or the refusal of what is malformed. Nothing here
// guesses: a doubtful form is refused.

import { type AddressRange, clientAddress, inRanges } from "../core/address.ts";
import { type Denial, deny } from "../core/denial.ts";
import { Fields } from "../core/fields.ts";
import { Remembered } from "../core/remembered.ts";
import { type CallerProtocol, callerProtocol, type GatewayRequest } from "../core/request.ts";
import { canonicalise, type PathRules } from "../core/request-target.ts";

/** A request as a server hands it over. */
export interface Arrival {
  /** Id made by the gateway; a trusted proxy's `X-Request-Id` takes its place. */
  readonly id: string;
  readonly method: string;
  /** The request-target as it stood on the request line. */
  readonly rawTarget: string;
  /** Flat name and value list in the order of arrival. */
  readonly rawFields: readonly string[];
  /** `1.0`, `1.1` or `2.0`. */
  readonly httpVersion: string;
  readonly scheme: "http" | "https";
  readonly peerAddress: string;
  /** The server recognised a whole WebSocket handshake. */
  readonly upgrade: boolean;
}

export interface AdmissionPolicy {
  readonly paths: PathRules;
  readonly trustedProxies: readonly AddressRange[];
  readonly urlBytes: number;
  readonly headerCount: number;
  /** Most bytes of all field lines together. */
  readonly headersBytes: number;
  readonly bodyBytes: number;
}

/** The request, or its refusal together with what is known for answering and logging it. */
export type Admission =
  | { readonly ok: true; readonly request: GatewayRequest }
  | { readonly ok: false; readonly denial: Denial; readonly protocol: CallerProtocol };

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;
// A host name, IPv4 address or bracketed IPv6 address with an optional port (RFC 3986 section 3.2, no userinfo).
const AUTHORITY =
  /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::(?:[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$/;

/** Whether `text` is a host with an optional port, as a Host field holds it. */
export function isAuthority(text: string): boolean {
  return AUTHORITY.test(text);
}

// Authorities seen before that are well-formed, in lower case; none is longer than a name and a port.
const knownAuthorities = new Remembered<string>(256, 260);

/** Judges form only; whether anything serves the request is for the route table. */
export function admit(policy: AdmissionPolicy, arrival: Arrival): Admission {
  const fields = new Fields(arrival.rawFields);
  const protocol = callerProtocol(fields.first("content-type"));
  const authority = authorityOf(fields, arrival.httpVersion);
  const denial = sizeDenial(policy, arrival, fields) ?? framingDenial(policy, arrival, fields);
  if (denial !== undefined) return { ok: false, denial, protocol };
  if (authority === undefined)
    return { ok: false, denial: deny("request_invalid", "host_invalid"), protocol };
  const target = canonicalise(arrival.rawTarget, authority, policy.paths);
  if (!target.ok) return { ok: false, denial: deny("request_target_invalid", target.error), protocol };
  const trusted = policy.trustedProxies.length > 0 && inRanges(arrival.peerAddress, policy.trustedProxies);
  return {
    ok: true,
    request: {
      id: (trusted ? trustedRequestId(fields) : undefined) ?? arrival.id,
      method: arrival.method,
      target: target.value,
      authority,
      scheme: (trusted ? trustedScheme(fields) : undefined) ?? arrival.scheme,
      fields,
      peerAddress: arrival.peerAddress,
      peerTrusted: trusted,
      clientAddress: trusted
        ? clientAddress(arrival.peerAddress, fields.all("x-forwarded-for"), policy.trustedProxies)
        : arrival.peerAddress,
      protocol,
    },
  };
}

function authorityOf(fields: Fields, httpVersion: string): string | undefined {
  const host = fields.first("host");
  if (host === undefined) return httpVersion === "1.0" ? "" : undefined;
  if (fields.repeated("host")) return undefined;
  const known = knownAuthorities.get(host);
  if (known !== undefined) return known;
  if (!AUTHORITY.test(host)) return undefined;
  const lower = host.toLowerCase();
  knownAuthorities.set(host, lower);
  return lower;
}

function sizeDenial(policy: AdmissionPolicy, arrival: Arrival, fields: Fields): Denial | undefined {
  if (arrival.rawTarget.length > policy.urlBytes) return deny("url_too_long");
  if (fields.count > policy.headerCount) return deny("headers_too_large", "header_count");
  // Four bytes a line for the colon, the space and the line end.
  let bytes = fields.count * 4;
  for (const text of fields.raw) bytes += text.length;
  return bytes > policy.headersBytes ? deny("headers_too_large", "header_bytes") : undefined;
}

/** Framing that an upstream might read differently (RFC 9112 sections 6.1 and 6.3), and bodies announced too large. */
function framingDenial(policy: AdmissionPolicy, arrival: Arrival, fields: Fields): Denial | undefined {
  if (fields.names.includes("upgrade") && !arrival.upgrade && asksForWebSocket(fields)) {
    return deny("request_invalid", "websocket_handshake");
  }
  const coding = fields.first("transfer-encoding");
  if (coding !== undefined) {
    if (arrival.httpVersion === "1.0" || fields.first("content-length") !== undefined) {
      return deny("request_invalid", "framing");
    }
    if (fields.repeated("transfer-encoding")) return deny("request_invalid", "framing");
    if (coding.toLowerCase() !== "chunked") {
      return coding === "" ? deny("request_invalid", "framing") : deny("not_implemented", "transfer_coding");
    }
    return undefined;
  }
  const length = fields.first("content-length");
  if (length === undefined) return undefined;
  if (!/^[0-9]{1,16}$/.test(length) || fields.repeated("content-length"))
    return deny("request_invalid", "framing");
  return Number(length) > policy.bodyBytes ? deny("body_too_large", "content_length") : undefined;
}

/** A handshake that isn't whole; forwarding it as a plain request would only confuse (RFC 6455 section 4.2.1). */
function asksForWebSocket(fields: Fields): boolean {
  return fields.all("upgrade").join().toLowerCase().includes("websocket");
}

function trustedRequestId(fields: Fields): string | undefined {
  const id = fields.first("x-request-id");
  return id !== undefined && REQUEST_ID.test(id) && !fields.repeated("x-request-id") ? id : undefined;
}

function trustedScheme(fields: Fields): "http" | "https" | undefined {
  const scheme = fields.all("x-forwarded-proto").at(-1)?.split(",").at(-1)?.trim().toLowerCase();
  return scheme === "http" || scheme === "https" ? scheme : undefined;
}
