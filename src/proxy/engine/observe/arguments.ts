import { type Bytes, equalsIgnoreCase, utf8 } from '../bytes.js';
import { secretArguments } from '../clients/monitor-line.js';
import type { RequestFrame } from '../resp/request-framer.js';

/** As Redis cuts what its slow log keeps. */
const ARGUMENTS_MAX = 32;
const ARGUMENT_BYTES_MAX = 128;

const REDACTED = '(redacted)';
/** Settings whose values are secrets: `requirepass`, `masterauth`, `tls-key-file-pass` and their like. */
const SECRET_SETTINGS = ['requirepass', 'masterauth', 'primaryauth', 'masteruser', 'primaryuser'];
const SECRET_SETTING_PREFIX = 'tls-';

/** A command's words for people: at most 32 of up to 128 bytes, without secrets. */
export function shownArguments(name: string, bytes: Bytes, frame: RequestFrame): string[] {
  const secret = secretArguments(name, bytes, frame);
  const all = frame.count <= ARGUMENTS_MAX ? frame.count : ARGUMENTS_MAX - 1;
  const shown: string[] = [];
  for (let i = 0; i < all; i++) {
    shown.push(
      secret?.has(i) || hidden(name, bytes, frame, i) ? REDACTED : argument(bytes, frame.starts[i], frame.ends[i]),
    );
  }
  if (all < frame.count) shown.push(`... (${frame.count - all} more arguments)`);
  return shown;
}

function argument(bytes: Bytes, start: number, end: number): string {
  if (end - start <= ARGUMENT_BYTES_MAX) return utf8(bytes, start, end);
  return `${utf8(bytes, start, start + ARGUMENT_BYTES_MAX)}... (${end - start - ARGUMENT_BYTES_MAX} more bytes)`;
}

/** What Redis, too, hides of commands that administer a server. */
function hidden(name: string, bytes: Bytes, frame: RequestFrame, index: number): boolean {
  if (name === 'acl|setuser') return index >= 2;
  if (name !== 'config|set' || index < 3 || index % 2 === 0) return false;
  const start = frame.starts[index - 1];
  const end = frame.ends[index - 1];
  if (SECRET_SETTINGS.some((setting) => equalsIgnoreCase(bytes, start, end, setting))) return true;
  return equalsIgnoreCase(bytes, start, Math.min(end, start + SECRET_SETTING_PREFIX.length), SECRET_SETTING_PREFIX);
}
