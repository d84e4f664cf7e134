/** Has what is running take new certificates: new connections get them, those that stand go on. */
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { pause } from '../cluster/bounded.js';
import type { NodeConnection } from '../cluster/node-connection.js';
import { ForgeError } from '../errors.js';
import { type ReloadOptions, reloadProxy } from '../proxy/control/reload.js';

/** How long new connections may still get the old certificate after a server has taken the new one. */
const TAKEN_MS = 10_000;
const POLL_MS = 200;
const HANDSHAKE_MS = 5_000;

/** Files as the server itself sees them. */
export interface ServerFiles {
  readonly certificate: string;
  readonly key: string;
  /** What the server trusts; unchanged when not given. */
  readonly ca?: string;
}

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
 * Has a Redis node read certificate, key and CA anew, all of them in one command, so that no half of them is ever used. It
 * reads them also when their names are the same as before. Connections of clients, replicas and other nodes stay.
 * @throws ForgeError `refused` when the node cannot use the files (it goes on with those before); `denied` without the
 *   right to CONFIG SET; `verification` when new connections do not get the new certificate
 */
export async function takeCertificatesOnNode(
  node: NodeConnection,
  files: ServerFiles,
  { address, fingerprint, signal }: TakenOptions,
): Promise<void> {
  signal?.throwIfAborted();
  const settings = [
    ...['tls-cert-file', files.certificate, 'tls-key-file', files.key],
    ...(files.ca === undefined ? [] : ['tls-ca-cert-file', files.ca]),
  ];
  try {
    await node.call('CONFIG', 'SET', ...settings);
  } catch (error) {
    if (!(error instanceof ForgeError) || error.kind !== 'refused') throw error;
    throw new ForgeError('refused', `${node.label} cannot use the new certificates, and goes on with those before.`, {
      host: node.label,
      next: [
        'Its log says why. Are the files there, readable by its user, and do certificate and key belong together?',
        'forge gen-certs DIR --check looks at the folder that they come from.',
      ],
      cause: error,
    });
  }
  await waitUntilTaken(node.label, { address, fingerprint, signal });
}

/**
 * Has a proxy read its configuration and the certificates in it anew. Clients stay connected.
 * @throws ForgeError `configuration` when it cannot use them (it goes on with those before); `refused` while an upgrade is
 *   under way; `unreachable` without a proxy; `verification` when new clients do not get the new certificate
 */
export async function takeCertificatesOnProxy(
  proxy: Pick<ReloadOptions, 'pidFile' | 'admin'>,
  { address, fingerprint, signal }: TakenOptions,
): Promise<void> {
  await reloadProxy({ ...proxy, dryRun: false, signal });
  await waitUntilTaken(`${address.host}:${address.port}`, { address, fingerprint, signal });
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
