/**
 * Key → slot, as the Redis Cluster specification defines it
 * (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model):
 * CRC16-XMODEM (polynomial 0x1021, initial value 0) of the key, or of its hash tag, modulo 16,384.
 */
export const SLOT_COUNT = 16384;

/** `TABLE[256 * k + byte]` is the checksum of the byte with k zero bytes behind it: four bytes are taken in one step. */
const TABLE = new Uint16Array(4 * 256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  TABLE[byte] = crc;
}
for (let at = 256; at < TABLE.length; at++) {
  const crc = TABLE[at - 256];
  TABLE[at] = ((crc << 8) & 0xffff) ^ TABLE[crc >> 8];
}

/** CRC16-XMODEM of `bytes[start, end)`. */
export function crc16(bytes: Uint8Array, start: number, end: number): number {
  let crc = 0;
  let at = start;
  for (const last = end - 3; at < last; at += 4) {
    crc =
      TABLE[768 + ((crc >> 8) ^ bytes[at])] ^
      TABLE[512 + ((crc & 255) ^ bytes[at + 1])] ^
      TABLE[256 + bytes[at + 2]] ^
      TABLE[bytes[at + 3]];
  }
  for (; at < end; at++) crc = ((crc << 8) & 0xffff) ^ TABLE[(crc >> 8) ^ bytes[at]];
  return crc;
}

const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;

/**
 * The slot of the key in `bytes[start, end)`. Only what stands between the first `{` and the first `}` after it is
 * hashed, when there is something between them.
 */
export function keySlot(bytes: Uint8Array, start: number, end: number): number {
  for (let open = start; open < end; open++) {
    if (bytes[open] !== OPEN_BRACE) continue;
    for (let close = open + 1; close < end; close++) {
      if (bytes[close] !== CLOSE_BRACE) continue;
      return (close === open + 1 ? crc16(bytes, start, end) : crc16(bytes, open + 1, close)) & (SLOT_COUNT - 1);
    }
    break;
  }
  return crc16(bytes, start, end) & (SLOT_COUNT - 1);
}
