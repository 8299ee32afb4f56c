import { defineConfig } from "vitest/config";

const PURE = [
  "test/*.test.ts",
  "test/property/**/*.test.ts",
  "test/unit/{authz,config,core,review,routing}/**/*.test.ts",
];

const shared = {
  globalSetup: ["test/support/global-setup.ts"],
  testTimeout: 20_000,
  hookTimeout: 30_000,
  pool: "forks" as const,
};

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      { test: { ...shared, name: "whole", include: ["test/**/*.test.ts"], exclude: PURE } },
      // Nothing here leaves anything behind, so files share processes and load the code once.
      { test: { ...shared, name: "pure", include: PURE, isolate: false } },
    ],
  },
});
