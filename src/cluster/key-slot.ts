/**
 * The slot of a key: CRC16-XMODEM (polynomial 0x1021, initial value 0) of the key, or of what stands between its first
 * `{` and the first `}` after it, modulo 16,384
 * (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model).
 */
import { SLOT_COUNT } from './slots.js';

const BYTE_VALUES = 256;
const POLYNOMIAL = 0x1021;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const TABLE = Uint16Array.from({ length: BYTE_VALUES }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ POLYNOMIAL) & 0xffff : (crc << 1) & 0xffff;
  return crc;
});

function crc16(bytes: Uint8Array, start: number, end: number): number {
  let crc = 0;
  for (let at = start; at < end; at++) {
    crc = ((crc << 8) & 0xffff) ^ (TABLE[(crc >> 8) ^ (bytes[at] as number)] as number);
  }
  return crc;
}

/** The slot of the key in `bytes[start, end)`: 0 to 16383. */
export function keySlot(bytes: Uint8Array, start = 0, end = bytes.length): number {
  const open = find(bytes, OPEN_BRACE, start, end);
  const close = find(bytes, CLOSE_BRACE, open + 1, end);
  return (
    (close < end && close > open + 1 ? crc16(bytes, open + 1, close) : crc16(bytes, start, end)) & (SLOT_COUNT - 1)
  );
}

/** Where the byte is; `end` when it is nowhere. A loop: keys are short, and `indexOf` knows no end. */
function find(bytes: Uint8Array, byte: number, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== byte) at++;
  return at;
}
