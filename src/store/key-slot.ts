// The hash slot of a key in Redis Cluster: CRC-16/XMODEM of its hash tag, modulo 16384 (Redis Cluster specification, "Key
// distribution model").

/** Number of slots that a cluster's keys are spread over. */
export const SLOTS = 16_384;

const POLYNOMIAL = 0x1021;
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ POLYNOMIAL;
  return crc;
});
const utf8 = new TextEncoder();

/** CRC-16/XMODEM of the text in UTF-8; 0x31C3 for "123456789". */
export function crc16(text: string): number {
  let crc = 0;
  for (const byte of utf8.encode(text)) crc = ((crc << 8) & 0xffff) ^ (TABLE[(crc >> 8) ^ byte] ?? 0);
  return crc;
}

/** The part of a key that decides on its slot: what stands between its first `{` and the next `}`, else all of it. */
export function hashTag(key: string): string {
  const open = key.indexOf("{");
  const close = open === -1 ? -1 : key.indexOf("}", open + 1);
  return close > open + 1 ? key.slice(open + 1, close) : key;
}

/** Slot of a key, 0 to 16383. */
export function slotOf(key: string): number {
  return crc16(hashTag(key)) % SLOTS;
}
