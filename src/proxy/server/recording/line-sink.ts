import { closeSync, constants, openSync, writeSync } from 'node:fs';

/** A pipe that takes nothing is tried again after this time. */
const RETRY_MS = 50;

/** Writes `bytes[offset…)` and returns how many were taken; throws as `writeSync` does. */
export type Write = (fd: number, bytes: Uint8Array, offset: number) => number;

export interface LineSinkOptions {
  /** Bytes that wait at most; a line that does not fit is dropped. */
  readonly bytesMax: number;
  /** Called once when writing fails, and again after it has gone well in between. */
  onFailure(reason: string): void;
  /** How to write; `fs.writeSync` when not given. */
  readonly write?: Write | undefined;
}

/**
 * Writes lines to a descriptor and never waits for it. What cannot be written now waits, up to a bound; what exceeds
 * it is dropped and counted. After an error what waits is dropped as well, and the next line is tried again.
 */
export class LineSink {
  written = 0;
  dropped = 0;
  private waiting: Buffer[] = [];
  /** How many lines each of them has. */
  private counts: number[] = [];
  private waitingBytes = 0;
  private timer: ReturnType<typeof setTimeout> | null = null;
  private failing = false;
  /** Part of a line is written: the rest must follow before anything else. */
  private begun = false;
  private readonly put: Write;

  constructor(
    private fd: number,
    private readonly options: LineSinkOptions,
  ) {
    this.put = options.write ?? ((to, bytes, offset) => writeSync(to, bytes, offset));
  }

  /** @param lines one or more whole lines, each with its end; @param count how many */
  write(lines: string, count = 1): void {
    const bytes = Buffer.from(lines);
    if (this.waitingBytes + bytes.length > this.options.bytesMax && this.waiting.length > 0) {
      this.dropped += count;
      return;
    }
    this.waiting.push(bytes);
    this.counts.push(count);
    this.waitingBytes += bytes.length;
    if (this.timer === null || this.waiting.length === 1) this.flush();
  }

  /** Writes what it can. */
  flush(): void {
    while (this.waiting.length > 0) {
      const [first] = this.waiting as [Buffer];
      let taken: number;
      try {
        taken = this.put(this.fd, first, 0);
      } catch (error) {
        const { code = 'error' } = error as NodeJS.ErrnoException;
        if (code === 'EAGAIN' || code === 'EINTR') this.retry();
        else this.fail(code);
        return;
      }
      this.waitingBytes -= taken;
      if (taken < first.length) {
        this.waiting[0] = first.subarray(taken);
        this.begun = true;
        if (taken === 0) {
          this.retry();
          return;
        }
        continue;
      }
      this.begun = false;
      this.failing = false;
      this.waiting.shift();
      this.written += this.counts.shift() as number;
    }
  }

  private retry(): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.flush();
    }, RETRY_MS);
    this.timer.unref?.();
  }

  private fail(reason: string): void {
    for (const count of this.counts) this.dropped += count;
    this.waiting = [];
    this.counts = [];
    this.waitingBytes = 0;
    this.begun = false;
    if (this.failing) return;
    this.failing = true;
    this.options.onFailure(reason);
  }

  /** Goes on with another descriptor, and returns the old one. */
  replace(fd: number): number {
    const old = this.fd;
    this.flush();
    // Half a line in the old file is not finished in the new one.
    if (this.begun && this.waiting.length > 0) {
      this.waitingBytes -= (this.waiting.shift() as Buffer).length;
      this.dropped += this.counts.shift() as number;
      this.begun = false;
    }
    this.fd = fd;
    this.flush();
    return old;
  }

  /** Writes what it can at once, and forgets the rest. */
  close(): void {
    this.flush();
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    for (const count of this.counts) this.dropped += count;
    this.waiting = [];
    this.counts = [];
    this.waitingBytes = 0;
  }
}

/** A file to append to; one that is a pipe does not make anybody wait. @throws Error with its `code` */
export function openLog(path: string): number {
  return openSync(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK, 0o640);
}

export const closeLog = (fd: number): void => {
  if (fd > 2) closeSync(fd);
};
