/** TLS, towards clients and towards the upstream; words are those of Envoy's DownstreamTlsContext and UpstreamTlsContext. */
import * as z from 'zod/mini';
import { distinct, name, oneOf, secret, withDefault } from './values.js';

/** Certificates of one listening address. */
const CERTIFICATES_MAX = 64;
const CIPHERS_MAX = 64;
const PATH_CHARACTERS_MAX = 4096;

const path = z
  .string()
  .check(
    z.minLength(1, 'the name of a file'),
    z.maxLength(PATH_CHARACTERS_MAX),
    z.regex(/^[^\p{Cc}]*$/u, 'the name of a file, without control characters'),
  );

/** A PEM file. It is read again when it changes. */
const file = z.strictObject({ filename: path }, { error: () => '{ filename: FILE }, a file in PEM format' });

const certificate = z.strictObject({
  /** The certificate, then those between it and its CA. */
  certificate_chain: file,
  private_key: file,
  /** Of an encrypted key. */
  password: z.optional(secret),
});

const VERSIONS = ['TLSv1_2', 'TLSv1_3'] as const;

const params = z.prefault(
  z
    .strictObject({
      tls_minimum_protocol_version: withDefault(oneOf(VERSIONS), 'TLSv1_2'),
      tls_maximum_protocol_version: withDefault(oneOf(VERSIONS), 'TLSv1_3'),
      /** OpenSSL's names, best first; of TLS 1.2, for those of 1.3 cannot be chosen. */
      cipher_suites: withDefault(
        distinct(
          z
            .string()
            .check(
              z.regex(/^[A-Z0-9-]+$/, "OpenSSL's name of a cipher of TLS 1.2, such as ECDHE-RSA-AES128-GCM-SHA256"),
            ),
          0,
          CIPHERS_MAX,
        ),
        [],
      ),
    })
    .check(
      z.refine(
        (versions) =>
          versions.tls_minimum_protocol_version === 'TLSv1_2' || versions.tls_maximum_protocol_version === 'TLSv1_3',
        { path: ['tls_minimum_protocol_version'], message: 'more than tls_maximum_protocol_version' },
      ),
      z.refine((each) => each.cipher_suites.length === 0 || each.tls_minimum_protocol_version === 'TLSv1_2', {
        path: ['cipher_suites'],
        message: 'only TLS 1.2 has ciphers to choose from, and tls_minimum_protocol_version rules it out',
      }),
    ),
  {},
);

export const downstreamTls = z
  .strictObject({
    /** The first is given to clients that name no server, or one that no certificate is for. */
    tls_certificates: z
      .array(certificate)
      .check(z.minLength(1, 'at least one certificate with its key'), z.maxLength(CERTIFICATES_MAX)),
    tls_params: params,
    /** How certificates of clients are checked; without it, none is asked for. */
    validation_context: z.optional(
      z.strictObject({
        /** Those who may have signed a client's certificate. */
        trusted_ca: file,
        crl: z.optional(file),
      }),
    ),
    /** Whoever has no certificate is refused. */
    require_client_certificate: withDefault(z.boolean(), false),
  })
  .check(
    z.refine((tls) => !tls.require_client_certificate || tls.validation_context !== undefined, {
      path: ['require_client_certificate'],
      message: "needs 'validation_context: { trusted_ca: { filename: FILE } }'",
    }),
  );

export const upstreamTls = z.strictObject({
  /** The name that is asked for and that the certificate must be for; the node's own host when not given. */
  sni: z.optional(name),
  /** What the proxy shows to the node. */
  tls_certificates: withDefault(z.array(certificate).check(z.maxLength(1)), []),
  tls_params: params,
  validation_context: z.prefault(
    z.strictObject({
      /** The CAs that the world trusts when not given. */
      trusted_ca: z.optional(file),
      crl: z.optional(file),
      /** ACCEPT_UNTRUSTED: neither the CA nor the name is checked. */
      trust_chain_verification: withDefault(oneOf(['VERIFY_TRUST_CHAIN', 'ACCEPT_UNTRUSTED']), 'VERIFY_TRUST_CHAIN'),
    }),
    {},
  ),
});

export type DownstreamTlsConfig = z.infer<typeof downstreamTls>;
export type UpstreamTlsConfig = z.infer<typeof upstreamTls>;
export type CertificateConfig = z.infer<typeof certificate>;
export type TlsParams = z.infer<typeof params>;
