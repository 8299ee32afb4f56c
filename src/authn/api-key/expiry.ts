// When an API key ends, as it is written down.

/** Form of an expiry: a date, which means 00:00 UTC of that day, or a date-time with its offset (RFC 3339). */
export const EXPIRY = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;

/** What an expiry has to look like, for messages. */
export const EXPIRY_HINT =
  "expected a date such as 2027-01-31, or a date-time with its offset such as 2027-01-31T12:00:00Z";

/** Wall-clock milliseconds of an expiry; undefined when the text is none or there is no such day or time. */
export function parseExpiry(text: string): number | undefined {
  if (!EXPIRY.test(text)) return undefined;
  const time = Date.parse(text);
  const day = text.slice(0, 10);
  // Date.parse rolls some impossible days over (2027-02-30 becomes 2 March).
  const exists = !Number.isNaN(time) && new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);
  return exists ? time : undefined;
}
