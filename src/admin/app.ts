// The Hono application of the admin port: health, status, metrics, what the limits count, and the call to reload. Nothing of it is ever served on the
// traffic port.

import { setImmediate } from "node:timers/promises";
import { type Context, Hono } from "hono";
import { deny } from "../core/denial.ts";
import { GatewayFailure } from "../core/failure.ts";
import { type HealthAnswer, LIVE, readyAnswer } from "../core/health.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { type AccessCheck, localCheck, tokenCheck } from "./access.ts";
import { addExplain, EXPLAIN_PATH } from "./explain.ts";
import { type LimitsOfFile, limitEntries } from "./limits.ts";
import type { AdminPorts } from "./ports.ts";
import { COMMON_HEADERS, problemResponse } from "./problem.ts";
import { addReload } from "./reload.ts";
import { addStatus } from "./status.ts";

export interface AdminAppOptions extends AdminPorts {
  /** Undefined on loopback only. */
  readonly token: string | undefined;
  readonly file: LimitsOfFile;
}

const MOST_KEY_CHARACTERS = 2_048;
const COUNTERS = "/api/v1/limits/counters";

/** Builds the application. */
export function createAdminApp(options: AdminAppOptions): Hono {
  const app = new Hono();
  app.use("*", async (context, next) => {
    await next();
    for (const [name, value] of Object.entries(COMMON_HEADERS)) context.res.headers.set(name, value);
  });
  if (options.token === undefined) guard(app, localCheck);
  app.get("/healthz", (context) => health(context, LIVE));
  app.get("/readyz", (context) => health(context, readyAnswer(options.readiness())));
  // Load balancers carry no token; everything else does, also what isn't there.
  if (options.token !== undefined) guard(app, tokenCheck(options.token));
  addStatus(app, options);
  addMetrics(app, options);
  addLimits(app, options);
  for (const path of ["/healthz", "/readyz", "/status", "/metrics", "/api/v1/limits"])
    onlyMethods(app, path, "GET, HEAD");
  addExplain(app, options);
  onlyMethods(app, EXPLAIN_PATH, "POST");
  if (options.reload !== undefined) {
    addReload(app, options.reload, options.audit);
    onlyMethods(app, "/api/v1/reload", "POST");
  }
  onlyMethods(app, COUNTERS, "GET, HEAD, DELETE");
  app.notFound(() => problemResponse(deny("route_not_found")));
  app.onError((error) => {
    const unreachable = error instanceof GatewayFailure && error.code === "dependency_unreachable";
    if (unreachable) return problemResponse(deny("limiter_unavailable", undefined, { retryAfterSeconds: 1 }));
    options.defect(error);
    return problemResponse(deny("internal_error"));
  });
  return app;
}

function guard(app: Hono, check: AccessCheck): void {
  app.use("*", async (context, next) => {
    const denial = check({
      host: context.req.header("Host"),
      origin: context.req.header("Origin"),
      authorization: context.req.header("Authorization"),
    });
    if (denial !== undefined) return problemResponse(denial);
    return await next();
  });
}

function health(context: Context, { status, body }: HealthAnswer): Response {
  return context.json(body, status);
}

function onlyMethods(app: Hono, path: string, allow: string): void {
  app.all(path, () => problemResponse(deny("method_not_allowed", undefined, { allow })));
}

function addMetrics(app: Hono, options: AdminAppOptions): void {
  const metrics = new Metrics(options.metrics);
  app.get("/metrics", async () => {
    const headers = { "Content-Type": metrics.contentType };
    return new Response(ReadableStream.from(paced(await metrics.scrape())), { headers });
  });
}

/** The metrics of a large file are megabytes, and a socket that takes them at once would take them all in one turn. */
async function* paced(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    yield piece;
    await setImmediate();
  }
}

function addLimits(app: Hono, { metrics, counters, file, audit }: AdminAppOptions): void {
  app.get("/api/v1/limits", (context) => {
    const store = metrics.store();
    return context.json({
      store: store === undefined ? null : { name: store.name, up: store.up },
      degraded: metrics.degraded(),
      counters: metrics.counters(),
      limits: limitEntries(file, metrics.limits()),
    });
  });
  app.get(COUNTERS, async (context) => {
    const key = keyOf(context);
    const found = key === undefined ? undefined : await counters.show(key);
    return found === undefined ? noIdentity() : context.json({ counters: found });
  });
  app.delete(COUNTERS, async (context) => {
    const key = keyOf(context);
    const count = key === undefined ? undefined : await counters.reset(key);
    if (count === undefined) return noIdentity();
    audit({ event: "limits_reset", counters: count });
    return context.json({ counters: count });
  });
}

/** The one `key` of the query. */
function keyOf(context: Context): string | undefined {
  const [key = "", ...more] = context.req.queries("key") ?? [];
  const wellFormed = key !== "" && key.length <= MOST_KEY_CHARACTERS && !/\p{Cc}/u.test(key);
  return wellFormed && more.length === 0 ? key : undefined;
}

function noIdentity(): Response {
  return problemResponse(
    deny("request_invalid", undefined, {
      detail: "expected one `key`: KIND:VALUE such as user:alice, or the key of a counter",
    }),
  );
}
