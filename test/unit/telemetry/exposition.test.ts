import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { exposition, type Family } from "../../../src/telemetry/exposition.ts";
import { Histogram } from "../../../src/telemetry/histogram.ts";
import { readExposition, readSeries } from "../../support/exposition.ts";

async function text(...families: Family[]): Promise<string> {
  return Buffer.concat(await exposition(families)).toString();
}

function gauge(name: string, samples: (readonly [Record<string, string>, number])[]): Family {
  return { name, help: "A gauge", type: "gauge", samples: () => samples };
}

describe("the text", () => {
  test("is what Prometheus reads", async () => {
    const histogram = new Histogram([1, 10]);
    histogram.observe(5);
    histogram.observe(20);
    const family: Family = {
      name: "b_seconds",
      help: "Times",
      type: "histogram",
      histograms: () => [[{ route: "r" }, histogram]],
    };
    expect(await text(gauge("a", [[{}, 1.5]]), family, gauge("none", []))).toBe(
      `# HELP a A gauge
# TYPE a gauge
a 1.5
# HELP b_seconds Times
# TYPE b_seconds histogram
b_seconds_bucket{route="r",le="0.001"} 0
b_seconds_bucket{route="r",le="0.01"} 1
b_seconds_bucket{route="r",le="+Inf"} 2
b_seconds_sum{route="r"} 0.025
b_seconds_count{route="r"} 2
`,
    );
  });

  test("holds any value and any number, and nothing breaks out of its quotes", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(
          fc.string({ unit: fc.constantFrom("a", '"', "\\", "\n", "{", "}", ",", " ", "é", "\u{1f600}") }),
        ),
        fc.double(),
        async (values, number) => {
          const families = readExposition(
            await text(
              gauge(
                "g",
                values.map((value) => [{ v: value }, number]),
              ),
            ),
          );
          const series = families.get("g")?.series ?? new Map<string, number>();
          const unquoted = Array.from(series.keys(), (key) =>
            key.slice('g{v="'.length, -2).replace(/\\(.)/g, (_, one: string) => (one === "n" ? "\n" : one)),
          );
          expect(unquoted).toEqual(values);
          for (const value of series.values())
            expect(Object.is(value, number) || value === number).toBe(true);
        },
      ),
    );
  });
});

test("of a large file is written in slices, between which others have their turn", async () => {
  const many = Array.from(
    { length: 60_000 },
    (_, n) => [{ route: `GET /service-${n}/things/:id` }, n] as const,
  );
  let turns = 0;
  let over = false;
  const turn = (): void => {
    turns += 1;
    if (!over) setImmediate(turn);
  };
  setImmediate(turn);
  const pieces = await exposition([
    gauge(
      "many",
      many.map(([labels, value]) => [labels, value]),
    ),
  ]);
  over = true;
  expect(turns).toBeGreaterThan(5);
  expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(48 * 1024);
  const series = readSeries(Buffer.concat(pieces).toString());
  expect([series.size, series.get('many{route="GET /service-59999/things/:id"}')]).toEqual([60_000, 59_999]);
});

describe("the strict reader of the tests refuses", () => {
  const head = "# HELP a_total Things\n# TYPE a_total counter\n";
  const histogram = "# HELP h Times\n# TYPE h histogram\n";
  test.each([
    ["a last line without end", `${head}a_total 1`],
    ["a sample without a family", "a_total 1\n"],
    ["TYPE without HELP", "# TYPE a gauge\na 1\n"],
    ["a family that stands twice", `${head}a_total 1\n${head}a_total{b="1"} 1\n`],
    ["a sample of another family", `${head}b_total 1\n`],
    ["a series that stands twice", `${head}a_total{b="1"} 1\na_total{b="1"} 2\n`],
    ["a label that stands twice", `${head}a_total{b="1",b="2"} 1\n`],
    ["a quote in a value", `${head}a_total{b="1"2"} 1\n`],
    ["an unknown escape", `${head}a_total{b="\\t"} 1\n`],
    ["a comma at the end", `${head}a_total{b="1",} 1\n`],
    ["a number that is none", `${head}a_total one\n`],
    ["Infinity as JavaScript writes it", "# HELP a A\n# TYPE a gauge\na Infinity\n"],
    ["a negative counter", `${head}a_total -1\n`],
    ["a counter without _total", "# HELP a A\n# TYPE a counter\na 1\n"],
    ["a family without samples", head],
    ["buckets that shrink", `${histogram}h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n`],
    ["a histogram without +Inf", `${histogram}h_bucket{le="1"} 2\nh_sum 1\nh_count 2\n`],
    ["a count that differs", `${histogram}h_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n`],
    ["a histogram without sum", `${histogram}h_bucket{le="+Inf"} 1\nh_count 1\n`],
  ])("%s", (_what, scrape) => {
    expect(() => readExposition(scrape)).toThrow();
  });
});
