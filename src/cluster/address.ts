/** Addresses of nodes as people write them: `host:port`, `[IPv6]:port`, each with an optional `@zone`. */
import { isIP, isIPv6 } from 'node:net';
import { ForgeError } from '../errors.js';

export interface NodeAddress {
  /** A host name in lower case, an IPv4 address, or an IPv6 address without brackets. */
  host: string;
  /** TCP port, 1 to 65535. */
  port: number;
  /** Failure domain that the operator names, for example an availability zone. */
  zone?: string;
}

/** The longest host name that DNS knows (RFC 1035). */
const HOST_LENGTH_MAX = 253;
/** A list longer than this is a mistake: the largest cluster that Redis recommends has 1,000 nodes. */
export const ADDRESSES_MAX = 10_000;

// Underscores are no host name characters by the letter of RFC 952, but container names have them.
const HOST_NAME = /^(?=.*[a-z_])[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/;
const ZONE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const EXAMPLE =
  'Write host:port, for example 10.0.0.1:6379, redis-1:6379 or [2001:db8::1]:6379; a zone as host:port@zone.';

function bad(message: string, next = EXAMPLE): ForgeError {
  return new ForgeError('usage', message, { next });
}

function parsePort(text: string, shown: string): number {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw bad(`${shown}: the port must be a number from 1 to 65535.`);
  return port;
}

function parseHost(text: string, shown: string): string {
  const host = text.toLowerCase();
  if (isIP(host) !== 0) return host;
  if (host.length === 0) throw bad(`${shown}: the host is missing.`);
  if (host.length > HOST_LENGTH_MAX || !HOST_NAME.test(host)) throw bad(`${shown}: not a host name or an IP address.`);
  return host;
}

/** Splits `[IPv6]:port` and `host:port`; the port is undefined when there is none. */
function splitHostPort(text: string, shown: string): { host: string; port?: string } {
  if (text.startsWith('[')) {
    const end = text.indexOf(']');
    const host = text.slice(1, Math.max(1, end));
    if (end < 0 || !isIPv6(host)) throw bad(`${shown}: between [ and ] belongs an IPv6 address.`);
    const rest = text.slice(end + 1);
    if (rest === '') return { host };
    if (!rest.startsWith(':')) throw bad(`${shown}: after ] comes a colon and the port.`);
    return { host, port: rest.slice(1) };
  }
  const first = text.indexOf(':');
  if (first < 0) return { host: text };
  if (text.indexOf(':', first + 1) >= 0) {
    throw bad(`${shown}: an IPv6 address needs brackets.`, `Write [${isIPv6(text) ? text : 'address'}]:6379.`);
  }
  return { host: text.slice(0, first), port: text.slice(first + 1) };
}

/**
 * Reads one address.
 * @param text `host:6379`, `[::1]:6379`, `host:6379@zone`; without a port only when `defaultPort` is given
 * @throws ForgeError `usage` with the text in question and an example; text that looks like it holds a password is
 *   never repeated
 */
export function parseAddress(text: string, options: { defaultPort?: number } = {}): NodeAddress {
  const trimmed = text.trim();
  if (trimmed === '') throw bad('An address is empty.');
  if (trimmed.includes('://') || /@.*[:@]/.test(trimmed)) {
    throw bad(
      'An address takes no scheme, user or password.',
      `Pass the password in the environment (REDIS_REQUIREPASS). ${EXAMPLE}`,
    );
  }
  const shown = trimmed.length <= HOST_LENGTH_MAX ? trimmed : `${trimmed.slice(0, 40)}…`;
  const at = trimmed.indexOf('@');
  const zone = at < 0 ? undefined : trimmed.slice(at + 1);
  if (zone !== undefined && !ZONE.test(zone)) {
    throw bad(`${shown}: a zone is 1 to 64 letters, digits, dots, dashes or underscores.`);
  }
  const parts = splitHostPort(at < 0 ? trimmed : trimmed.slice(0, at), shown);
  const host = parseHost(parts.host, shown);
  if (parts.port === undefined && options.defaultPort === undefined) throw bad(`${shown}: the port is missing.`);
  const port = parts.port === undefined ? (options.defaultPort as number) : parsePort(parts.port, shown);
  return zone === undefined ? { host, port } : { host, port, zone };
}

/**
 * Reads addresses separated by commas or white space; empty entries (a trailing comma) are skipped.
 * @throws ForgeError `usage` when one is malformed, none is given, or there are more than 10,000
 */
export function parseAddressList(text: string, options: { defaultPort?: number } = {}): NodeAddress[] {
  const entries = text.split(/[\s,]+/).filter((entry) => entry !== '');
  if (entries.length === 0) throw bad('No address is given.');
  if (entries.length > ADDRESSES_MAX) throw bad(`${entries.length} addresses are more than ${ADDRESSES_MAX}.`);
  return entries.map((entry) => parseAddress(entry, options));
}

/** `host:port`, an IPv6 address in brackets; the zone is left out. */
export function formatAddress(address: { host: string; port: number }): string {
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}
