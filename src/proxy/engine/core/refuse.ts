import { type Bytes, latin1, writeAscii } from '../bytes.js';
import type { CommandEntry } from '../commands/catalog.js';
import type { RequestFrame } from '../resp/request-framer.js';
import { Counter } from '../stats.js';
import type { Client } from './client.js';

/** Answers a command with an error of the proxy's own and counts both. `text` is without `-` and CRLF. */
export function refuse(client: Client, entry: CommandEntry, text: string): void {
  client.core.countRequest(entry);
  client.core.countError(entry);
  replyError(client, text);
}

/** How an error begins: Redis has a form of its own for whatever it refuses an EXEC for. */
export function refusalKind({ name }: CommandEntry): string {
  return name === 'exec' ? 'EXECABORT Transaction discarded because of:' : 'ERR';
}

/**
 * `wrong number of arguments`, in Redis's words. With `bytes` and `frame`, a command that takes any number (only
 * modules have such: they count for themselves) is named as the client wrote it, which is how modules name theirs.
 */
export function refuseArity(client: Client, entry: CommandEntry, bytes?: Bytes, frame?: RequestFrame): void {
  client.core.count(Counter.splitter_invalid_request);
  const asWritten = entry.arity === -1 && bytes !== undefined && frame !== undefined;
  const name = asWritten ? printable(bytes, frame.starts[0], frame.ends[0]) : entry.name;
  refuse(client, entry, `${refusalKind(entry)} wrong number of arguments for '${name}' command`);
}

/** A command that the proxy does not serve, with the reason. */
export function refuseUnsupported(client: Client, entry: CommandEntry, reason: string): void {
  client.core.count(Counter.splitter_unsupported_command);
  refuse(client, entry, `ERR unsupported command '${entry.name}': it ${reason}`);
}

/** Bytes of arguments that Redis shows in its error for an unknown command. */
const SHOWN_ARGUMENTS_BYTES_MAX = 128;

/** Redis's error for a command that does not exist. */
export function unknownCommand(bytes: Bytes, frame: RequestFrame): string {
  const name = printable(bytes, frame.starts[0], Math.min(frame.ends[0], frame.starts[0] + SHOWN_ARGUMENTS_BYTES_MAX));
  let args = '';
  for (let i = 1; i < frame.count && args.length < SHOWN_ARGUMENTS_BYTES_MAX; i++) {
    const room = SHOWN_ARGUMENTS_BYTES_MAX - args.length;
    args += `'${printable(bytes, frame.starts[i], Math.min(frame.ends[i], frame.starts[i] + room))}' `;
  }
  return `ERR unknown command '${name}', with args beginning with: ${args}`;
}

/** What a client said, as Redis shows it: up to a zero byte, on one line. */
export function printable(bytes: Bytes, start: number, end: number): string {
  const text = latin1(bytes, start, end);
  const zero = text.indexOf('\0');
  return (zero < 0 ? text : text.slice(0, zero)).replace(/[\r\n]/g, ' ');
}

/** Answers with an error that may show a client's own bytes: each character stands for one byte. */
export function replyError(client: Client, text: string): void {
  const line = `-${text}\r\n`;
  const bytes = client.core.runtime.allocate(line.length);
  writeAscii(line, bytes, 0);
  client.reply(bytes);
}
