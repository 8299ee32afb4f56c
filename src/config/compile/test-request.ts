// Compiles `request` of a test: what would stand on the request line and below it.

import type * as z from "zod";
import { canonicalAddress, parseAddress } from "../../core/address.ts";
import { isFieldName } from "../../core/fields.ts";
import type { Field } from "../read.ts";
import type { Report } from "../report.ts";
import { TESTED_METHODS, type testShape } from "../test-options.ts";
import type { TestRequest } from "../test-policy.ts";
import type { Place, TreeNode } from "../tree.ts";
import { keyAtOf, partOf } from "./entries.ts";

type RequestValue = z.output<(typeof testShape)["request"]>;
type RequestField = Field<RequestValue>;

const WORDS = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) +(\S.*)$/;
const GRPC = /^grpc +([^\s/]+\/[^\s/]+)$/;
const TARGET = /^[\x21-\x7e]+$/;
// What may follow the colon of a field line: no control characters but the tab, as latin1 (RFC 9110 section 5.5).
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

const HANDSHAKE: TestRequest["headers"] = [
  ["Connection", "Upgrade"],
  ["Upgrade", "websocket"],
  ["Sec-WebSocket-Version", "13"],
  ["Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="],
];

/** The request; undefined when it is absent or wrong (then that was reported). */
export function compileTestRequest(report: Report, field: RequestField): TestRequest | undefined {
  const { value } = field;
  if (value === undefined) return undefined;
  return typeof value === "string" ? fromText(report, field, value) : fromMap(report, field, value);
}

function fromText(report: Report, place: Place, text: string): TestRequest | undefined {
  const grpc = GRPC.exec(text);
  if (grpc !== null) {
    const headers = [["Content-Type", "application/grpc-web+proto"]] as const;
    return { ...PLAIN, method: "POST", target: `/${grpc[1]}`, headers };
  }
  const [, method, target] = WORDS.exec(text) ?? [];
  if (method === undefined || target === undefined) {
    report.add(
      place.node.at,
      place.path,
      "value_invalid",
      "expected a method and a path such as GET /modules",
    );
    return undefined;
  }
  const good = [checkMethod(report, place, method), checkTarget(report, place, target)];
  return good.includes(false) ? undefined : { ...PLAIN, method, target };
}

function fromMap(
  report: Report,
  field: RequestField,
  value: Exclude<RequestValue, string>,
): TestRequest | undefined {
  const { method = "GET", path, host, ip, scheme, upgrade = false } = value;
  const good = [
    checkMethod(report, partOf(field, "method"), method),
    checkTarget(report, partOf(field, "path"), path),
    ip === undefined || checkAddress(report, partOf(field, "ip"), ip),
    host === undefined || checkHost(report, partOf(field, "host"), host),
  ];
  const headers = compileHeaders(report, field, value.headers ?? {});
  if (good.includes(false) || headers === undefined) return undefined;
  return {
    method,
    target: path,
    host,
    headers: upgrade ? [...HANDSHAKE.filter(([name]) => !holds(headers, name)), ...headers] : headers,
    peerAddress: ip === undefined ? undefined : canonicalAddress(ip),
    scheme,
    upgrade,
  };
}

const PLAIN: Omit<TestRequest, "method" | "target"> = {
  host: undefined,
  headers: [],
  peerAddress: undefined,
  scheme: undefined,
  upgrade: false,
};

function holds(headers: TestRequest["headers"], name: string): boolean {
  return headers.some(([one]) => one.toLowerCase() === name.toLowerCase());
}

function compileHeaders(
  report: Report,
  field: RequestField,
  headers: Readonly<Record<string, string | readonly string[]>>,
): TestRequest["headers"] | undefined {
  let good = true;
  const lines = Object.entries(headers).flatMap(([name, value]) => {
    const at = keyAtOf(field, "headers", name);
    if (!isFieldName(name)) {
      report.add(at, [...field.path, "headers", name], "value_invalid", "expected a header field name");
      good = false;
    }
    return [value].flat().map((one): readonly [string, string] => {
      if (!FIELD_VALUE.test(one)) {
        const { node, path } = partOf(field, "headers", name);
        report.add(
          node.at,
          path,
          "value_invalid",
          "a header can't hold line breaks, other control characters or text beyond latin1",
        );
        good = false;
      }
      return [name, one.trim()];
    });
  });
  return good ? lines : undefined;
}

function checkMethod(report: Report, { node, path }: Place, method: string): boolean {
  if (TESTED_METHODS.includes(method)) return true;
  report.addUnknown(
    node.at,
    path,
    "value_invalid",
    "expected a method such as GET, in capital letters",
    method,
    TESTED_METHODS,
  );
  return false;
}

function checkTarget(report: Report, { node, path }: Place, target: string): boolean {
  if (TARGET.test(target) && /^(?:\/|\*$|[a-z]+:\/\/)/i.test(target)) return true;
  report.add(node.at, path, "value_invalid", "expected a path such as /modules?page=2", {
    hint: "write spaces and everything beyond ASCII as percent-escapes",
  });
  return false;
}

function checkAddress(report: Report, { node, path }: Place, ip: string): boolean {
  if (parseAddress(ip) !== undefined) return true;
  report.add(node.at, path, "value_invalid", "expected an IPv4 or IPv6 address");
  return false;
}

function checkHost(report: Report, { node, path }: Place, host: string): boolean {
  if (FIELD_VALUE.test(host)) return true;
  report.add(node.at, path, "value_invalid", "expected a host name with or without a port");
  return false;
}

/** The request in words; undefined when a variable is part of it, which may be a secret. */
export function requestWords({ node }: Place, { method, target }: TestRequest): string | undefined {
  return isSubstituted(node) ? undefined : `${method} ${target}`;
}

/** Whether a variable or a file gave a part of what stands here. */
export function isSubstituted(node: TreeNode): boolean {
  if (node.kind === "scalar") return node.substituted !== undefined;
  if (node.kind === "list") return node.items.some(isSubstituted);
  return node.entries.some(({ value }) => isSubstituted(value));
}
