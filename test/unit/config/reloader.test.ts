import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { GatewayConfig } from "../../../src/config/gateway-config.ts";
import { configSource, inspectConfig } from "../../../src/config/load.ts";
import { type FailedTests, Reloader } from "../../../src/config/reloader.ts";
import { FileWatch } from "../../../src/config/watch.ts";
import type { GatewayEvent } from "../../../src/core/events.ts";
import { GatewayFailure } from "../../../src/core/failure.ts";

let folder = "";
let file = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "gatewarden-reloader-"));
  file = join(folder, "gateway.yaml");
});
afterEach(() => rmSync(folder, { recursive: true }));

const yaml = (path: string): string =>
  `upstreams: { app: http://127.0.0.1:9 }\nroutes: [{ match: GET ${path}, to: app, public: true }]\n`;

interface Scene {
  readonly reloader: Reloader;
  readonly applied: string[];
  readonly events: GatewayEvent[];
  readonly defects: unknown[];
  /** What `apply` does besides. */
  hook: () => void | Promise<void>;
  failed: FailedTests | undefined;
}

async function scene(): Promise<Scene> {
  writeFileSync(file, yaml("/first"));
  const inspection = await inspectConfig(file, {});
  if (inspection.config === undefined) throw new Error("invalid");
  const it = {
    applied: [],
    events: [],
    defects: [],
    hook: () => undefined,
    failed: undefined,
  } as unknown as {
    -readonly [K in keyof Scene]: Scene[K];
  };
  it.reloader = new Reloader(
    { config: inspection.config, inspection },
    {
      read: () => configSource(file, {}).read(),
      test: async () => it.failed,
      apply: async (config: GatewayConfig) => {
        await it.hook();
        it.applied.push(config.routes[0]?.name ?? "");
      },
      emit: (event) => void it.events.push(event),
      defect: (error) => void it.defects.push(error),
    },
  );
  return it;
}

describe("a look at the file", () => {
  test("applies what changed, and nothing when only the text did", async () => {
    const it = await scene();
    writeFileSync(file, `${yaml("/first")}# a comment\n`);
    expect(await it.reloader.reload("program")).toMatchObject({ result: "unchanged" });
    writeFileSync(file, yaml("/second"));
    expect(await it.reloader.reload("program")).toMatchObject({ result: "applied" });
    expect(it.applied).toEqual(["GET /second"]);
    expect(it.reloader.state).toMatchObject({
      generation: 2,
      counts: { applied: 1, unchanged: 1, rejected: 0 },
      configHash: await it.reloader.fileHash(),
    });
  });

  test.each([
    [
      "a test failed",
      (it: Scene) => Object.assign(it, { failed: { count: 2, message: "401 came", line: 7 } }),
      "tests_failed",
    ],
    [
      "an address is taken",
      (it: Scene) =>
        Object.assign(it, {
          hook: () => {
            throw new GatewayFailure("listen_failed", "taken");
          },
        }),
      "listen_failed",
    ],
    [
      "something is broken",
      (it: Scene) =>
        Object.assign(it, {
          hook: () => {
            throw new TypeError("canary-of-a-defect");
          },
        }),
      "bug",
    ],
  ])("changes nothing when %s", async (_why, prepare, code) => {
    const it = await scene();
    prepare(it);
    writeFileSync(file, yaml("/second"));
    const outcome = await it.reloader.reload("program");
    expect(outcome).toMatchObject({ result: "rejected", error: { code } });
    expect(JSON.stringify([outcome, it.events])).not.toContain("canary");
    expect(it.applied).toEqual([]);
    expect(it.reloader.state.generation).toBe(1);
    expect(it.events).toEqual([expect.objectContaining({ kind: "config_rejected", code })]);
    expect(it.defects).toHaveLength(code === "bug" ? 1 : 0);
  });

  test("that is asked for during another one comes after it, once for all who ask", async () => {
    const it = await scene();
    const gate = Promise.withResolvers<void>();
    it.hook = () => gate.promise;
    writeFileSync(file, yaml("/second"));
    const first = it.reloader.reload("program");
    await sleep(300);
    writeFileSync(file, yaml("/third"));
    const others = [it.reloader.reload("program"), it.reloader.reload("signal")];
    gate.resolve();
    expect(await first).toMatchObject({ result: "applied" });
    expect(await Promise.all(others)).toMatchObject([{ result: "applied" }, { result: "applied" }]);
    expect(it.applied).toEqual(["GET /second", "GET /third"]);
  });

  test("after the stop applies nothing", async () => {
    const it = await scene();
    it.reloader.stop();
    writeFileSync(file, yaml("/second"));
    await it.reloader.reload("program");
    expect(it.applied).toEqual([]);
  });
});

describe("a watch", () => {
  test("waits until a file that is written in steps is whole", async () => {
    writeFileSync(file, "0");
    let text = "0";
    const seen: string[] = [];
    const watch = new FileWatch(
      () => [file],
      async () => void seen.push(text),
      { everyMs: 10, settledMs: 60 },
    );
    await watch.start();
    for (let step = 1; step <= 10; step++) {
      text += step;
      writeFileSync(file, text);
      await sleep(20);
    }
    await sleep(300);
    watch.stop();
    expect(seen).toEqual([text]);
  });

  test("tells nothing of a state that somebody knows, and nothing after its stop", async () => {
    writeFileSync(file, "0");
    let calls = 0;
    const watch = new FileWatch(
      () => [file, join(folder, "absent")],
      async () => void calls++,
      { everyMs: 50, settledMs: 20 },
    );
    await watch.start();
    writeFileSync(file, "1");
    watch.knows(await watch.look());
    await sleep(150);
    expect(calls).toBe(0);
    writeFileSync(join(folder, "absent"), "now there");
    await sleep(200);
    expect(calls).toBe(1);
    watch.stop();
    writeFileSync(file, "22");
    await sleep(150);
    expect(calls).toBe(1);
  });
});

test("the example file, read twice, is the same configuration", async () => {
  const env = { OPS_SECRET: "x".repeat(40) };
  const one = await inspectConfig("gateway.yaml.example", env);
  const two = await inspectConfig("gateway.yaml.example", env);
  expect(one.config).toBeDefined();
  expect(two.config).toEqual(one.config);
});
