// The Hono application of the traffic port: what the gateway answers itself, and a catch-all that hands everything else
// to the decision. The listener takes the shortcut past it for paths that are not the gateway's own.

import type { HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { Hono } from "hono";
import { LIVE, type Readiness, readyAnswer } from "../core/health.ts";
import type { EdgeState } from "./edge-state.ts";
import { Run } from "./run.ts";

export interface AppOptions {
  readonly health: { readonly live: string; readonly ready: string } | undefined;
  readonly readiness: () => Readiness;
  readonly state: EdgeState;
}

/** Builds the application. Health answers carry no detail beyond what a load balancer needs. */
export function createApp(options: AppOptions): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  if (options.health !== undefined) {
    app.get(options.health.live, (context) => context.json(LIVE.body, LIVE.status, NO_STORE));
    app.get(options.health.ready, (context) => {
      const { status, body } = readyAnswer(options.readiness());
      return context.json(body, status, NO_STORE);
    });
  }
  app.all("*", (context) => {
    new Run(options.state, context.env.incoming, context.env.outgoing, false).start();
    return RESPONSE_ALREADY_SENT;
  });
  return app;
}

/** The paths that the application answers itself. */
export function ownPaths(health: AppOptions["health"]): ReadonlySet<string> {
  return new Set(health === undefined ? [] : [health.live, health.ready]);
}

const NO_STORE = { "Cache-Control": "no-store" };
