/** How a command speaks TLS to nodes: files named by flags or by the environment, read here. */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { ForgeError } from '../errors.js';

export interface TlsSources {
  /** `--tls`; else REDIS_TLS (1, true, yes, on). Naming a file switches TLS on, too. */
  readonly tls?: boolean;
  /** `--cacert`; else REDIS_TLS_CA. The system's authorities without it. */
  readonly caFile?: string;
  /** `--cert`; else REDIS_TLS_CERT. */
  readonly certificateFile?: string;
  /** `--key`; else REDIS_TLS_KEY. */
  readonly keyFile?: string;
  /** `--sni`; else REDIS_TLS_SNI: the name that every node's certificate is for, where it is not the node's own. */
  readonly serverName?: string;
  readonly environment?: NodeJS.ProcessEnv;
}

/**
 * TLS settings for node:tls; undefined for plain connections. Certificates are always checked.
 * @throws ForgeError `configuration` for a file that cannot be read, a certificate without a key or the reverse
 */
export async function readTls(sources: TlsSources = {}): Promise<ConnectionOptions | undefined> {
  const environment = sources.environment ?? process.env;
  const variable = (name: string) => environment[name]?.trim() || undefined;
  const ca = sources.caFile ?? variable('REDIS_TLS_CA');
  const certificate = sources.certificateFile ?? variable('REDIS_TLS_CERT');
  const key = sources.keyFile ?? variable('REDIS_TLS_KEY');
  const name = sources.serverName ?? variable('REDIS_TLS_SNI');
  const asked = sources.tls ?? /^(1|true|yes|on)$/i.test(variable('REDIS_TLS') ?? '');
  if (!asked && ca === undefined && certificate === undefined && key === undefined) return undefined;
  if ((certificate === undefined) !== (key === undefined)) {
    throw new ForgeError('configuration', 'A client certificate and its key are only of use together.', {
      next: 'Give both --cert and --key (REDIS_TLS_CERT and REDIS_TLS_KEY), or neither.',
    });
  }
  return {
    ...(ca === undefined ? {} : { ca: await read(ca) }),
    ...(certificate === undefined ? {} : { cert: await read(certificate) }),
    ...(key === undefined ? {} : { key: await read(key) }),
    // RFC 6066 knows names only.
    ...(name === undefined || isIP(name) !== 0 ? {} : { servername: name }),
  };
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new ForgeError('configuration', `The TLS file ${file} cannot be read.`, {
      next: 'Check its path and its permissions.',
      cause,
    });
  }
}
