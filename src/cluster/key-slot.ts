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

/** 0 to 16383. */
export function keySlot(key: Uint8Array): number {
  const open = key.indexOf(OPEN_BRACE);
  const close = open < 0 ? -1 : key.indexOf(CLOSE_BRACE, open + 1);
  return (close > open + 1 ? crc16(key, open + 1, close) : crc16(key, 0, key.length)) & (SLOT_COUNT - 1);
}
