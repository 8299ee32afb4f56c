// `POST /api/v1/reload`: the gateway looks at its file now, and the answer tells what came of it.

import type { Hono } from "hono";
import type { AuditRecord } from "../telemetry/log.ts";
import type { ReloadPort } from "./ports.ts";

/** Adds the path. 200: applied or unchanged; 202: under way, for `?wait=false`; 422: not taken, with every mistake. */
export function addReload(app: Hono, reload: ReloadPort, audit: (act: AuditRecord) => void): void {
  app.post("/api/v1/reload", async (context) => {
    const pending = reload.now();
    if (context.req.query("wait") === "false") {
      audit({ event: "reload", result: "asked" });
      return context.json({ result: "asked" }, 202);
    }
    const outcome = await pending;
    audit({ event: "reload", result: outcome.result });
    const { configHash, generation } = reload.state();
    const body = { ...outcome, configHash, generation };
    return context.json(body, outcome.result === "rejected" ? 422 : 200);
  });
}
