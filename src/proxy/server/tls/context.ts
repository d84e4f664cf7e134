import type { ClientTls, ServerTls } from './material.js';

/** Loaded when TLS is configured: it takes 7 MB in each thread. */
export const nodeTls = () => process.getBuiltinModule('node:tls');

/** The runtime's own context behind one of `node:tls`: keys and certificates are parsed once, not with each socket. */
export type NativeContext = object;

/** What `node:tls` is told of one certificate of an address. */
export function serverOptions(tls: ServerTls, certificate = tls.certificates[0]) {
  return {
    key: certificate?.key,
    cert: certificate?.chain,
    minVersion: tls.minVersion,
    maxVersion: tls.maxVersion,
    ...(tls.ciphers === '' ? {} : { ciphers: tls.ciphers }),
    ...(tls.ca === null ? {} : { ca: tls.ca }),
    ...(tls.crl === null ? {} : { crl: tls.crl }),
    ...verification(tls),
  };
}

/** Who may be without a certificate is let in by the library and looked at afterwards. */
export function verification(tls: ServerTls) {
  return { requestCert: tls.ca !== null, rejectUnauthorized: tls.requireCertificate };
}

/** @throws Error when the library does not take key, certificate, CA or ciphers */
export function serverContext(tls: ServerTls, certificate = tls.certificates[0]): NativeContext {
  return native(nodeTls().createSecureContext(serverOptions(tls, certificate)));
}

/** @throws Error as `serverContext` does */
export function clientContext(tls: ClientTls): NativeContext {
  const { certificate } = tls;
  return native(
    nodeTls().createSecureContext({
      ...(certificate === null ? {} : { key: certificate.key, cert: certificate.chain }),
      minVersion: tls.minVersion,
      maxVersion: tls.maxVersion,
      ...(tls.ciphers === '' ? {} : { ciphers: tls.ciphers }),
      ...(tls.ca === null ? {} : { ca: tls.ca }),
      ...(tls.crl === null ? {} : { crl: tls.crl }),
    }),
  );
}

function native(context: unknown): NativeContext {
  return (context as { context: NativeContext }).context;
}
