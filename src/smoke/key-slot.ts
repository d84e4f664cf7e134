/**
 * Keys for chosen slots. A key's slot is CRC16-XMODEM of its hash tag modulo 16,384
 * (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model).
 */
import { SLOT_COUNT } from '../cluster/slots.js';

/** More numbers than it takes to meet every slot: about 160,000 do, three times that is a fault of the code. */
const TRIES_MAX = 500_000;

function crc16(text: string): number {
  let crc = 0;
  for (let i = 0; i < text.length; i++) {
    crc ^= text.charCodeAt(i) << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}

/** The slot of a hash tag of ASCII letters and digits, 0 to 16383. */
export function slotOfTag(tag: string): number {
  return crc16(tag) % SLOT_COUNT;
}

let tags: readonly string[] | undefined;

/** A hash tag of each slot, by slot: at most four letters or digits. Made once, in some 50 ms. */
export function slotTags(): readonly string[] {
  if (tags !== undefined) return tags;
  const found: string[] = new Array<string>(SLOT_COUNT);
  let missing = SLOT_COUNT;
  for (let number = 0; missing > 0; number++) {
    if (number > TRIES_MAX) throw new Error('no hash tag for some slots');
    const tag = number.toString(36);
    const slot = slotOfTag(tag);
    if (found[slot] !== undefined) continue;
    found[slot] = tag;
    missing--;
  }
  tags = found;
  return found;
}
