// Gives the whole suite one real Redis: REDIS_URL when it is set, else a server of its own.

import type { TestProject } from "vitest/node";
import { startRedis } from "./redis.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** URL of the suite's Redis, shared by all test files: use a key prefix of your own. */
    redisUrl: string;
  }
}

/** Vitest's globalSetup: returns the tear-down. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const given = process.env.REDIS_URL;
  if (given !== undefined && given !== "") {
    project.provide("redisUrl", given);
    return undefined;
  }
  const redis = await startRedis();
  project.provide("redisUrl", redis.url);
  return () => redis.stop();
}
