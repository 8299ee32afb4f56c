import { expect, test } from "vitest";
import { callerProtocol } from "../../../src/core/request.ts";

test.each([
  [undefined, "http"],
  ["", "http"],
  ["application/json", "http"],
  ["application/grpcx", "http"],
  ["application/grpc-webx+proto", "http"],
  ["text/plain; a=application/grpc", "http"],
  ["application/grpc", "grpc"],
  ["application/grpc+proto", "grpc"],
  ["Application/GRPC; charset=x", "grpc"],
  ["application/grpc-web", "grpc-web"],
  ["application/grpc-web+json", "grpc-web"],
  ["application/GRPC-Web+proto;q=1", "grpc-web"],
  ["application/grpc-web-text", "grpc-web-text"],
  ["application/grpc-web-text+proto", "grpc-web-text"],
  [" application/grpc-web-text ; a=b", "grpc-web-text"],
])("a body of type %j comes from a caller of %s", (type, protocol) => {
  expect(callerProtocol(type)).toBe(protocol);
});
