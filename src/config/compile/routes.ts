// Compiles `routes`: what each one matches, what guards it, and that no two of them claim the same request.

import type { AuthzPolicy, RoleTable } from "../../authz/policy.ts";
import { foldName } from "../../core/fields.ts";
import { OBSERVE_PARTS, type ObservePart } from "../../core/observe.ts";
import type { PathRules } from "../../core/request-target.ts";
import type { FileLimit } from "../../rate-limit/policy.ts";
import type { AuthRule, CorsPolicy, RoutePolicy } from "../gateway-config.ts";
import { defaultsShape, routeShape } from "../options.ts";
import { type Field, type FieldsOf, readFields } from "../read.ts";
import type { Report } from "../report.ts";
import type { Place } from "../tree.ts";
import { compileAuth, type Verifiers } from "./auth.ts";
import { compileAuthz, compileIps } from "./authz.ts";
import { compileCors } from "./cors.ts";
import { listEntries } from "./entries.ts";
import { compileEdits } from "./field-edits.ts";
import { checkReachable } from "./limit-lint.ts";
import { type NamedLimit, nameLimits, type SharedLimits } from "./limit-names.ts";
import { compileLimits } from "./limits.ts";
import { commonParameters, compileMatches, compileStripPrefix, type PlacedMatch } from "./matches.ts";
import { checkOverlaps } from "./overlaps.ts";
import { checkCallers, type TierTable } from "./tiers.ts";
import { compileTimeouts } from "./upstreams.ts";

/** What routes refer to. */
export interface RouteSurroundings {
  readonly verifiers: Verifiers;
  readonly roles: RoleTable;
  readonly upstreams: ReadonlyMap<string, number>;
  readonly paths: PathRules & { readonly caseSensitive: boolean };
  readonly keyHeaders: readonly string[];
  /** Lower case. */
  readonly identityNames: readonly string[];
  /** Global `cors`. */
  readonly cors: CorsPolicy | undefined;
  /** Paths that the gateway answers itself. */
  readonly ownPaths: readonly string[];
  /** `tiers`, where the file has them. */
  readonly tiers: TierTable | undefined;
  /** Whether the file has `redis`. */
  readonly shared: boolean;
  readonly globalLimits: readonly NamedLimit[];
  /** Names of all limits of the file. */
  readonly sharedLimits: SharedLimits;
}

type RouteFields = FieldsOf<typeof routeShape>;
type GuardFields = FieldsOf<typeof defaultsShape>;
type GuardKey = keyof typeof defaultsShape;

/** A compiled route with its matches' places. */
interface Compiled {
  readonly policy: RoutePolicy;
  readonly matches: readonly PlacedMatch[];
}

/** `defaults` and `routes`. Routes with mistakes may be incomplete; they were reported. */
export function compileRoutes(
  report: Report,
  places: { readonly defaults: Place | undefined; readonly routes: Place | undefined },
  surroundings: RouteSurroundings,
): readonly RoutePolicy[] {
  const nothing: Place = { node: { kind: "map", at: 0, entries: [] }, path: ["defaults"] };
  const defaults = readFields(report, places.defaults ?? nothing, defaultsShape);
  if (defaults === undefined || places.routes === undefined) return [];
  const entries = listEntries(report, places.routes);
  if (places.routes.node.kind === "list" && entries.length === 0) {
    report.add(places.routes.node.at, places.routes.path, "list_empty", "at least one route is needed");
  }
  const compiler = new RouteCompiler(report, defaults, surroundings);
  compiler.checkDefaults();
  const compiled = entries.flatMap((entry) => (report.full ? [] : compiler.compile(entry)));
  compiler.finish(compiled);
  return compiled.map(({ policy }) => policy);
}

class RouteCompiler {
  readonly #report: Report;
  readonly #defaults: GuardFields;
  readonly #around: RouteSurroundings;
  readonly #names = new Map<string, number>();
  /** For names that several routes would have: the next number that tells them apart. */
  readonly #numbers = new Map<string, number>();
  readonly #shared: SharedLimits;
  readonly #reserved: ReadonlySet<string>;

  constructor(report: Report, defaults: GuardFields, surroundings: RouteSurroundings) {
    this.#report = report;
    this.#defaults = defaults;
    this.#around = surroundings;
    this.#shared = surroundings.sharedLimits;
    this.#reserved = new Set(surroundings.identityNames.map(foldName));
  }

  compile(entry: Place): Compiled[] {
    const report = this.#report;
    const fields = readFields(report, entry, routeShape);
    if (fields === undefined) return [];
    const matches = compileMatches(report, fields, this.#around.paths);
    const name = this.#nameOf(fields, matches);
    const guard = this.#guard(entry, fields, commonParameters(matches));
    const headers = this.#own(fields, "headers");
    const policy: RoutePolicy = {
      name,
      line: report.place(entry.node.at).line,
      matches: matches.map(({ match }) => match),
      upstream: this.#upstream(fields),
      ...guard,
      ips: compileIps(report, this.#own(fields, "ips")),
      observe: observedParts(this.#own(fields, "observe").value),
      limits: this.#limits(fields, name, guard.access),
      cors: this.#cors(fields),
      stripPrefix: compileStripPrefix(report, fields.stripPrefix, matches, this.#around.paths),
      request: compileEdits(report, headers, "request", this.#reserved),
      response: compileEdits(report, headers, "response", new Set()),
      timeouts: {
        ...compileTimeouts(report, this.#defaults.timeouts),
        ...compileTimeouts(report, fields.timeouts),
      },
      forwardCredentials: this.#own(fields, "forwardCredentials").value ?? false,
    };
    return [{ policy, matches }];
  }

  /** Judges `defaults` by itself, since every route may have said otherwise. */
  checkDefaults(): void {
    const report = this.#report;
    const { auth, scopes, roles, limit, cors, headers, timeouts, ips } = this.#defaults;
    compileAuth(report, auth, this.#around.verifiers);
    const none = { ...scopes, value: undefined, present: false };
    compileAuthz(report, { scopes, roles, require: none }, this.#around.roles, new Set());
    this.#checkDefaultLimits(limit);
    compileCors(report, cors, this.#around.keyHeaders);
    compileEdits(report, headers, "request", this.#reserved);
    compileEdits(report, headers, "response", new Set());
    compileTimeouts(report, timeouts);
    compileIps(report, ips);
  }

  /** What can only be judged with all routes known. */
  finish(compiled: readonly Compiled[]): void {
    const matches = compiled.map((one) => one.matches);
    checkOverlaps(this.#report, matches, this.#around.paths.caseSensitive, this.#around.ownPaths);
    this.#shared.finish(new Set(compiled.map(({ policy }) => policy.name)));
  }

  /** The route's own field, or that of `defaults`. */
  #own<K extends GuardKey>(fields: RouteFields, key: K): GuardFields[K] {
    // Both shapes hold the same schema under this key.
    return fields[key].present ? (fields[key] as GuardFields[K]) : this.#defaults[key];
  }

  #nameOf(fields: RouteFields, matches: readonly PlacedMatch[]): string {
    const given = fields.name.value;
    const wanted = given ?? matches[0]?.match.text ?? "";
    const first = this.#names.get(wanted);
    if (first === undefined) {
      this.#names.set(wanted, fields.name.present ? fields.name.node.at : fields.match.node.at);
      return wanted;
    }
    if (given !== undefined) {
      this.#report.add(
        fields.name.node.at,
        fields.name.path,
        "duplicate_name",
        "another route has this name already",
        {
          relatedAt: first,
        },
      );
      return wanted;
    }
    // Routes that differ in their host or header conditions may share a pattern.
    let number = this.#numbers.get(wanted) ?? 2;
    while (this.#names.has(`${wanted} #${number}`)) number++;
    this.#numbers.set(wanted, number + 1);
    this.#names.set(`${wanted} #${number}`, fields.match.node.at);
    return `${wanted} #${number}`;
  }

  #upstream(fields: RouteFields): string {
    const name = fields.to.value;
    if (name === undefined) return "";
    if (!this.#around.upstreams.has(name)) {
      const { node, path } = fields.to;
      this.#report.addUnknown(
        node.at,
        path,
        "unknown_reference",
        "no upstream of this name is declared",
        name,
        this.#around.upstreams.keys(),
      );
    }
    return name;
  }

  #guard(
    entry: Place,
    fields: RouteFields,
    parameters: ReadonlySet<string>,
  ): Pick<RoutePolicy, "access" | "auth" | "credentials" | "authz"> {
    const credentials = this.#own(fields, "credentials").value ?? "single";
    if (fields.public.value === true) {
      this.#refuseGuards(fields);
      return {
        access: "public",
        auth: [],
        credentials,
        authz: { scopes: undefined, roles: undefined, require: [] },
      };
    }
    const auth: AuthRule | undefined = compileAuth(
      this.#report,
      this.#own(fields, "auth"),
      this.#around.verifiers,
    );
    if (
      !fields.auth.present &&
      !this.#defaults.auth.present &&
      !(fields.public.present && fields.public.value === undefined)
    ) {
      this.#report.add(entry.node.at, entry.path, "route_unguarded", "the route has no guard", {
        hint: "say `auth: [...]` here or in `defaults`, or `public: true` to open it to everyone",
      });
    }
    const authz: AuthzPolicy = compileAuthz(
      this.#report,
      { scopes: this.#own(fields, "scopes"), roles: this.#own(fields, "roles"), require: fields.require },
      this.#around.roles,
      parameters,
    );
    return {
      access: fields.optional.value === true ? "optional" : "guarded",
      auth: auth ?? [],
      credentials,
      authz,
    };
  }

  #refuseGuards(fields: RouteFields): void {
    for (const key of ["auth", "optional", "scopes", "roles", "require"] as const) {
      const field: Field<unknown> = fields[key];
      if (!field.present || (key === "optional" && field.value === false)) continue;
      this.#report.add(
        field.node.at,
        field.path,
        "conflict",
        `\`public: true\` and \`${key}\` contradict each other`,
        {
          relatedAt: fields.public.node.at,
          hint: "remove one of them",
        },
      );
    }
  }

  #checkDefaultLimits(field: GuardFields["limit"]): void {
    const { tiers, shared } = this.#around;
    const rules = { tiers, shared, ofKey: false };
    for (const one of compileLimits(this.#report, field, rules)) this.#shared.add(one);
    if (field.value === false && this.#around.globalLimits.length > 0) {
      const message = "`limit: false` would exempt every route from `globalLimit`";
      const hint =
        "leave it out of `defaults`, where it says nothing else, and write it on the routes to be exempt";
      this.#report.add(field.node.at, field.path, "conflict", message, { hint });
    }
  }

  /** The route's own limits, then those of all routes; none when it says `limit: false`. */
  #limits(fields: RouteFields, name: string, access: RoutePolicy["access"]): readonly FileLimit[] {
    const field = this.#own(fields, "limit");
    if (field.value === false) return [];
    const { tiers, shared, globalLimits } = this.#around;
    const own = nameLimits(compileLimits(this.#report, field, { tiers, shared, ofKey: false }), name);
    const all = [...own, ...globalLimits];
    this.#shared.addNamed(own);
    this.#shared.checkTogether(all);
    checkReachable(this.#report, own, globalLimits);
    for (const { table, limit } of all)
      if (table !== undefined) checkCallers(this.#report, table.place, table.tiers, limit.subject, access);
    return all.map(({ limit }) => limit);
  }

  #cors(fields: RouteFields): CorsPolicy | undefined {
    const cors = compileCors(this.#report, this.#own(fields, "cors"), this.#around.keyHeaders);
    return cors === "off" ? undefined : (cors ?? this.#around.cors);
  }
}

function observedParts(value: boolean | readonly ObservePart[] | undefined): readonly ObservePart[] {
  if (value === undefined || value === false) return [];
  return value === true ? OBSERVE_PARTS : OBSERVE_PARTS.filter((part) => value.includes(part));
}
