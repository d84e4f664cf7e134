import { readIp } from '../../engine/access/addresses.js';

/** What a browser may ask without being led here by a page: what somebody typed, or a link that was followed. */
const OWN_SITES = new Set(['none', 'same-origin']);

/**
 * Why a request is not answered, or null. A page of some web site can have its reader's browser ask what listens on the
 * reader's own machine; it must not end the proxy, nor learn anything. So what comes from a page is refused, and, where
 * only this machine is listened to, names that anybody may point at this machine (DNS rebinding).
 * @param bound the host that the admin pages are served on
 */
export function refusedVisitor(method: string, headers: Headers, bound: string): string | null {
  const site = headers.get('sec-fetch-site');
  const followed = method === 'GET' && headers.get('sec-fetch-mode') === 'navigate';
  if (headers.has('origin') || (site !== null && !OWN_SITES.has(site) && !followed)) {
    return 'requests of web pages are not answered; ask with curl, or type the address';
  }
  const host = headers.get('host');
  if (host === null || !isLoopback(bound) || isOwn(host, bound)) return null;
  return "ask by an address or 'localhost': other names may be anybody's";
}

function isLoopback(host: string): boolean {
  return /^localhost$|^127\.|^::1$/i.test(host);
}

/** An address, or a name that nobody else can give. */
function isOwn(host: string, bound: string): boolean {
  const name = host
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  return name === bound.toLowerCase() || /(^|\.)localhost$/.test(name) || readIp(name) !== null;
}
