import { ConfigError } from '../config/load.js';
import type { ProxyConfig, SecretSource } from '../config/schema.js';
import { readText, reasonOf } from './read-file.js';
import type { TlsMaterial } from './tls/material.js';
import { readTls } from './tls/read.js';

/** The secrets that a configuration refers to; kept apart from it, so that it can be shown. */
export interface Secrets {
  /** Of each cluster; empty when it needs none. */
  upstreamPasswords: string[];
  /** Of each cluster's Sentinels; empty when they need none. */
  sentinelPasswords: string[];
  /** The passwords before these, of each cluster and of its Sentinels. */
  previous?: { readonly upstream: readonly (string | undefined)[]; readonly sentinel: readonly (string | undefined)[] };
  /** SHA-256 of each of `downstream_auth_passwords`, in hexadecimal. */
  downstreamPasswords: string[];
  /** The same of each user's. */
  userPasswords: string[][];
  /** Of the requests to the collector of spans. */
  tracingHeaders: Record<string, string>;
  /** Certificates, keys and CAs. */
  tls: TlsMaterial;
}

/** Bytes of a secret's file that are read. */
const SECRET_BYTES_MAX = 64 * 1024;

/**
 * Reads the secrets that a configuration refers to.
 * @throws ConfigError naming the setting and the file or variable, never the secret
 */
export function resolveSecrets(config: ProxyConfig, source: string, environment = process.env): Secrets {
  const read = secretReader(source, environment);
  const [listener] = config.listeners;
  return {
    upstreamPasswords: config.clusters.map((cluster, i) =>
      cluster.auth_password === undefined ? '' : read(cluster.auth_password, `clusters[${i}].auth_password`),
    ),
    sentinelPasswords: config.clusters.map(({ sentinel }, i) =>
      sentinel?.auth_password === undefined
        ? ''
        : read(sentinel.auth_password, `clusters[${i}].sentinel.auth_password`),
    ),
    downstreamPasswords: listener.downstream_auth_passwords.map((each, i) =>
      sha256(read(each, `listeners[0].downstream_auth_passwords[${i}]`)),
    ),
    userPasswords: listener.users.map(({ passwords }, i) =>
      passwords.map(({ sha256: hash, ...from }, j) =>
        (hash ?? sha256(read(from, `listeners[0].users[${i}].passwords[${j}]`))).toLowerCase(),
      ),
    ),
    tracingHeaders: Object.fromEntries(
      Object.entries(config.tracing?.headers ?? {}).map(([name, from]) => [
        name,
        read(from, `tracing.headers.${name}`),
      ]),
    ),
    tls: readTls(config, { source, secret: read }),
  };
}

const sha256 = (text: string) =>
  process.getBuiltinModule('node:crypto').createHash('sha256').update(text).digest('hex');

/** Reads one secret after the other. */
export function secretReader(source: string, environment = process.env): (from: SecretSource, path: string) => string {
  return (from, path) => resolve(from, path, source, environment);
}

function resolve(from: SecretSource, path: string, source: string, environment: NodeJS.ProcessEnv): string {
  const wrong = (message: string) => new ConfigError(source, [{ path, message, line: 0, column: 0 }]);
  if (from.inline !== undefined) return from.inline;
  if (from.environment !== undefined) {
    const value = environment[from.environment];
    if (value === undefined || value === '') throw wrong(`the environment variable ${from.environment} is not set`);
    return value;
  }
  let text: string | null;
  try {
    text = readText(from.filename as string, SECRET_BYTES_MAX);
  } catch (error) {
    throw wrong(`cannot read ${from.filename}: ${reasonOf(error)}`);
  }
  if (text === null) throw wrong(`${from.filename} is too long for a password`);
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw wrong(`${from.filename} is empty`);
  return value;
}
