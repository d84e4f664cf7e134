/** Names that certificates are for, and names of folders made of them. Pure. */
import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { ForgeError } from '../errors.js';

/** What a certificate is for: one subject alternative name. */
export interface SubjectName {
  readonly type: 'dns' | 'ip';
  /** A host name in lower case (IDN in its ASCII form), or an address in its shortest form. */
  readonly value: string;
}

/** RFC 5280, ub-common-name. */
export const COMMON_NAME_MAX = 64;
/** A certificate must fit into one handshake message, which is bounded by the libraries (BoringSSL: about 100 KB). */
export const NAMES_MAX = 500;
/** RFC 1035. */
const HOST_LENGTH_MAX = 253;
const SHOWN_MAX = 80;

// Underscores are no host name characters by the letter of RFC 952, but container names have them.
const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const HOST_NAME = new RegExp(`^(?=.*[a-z_])(?:\\*\\.${LABEL}\\.)?${LABEL}(?:\\.${LABEL})*$`);
const CLIENT_NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/;
/** What moves a cursor, changes the order of letters, or breaks a line. */
const DANGEROUS = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** Somebody's text, fit for a message. */
export function shown(text: string): string {
  const clean = text.replace(DANGEROUS, '?');
  return clean.length <= SHOWN_MAX ? clean : `${clean.slice(0, SHOWN_MAX - 1)}…`;
}

/**
 * Reads a host name or an IP address that a certificate is to be for. `*.example.org` stands for one label.
 * @throws ForgeError `usage` for what is neither
 */
export function parseSubjectName(text: string): SubjectName {
  const trimmed = text.trim().replace(/^\[(.*)\]$/, '$1');
  const kind = isIP(trimmed);
  if (kind !== 0 && !trimmed.includes('%')) return { type: 'ip', value: canonicalIp(trimmed) };
  // It would take a line end away, and make addresses of digits; so it is asked for other scripts only.
  const foreign = !/^[ -~]*$/.test(trimmed) && trimmed.search(DANGEROUS) < 0;
  const ascii = foreign ? domainToASCII(trimmed) : trimmed;
  const value = ascii.toLowerCase().replace(/\.$/, '');
  if (value.length <= HOST_LENGTH_MAX && HOST_NAME.test(value)) return { type: 'dns', value };
  throw new ForgeError('usage', `"${shown(text)}" is neither a host name nor an IP address.`, {
    next: trimmed.includes('*')
      ? 'A wildcard stands for the whole first label, and at least two more follow: *.redis.internal.'
      : 'Give a name such as redis-1.internal, or an address such as 10.0.0.1 or 2001:db8::1.',
  });
}

/** The shortest form of an address, as all comparisons need it. */
export function canonicalIp(address: string): string {
  return isIP(address) === 6 ? new URL(`http://[${address}]/`).hostname.slice(1, -1) : address;
}

/**
 * Reads `NAME[,NAME…]`: names of one host; the first names its folder.
 * @throws ForgeError `usage`
 */
export function parseHostNames(text: string): SubjectName[] {
  const names = uniqueNames(
    text
      .split(',')
      .filter((part) => part.trim() !== '')
      .map(parseSubjectName),
  );
  const first = names[0];
  if (first === undefined) throw new ForgeError('usage', 'The name of a host is empty.', { next: 'Give NAME or IP.' });
  if (first.value.startsWith('*')) {
    throw new ForgeError('usage', `${first.value} is the name of no host, so no folder can be named after it.`, {
      next: `Begin with the host's own name: redis-1,${first.value}`,
    });
  }
  requireFewNames(names, first.value);
  return names;
}

/** @throws ForgeError `usage` for more names than a handshake can carry */
export function requireFewNames(names: readonly SubjectName[], about: string): void {
  if (names.length <= NAMES_MAX) return;
  throw new ForgeError('usage', `The certificate of ${about} would be for ${names.length} names; ${NAMES_MAX} fit.`, {
    next: 'Use a wildcard, or several certificates.',
  });
}

/**
 * The name of a client, which becomes the name of its folder and its common name.
 * @throws ForgeError `usage`
 */
export function parseClientName(text: string): string {
  if (CLIENT_NAME.test(text)) return text;
  throw new ForgeError('usage', `"${shown(text)}" cannot be the name of a client.`, {
    next: 'Up to 64 letters, digits, dots, dashes, underscores and @, a letter or digit first.',
  });
}

/** Whether a name that a certificate has covers a name that is wanted; a wildcard covers one label. */
export function covers(has: SubjectName, wanted: SubjectName): boolean {
  if (has.type !== wanted.type) return false;
  if (has.value === wanted.value) return true;
  if (has.type === 'ip' || !has.value.startsWith('*.')) return false;
  const dot = wanted.value.indexOf('.');
  return dot > 0 && !wanted.value.startsWith('*') && wanted.value.slice(dot) === has.value.slice(1);
}

/** Every name once, in the order in which they came. */
export function uniqueNames(names: readonly SubjectName[]): SubjectName[] {
  return [...new Map(names.map((each) => [`${each.type} ${each.value}`, each])).values()];
}

/** The common name of a host: its name, cut where it is longer than X.509 allows; nobody checks it beside the other names. */
export function commonNameOf(name: string): string {
  return name.slice(0, COMMON_NAME_MAX);
}
