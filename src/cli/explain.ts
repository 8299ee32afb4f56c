// `gatewarden explain METHOD PATH`: what would become of a request, and why. Nothing is sent to an upstream.

import { readCompact } from "../authn/jwt/compact.ts";
import type { IssuerPolicy } from "../authn/jwt/policy.ts";
import { JwtVerifier } from "../authn/jwt/verifier.ts";
import { grantsOf } from "../authz/roles.ts";
import { formatDiagnostics } from "../config/diagnostics.ts";
import type { GatewayConfig } from "../config/gateway-config.ts";
import { Lines } from "../config/lines.ts";
import { inspectConfig, loadConfig } from "../config/load.ts";
import { Masker } from "../config/mask.ts";
import type { Clock } from "../core/clock.ts";
import { type AskedQuestion, readQuestion } from "../pipeline/asked.ts";
import { explain as explainDecision } from "../pipeline/explain.ts";
import type { Explanation } from "../pipeline/explanation.ts";
import { OfflineGateway } from "../pipeline/offline.ts";
import { adminOf, askAdmin } from "./admin-client.ts";
import { askedOf, type QuestionOptions } from "./explain-question.ts";
import { explanationText, marksFor } from "./explain-text.ts";
import { clean } from "./load-file.ts";
import { paint, usesColor } from "./paint.ts";

export interface ExplainOptions extends QuestionOptions {
  /** Path of the file. */
  readonly config: string;
  readonly format: "text" | "json";
  /** Ask the running gateway of this file. */
  readonly live?: boolean;
  /** No issuer is asked for its keys. */
  readonly offline?: boolean;
}

const systemClock: Clock = { wallMs: () => Date.now(), steadyMs: () => performance.now() };
const KEYS_WITHIN_MS = 5_000;
const COUNTED_NOTHING = "the limits are told as if nothing was counted yet; --live asks the running gateway";

/** Explains, and resolves with the exit code: 0 forwarded (or answered here), 1 refused, 2 wrong usage or file, 3 not reached. */
export async function explain(method: string, path: string, options: ExplainOptions): Promise<number> {
  return options.live === true
    ? await explainLive(method, path, options)
    : await explainHere(method, path, options);
}

async function explainHere(method: string, path: string, options: ExplainOptions): Promise<number> {
  const { config, diagnostics, source } = await inspectConfig(options.config, process.env);
  if (config === undefined) {
    const errors = { diagnostics: diagnostics.filter(({ severity }) => severity === "error"), source };
    process.stderr.write(formatDiagnostics(errors, "text", usesColor(process.stderr)));
    return 2;
  }
  const asked = await askedOf(method, path, options, config.apiKeyHeaders[0] ?? "x-api-key");
  if (!asked.ok) return wrong(asked.error);
  const keys = options.offline === true ? undefined : await fetchedKeys(config, asked.value);
  const gateway = new OfflineGateway(config, systemClock, keys?.verifier);
  const question = readQuestion(asked.value, gateway);
  if (!question.ok) return wrong(question.error);
  const explained = await explainDecision(
    {
      config,
      policy: gateway.compiled.policy,
      limiter: gateway.emptyCounters(),
      failures: undefined,
      notes: keys === undefined ? [] : [keys.note],
    },
    question.value,
  );
  keys?.verifier.stop();
  const limited = (explained.limits?.limits.length ?? 0) > 0;
  const explanation = limited ? { ...explained, notes: [...explained.notes, COUNTED_NOTHING] } : explained;
  const masker = new Masker(new Lines(source));
  print(explanation, options, (line) => masker.line(line - 1, Number.POSITIVE_INFINITY));
  if (keys?.missing === true && explanation.verdict.code === "keys_unavailable") return 3;
  return exitCodeOf(explanation);
}

async function explainLive(method: string, path: string, options: ExplainOptions): Promise<number> {
  const file = options.key === undefined ? undefined : await loadConfig(options.config, process.env);
  const keyField = file?.ok === true ? file.value.apiKeyHeaders[0] : undefined;
  const asked = await askedOf(method, path, options, keyField ?? "x-api-key");
  if (!asked.ok) return wrong(asked.error);
  const admin = await adminOf(options.config);
  const answer = admin.ok ? await askAdmin(admin.value, "POST", "/api/v1/explain", asked.value) : admin;
  if (!answer.ok) {
    process.stderr.write(`gatewarden: ${clean(answer.error.message)}\n`);
    return answer.error.exitCode;
  }
  // The gateway's own answer; one of another shape says another version.
  const explanation = answer.value as Explanation;
  if (explanation.version !== 1) {
    process.stderr.write("gatewarden: the gateway explains in a form that this program doesn't know\n");
    return 3;
  }
  print(explanation, options, undefined);
  return exitCodeOf(explanation);
}

interface FetchedKeys {
  readonly verifier: JwtVerifier;
  readonly note: string;
  /** An issuer gave no keys. */
  readonly missing: boolean;
}

/** Keys of the issuer that the question's token names, where they have to be fetched; undefined where none have to. */
async function fetchedKeys(
  config: GatewayConfig,
  { headers = [] }: AskedQuestion,
): Promise<FetchedKeys | undefined> {
  const named = headers
    .filter(([name]) => name.toLowerCase() === "authorization")
    .map(([, value]) => readCompact(value.replace(/^bearer +/i, "")))
    .flatMap((read) => (read.ok ? [read.value.payload.iss] : []));
  const isFar = ({ source, issuer }: IssuerPolicy): boolean =>
    (source.kind === "jwksUri" || source.kind === "discovery") && named.includes(issuer);
  if (!config.issuers.some(isFar)) return undefined;
  // Issuers that this token doesn't name are not asked.
  const issuers = config.issuers.filter(
    (one) => isFar(one) || one.source.kind === "secret" || "keys" in one.source || one.source.kind === "pem",
  );
  const verifier = new JwtVerifier(
    issuers,
    { clock: systemClock, emit: () => undefined, grants: (roles) => grantsOf(config.roles, roles) },
    { timings: { waitMs: KEYS_WITHIN_MS, fetchTimeoutMs: KEYS_WITHIN_MS } },
  );
  verifier.start();
  await verifier.settled();
  const waiting = verifier.health().filter(({ state }) => state === "waiting");
  const names = issuers.filter(isFar).map(({ name }) => name);
  const note =
    waiting.length === 0
      ? `fetched the keys of ${names.join(", ")} for this question`
      : `the keys of ${waiting.map(({ issuer }) => issuer).join(", ")} could not be fetched`;
  return { verifier, note, missing: waiting.length > 0 };
}

function print(
  explanation: Explanation,
  { format }: ExplainOptions,
  sourceLine: ((line: number) => string) | undefined,
): void {
  if (format === "json") {
    process.stdout.write(`${JSON.stringify(explanation, null, 2)}\n`);
    return;
  }
  const around = {
    paint: paint(process.stdout),
    marks: marksFor(process.env),
    columns: Math.min(100, process.stdout.columns ?? 100),
    sourceLine,
  };
  process.stdout.write(explanationText(explanation, around));
}

function exitCodeOf({ verdict: { decision, status = 200 } }: Explanation): number {
  return decision === "refuse" || status >= 400 ? 1 : 0;
}

function wrong(message: string): number {
  process.stderr.write(`gatewarden: ${clean(message)}\n`);
  return 2;
}
