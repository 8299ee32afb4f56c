// The test support itself: a Redis that can't be paused or restarted would make the failure tests pass for nothing.

import { connect } from "node:net";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { startRedis } from "../support/redis.ts";

/** Sends PING to `port`: the answer, `refused`, or `silent` after 300 ms. */
function ping(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const finish = (answer: string): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(300, () => finish("silent"));
    socket.once("error", () => finish("refused"));
    socket.once("connect", () => socket.write("PING\r\n"));
    socket.once("data", (data) => finish(data.toString().trim()));
  });
}

describe("the suite's Redis", () => {
  test("is there for every test file", async () => {
    const url = new URL(inject("redisUrl"));
    expect(await ping(Number(url.port || "6379"))).toMatch(/^(\+PONG|-NOAUTH)/);
  });

  test("can be frozen, resumed, stopped and restarted on its port", async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    expect(await ping(redis.port)).toBe("+PONG");
    redis.pause();
    expect(await ping(redis.port)).toBe("silent");
    redis.resume();
    expect(await ping(redis.port)).toBe("+PONG");
    await redis.stop();
    expect(await ping(redis.port)).toBe("refused");
    await redis.restart();
    expect(await ping(redis.port)).toBe("+PONG");
  });
});
