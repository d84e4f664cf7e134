import type { ProxyConfig, SecretSource } from '../config/schema.js';
import { FileWatch } from './file-watch.js';
import type { Logger } from './logger.js';
import type { Secrets } from './secrets.js';

/** How often the files are looked at. */
const POLL_MS = 1000;

export interface SecretWatchOptions {
  readonly logger: Logger;
  readonly pollMs?: number;
  /** The files that are in use now. */
  files(): readonly string[];
  /** Reads them again and serves by them; says what has changed. @throws when one cannot be used; nothing has changed then */
  apply(): readonly string[];
}

/** Has passwords read again when their files change. */
export class SecretWatch extends FileWatch {
  constructor({ logger, pollMs = POLL_MS, files, apply }: SecretWatchOptions) {
    super({
      pollMs,
      files,
      apply: () => {
        for (const change of apply()) logger.info(`passwords were read again: ${change}`);
      },
      refused: ({ message }) =>
        logger.error(`the changed passwords cannot be used, those before stay in use: ${message}`),
    });
  }
}

/** The files that hold passwords; those of certificates' keys are looked after with them. */
export function passwordFiles({ clusters, listeners }: ProxyConfig): string[] {
  const sources: (SecretSource | undefined)[] = [];
  for (const { auth_password, sentinel } of clusters) sources.push(auth_password, sentinel?.auth_password);
  for (const { downstream_auth_passwords, users } of listeners) {
    sources.push(...downstream_auth_passwords, ...users.flatMap(({ passwords }) => passwords));
  }
  return [...new Set(sources.flatMap((source) => (source?.filename === undefined ? [] : [source.filename])))];
}

/**
 * The new secrets with the passwords that they replace, by the names of the clusters: where a server refuses a new one,
 * the one before it is tried. Passwords are not changed everywhere at once.
 */
export function withPrevious(
  before: { readonly config: ProxyConfig; readonly secrets: Secrets },
  after: { readonly config: ProxyConfig; readonly secrets: Secrets },
): Secrets {
  const previous = (kind: 'upstreamPasswords' | 'sentinelPasswords', older: 'upstream' | 'sentinel') =>
    after.config.clusters.map(({ name, auth_username }, index) => {
      const old = before.config.clusters.findIndex((each) => each.name === name);
      if (old < 0 || before.config.clusters[old]?.auth_username !== auth_username) return undefined;
      const password = before.secrets[kind][old] as string;
      if (password === after.secrets[kind][index]) return before.secrets.previous?.[older][old];
      return password === '' ? undefined : password;
    });
  return {
    ...after.secrets,
    previous: {
      upstream: previous('upstreamPasswords', 'upstream'),
      sentinel: previous('sentinelPasswords', 'sentinel'),
    },
  };
}
