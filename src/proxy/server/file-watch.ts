import { stat } from 'node:fs/promises';

/** How some files look; different when one of them is. */
export type FilesSeen = string;

/**
 * Which state of some files is in use, and which ones are known to be of no use. A file may be seen half written, and one
 * of two before the other: what cannot be used is looked at once more before it is called an error. Pure.
 */
export class FileStates {
  private applied: FilesSeen;
  private doubted: FilesSeen | null = null;
  private refused: FilesSeen | null = null;

  /** @param applied how the files were when they were read first */
  constructor(applied: FilesSeen) {
    this.applied = applied;
  }

  /** Whether these should be read: they are not in use, and nobody has called them an error. */
  isNews(seen: FilesSeen): boolean {
    return seen !== this.applied && seen !== this.refused;
  }

  /** They were read and are in use. */
  taken(seen: FilesSeen): void {
    this.applied = seen;
    this.doubted = this.refused = null;
  }

  /** They cannot be used. True when it is time to say so: they looked the same the last time. */
  failed(seen: FilesSeen): boolean {
    if (this.doubted !== seen) {
      this.doubted = seen;
      return false;
    }
    this.refused = seen;
    return true;
  }
}

export interface FileWatchOptions {
  /** From the end of one look to the next, milliseconds; a look is one `stat` for each file. */
  readonly pollMs: number;
  /** The files that are in use now. */
  files(): readonly string[];
  /** Reads them again and serves by them. @throws when one of them cannot be used; then nothing has changed */
  apply(): void;
  /** Told once for each state of the files that cannot be used, when it was seen twice. */
  refused(error: Error): void;
  /** Called before every look, the first one too. */
  beforeLook?(): void;
}

/** Has files read again when they change; what is in use stays until what has come can be used. */
export class FileWatch {
  private timer: ReturnType<typeof setTimeout> | null = null;
  private states: FileStates | null = null;
  private stopped = false;

  constructor(private readonly options: FileWatchOptions) {}

  /** Takes the files as they are now for those in use, and looks after them from here on. */
  async start(): Promise<void> {
    this.options.beforeLook?.();
    this.states = new FileStates(await lookAt(this.options.files()));
    this.schedule();
  }

  /** Nothing is called any more after this, whatever is under way. */
  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private schedule(): void {
    if (this.stopped) return;
    this.timer = setTimeout(() => {
      void this.poll().then(() => this.schedule());
    }, this.options.pollMs);
    this.timer.unref();
  }

  private async poll(): Promise<void> {
    const { options, states } = this;
    options.beforeLook?.();
    const seen = await lookAt(options.files());
    if (this.stopped || states === null || !states.isNews(seen)) return;
    try {
      options.apply();
      // As they were before they were read: what has changed since is read at the next look.
      states.taken(seen);
    } catch (error) {
      if (states.failed(seen)) options.refused(error as Error);
    }
  }
}

async function lookAt(files: readonly string[]): Promise<FilesSeen> {
  const looks = files.map(async (file) => {
    try {
      const { ino, size, mtimeMs, ctimeMs } = await stat(file);
      return `${file} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
    } catch (error) {
      return `${file} ${(error as NodeJS.ErrnoException).code}`;
    }
  });
  return (await Promise.all(looks)).join('\n');
}
