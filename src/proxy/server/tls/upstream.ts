import { clientContext, type NativeContext } from './context.js';
import type { ClientTls } from './material.js';

/** TLS towards the nodes of one cluster, ready for use. */
export interface UpstreamTls {
  readonly context: NativeContext;
  readonly serverName: string;
  readonly verify: boolean;
}

export function upstreamTls(tls: ClientTls | null): UpstreamTls | null {
  if (tls === null) return null;
  return { context: clientContext(tls), serverName: tls.serverName, verify: tls.verify };
}

/** What `Bun.connect` is told. Without a name, the host that is connected to is asked for and checked. */
export function connectOptions({ context, serverName, verify }: UpstreamTls): object {
  return {
    secureContext: context,
    rejectUnauthorized: verify,
    ...(serverName === '' ? {} : { serverName }),
  };
}

/** The library's code of a handshake that did not come to its end; others are of certificates. */
const BROKEN = 'EPROTO';

export interface HandshakeProblem {
  /** For the operator: what is wrong. */
  readonly reason: string;
  /** The connection is there, but with somebody who is not trusted. */
  readonly untrusted: boolean;
}

/** Null when the connection may be used. */
export function handshakeProblem(
  { verify }: UpstreamTls,
  authorized: boolean,
  success: boolean,
  error: (Error & { code?: string }) | null,
): HandshakeProblem | null {
  const broken = !success && (error === null || error.code === BROKEN);
  if (broken) {
    const words = error?.message.replace(/^error:[0-9a-f]+:/, '').replace('SSL routines:OPENSSL_internal:', '') ?? '';
    const hint = words.includes('WRONG_VERSION_NUMBER') ? ': the upstream does not speak TLS on this port' : '';
    return { reason: `TLS handshake: ${words}${hint}`, untrusted: false };
  }
  if (!verify || (success && authorized)) return null;
  const words = error === null ? 'not trusted' : `${error.code ?? ''} ${error.message}`.trim();
  return { reason: `the certificate of the upstream: ${words}`, untrusted: true };
}
