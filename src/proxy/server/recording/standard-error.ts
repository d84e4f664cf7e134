import { ptr } from 'bun:ffi';
import { constants, fstatSync, openSync } from 'node:fs';
import { loadLibc } from '../libc.js';
import { LineSink, type Write } from './line-sink.js';

/** Bytes of log lines that wait while nobody takes them. */
const WAITING_BYTES_MAX = 1024 * 1024;
const STDERR = 2;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

let sink: LineSink | undefined;

/** Standard error, for all lines of the process: whoever reads it may be slow or gone, and nobody waits for that. */
export function standardError(): LineSink {
  sink ??= open();
  return sink;
}

function open(): LineSink {
  const options = { bytesMax: WAITING_BYTES_MAX, onFailure: () => {} };
  try {
    const kind = fstatSync(STDERR);
    if (kind.isSocket()) return new LineSink(STDERR, { ...options, write: sendWithoutWaiting() });
    // A descriptor of its own: whether one waits is a matter of the open file, and others share this one.
    if (kind.isFIFO() || kind.isCharacterDevice())
      return new LineSink(openSync(`/proc/self/fd/${STDERR}`, constants.O_WRONLY | constants.O_NONBLOCK), options);
  } catch {
    // It is written to as it is.
  }
  return new LineSink(STDERR, options);
}

/** The journal's and some supervisors' standard error is a socket, which cannot be opened anew. */
function sendWithoutWaiting(): Write | undefined {
  const libc = loadLibc();
  if (libc === null) return undefined;
  return (fd, bytes, offset) => {
    const rest = bytes.subarray(offset);
    const taken = Number(libc.sendto(fd, ptr(rest), BigInt(rest.length), MSG_DONTWAIT | MSG_NOSIGNAL, null, 0));
    // Why is not said; when nobody is there any more, what waits is bounded.
    if (taken < 0) throw Object.assign(new Error('not now'), { code: 'EAGAIN' });
    return taken;
  };
}
