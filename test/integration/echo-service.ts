// A gRPC service without generated code: its descriptor is built here, over messages that Protocol Buffers bring along.
// It runs in Node.js and, with its types stripped, in a browser.

import { create, createFileRegistry } from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import {
  FileDescriptorProtoSchema,
  file_google_protobuf_wrappers,
  type StringValueSchema,
} from "@bufbuild/protobuf/wkt";

interface Shape<Kind extends "unary" | "server_streaming"> {
  methodKind: Kind;
  input: typeof StringValueSchema;
  output: typeof StringValueSchema;
}

const METHODS = {
  say: false,
  fail: false,
  admin: false,
  limited: false,
  down: false,
  absent: false,
  count: true,
};

const type = ".google.protobuf.StringValue";
const file = create(FileDescriptorProtoSchema, {
  name: "test/v1/echo.proto",
  package: "test.v1",
  syntax: "proto3",
  dependency: ["google/protobuf/wrappers.proto"],
  service: [
    {
      name: "EchoService",
      method: Object.entries(METHODS).map(([name, serverStreaming]) => ({
        name: `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`,
        inputType: type,
        outputType: type,
        serverStreaming,
      })),
    },
  ],
});
const registry = createFileRegistry(file, (name) =>
  name === "google/protobuf/wrappers.proto" ? file_google_protobuf_wrappers : undefined,
);

/** `test.v1.EchoService`: every method takes and gives a StringValue, `Count` a stream of them. */
export const EchoService = registry.getService("test.v1.EchoService") as GenService<{
  say: Shape<"unary">;
  fail: Shape<"unary">;
  admin: Shape<"unary">;
  limited: Shape<"unary">;
  down: Shape<"unary">;
  absent: Shape<"unary">;
  count: Shape<"server_streaming">;
}>;
