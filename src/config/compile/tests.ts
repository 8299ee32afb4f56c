// Compiles `tests`: every name that a test uses has to exist, so that no test passes because of a typo.

import type * as z from "zod";
import type { RoleTable } from "../../authz/policy.ts";
import { catalogueEntry, DENIALS } from "../../core/denial.ts";
import { isFieldName } from "../../core/fields.ts";
import { SECRET_FILE, VARIABLE } from "../../core/wording.ts";
import type { LimitPolicy } from "../../rate-limit/policy.ts";
import type { RoutePolicy } from "../gateway-config.ts";
import { type Field, type FieldsOf, readFields } from "../read.ts";
import type { Report } from "../report.ts";
import { MOST_REQUESTS, MOST_TESTS, testShape } from "../test-options.ts";
import type { ConfigTest, ExpectedField, TestCaller, TestExpectation, TestRequest } from "../test-policy.ts";
import type { Place } from "../tree.ts";
import { keyAtOf, listEntries, partOf } from "./entries.ts";
import { checkRoles } from "./roles.ts";
import { compileTestRequest, isSubstituted, requestWords } from "./test-request.ts";
import { checkTierName, type TierTable } from "./tiers.ts";

/** What tests refer to. */
export interface TestSurroundings {
  readonly roles: RoleTable;
  readonly tiers: TierTable | undefined;
  /** Lower case. */
  readonly keyHeaders: readonly string[];
  /** Ids of keys and names of issuers, also of entries with mistakes. */
  readonly keys: ReadonlySet<string>;
  readonly issuers: ReadonlySet<string>;
  readonly upstreams: ReadonlyMap<string, number>;
  readonly routes: readonly RoutePolicy[];
  readonly keyLimits: ReadonlyMap<string, readonly LimitPolicy[]>;
}

type TestFields = FieldsOf<typeof testShape>;
type ExpectValue = z.output<(typeof testShape)["expect"]>;

// What a request that is let through counts as, and what a preflight is answered with.
const OWN_STATUSES: ReadonlySet<number> = new Set([200, 204]);
const REFUSAL_STATUSES: ReadonlySet<number> = new Set(Object.values(DENIALS).map(({ status }) => status));

/** `tests`. */
export function compileTests(
  report: Report,
  place: Place | undefined,
  around: TestSurroundings,
): readonly ConfigTest[] {
  if (place === undefined) return [];
  const entries = listEntries(report, place);
  if (entries.length > MOST_TESTS) {
    report.add(place.node.at, place.path, "value_out_of_range", `expected at most ${MOST_TESTS} tests`);
    return [];
  }
  const names = {
    routes: new Set(around.routes.map(({ name }) => name)),
    limits: new Set(
      [...around.routes.flatMap(({ limits }) => limits), ...[...around.keyLimits.values()].flat()].map(
        ({ name }) => name,
      ),
    ),
  };
  const compiler = new TestCompiler(report, around, names);
  const tests = entries.flatMap((entry) => compiler.compile(entry) ?? []);
  if (tests.reduce((sum, { times }) => sum + times, 0) > MOST_REQUESTS) {
    const message = `the tests send more than ${MOST_REQUESTS} requests together`;
    report.add(place.node.at, place.path, "value_out_of_range", message, { hint: "lower `times`" });
  }
  return tests;
}

class TestCompiler {
  readonly #report: Report;
  readonly #around: TestSurroundings;
  readonly #names: Readonly<Record<"routes" | "limits", ReadonlySet<string>>>;

  constructor(
    report: Report,
    around: TestSurroundings,
    names: Readonly<Record<"routes" | "limits", ReadonlySet<string>>>,
  ) {
    this.#report = report;
    this.#around = around;
    this.#names = names;
  }

  compile(entry: Place): ConfigTest | undefined {
    const fields = readFields(this.#report, entry, testShape);
    if (fields === undefined) return undefined;
    const request = compileTestRequest(this.#report, fields.request);
    const caller = this.#caller(fields);
    if (request !== undefined && caller.kind !== "nobody") this.#checkOneCaller(fields, request);
    const expect = this.#expectation(fields.expect);
    if (request === undefined || expect === undefined) return undefined;
    const { line } = this.#report.place(entry.node.at);
    const words = requestWords(fields.request, request) ?? `the request in line ${line}`;
    const who = isSubstituted(fields.as.node) && fields.as.present ? " as a caller" : callerWords(caller);
    return {
      name: fields.name.value ?? `${words}${who}`,
      line,
      request,
      caller,
      times: fields.times.value ?? 1,
      expect,
    };
  }

  #caller(fields: TestFields): TestCaller {
    const field = fields.as;
    const { value } = field;
    if (value === undefined) return { kind: "nobody" };
    const { key, token, ...facts } = value;
    const others = Object.keys(value).filter((name) => name !== "key");
    if (key !== undefined) {
      this.#alone(field, "key", others);
      this.#known(partOf(field, "key"), "no API key of this id is declared", key, this.#around.keys);
      return { kind: "key", id: key };
    }
    if (token !== undefined) {
      this.#alone(
        field,
        "token",
        others.filter((name) => name !== "token"),
      );
      const { node, path } = partOf(field, "token");
      if (node.kind === "scalar" && node.substituted !== "whole") {
        this.#report.add(node.at, path, "secret_literal", "a token can't stand in the file in plain text", {
          hint: `write \`token: ${VARIABLE}\` or \`token: ${SECRET_FILE}\`, without a default; or say what it holds: \`as: {scopes: […]}\``,
        });
      }
      return { kind: "token", token };
    }
    if (facts.issuer !== undefined) {
      const message = "no issuer of this name is declared";
      this.#known(partOf(field, "issuer"), message, facts.issuer, this.#around.issuers);
    }
    checkRoles(this.#report, field, facts.roles ?? [], this.#around.roles, "roles");
    checkTierName(this.#report, partOf(field, "tier"), facts.tier, this.#around.tiers);
    return { kind: "assumed", facts };
  }

  #alone(field: Field<unknown>, key: string, others: readonly string[]): void {
    const [other] = others;
    if (other === undefined) return;
    const message = `\`${key}\` says who calls; \`${other}\` can't stand beside it`;
    this.#report.add(keyAtOf(field, other), [...field.path, other], "conflict", message);
  }

  /** A credential in the headers would say a second time who calls. */
  #checkOneCaller({ request, as }: TestFields, { headers }: TestRequest): void {
    const found = headers.find(([name]) => {
      const lower = name.toLowerCase();
      return lower === "authorization" || this.#around.keyHeaders.includes(lower);
    });
    if (found === undefined) return;
    const { path } = partOf(request, "headers");
    this.#report.add(
      keyAtOf(request, "headers", found[0]),
      [...path, found[0]],
      "conflict",
      "the request carries a credential already",
      { relatedAt: as.node.at, hint: "say who calls in `as`, or send a credential in `headers`" },
    );
  }

  #expectation(field: Field<ExpectValue>): TestExpectation | undefined {
    const { value } = field;
    if (value === undefined) return undefined;
    if (value === "forward" || value === "refuse") return { ...ANYTHING, decision: value };
    if (typeof value === "number") {
      this.#checkStatus(field, value);
      return { ...ANYTHING, status: value };
    }
    const { headers = {}, response = {}, ...rest } = value;
    if (Object.keys(value).length === 0) {
      this.#report.add(field.node.at, field.path, "value_invalid", "a test has to expect something");
    }
    if (value.status !== undefined) this.#checkStatus(partOf(field, "status"), value.status);
    this.#checkRefusal(field, value);
    const { routes, limits } = this.#names;
    this.#known(partOf(field, "route"), "no route has this name", value.route, routes);
    this.#known(
      partOf(field, "upstream"),
      "no upstream of this name is declared",
      value.upstream,
      this.#around.upstreams.keys(),
    );
    this.#known(partOf(field, "limit"), "no limit has this name", value.limit, limits);
    return {
      ...ANYTHING,
      ...rest,
      headers: this.#expectedFields(field, "headers", headers),
      response: this.#expectedFields(field, "response", response),
    };
  }

  #checkStatus({ node, path }: Place, status: number): void {
    if (OWN_STATUSES.has(status) || REFUSAL_STATUSES.has(status)) return;
    this.#report.add(node.at, path, "value_invalid", "the gateway refuses nothing with this status", {
      hint: "the upstream isn't asked: a request that is let through counts as 200",
    });
  }

  #checkRefusal(field: Field<unknown>, value: Exclude<ExpectValue, number | string>): void {
    const { code, status, grpcStatus, upstream, path: wanted, headers } = value;
    const { node, path } = partOf(field, "code");
    if (code !== undefined && status !== undefined && catalogueEntry(code).status !== status) {
      this.#report.add(
        node.at,
        path,
        "conflict",
        `the status of this code is ${catalogueEntry(code).status}`,
      );
    }
    const refused =
      code !== undefined || grpcStatus !== undefined || (status !== undefined && !OWN_STATUSES.has(status));
    const sent = Object.entries({ upstream, path: wanted, headers }).find(([, one]) => one !== undefined);
    if (!refused || sent === undefined) return;
    const message = "a refused request reaches no upstream";
    this.#report.add(keyAtOf(field, sent[0]), [...field.path, sent[0]], "conflict", message);
  }

  #expectedFields(
    field: Field<unknown>,
    part: "headers" | "response",
    values: Readonly<Record<string, string | false>>,
  ): readonly ExpectedField[] {
    return Object.entries(values).map(([name, value]) => {
      const { node, path } = partOf(field, part, name);
      if (!isFieldName(name)) {
        this.#report.add(keyAtOf(field, part, name), path, "value_invalid", "expected a header field name");
      }
      const secret = node.kind === "scalar" && node.substituted !== undefined;
      return { name, value: value === false ? undefined : value.trim(), secret };
    });
  }

  #known({ node, path }: Place, message: string, name: string | undefined, names: Iterable<string>): void {
    const known = new Set(names);
    if (name === undefined || known.has(name)) return;
    this.#report.addUnknown(node.at, path, "unknown_reference", message, name, known);
  }
}

const ANYTHING: TestExpectation = {
  decision: undefined,
  status: undefined,
  grpcStatus: undefined,
  code: undefined,
  route: undefined,
  upstream: undefined,
  path: undefined,
  headers: [],
  response: [],
  limit: undefined,
  limitKey: undefined,
  remaining: undefined,
  observed: undefined,
};

/** Who calls, for the name of a test; never a credential. */
function callerWords(caller: TestCaller): string {
  switch (caller.kind) {
    case "nobody":
      return "";
    case "key":
      return ` as the key ${caller.id}`;
    case "token":
      return " with a token";
    case "assumed": {
      const { scopes = [], roles = [], subject } = caller.facts;
      const words = [
        ...(subject === undefined ? [] : [subject]),
        ...(scopes.length === 0 ? [] : [`scopes ${scopes.slice(0, 5).join(" ")}`]),
        ...(roles.length === 0 ? [] : [`roles ${roles.slice(0, 5).join(" ")}`]),
      ];
      return ` as ${words.length === 0 ? "a caller" : words.join(", ")}`;
    }
  }
}
