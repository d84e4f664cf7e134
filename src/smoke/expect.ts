import { ForgeError } from '../errors.js';
import type { SmokeKey } from './keys.js';

/** Longest piece of an unexpected reply that is shown. */
const SHOWN_MAX = 80;

function show(value: unknown): string {
  const text = typeof value === 'string' ? JSON.stringify(value) : (JSON.stringify(value) ?? String(value));
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

/** @throws ForgeError `verification` when the reply is not what it must be */
export function expectReply(reply: unknown, expected: unknown, command: string, key?: SmokeKey): void {
  if (JSON.stringify(reply) === JSON.stringify(expected)) return;
  const where = key === undefined ? '' : ` on a key in slot ${key.slot}`;
  throw new ForgeError('verification', `${command}${where} answered ${show(reply)} instead of ${show(expected)}.`);
}
