import { ptr } from 'bun:ffi';
import { loadLibc } from './libc.js';

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const MSG_NOSIGNAL = 0x4000;
/** Bytes of a path in a `sockaddr_un`. */
const PATH_BYTES_MAX = 107;

/**
 * Tells the service manager what the process does (sd_notify(3)): a datagram to the Unix socket that NOTIFY_SOCKET
 * names. Without that variable, nothing is done. What cannot be sent is lost: nothing waits for it.
 */
export class ServiceManager {
  private readonly path: string;
  /** What this process does is not the service's state any more. */
  private gone = false;
  private watchdog: ReturnType<typeof setInterval> | null = null;

  constructor(private readonly environment: NodeJS.ProcessEnv = process.env) {
    this.path = environment.NOTIFY_SOCKET ?? '';
  }

  /** Clients are served. @param status one line for `systemctl status` */
  ready(status: string): void {
    this.say('READY=1', `STATUS=${status}`, `MAINPID=${process.pid}`);
    this.startWatchdog();
  }

  /** A new configuration is about to be read; `ready` follows. */
  reloading(): void {
    const monotonicUs = Math.round(Number(process.hrtime.bigint() / 1000n));
    this.say('RELOADING=1', `MONOTONIC_USEC=${monotonicUs}`);
  }

  /** Another process is the service from here on. */
  succeeded(pid: number): void {
    this.say(`MAINPID=${pid}`);
    this.stop();
    this.gone = true;
  }

  stopping(status: string): void {
    if (this.gone) return;
    this.say('STOPPING=1', `STATUS=${status}`);
    this.stop();
  }

  stop(): void {
    if (this.watchdog !== null) clearInterval(this.watchdog);
    this.watchdog = null;
  }

  /** Says twice in the time that the manager allows that the main thread is alive. */
  private startWatchdog(): void {
    const usec = Number(this.environment.WATCHDOG_USEC ?? 0);
    if (this.path === '' || this.watchdog !== null || !(usec > 0)) return;
    this.watchdog = setInterval(() => this.say('WATCHDOG=1'), usec / 2000);
    this.watchdog.unref();
  }

  private say(...lines: string[]): void {
    if (this.path === '') return;
    const libc = loadLibc();
    if (libc === null) return;
    const fd = libc.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
    if (fd < 0) return;
    // `@` stands for the zero byte of an abstract address.
    const path = new TextEncoder().encode(this.path.replace(/^@/, '\0')).subarray(0, PATH_BYTES_MAX);
    const address = new Uint8Array(2 + path.length + (path[0] === 0 ? 0 : 1));
    address[0] = AF_UNIX;
    address.set(path, 2);
    const text = new TextEncoder().encode(lines.join('\n'));
    libc.sendto(fd, ptr(text), text.length, MSG_NOSIGNAL, ptr(address), address.length);
    libc.close(fd);
  }
}
