/** What stands before a key: where it is, until when, and how it was used. Pure. */
import type { Cursor } from './cursor.js';
import type { KeyAbout } from './events.js';
import { Opcode } from './format.js';

const WORD = 2 ** 32;

/**
 * Reads an opcode that the cursor stands at, and what belongs to it, into `about`.
 * @returns undefined for another opcode; false, and nothing is read, when it is not whole
 */
export function readAttribute(code: number, cursor: Cursor, about: KeyAbout): boolean | undefined {
  const { bytes, at, end } = cursor;
  switch (code) {
    case Opcode.expireMs:
      if (end - at < 9) return false;
      about.expireAtMs = bytes.readUInt32LE(at + 1) + bytes.readInt32LE(at + 5) * WORD;
      cursor.at = at + 9;
      return true;
    case Opcode.expireSeconds:
      if (end - at < 5) return false;
      about.expireAtMs = bytes.readInt32LE(at + 1) * 1000;
      cursor.at = at + 5;
      return true;
    case Opcode.frequency:
      if (end - at < 2) return false;
      about.frequency = bytes[at + 1] as number;
      cursor.at = at + 2;
      return true;
    case Opcode.idle:
      if (!lengthBehind(cursor)) return false;
      about.idleSeconds = cursor.value;
      return true;
    case Opcode.selectDatabase:
      if (!lengthBehind(cursor)) return false;
      about.database = cursor.value;
      return true;
    default:
      return undefined;
  }
}

/** The length behind an opcode, into the cursor's value. */
function lengthBehind(cursor: Cursor): boolean {
  const { at } = cursor;
  cursor.at = at + 1;
  if (cursor.length()) return true;
  cursor.at = at;
  return false;
}

/** They were of one key: nothing is known of the next one but its database. */
export function forgetAttributes(about: KeyAbout): void {
  about.expireAtMs = -1;
  about.idleSeconds = -1;
  about.frequency = -1;
  about.hasMetadata = false;
  about.metadata = undefined;
}
