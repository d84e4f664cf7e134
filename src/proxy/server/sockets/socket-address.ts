import { readIp } from '../../engine/access/addresses.js';

/** `sockaddr_in`, `sockaddr_in6` and `sockaddr_un` of Linux (ip(7), ipv6(7), unix(7)): pure, no calls. */

const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const IPV4_BYTES = 16;
const IPV6_BYTES = 28;
/** Room for either. */
export const SOCKADDR_BYTES_MAX = IPV6_BYTES;
/** Where an IPv4 address is in the sixteen bytes of `::ffff:192.0.2.1`. */
const MAPPED = 12;
/** Where `sockaddr_in6` has the address. */
const IPV6_AT = 8;

/** Bytes of a `sockaddr_un`, and of the family in front of the path. */
const UNIX_BYTES = 110;
const FAMILY_BYTES = 2;

export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

/** The address as the system takes it; null when `host` is a name, or an address with a zone (`fe80::1%eth0`). */
export function encodeSocketAddress(host: string, port: number): Uint8Array | null {
  if (host.includes('%')) return null;
  const ip = readIp(host);
  if (ip === null) return null;
  const isIpv6 = host.includes(':');
  const bytes = new Uint8Array(isIpv6 ? IPV6_BYTES : IPV4_BYTES);
  // The family is in the processor's order, little-endian on all that the proxy is built for; the port in the network's.
  bytes[0] = isIpv6 ? AF_INET6 : AF_INET;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  if (isIpv6) bytes.set(ip, IPV6_AT);
  else bytes.set(ip.subarray(MAPPED), 4);
  return bytes;
}

/** Reads what the system says; an empty host and port 0 when it is of another family, as that of a Unix socket. */
export function decodeSocketAddress(bytes: Uint8Array): SocketAddress {
  const family = (bytes[0] as number) | ((bytes[1] as number) << 8);
  const port = ((bytes[2] as number) << 8) | (bytes[3] as number);
  if (family === AF_INET) return { host: formatIpv4(bytes, 4), port };
  if (family === AF_INET6) return { host: formatIpv6(bytes.subarray(IPV6_AT, IPV6_AT + 16)), port };
  return { host: '', port: 0 };
}

function formatIpv4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** As RFC 5952 wants it: the longest run of two zero groups or more, the first of equals, is `::`. */
function formatIpv6(ip: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((ip[2 * i] as number) << 8) | (ip[2 * i + 1] as number));
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff)
    return `::ffff:${formatIpv4(ip, MAPPED)}`;
  let from = -1;
  let longest = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > longest) {
      longest = end - i;
      from = i;
    }
    if (end > i) i = end;
  }
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(':');
  if (from < 0) return hex(groups);
  return `${hex(groups.slice(0, from))}::${hex(groups.slice(from + longest))}`;
}

/**
 * The address of a Unix socket.
 * @throws RangeError when the path is longer than 107 bytes
 */
export function encodeSocketPath(path: string): Uint8Array {
  const bytes = new Uint8Array(UNIX_BYTES);
  const text = new TextEncoder().encode(path);
  if (text.length >= UNIX_BYTES - FAMILY_BYTES) throw new RangeError(`${path}: too long for a Unix socket`);
  bytes[0] = AF_UNIX;
  bytes.set(text, FAMILY_BYTES);
  return bytes;
}
