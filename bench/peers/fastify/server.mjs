// The same task on Fastify's own plug-ins: token, scope, limit per subject, identity header, proxy.
// Arguments: a JSON file with port, upstreamPort, algorithm, key, issuer, scope, limit.

import { readFileSync } from "node:fs";
import httpProxy from "@fastify/http-proxy";
import jwt from "@fastify/jwt";
import rateLimit from "@fastify/rate-limit";
import Fastify from "fastify";

const options = JSON.parse(readFileSync(process.argv[2], "utf8"));
const app = Fastify({ logger: false });

await app.register(jwt, {
  secret: options.algorithm === "HS256" ? options.key : { public: options.key, private: "unused" },
  verify: { algorithms: [options.algorithm], allowedIss: options.issuer },
});
await app.register(rateLimit, {
  global: false,
  max: options.limit,
  timeWindow: "1 minute",
  keyGenerator: (request) => request.user.sub,
});

async function authorize(request, reply) {
  try {
    await request.jwtVerify();
  } catch {
    return reply.code(401).send();
  }
  if (!request.user.scope.split(" ").includes(options.scope)) return reply.code(403).send();
}

await app.register(httpProxy, {
  upstream: `http://127.0.0.1:${options.upstreamPort}`,
  preHandler: [authorize, app.rateLimit()],
  replyOptions: {
    rewriteRequestHeaders: (request, headers) => ({ ...headers, "x-user-id": request.user.sub }),
  },
});

await app.listen({ host: "127.0.0.1", port: options.port });
process.on("SIGTERM", () => app.close().then(() => process.exit(0)));
