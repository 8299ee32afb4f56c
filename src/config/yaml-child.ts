// The parser's process: reads the text on standard input, writes the plain tree as JSON on standard output.

import { parseFully } from "./yaml-full.ts";

const chunks: Buffer[] = [];
process.stdin.on("data", (chunk: Buffer) => chunks.push(chunk));
process.stdin.on("error", () => process.exit(1));
process.stdout.on("error", () => process.exit(1));
process.stdin.on("end", () => {
  process.stdout.write(JSON.stringify(parseFully(Buffer.concat(chunks).toString("utf8"))));
});
