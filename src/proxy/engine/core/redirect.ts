import { latin1 } from '../bytes.js';

/** What an upstream's error tells the proxy to do. */
export type Redirect =
  | { readonly type: 'moved' | 'ask'; readonly slot: number; readonly host: string; readonly port: number }
  | { readonly type: 'retry'; readonly reason: 'tryagain' | 'cluster_down' | 'loading' | 'master_down' | 'read_only' };

/** Redirections are short; a longer error is the application's own. */
const REDIRECT_BYTES_MAX = 512;

/**
 * Reads the error in `bytes[start, end)` (its `-` and CRLF included); null when it is meant for the client.
 * MOVED and ASK: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#moved-redirection; since
 * Redis 7 the host may be empty, which stands for the host that answered.
 */
export function readRedirect(bytes: Uint8Array, start: number, end: number): Redirect | null {
  // The second letter decides for nearly all errors (ERR, WRONGTYPE, NOPERM, …).
  switch (bytes[start + 1]) {
    case 77: // MOVED, MASTERDOWN
    case 65: // ASK
    case 84: // TRYAGAIN
    case 67: // CLUSTERDOWN
    case 76: // LOADING
    case 82: // READONLY
      break;
    default:
      return null;
  }
  if (end - start > REDIRECT_BYTES_MAX) return null;
  const [code, first, address] = latin1(bytes, start + 1, end - 2).split(' ');
  switch (code) {
    case 'MOVED':
    case 'ASK':
      return readTarget(code === 'ASK' ? 'ask' : 'moved', first, address);
    case 'TRYAGAIN':
      return { type: 'retry', reason: 'tryagain' };
    case 'CLUSTERDOWN':
      return { type: 'retry', reason: 'cluster_down' };
    case 'LOADING':
      return { type: 'retry', reason: 'loading' };
    case 'MASTERDOWN':
      return { type: 'retry', reason: 'master_down' };
    case 'READONLY':
      return { type: 'retry', reason: 'read_only' };
    default:
      return null;
  }
}

const DECIMAL = /^[0-9]{1,5}$/;

function readTarget(type: 'moved' | 'ask', slotText: string | undefined, address: string | undefined): Redirect | null {
  if (slotText === undefined || address === undefined || !DECIMAL.test(slotText)) return null;
  const slot = Number(slotText);
  if (slot > 16383) return null;
  const colon = address.lastIndexOf(':');
  const portText = address.slice(colon + 1);
  const port = DECIMAL.test(portText) ? Number(portText) : 0;
  if (colon < 0 || port < 1 || port > 65535) return null;
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '');
  return { type, slot, host: host === '?' ? '' : host, port };
}
