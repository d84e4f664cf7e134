import { FileWatch } from '../file-watch.js';
import type { Logger } from '../logger.js';

/** How often the files are looked at. */
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

/** Has certificates read again when their files change, and warns of those that end soon. */
export class TlsWatch {
  updates = 0;
  rejected = 0;
  private readonly watch: FileWatch;
  private warnedMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: TlsWatchOptions) {
    const { pollMs = POLL_MS, files } = options;
    this.watch = new FileWatch({
      pollMs,
      files,
      beforeLook: () => this.warn(),
      apply: () => this.apply(),
      refused: ({ message }) => this.refuse(message),
    });
  }

  start(): Promise<void> {
    return this.watch.start();
  }

  stop(): void {
    this.watch.stop();
  }

  private apply(): void {
    this.options.apply();
    this.updates++;
    // What there is to say of the new ones is said with the next look.
    this.warnedMs = Number.NEGATIVE_INFINITY;
    this.options.logger.info('TLS: certificates were read again: their files have changed');
  }

  private refuse(message: string): void {
    this.rejected++;
    for (const line of message.split('\n')) {
      this.options.logger.error(`TLS: the changed files cannot be used, those before stay in use: ${line}`);
    }
  }

  private warn(): void {
    const now = performance.now();
    if (now - this.warnedMs < WARNING_INTERVAL_MS) return;
    this.warnedMs = now;
    for (const warning of this.options.warnings()) this.options.logger.warn(`TLS: ${warning}`);
  }
}
