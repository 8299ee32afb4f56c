// An upstream for bulk transfer: GET answers with as many bytes as the query says, POST swallows the body and tells its size.
// Arguments: port.

import { createServer } from "node:http";
import { Readable } from "node:stream";

const CHUNK = Buffer.alloc(64 * 1_024, "x");

const server = createServer((request, response) => {
  response.on("error", () => {});
  if (request.method === "GET") {
    const size = Number(new URL(request.url ?? "/", "http://localhost").searchParams.get("size") ?? "0");
    response.writeHead(200, { "content-length": size, "content-type": "application/octet-stream" });
    Readable.from(chunks(size))
      .on("error", () => response.destroy())
      .pipe(response);
    return;
  }
  let received = 0;
  request.on("error", () => {});
  request.on("data", (chunk: Buffer) => {
    received += chunk.length;
  });
  request.on("end", () => response.end(String(received)));
});

function* chunks(size: number): Generator<Buffer> {
  for (let left = size; left > 0; left -= CHUNK.length)
    yield left >= CHUNK.length ? CHUNK : CHUNK.subarray(0, left);
}

server.listen(Number(process.argv[2]), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
