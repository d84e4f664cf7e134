/** Telling a proxy of this host what to do, over the Unix socket beside its pid file. */
import http from 'node:http';
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
  let reply: { status: number; text: string };
  try {
    const all = signal === undefined ? limit : AbortSignal.any([limit, signal]);
    reply = await post(controlPath(pidFile), what, JSON.stringify(body), all);
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
  const answer = JSON.parse(reply.text) as Record<string, unknown>;
  if (reply.status === 200) return answer;
  throw new ForgeError('refused', String(answer['error'] ?? `the proxy answered ${reply.status}`));
}

function post(socketPath: string, path: string, body: string, signal: AbortSignal) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const options = { socketPath, path, method: 'POST', signal, agent: false };
    const request = http.request(options, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > BODY_BYTES_MAX) request.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      response.once('error', reject);
      response.once('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') });
      });
    });
    request.once('error', reject);
    request.end(body);
  });
}
