import type { AccessLogConfig } from '../../config/recording.js';
import type { Logger } from '../logger.js';
import { closeLog, LineSink, openLog } from './line-sink.js';
import { standardError } from './standard-error.js';

/** Bytes of lines that wait while nobody takes them. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;
/** After a failure to open it, the file is tried again this often. */
const REOPEN_MS = 5000;

/** Where the workers' lines of the access log go. What cannot be written is dropped and counted; commands never wait. */
export class AccessLog {
  private sink: LineSink | null = null;
  private path = '';
  private triedMs = 0;
  /** Lines of sinks before this one, and those without any. */
  private writtenBefore = 0;
  private droppedBefore = 0;
  /** Lines given to standard error, which has others, too; what it drops counts there. */
  private sharedWritten = 0;
  private complained = false;

  constructor(private readonly logger: Logger) {}

  get written(): number {
    return this.writtenBefore + (this.shared ? this.sharedWritten : (this.sink?.written ?? 0));
  }

  get dropped(): number {
    return this.droppedBefore + (this.shared ? 0 : (this.sink?.dropped ?? 0));
  }

  private get shared(): boolean {
    return this.path === 'stderr';
  }

  /** Takes the settings, and opens the file anew: it may have been renamed. */
  configure(config: AccessLogConfig | undefined): void {
    const path = config?.path ?? '';
    if (path !== this.path) {
      this.close();
      this.path = path;
    }
    this.reopen();
  }

  /** Opens the file anew, as after a rotation. */
  reopen(): void {
    if (this.path === '') return;
    if (this.shared) {
      this.sink ??= standardError();
      return;
    }
    this.triedMs = performance.now();
    let fd: number;
    try {
      fd = openLog(this.path);
    } catch (error) {
      this.complain((error as NodeJS.ErrnoException).code ?? 'error', 'cannot be opened');
      return;
    }
    this.complained = false;
    if (this.sink !== null) closeLog(this.sink.replace(fd));
    else
      this.sink = new LineSink(fd, {
        bytesMax: WAITING_BYTES_MAX,
        onFailure: (reason) => this.complain(reason, 'cannot be written to'),
      });
  }

  /** Said once, until it goes well again. */
  private complain(reason: string, what: string): void {
    if (this.complained) return;
    this.complained = true;
    this.logger.error(`the access log ${what}; its lines are dropped, and counted in access_log.logs_dropped`, {
      path: this.path,
      reason,
    });
  }

  /** @param count how many lines there are; @param lost lines that the worker had no room for */
  take(lines: string, count: number, lost: number): void {
    this.droppedBefore += lost;
    if (count === 0) return;
    if (this.sink === null && performance.now() - this.triedMs >= REOPEN_MS) this.reopen();
    if (this.sink === null) {
      this.droppedBefore += count;
      return;
    }
    const { sink } = this;
    const before = sink.written;
    sink.write(lines, count);
    if (this.shared) this.sharedWritten += count;
    else if (sink.written > before) this.complained = false;
  }

  close(): void {
    if (this.sink !== null && !this.shared) {
      this.sink.close();
      closeLog(this.sink.replace(-1));
    }
    this.writtenBefore = this.written;
    this.droppedBefore = this.dropped;
    this.sharedWritten = 0;
    this.sink = null;
    this.path = '';
  }
}
