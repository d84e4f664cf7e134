import { stat } from 'node:fs/promises';
import type { Logger } from '../logger.js';

/** How often the files are looked at; a look is one `stat` for each. */
const POLL_MS = 2000;
/** How often it is said that a certificate ends soon. */
const WARNING_INTERVAL_MS = 86_400_000;

export interface TlsWatchOptions {
  readonly logger: Logger;
  readonly pollMs?: number;
  /** The files that are in use now. */
  files(): readonly string[];
  warnings(): readonly string[];
  /** Reads them again and serves by them. @throws when one of them cannot be used; then nothing has changed */
  apply(): void;
}

/**
 * Has certificates read again when their files change. A file may be seen half written, and a certificate before its
 * key: what cannot be used is looked at once more before it is called an error. What is served stays until then.
 */
export class TlsWatch {
  updates = 0;
  rejected = 0;
  private timer: ReturnType<typeof setTimeout> | null = null;
  /** The files as they were when they were read, and as they were when that failed. */
  private applied = '';
  private doubted = '';
  private refused = '';
  private warnedMs = Number.NEGATIVE_INFINITY;
  private stopped = false;

  constructor(private readonly options: TlsWatchOptions) {}

  async start(): Promise<void> {
    this.applied = await this.look();
    this.warn();
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
    this.warn();
    const seen = await this.look();
    if (this.stopped || seen === this.applied || seen === this.refused) return;
    const { logger } = this.options;
    try {
      this.options.apply();
      // As they were before they were read: what has changed since is read at the next look.
      this.applied = seen;
      this.refused = '';
      this.updates++;
      this.warnedMs = Number.NEGATIVE_INFINITY;
      logger.info('TLS: certificates were read again: their files have changed');
    } catch (error) {
      if (this.doubted !== seen) {
        this.doubted = seen;
        return;
      }
      this.refused = seen;
      this.rejected++;
      for (const line of (error as Error).message.split('\n')) {
        logger.error(`TLS: the changed files cannot be used, those before stay in use: ${line}`);
      }
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

  private warn(): void {
    const now = performance.now();
    if (now - this.warnedMs < WARNING_INTERVAL_MS) return;
    this.warnedMs = now;
    for (const warning of this.options.warnings()) this.options.logger.warn(`TLS: ${warning}`);
  }
}
