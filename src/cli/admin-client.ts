// Asks the running gateway that a configuration describes, on its admin port.

import { type IncomingMessage, request } from "node:http";
import { formatDiagnostics } from "../config/diagnostics.ts";
import type { AdminPolicy } from "../config/gateway-config.ts";
import { loadConfig } from "../config/load.ts";
import { err, ok, type Result } from "../core/result.ts";
import { VARIABLE } from "../core/wording.ts";
import { usesColor } from "./paint.ts";

/** Why there is no answer, and the exit code that says so. */
export interface NoAnswer {
  readonly exitCode: 2 | 3;
  readonly message: string;
}

// A reload may wait for the keys of new issuers.
const WITHIN_MS = 15_000;
const MOST_BYTES = 64 * 1024 * 1024;

const ADMIN_MISSING = `this file has no admin port to ask. Add

  admin: 127.0.0.1:9090

or, where others can reach the address, { listen: 0.0.0.0:9090, token: "${VARIABLE}" }, and restart the gateway`;

/** The admin port in a file. */
export async function adminOf(file: string): Promise<Result<AdminPolicy, NoAnswer>> {
  const loaded = await loadConfig(file, process.env);
  if (!loaded.ok) {
    const diagnostics = formatDiagnostics(loaded.error, "text", usesColor(process.stderr));
    return err({ exitCode: 2, message: diagnostics.trimEnd() });
  }
  const { admin } = loaded.value;
  if (admin === undefined) return err({ exitCode: 2, message: ADMIN_MISSING });
  if (admin.listen.port === 0)
    return err({
      exitCode: 2,
      message: "the admin port of this file is any free one (0), so it can't be found",
    });
  return ok(admin);
}

/** The JSON that the gateway answers to one request. */
export async function askAdmin(
  { listen, token }: AdminPolicy,
  method: "GET" | "DELETE" | "POST",
  path: string,
  body?: object,
): Promise<Result<unknown, NoAnswer>> {
  const host = EVERY.get(listen.host) ?? listen.host;
  const where = `${host.includes(":") ? `[${host}]` : host}:${listen.port}`;
  const sent = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const headers = {
    ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    ...(sent === undefined
      ? {}
      : { "Content-Type": "application/json", "Content-Length": String(sent.length) }),
  };
  let answer: Answer;
  try {
    answer = await exchange({ host, port: listen.port, path, method, headers, body: sent });
  } catch {
    return err({ exitCode: 3, message: `nothing answers on ${where}` });
  }
  const answered = parse(answer.text);
  if (answered === undefined)
    return err({ exitCode: 3, message: `what answers on ${where} is no gatewarden` });
  // 422 is an answer too: the gateway looked, and says no.
  if (answer.status === 200 || answer.status === 202 || answer.status === 422) return ok(answered);
  if (answer.status === 401)
    return err({ exitCode: 3, message: `the gateway on ${where} has another token than this file` });
  const detail = "detail" in answered ? String(answered.detail) : "";
  return err({
    exitCode: answer.status === 400 ? 2 : 3,
    message: `the gateway on ${where} answers ${answer.status}: ${detail}`,
  });
}

// Where a gateway listens on every address, it can be asked on loopback.
const EVERY: ReadonlyMap<string, string> = new Map([
  ["0.0.0.0", "127.0.0.1"],
  ["::", "::1"],
]);

interface Answer {
  readonly status: number;
  readonly text: string;
}

interface Question {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

function exchange({ body, ...question }: Question): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(WITHIN_MS);
    const asked = request({ ...question, agent: false, signal }, (response) =>
      readAll(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject),
    );
    asked.on("error", reject);
    asked.end(body);
  });
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Error("too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parse(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
