// Who may use the admin port: whoever carries its token, or, where there is none, whoever is on this machine and isn't a
// web page of somebody else.

import { hash, timingSafeEqual } from "node:crypto";
import { isLoopback } from "../core/address.ts";
import { type Denial, deny } from "../core/denial.ts";

/** What is looked at of a request. */
export interface AdminCaller {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly authorization: string | undefined;
}

/** A check; undefined when the request may pass. */
export type AccessCheck = (caller: AdminCaller) => Denial | undefined;

const REALM = 'Bearer realm="gatewarden-admin"';
const BEARER = /^Bearer +([\x21-\x7e]+) *$/i;

/** Asks for `token`. The comparison takes the same time whatever was sent. */
export function tokenCheck(token: string): AccessCheck {
  const expected = digest(token);
  return ({ authorization }) => {
    if (authorization === undefined) return deny("credentials_missing", undefined, { challenges: [REALM] });
    const sent = BEARER.exec(authorization)?.[1] ?? "";
    if (timingSafeEqual(digest(sent), expected)) return undefined;
    return deny("token_invalid", undefined, { challenges: [`${REALM}, error="invalid_token"`] });
  };
}

function digest(text: string): Buffer {
  return hash("sha256", text, "buffer");
}

/**
 * Without a token. A page whose name was made to point here (DNS rebinding) sends its own name as the Host; any other
 * page that a browser of this machine shows sends its Origin.
 */
export const localCheck: AccessCheck = ({ host, origin }) => {
  if (!isLoopback(hostName(host ?? ""))) return deny("misdirected_request");
  return origin === undefined ? undefined : deny("csrf_rejected");
};

/** The host of a Host field, without its port; empty when it is none. */
function hostName(field: string): string {
  const match = /^(?:\[([0-9a-f:.]{2,45})\]|([\w.-]{1,253}))(?::\d{1,5})?$/i.exec(field);
  return match?.[1] ?? match?.[2] ?? "";
}
