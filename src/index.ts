// The public programmatic interface: what the command line is made of, for embedding and for tests.

import type { GatewayConfig } from "./config/gateway-config.ts";
import { Gateway, type GatewaySetup } from "./gateway.ts";

export type { ConfigError, Diagnostic } from "./config/diagnostics.ts";
export type { GatewayConfig } from "./config/gateway-config.ts";
export { configSource, inspectConfig, loadConfig } from "./config/load.ts";
export type { ReloadOutcome } from "./config/reloader.ts";
export { Gateway, type GatewaySetup } from "./gateway.ts";
export type { Arrival } from "./pipeline/arrival.ts";
export { decide, type Policy } from "./pipeline/decide.ts";
export type { Decision } from "./pipeline/decision.ts";

/**
 * A gateway for a loaded configuration; it listens once `start` is called and ends with `stop`. With a `source` and the
 * `inspection` that the configuration came from, it follows changes of its file.
 */
export function createGateway(config: GatewayConfig, setup: GatewaySetup = {}): Promise<Gateway> {
  return Gateway.create(config, setup);
}
