#!/usr/bin/env node
// The program. It sets up V8 and the cache of compiled code before anything else is loaded. JavaScript, because the one
// file that is loaded without that cache would bring in all that Node.js needs for taking types off: a tenth of the start.

import { enableCompileCache } from "node:module";
import { setFlagsFromString } from "node:v8";

// V8 may come to allocate what requests use among what lives long, from where it keeps the rest of each request alive.
// That happened to a few processes in a hundred, and cost them half as much again per request.
setFlagsFromString("--no-allocation-site-pretenuring");
enableCompileCache();
// Importing node:http reads all of its exports, and three of them load the client behind `fetch`: a fifth of the start for
// a browser's classes that nothing here uses.
const http = process.getBuiltinModule("node:http");
for (const name of ["WebSocket", "CloseEvent", "MessageEvent"]) Reflect.deleteProperty(http, name);
const { runCommand } = await import("./commands.ts");
await runCommand();
