// Preloaded into a program under test: samples what it allocates, collected objects included, and writes a .heapprofile
// to the path in ALLOCATION_PROFILE when it ends.

import { writeFileSync } from "node:fs";
import { Session } from "node:inspector";

const SAMPLE_EVERY_BYTES = 16_384;

const path = process.env.ALLOCATION_PROFILE;
if (path !== undefined) {
  const session = new Session();
  session.connect();
  session.post("HeapProfiler.startSampling", {
    samplingInterval: SAMPLE_EVERY_BYTES,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  });
  process.once("exit", () => {
    session.post("HeapProfiler.stopSampling", (error, result) => {
      if (error === null) writeFileSync(path, JSON.stringify(result.profile));
    });
  });
}
