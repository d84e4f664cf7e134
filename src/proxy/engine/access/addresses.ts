/** Addresses are compared as 16 bytes: IPv4 as IPv6 has it, `::ffff:192.0.2.1`. */
const BYTES = 16;
const MAPPED = 12;

/** A range of addresses, such as 10.0.0.0/8. */
export class Cidr {
  private readonly network: Uint8Array;
  private readonly bits: number;

  /** @throws Error when the text is no address and no address with a length behind it */
  constructor(text: string) {
    const slash = text.indexOf('/');
    const address = slash < 0 ? text : text.slice(0, slash);
    const network = readIp(address);
    if (network === null) throw new Error(`not an address: ${text}`);
    const offset = address.includes(':') ? 0 : MAPPED * 8;
    this.network = network;
    this.bits = slash < 0 ? BYTES * 8 : offset + Number(text.slice(slash + 1));
  }

  contains(ip: Uint8Array): boolean {
    const whole = this.bits >> 3;
    for (let i = 0; i < whole; i++) if (ip[i] !== this.network[i]) return false;
    const rest = this.bits & 7;
    return rest === 0 || (ip[whole] ^ this.network[whole]) >> (8 - rest) === 0;
  }
}

/** The host of a client's address: `192.0.2.1:1234`, `::1:1234`, `[::1]:1234`. */
export function hostOf(address: string): string {
  const host = address.slice(0, Math.max(0, address.lastIndexOf(':')));
  return host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
}

/** Reads an IPv4 or IPv6 address; null when it is none, as a Unix socket has none. */
export function readIp(text: string): Uint8Array | null {
  const bytes = new Uint8Array(BYTES);
  const zone = text.indexOf('%');
  const address = zone < 0 ? text : text.slice(0, zone);
  if (!address.includes(':')) {
    bytes.fill(0xff, MAPPED - 2, MAPPED);
    return readIpv4(address, bytes, MAPPED) ? bytes : null;
  }
  const halves = address.split('::');
  if (halves.length > 2) return null;
  const front = readGroups(halves[0], halves.length === 1);
  const back = halves.length === 2 ? readGroups(halves[1], true) : [];
  if (front === null || back === null) return null;
  const length = front.length + back.length;
  if (halves.length === 2 ? length > BYTES - 2 : length !== BYTES) return null;
  bytes.set(front);
  bytes.set(back, BYTES - back.length);
  return bytes;
}

/** Groups of four digits, and perhaps an IPv4 address as the last ones. */
function readGroups(text: string, mayEndInIpv4: boolean): number[] | null {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [i, group] of groups.entries()) {
    if (mayEndInIpv4 && i === groups.length - 1 && group.includes('.')) {
      const last = new Uint8Array(4);
      if (!readIpv4(group, last, 0)) return null;
      bytes.push(...last);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(group)) return null;
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 255);
    }
  }
  return bytes;
}

function readIpv4(text: string, into: Uint8Array, at: number): boolean {
  const parts = text.split('.');
  if (parts.length !== 4) return false;
  for (const [i, part] of parts.entries()) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return false;
    into[at + i] = Number(part);
  }
  return true;
}
