import * as z from 'zod/mini';
import { downstreamTls } from './tls.js';
import { type Address, formatAddress, readAddress } from './values.js';

/** Bytes of a Unix socket's path: `sockaddr_un` has room for 107, and it is made beside its place first. */
const UNIX_PATH_BYTES_MAX = 99;
/** Further addresses of one listener. */
const ADDRESSES_MAX = 64;
/** The owner and its group may connect. */
const UNIX_MODE = 0o660;

/** Where clients connect: a TCP port, or a Unix socket (then host is empty and port 0, as Redis shows it). */
export interface ListenAddress extends Address {
  readonly path?: string;
  /** Permissions of the socket. */
  readonly mode?: number;
}

export function formatListenAddress(address: ListenAddress): string {
  return address.path === undefined ? formatAddress(address) : `unix:${address.path}`;
}

const WHAT = 'host:port, unix:/path, or { pipe: { path, mode } }';
const UNIX = 'unix:';

const pipe = z.strictObject({
  path: z.string(),
  /** Octal, as chmod takes it: 660 or '0660'. */
  mode: z.optional(z.union([z.string(), z.number()], { error: () => 'three octal digits, such as 660' })),
});

const readPath = (text: string): string | null =>
  text.startsWith('/') && !text.includes('\0') && new TextEncoder().encode(text).length <= UNIX_PATH_BYTES_MAX
    ? text
    : null;

export const listenAddress = z.pipe(
  z.union([z.string(), z.strictObject({ pipe })], { error: () => WHAT }),
  z.transform((value, context): ListenAddress => {
    const wrong = (message: string) => {
      context.issues.push({ code: 'custom', message, input: value });
      return z.NEVER;
    };
    const given = typeof value === 'string' ? { path: value.slice(UNIX.length), mode: undefined } : value.pipe;
    if (typeof value === 'string' && !value.startsWith(UNIX)) return readAddress(value) ?? wrong(WHAT);
    const path = readPath(given.path);
    if (path === null)
      return wrong(`the path of a Unix socket starts with / and has at most ${UNIX_PATH_BYTES_MAX} bytes`);
    if (given.mode === undefined) return { host: '', port: 0, path, mode: UNIX_MODE };
    if (!/^0?[0-7]{3}$/.test(String(given.mode))) return wrong('mode: three octal digits, such as 660');
    return { host: '', port: 0, path, mode: Number.parseInt(String(given.mode), 8) };
  }),
);

export const additionalAddresses = z.optional(
  z
    .array(
      z.strictObject({
        address: listenAddress,
        /** Clients speak TLS here. */
        tls_context: z.optional(downstreamTls),
      }),
    )
    .check(z.maxLength(ADDRESSES_MAX)),
);
