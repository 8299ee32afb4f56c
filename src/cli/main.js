#!/usr/bin/env node
// The program. It sets up V8 and the cache of compiled code before anything else is loaded. JavaScript, because the one
// file that is loaded without that cache would bring in all that Node.js needs for taking types off: a tenth of the start.

import { enableCompileCache } from "node:module";
import { setFlagsFromString } from "node:v8";

// V8 may come to allocate what requests use among what lives long, from where it keeps the rest of each request alive.
// That happened to a few processes in a hundred, and cost them half as much again per request.
setFlagsFromString("--no-allocation-site-pretenuring");
enableCompileCache();
const { runCommand } = await import("./commands.ts");
await runCommand();
