// Compiles `admin`: where operators reach the gateway, and what lets them in.

import { isLoopback } from "../../core/address.ts";
import { SECRET_FILE, VARIABLE } from "../../core/wording.ts";
import type { AdminPolicy, ListenAddress } from "../gateway-config.ts";
import { adminOption, adminShape } from "../options.ts";
import { type Field, readFields, readValue } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { ADDRESS_HINT, overlap, parseListen } from "./listen-address.ts";

const DEFAULT: ListenAddress = { host: "127.0.0.1", port: 9090 };
const LEAST_TOKEN = 32;
const MOST_TOKEN = 1_024;

/** Where the traffic port listens. */
interface Traffic {
  readonly addresses: readonly ListenAddress[];
  readonly place: Place | undefined;
}

/** `admin`. Must not share an address with `traffic`. */
export function compileAdmin(
  report: Report,
  place: Place | undefined,
  traffic: Traffic,
): AdminPolicy | undefined {
  if (place === undefined) return undefined;
  if (place.node.kind === "scalar") {
    const text = readValue(report, place, adminOption);
    const listen = typeof text === "string" ? addressAt(report, place, text) : undefined;
    if (listen !== undefined) checkAddress(report, place, listen, { traffic, guarded: false });
    return listen && { listen, token: undefined };
  }
  if (place.node.kind === "list") {
    readValue(report, place, adminOption);
    return undefined;
  }
  const fields = readFields(report, place, adminShape);
  if (fields === undefined) return undefined;
  const { listen: field } = fields;
  const token = compileToken(report, fields.token);
  const listen = field.present
    ? field.value === undefined
      ? undefined
      : addressAt(report, field, field.value)
    : DEFAULT;
  if (listen === undefined) return undefined;
  checkAddress(report, field, listen, { traffic, guarded: fields.token.present });
  return { listen, token };
}

function addressAt(report: Report, { node, path }: Place, text: string): ListenAddress | undefined {
  const listen = parseListen(text);
  if (listen === undefined) report.add(node.at, path, "value_invalid", ADDRESS_HINT);
  return listen;
}

function checkAddress(
  report: Report,
  { node, path }: Place,
  listen: ListenAddress,
  { traffic, guarded }: { readonly traffic: Traffic; readonly guarded: boolean },
): void {
  if (traffic.addresses.some((one) => overlap(one, listen))) {
    report.add(node.at, path, "conflict", "the traffic port listens on this address", {
      hint: "give `admin` a port of its own, which clients can't reach",
      ...(traffic.place === undefined ? {} : { relatedAt: traffic.place.node.at }),
    });
  }
  if (!guarded && !isLoopback(listen.host)) {
    report.add(node.at, path, "admin_open", "whoever reaches this address could reset limits", {
      hint: `listen on 127.0.0.1, or write \`token: ${VARIABLE}\``,
    });
  }
}

function compileToken(report: Report, { node, path, present, value }: Field<string>): string | undefined {
  if (!present || value === undefined || node.kind !== "scalar") return undefined;
  if (node.substituted !== "whole") {
    report.add(node.at, path, "secret_literal", "a token can't stand in the file in plain text", {
      hint: `write \`token: ${VARIABLE}\` or \`token: ${SECRET_FILE}\`, without a default`,
    });
  } else if (value.length < LEAST_TOKEN) {
    report.add(
      node.at,
      path,
      "secret_weak",
      `the token is too short: it needs at least ${LEAST_TOKEN} characters`,
      {
        hint: "make one with `openssl rand -hex 32`",
      },
    );
  } else if (value.length > MOST_TOKEN || !/^[\x21-\x7e]+$/.test(value)) {
    report.add(
      node.at,
      path,
      "value_invalid",
      `expected at most ${MOST_TOKEN} printable ASCII characters without spaces, as a header can carry them`,
    );
  } else return value;
  return undefined;
}
