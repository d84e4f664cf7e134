import { stat } from 'node:fs/promises';
import type { ProxyConfig, SecretSource } from '../config/schema.js';
import type { Logger } from './logger.js';
import type { Secrets } from './secrets.js';

/** How often the files are looked at; a look is one `stat` for each. */
const POLL_MS = 1000;

export interface SecretWatchOptions {
  readonly logger: Logger;
  readonly pollMs?: number;
  /** The files that are in use now. */
  files(): readonly string[];
  /** Reads them again and serves by them; says what has changed. @throws when one cannot be used; nothing has changed then */
  apply(): readonly string[];
}

/**
 * Has passwords read again when their files change. A file may be seen half written: what cannot be used is looked at
 * once more before it is called an error. What is in use stays until then.
 */
export class SecretWatch {
  private timer: ReturnType<typeof setTimeout> | null = null;
  /** The files as they were when they were read, and as they were when that failed. */
  private applied = '';
  private doubted = '';
  private refused = '';
  private stopped = false;

  constructor(private readonly options: SecretWatchOptions) {}

  async start(): Promise<void> {
    this.applied = await this.look();
    this.schedule();
  }

  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      void this.poll().then(() => this.schedule());
    }, this.options.pollMs ?? POLL_MS);
    this.timer.unref();
  }

  private async poll(): Promise<void> {
    const seen = await this.look();
    if (this.stopped || seen === this.applied || seen === this.refused) return;
    const { logger } = this.options;
    try {
      const changes = this.options.apply();
      // As they were before they were read: what has changed since is read at the next look.
      this.applied = seen;
      this.refused = this.doubted = '';
      for (const change of changes) logger.info(`passwords were read again: ${change}`);
    } catch (error) {
      if (this.doubted !== seen) {
        this.doubted = seen;
        return;
      }
      this.refused = seen;
      logger.error(`the changed passwords cannot be used, those before stay in use: ${(error as Error).message}`);
    }
  }

  /** What is different when a file is. */
  private async look(): Promise<string> {
    const looks = this.options.files().map(async (file) => {
      try {
        const { ino, size, mtimeMs, ctimeMs } = await stat(file);
        return `${file} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
      } catch (error) {
        return `${file} ${(error as NodeJS.ErrnoException).code}`;
      }
    });
    return (await Promise.all(looks)).join('\n');
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
