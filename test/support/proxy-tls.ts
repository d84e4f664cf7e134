/** A proxy with a plain port, TLS ports and a Unix socket beside each other, for tests. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import type { Authority, CertificateFiles } from './certificates.js';
import { freePort } from './ports.js';
import { type RunningProxy, startProxy } from './proxy.js';

const CONNECT_MS = 10_000;

export const files = ({ certificate, key }: CertificateFiles) => ({
  certificate_chain: { filename: certificate },
  private_key: { filename: key },
});

export interface TlsProxy {
  readonly proxy: RunningProxy;
  readonly tlsPort: number;
  /** Asks for certificates of clients. */
  readonly mutualPort: number;
  readonly unixPath: string;
}

/** @param listener more settings of the listener */
export async function startTlsProxy(
  authority: Authority,
  endpoints: string,
  options: { listener?: object; more?: readonly object[]; workers?: number; args?: readonly string[] } = {},
): Promise<TlsProxy> {
  const [tlsPort, mutualPort] = [await freePort(), await freePort()];
  const unixPath = path.join(authority.dir, 'proxy.sock');
  const tls_certificates = [files(authority.server)];
  const validation_context = { trusted_ca: { filename: authority.ca } };
  const proxy = await startProxy({
    args: options.args ?? [],
    config: {
      workers: options.workers ?? 1,
      listeners: [
        {
          cluster: 'main',
          additional_addresses: [
            { address: `127.0.0.1:${tlsPort}`, tls_context: { tls_certificates } },
            {
              address: `127.0.0.1:${mutualPort}`,
              tls_context: { tls_certificates, validation_context, require_client_certificate: true },
            },
            { address: `unix:${unixPath}` },
            ...(options.more ?? []),
          ],
          ...options.listener,
        },
      ],
      clusters: [{ name: 'main', endpoints: endpoints.split(',') }],
    },
  });
  return { proxy, tlsPort, mutualPort, unixPath };
}

/** Connects with TLS; rejects with what the handshake says. */
export function connectTls(
  port: number,
  options: tls.ConnectionOptions & { allowHalfOpen?: boolean },
): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', ...options }, () => {
      clearTimeout(timer);
      resolve(socket);
    });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error('no handshake'));
    }, CONNECT_MS);
    socket.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}

/** Sends a PING and resolves with the reply, or with why there is none: `closed`, or the error's code. */
export function ping(socket: tls.TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.setTimeout(CONNECT_MS, () => resolve('silent'));
    socket.once('data', (bytes) => resolve(bytes.toString()));
    socket.once('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? error.message));
    socket.once('close', () => resolve('closed'));
    socket.write('PING\r\n');
  });
}

/** The CA, and a client's certificate with its key. */
export const trust = (authority: Authority, client?: CertificateFiles): tls.ConnectionOptions => ({
  ca: readFileSync(authority.ca),
  ...(client === undefined ? {} : { cert: readFileSync(client.certificate), key: readFileSync(client.key) }),
});
