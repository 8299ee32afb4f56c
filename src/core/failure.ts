// What is thrown. An expected refusal is a Denial, a value; a GatewayFailure means that something is broken.

export type FailureCode =
  | "config_invalid"
  | "dependency_unreachable"
  | "listen_failed"
  | "wrong_usage"
  | "bug";

/**
 * Thrown for a broken file, a missing dependency or a defect of the gateway itself.
 * Its message is for the operator and never holds request data, tokens or keys.
 */
export class GatewayFailure extends Error {
  readonly code: FailureCode;

  constructor(code: FailureCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "GatewayFailure";
    this.code = code;
  }
}
