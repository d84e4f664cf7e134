import { latin1 } from '../bytes.js';

const FORCED = '-UNBLOCKED force unblock';

/** True for the error by which a node that is no master any more lets its blocked clients go. */
export function isForced(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start > FORCED.length && latin1(bytes, start, start + FORCED.length) === FORCED;
}
