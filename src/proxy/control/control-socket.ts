/** Telling a proxy of this host what to do, over the Unix socket beside its pid file. */
import net from 'node:net';
import { ForgeError } from '../../errors.js';
import { controlPath } from '../config/control-path.js';

/** No answer is longer. */
const BODY_BYTES_MAX = 1024 * 1024;

/**
 * Asks the proxy of a pid file.
 * @returns what it answers; undefined when nobody answers there: no proxy, or an older one
 * @throws ForgeError `timeout`, `refused` with the reason that the proxy gives, `denied` when it is another user's
 */
export async function askProxy(
  pidFile: string,
  what: string,
  body: object,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Record<string, unknown> | undefined> {
  const limit = AbortSignal.timeout(timeoutMs);
  let reply: string;
  try {
    const all = signal === undefined ? limit : AbortSignal.any([limit, signal]);
    reply = await exchange(controlPath(pidFile), `${JSON.stringify({ ask: what, ...body })}\n`, all);
  } catch (cause) {
    signal?.throwIfAborted();
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined;
    if (code === 'EACCES' || code === 'EPERM') {
      throw new ForgeError('denied', `${controlPath(pidFile)} belongs to another user.`, {
        next: "Run the command as the proxy's user.",
        cause,
      });
    }
    if (limit.aborted)
      throw new ForgeError('timeout', `The proxy did not answer within ${timeoutMs / 1000} s.`, { cause });
    throw new ForgeError('unreachable', `The proxy's control socket does not answer: ${(cause as Error).message}`, {
      cause,
    });
  }
  const answer = JSON.parse(reply) as Record<string, unknown>;
  if (answer['failed'] !== undefined) throw new ForgeError('refused', String(answer['failed']));
  return answer;
}

function exchange(socketPath: string, question: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const socket = net.connect({ path: socketPath, signal });
    socket.once('connect', () => socket.write(question));
    socket.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > BODY_BYTES_MAX) socket.destroy(new Error('the answer is too long'));
      else chunks.push(chunk);
    });
    socket.once('error', reject);
    socket.once('close', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      if (text.endsWith('\n')) resolve(text);
      else reject(new Error('it closed without an answer'));
    });
  });
}
