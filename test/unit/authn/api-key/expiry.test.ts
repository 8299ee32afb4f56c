import { expect, test } from "vitest";
import { parseExpiry } from "../../../../src/authn/api-key/expiry.ts";

test.each([
  ["2027-01-31", "2027-01-31T00:00:00.000Z"],
  ["2028-02-29", "2028-02-29T00:00:00.000Z"],
  ["2027-01-31T12:30Z", "2027-01-31T12:30:00.000Z"],
  ["2027-01-31T23:30:15-02:00", "2027-02-01T01:30:15.000Z"],
  ["2027-01-31T12:30:15.250Z", "2027-01-31T12:30:15.250Z"],
])("%s is %s", (text, time) => {
  expect(new Date(parseExpiry(text) ?? Number.NaN).toISOString()).toBe(time);
});

test.each([
  "",
  "tomorrow",
  "2027",
  "2027-1-31",
  "2027-02-30",
  "2027-02-29",
  "2027-13-01",
  "2027-00-10",
  "2027-01-31T12:30",
  "2027-01-31T25:00Z",
  "2027-01-31 12:30Z",
  " 2027-01-31",
  "2027-01-31\n",
  "31 Jan 2027",
])("%j is no moment", (text) => {
  expect(parseExpiry(text)).toBeUndefined();
});
