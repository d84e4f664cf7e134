/** Which certificate a server shows to new connections. */
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { pause } from '../cluster/bounded.js';
import { ForgeError } from '../errors.js';

/** How long new connections may still get the old certificate after a server has taken the new one. */
const TAKEN_MS = 10_000;
const POLL_MS = 200;
const HANDSHAKE_MS = 5_000;

export interface TlsAddress {
  readonly host: string;
  readonly port: number;
  /** Of a client, where the server asks for one. */
  readonly client?: Pick<ConnectionOptions, 'cert' | 'key' | 'passphrase'>;
  readonly serverName?: string;
}

export interface TakenOptions {
  /** Where new connections come in. */
  readonly address: TlsAddress;
  /** SHA-256 of the new certificate, `AA:BB:…`. */
  readonly fingerprint: string;
  readonly signal?: AbortSignal | undefined;
  /** How long new connections may get another one; ten seconds when not given. */
  readonly withinMs?: number | undefined;
}

/**
 * Waits until new connections get a certificate. Failures meanwhile are tried again: a server may be busy taking it.
 * @throws ForgeError `verification` when they get another one all the time; what the last handshake said without any
 */
export async function waitUntilTaken(
  label: string,
  { address, fingerprint, signal, withinMs = TAKEN_MS }: TakenOptions,
): Promise<void> {
  const end = performance.now() + withinMs;
  for (;;) {
    const shown = await presentedFingerprint(address, signal).catch((error: unknown) => {
      if (error instanceof ForgeError && performance.now() < end) return undefined;
      throw error;
    });
    if (shown === fingerprint) return;
    if (performance.now() > end) {
      throw new ForgeError('verification', `${label} still shows another certificate than the one that it was given.`, {
        host: label,
        next: 'Look into its log, and at the files that its configuration names.',
        details: { expected: fingerprint, shown },
      });
    }
    await pause(POLL_MS, signal);
  }
}

/**
 * SHA-256 of the certificate that a server shows to a new connection. It is only looked at, not trusted.
 * @throws ForgeError `unreachable` or `timeout` when no handshake comes about
 */
export async function presentedFingerprint(address: TlsAddress, signal?: AbortSignal): Promise<string> {
  signal?.throwIfAborted();
  const label = `${address.host}:${address.port}`;
  const socket = connect({
    ...{ host: address.host, port: address.port, ...address.client },
    ...(address.serverName === undefined ? {} : { servername: address.serverName }),
    // A certificate that is not trusted yet is to be seen, too; nothing is sent over this connection.
    rejectUnauthorized: false,
  });
  try {
    return await handshake(socket, label, signal);
  } finally {
    socket.destroy();
  }
}

function handshake(socket: TLSSocket, label: string, signal?: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal?.reason);
    const timer = setTimeout(() => {
      reject(
        new ForgeError('timeout', `${label} did not finish a TLS handshake in ${HANDSHAKE_MS} ms.`, { host: label }),
      );
    }, HANDSHAKE_MS);
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
    };
    signal?.addEventListener('abort', aborted, { once: true });
    socket.once('secureConnect', () => {
      done();
      resolve(socket.getPeerCertificate().fingerprint256);
    });
    socket.once('error', (cause) => {
      done();
      reject(
        new ForgeError('unreachable', `${label}: no TLS connection (${cause.message}).`, {
          host: label,
          next: 'Is it a TLS port, and does it ask for a client certificate?',
          cause,
        }),
      );
    });
    socket.once('close', done);
  });
}
