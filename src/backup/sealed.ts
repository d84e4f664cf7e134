/**
 * JSON that tells of every byte that is another one: its last member is a digest of all the text before it, so that
 * neither blanks nor the order of members can change unnoticed. With a key, nobody without it can make one that fits. Pure.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

const HEAD = '"seal": "';
const TAIL = '"\n}\n';
const DIGITS = 64;
const HEX = /^[0-9a-f]{64}$/;
/** What the digest with a key is for: no other use of that key makes the same one. */
const PURPOSE = 'redisforge seal\n';

/** @param json as JSON.stringify writes an object with members, over several lines */
export function sealText(json: string, key?: Buffer): string {
  const sealed = `${json.replace(/\s*}\s*$/, '')},\n  ${HEAD}`;
  return `${sealed}${digestOf(sealed, key)}${TAIL}`;
}

/** Whether this is, byte for byte, what `sealText` made. */
export function sealFits(text: string, key?: Buffer): boolean {
  const end = text.length - TAIL.length;
  const sealed = text.slice(0, Math.max(0, end - DIGITS));
  const seal = text.slice(sealed.length, Math.max(0, end));
  if (!text.endsWith(TAIL) || !sealed.endsWith(HEAD) || !HEX.test(seal)) return false;
  return timingSafeEqual(Buffer.from(seal), Buffer.from(digestOf(sealed, key)));
}

function digestOf(sealed: string, key: Buffer | undefined): string {
  if (key === undefined) return createHash('sha256').update(sealed).digest('hex');
  return createHmac('sha256', key).update(PURPOSE).update(sealed).digest('hex');
}
