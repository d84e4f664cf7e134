import type { KeyObject, X509Certificate } from 'node:crypto';
import { ConfigError } from '../../config/load.js';
import type { ProxyConfig, SecretSource } from '../../config/schema.js';
import type { CertificateConfig, DownstreamTlsConfig, TlsParams, UpstreamTlsConfig } from '../../config/tls.js';
import { readText, reasonOf } from '../read-file.js';
import { clientContext, serverContext } from './context.js';
import type { Certificate, ClientTls, ServerTls, TlsMaterial, TlsVersion } from './material.js';

/** Bytes of a PEM file: a bundle of all CAs of the world has a quarter of this. */
const FILE_BYTES_MAX = 1024 * 1024;
/** Certificates of one file that are looked at. */
const CHAIN_MAX = 512;
const DAY_MS = 86_400_000;
/** A certificate that ends within this time is warned about. */
export const EXPIRY_WARNING_MS = 30 * DAY_MS;

/** Loaded when there is something to check. */
const crypto = () => process.getBuiltinModule('node:crypto');

const PEM_CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]+?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;
const VERSION: Readonly<Record<'TLSv1_2' | 'TLSv1_3', TlsVersion>> = { TLSv1_2: 'TLSv1.2', TLSv1_3: 'TLSv1.3' };

/** The flags behind settings, for a configuration that the command line gives. */
const FLAG_OF: readonly (readonly [RegExp, string])[] = [
  [/certificate_chain/, '--tls-cert'],
  [/private_key/, '--tls-key'],
  [/trusted_ca/, '--tls-client-ca'],
];

export interface ReadOptions {
  /** The configuration file, or `command line`. */
  readonly source: string;
  /** Reads a password. */
  readonly secret: (from: SecretSource, path: string) => string;
  /** Milliseconds since 1970. */
  readonly nowMs?: number;
}

/**
 * Reads and checks the certificates, keys and CAs that a configuration names.
 * @throws ConfigError naming the setting, the file, what is wrong with it and what to do
 */
export function readTls(config: ProxyConfig, options: ReadOptions): TlsMaterial {
  return new TlsReader(options).read(config);
}

class TlsReader {
  private readonly texts = new Map<string, string>();
  private readonly warnings: string[] = [];
  private firstExpiryMs = Number.POSITIVE_INFINITY;
  private readonly nowMs: number;

  constructor(private readonly options: ReadOptions) {
    this.nowMs = options.nowMs ?? Date.now();
  }

  read({ listeners: [listener], clusters }: ProxyConfig): TlsMaterial {
    const downstream = [listener, ...(listener.additional_addresses ?? [])].map((each, index) => {
      const place = index === 0 ? 'listeners[0]' : `listeners[0].additional_addresses[${index - 1}]`;
      return each.tls_context === undefined ? null : this.server(each.tls_context, `${place}.tls_context`);
    });
    const client = (tls: UpstreamTlsConfig | undefined, path: string) =>
      tls === undefined ? null : this.client(tls, path);
    const upstream = clusters.map((cluster, index) => client(cluster.tls_context, `clusters[${index}].tls_context`));
    const sentinels = clusters.map(({ sentinel }, index) => {
      if (sentinel === undefined || sentinel.plaintext === true) return null;
      const own = client(sentinel.tls_context, `clusters[${index}].sentinel.tls_context`);
      return own ?? (upstream[index] as ClientTls | null);
    });
    const { warnings, firstExpiryMs } = this;
    return { downstream, upstream, sentinels, files: [...this.texts.keys()], warnings, firstExpiryMs };
  }

  private server(config: DownstreamTlsConfig, path: string): ServerTls {
    const { validation_context: validation } = config;
    const tls: ServerTls = {
      certificates: config.tls_certificates.map((each, i) => this.certificate(each, `${path}.tls_certificates[${i}]`)),
      ...this.params(config.tls_params),
      ...this.authorities(validation, path),
      requireCertificate: config.require_client_certificate,
    };
    for (const certificate of tls.certificates) this.attempt(path, () => serverContext(tls, certificate));
    return tls;
  }

  private client(config: UpstreamTlsConfig, path: string): ClientTls {
    const [certificate] = config.tls_certificates;
    const tls: ClientTls = {
      certificate: certificate === undefined ? null : this.certificate(certificate, `${path}.tls_certificates[0]`),
      ...this.params(config.tls_params),
      ...this.authorities(config.validation_context, path),
      serverName: config.sni ?? '',
      verify: config.validation_context.trust_chain_verification === 'VERIFY_TRUST_CHAIN',
    };
    this.attempt(path, () => clientContext(tls));
    return tls;
  }

  private params(params: TlsParams) {
    return {
      minVersion: VERSION[params.tls_minimum_protocol_version],
      maxVersion: VERSION[params.tls_maximum_protocol_version],
      ciphers: params.cipher_suites.join(':'),
    };
  }

  private authorities(
    validation: { trusted_ca?: { filename: string } | undefined; crl?: { filename: string } | undefined } | undefined,
    path: string,
  ) {
    const at = `${path}.validation_context`;
    return {
      ca: validation?.trusted_ca === undefined ? null : this.ca(validation.trusted_ca.filename, `${at}.trusted_ca`),
      crl: validation?.crl === undefined ? null : this.file(validation.crl.filename, `${at}.crl.filename`),
    };
  }

  private ca(file: string, path: string): string {
    const place = `${path}.filename`;
    const text = this.file(file, place);
    const certificates = this.parse(text, file, place);
    // One of many may have ended; when all have, nobody can be let in.
    if (certificates.every((each) => Date.parse(each.validTo) <= this.nowMs)) {
      this.wrong(place, `every CA in ${file} has expired; give one that is valid`);
    }
    return text;
  }

  private certificate(config: CertificateConfig, path: string): Certificate {
    const { certificate_chain: chainFile, private_key: keyFile, password } = config;
    const chainPlace = `${path}.certificate_chain.filename`;
    const keyPlace = `${path}.private_key.filename`;
    const chain = this.file(chainFile.filename, chainPlace);
    const certificates = this.parse(chain, chainFile.filename, chainPlace);
    for (const each of certificates) this.checkDates(each, chainFile.filename, chainPlace);
    const secret = password === undefined ? undefined : this.options.secret(password, `${path}.password`);
    const key = this.key(this.file(keyFile.filename, keyPlace), secret, keyFile.filename, keyPlace);
    const [leaf] = certificates as [X509Certificate];
    if (!leaf.checkPrivateKey(key)) {
      this.wrong(
        keyPlace,
        `the key in ${keyFile.filename} does not belong to the certificate in ${chainFile.filename} (${subject(leaf)}); give the key that the certificate was made for, and put that certificate first in its file`,
      );
    }
    return { chain, key: key.export({ type: 'pkcs8', format: 'pem' }) as string, names: namesOf(leaf) };
  }

  private parse(text: string, file: string, place: string): X509Certificate[] {
    const blocks = text.match(PEM_CERTIFICATE);
    if (blocks === null) {
      const hint = text.includes('PRIVATE KEY') ? 'it holds a private key; ' : '';
      return this.wrong(place, `${file} has no certificate in PEM format; ${hint}give the certificate's file`);
    }
    if (blocks.length > CHAIN_MAX) this.wrong(place, `${file} has more than ${CHAIN_MAX} certificates`);
    return blocks.map((block, index) => {
      try {
        return new (crypto().X509Certificate)(block);
      } catch {
        return this.wrong(place, `certificate ${index + 1} in ${file} is damaged; copy or make it anew`);
      }
    });
  }

  private checkDates(certificate: X509Certificate, file: string, place: string): void {
    const from = Date.parse(certificate.validFrom);
    const to = Date.parse(certificate.validTo);
    const who = `the certificate in ${file} (${subject(certificate)})`;
    if (to <= this.nowMs) this.wrong(place, `${who} expired on ${day(to)}; give one that is valid`);
    if (from > this.nowMs) {
      this.wrong(place, `${who} is valid only from ${day(from)} on; give one that is valid, or set this host's clock`);
    }
    this.firstExpiryMs = Math.min(this.firstExpiryMs, to);
    if (to - this.nowMs < EXPIRY_WARNING_MS) {
      const days = Math.floor((to - this.nowMs) / DAY_MS);
      this.warnings.push(`${who} expires on ${day(to)}, in ${days} days; put a new one in its place`);
    }
  }

  private key(pem: string, passphrase: string | undefined, file: string, place: string): KeyObject {
    if (!pem.includes('PRIVATE KEY')) {
      return this.wrong(place, `${file} has no private key in PEM format; give the key's file`);
    }
    try {
      return crypto().createPrivateKey({ key: pem, ...(passphrase === undefined ? {} : { passphrase }) });
    } catch {
      const encrypted = pem.includes('ENCRYPTED');
      const hint = encrypted
        ? passphrase === undefined
          ? "is encrypted; give its password ('password')"
          : 'cannot be decrypted with its password'
        : 'is damaged; copy or make it anew';
      return this.wrong(place, `the private key in ${file} ${hint}`);
    }
  }

  private file(file: string, place: string): string {
    const known = this.texts.get(file);
    if (known !== undefined) return known;
    let text: string | null;
    try {
      text = readText(file, FILE_BYTES_MAX);
      if (text === null) return this.wrong(place, `${file} is too large for a PEM file`);
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      return this.wrong(place, unreadable(file, reasonOf(error)));
    }
    this.texts.set(file, text);
    return text;
  }

  /** What the library itself does not take, such as a cipher that it does not have. */
  private attempt(path: string, make: () => unknown): void {
    try {
      make();
    } catch (error) {
      const { message } = error as Error;
      const ciphers = /cipher/i.test(message);
      this.wrong(ciphers ? `${path}.tls_params.cipher_suites` : path, `TLS refuses this: ${message}`);
    }
  }

  private wrong(path: string, message: string): never {
    const { source } = this.options;
    const flag = source === 'command line' ? FLAG_OF.find(([setting]) => setting.test(path))?.[1] : undefined;
    throw new ConfigError(source, [{ path: flag ?? path, message, line: 0, column: 0 }]);
  }
}

function unreadable(file: string, code: string): string {
  if (code === 'ENOENT') return `there is no file ${file}; give the right path`;
  if (code === 'EACCES') return `${file} may not be read by the user that runs the proxy; give it the right to`;
  if (code === 'EISDIR') return `${file} is a folder; give a file`;
  return `cannot read ${file}: ${code}`;
}

function subject(certificate: X509Certificate): string {
  return certificate.subject?.replace(/\n/g, ', ') || 'without a subject';
}

const day = (ms: number) => new Date(ms).toISOString().slice(0, 10);

/** The DNS names of a certificate; the common name only when there is none of them. */
export function namesOf(certificate: X509Certificate): string[] {
  const names = [...(certificate.subjectAltName ?? '').matchAll(/DNS:("(?:[^"\\]|\\.)*"|[^,\s]+)/g)].map(([, name]) =>
    (name as string).replace(/^"|"$/g, '').toLowerCase(),
  );
  if (names.length > 0) return names;
  const common = /^CN=(.+)$/m.exec(certificate.subject ?? '')?.[1];
  return common === undefined ? [] : [common.toLowerCase()];
}
