import { type Bytes, latin1 } from '../bytes.js';
import type { Core } from '../core/core.js';
import type { Combined, MasterReply } from './all-masters.js';

export const isError = ({ bytes }: MasterReply) => bytes[0] === 45;

/** An error's words, without `-` and CRLF. */
export const errorText = ({ bytes }: MasterReply) => latin1(bytes, 1, bytes.length - 2);

/** The first reply when no master failed. Else what failed, and where: the others have done it. */
export function allSucceeded(core: Core, replies: readonly MasterReply[]): Combined {
  const failures = replies.filter(isError);
  if (failures.length === 0) return { pieces: [replies[0].bytes], failed: false };
  const [first] = failures;
  // What all say, or the only one, is the answer.
  if (failures.length === replies.length && failures.every((each) => errorText(each) === errorText(first))) {
    return { pieces: [first.bytes], failed: true };
  }
  const list = failures.map((each) => `${each.address}: ${errorText(each)}`).join('; ');
  return { pieces: [core.text(`-finished with ${failures.length} error(s): ${list}\r\n`)], failed: true };
}

/** The first success; else the most telling error: any that is not `usual`. */
export function oneSucceeded(replies: readonly MasterReply[], usual: string): Combined {
  const success = replies.find((each) => !isError(each));
  if (success !== undefined) return { pieces: [success.bytes], failed: false };
  const telling = replies.find((each) => !errorText(each).startsWith(usual)) ?? replies[0];
  return { pieces: [telling.bytes], failed: true };
}

/** The bytes of a bulk string reply; null when it is something else. */
export function bulkContent(bytes: Bytes): Bytes | null {
  if (bytes[0] !== 36) return null;
  const line = bytes.indexOf(10);
  return bytes.subarray(line + 1, bytes.length - 2) as Bytes;
}
