// The public programmatic interface: what the command line is made of, for embedding and for tests.

import type { GatewayConfig } from "./config/gateway-config.ts";
import { Gateway } from "./gateway.ts";

export type { ConfigError, Diagnostic } from "./config/diagnostics.ts";
export type { GatewayConfig } from "./config/gateway-config.ts";
export { loadConfig } from "./config/load.ts";
export { Gateway } from "./gateway.ts";
export type { Arrival } from "./pipeline/arrival.ts";
export { decide, type Policy } from "./pipeline/decide.ts";
export type { Decision } from "./pipeline/decision.ts";

/** A gateway for a loaded configuration; it listens once `start` is called and ends with `stop`. */
export function createGateway(config: GatewayConfig): Promise<Gateway> {
  return Gateway.create(config);
}
