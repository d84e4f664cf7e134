/** What TLS needs, as plain data: it goes from the main thread, which reads the files, to the workers. In memory only. */

/** A certificate chain with its key, both PEM; the key is not encrypted any more. */
export interface Certificate {
  readonly chain: string;
  readonly key: string;
  /** The names that it is for, in small letters; one of them may start with `*.`. */
  readonly names: readonly string[];
}

interface Common {
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** OpenSSL's list; empty for the library's own choice. */
  readonly ciphers: string;
  /** PEM; null when not given. */
  readonly ca: string | null;
  readonly crl: string | null;
}

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** How clients are spoken to on one listening address. */
export interface ServerTls extends Common {
  /** At least one. */
  readonly certificates: readonly Certificate[];
  /** Who has no certificate is refused; one that is given is checked either way when there is a `ca`. */
  readonly requireCertificate: boolean;
}

/** How the nodes of one cluster are spoken to. */
export interface ClientTls extends Common {
  readonly certificate: Certificate | null;
  /** The name that is asked for and checked; empty: the host that is connected to. */
  readonly serverName: string;
  readonly verify: boolean;
}

/** Of a whole configuration. */
export interface TlsMaterial {
  /** Of each listening address: the listener's own, then the additional ones. */
  readonly downstream: readonly (ServerTls | null)[];
  /** Of each cluster, in the order of the configuration, and of its Sentinels. */
  readonly upstream: readonly (ClientTls | null)[];
  readonly sentinels: readonly (ClientTls | null)[];
  /** All files that were read, each once. */
  readonly files: readonly string[];
  /** What ends soon. */
  readonly warnings: readonly string[];
  /** When the first certificate ends, in milliseconds since 1970; infinite without one. */
  readonly firstExpiryMs: number;
}

export const NO_TLS: TlsMaterial = {
  downstream: [],
  upstream: [],
  sentinels: [],
  files: [],
  warnings: [],
  firstExpiryMs: Number.POSITIVE_INFINITY,
};
