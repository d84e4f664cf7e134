import { ptr } from 'bun:ffi';
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLLIN,
  Errno,
  lastErrno,
  SOCK_CLOEXEC,
  type System,
} from './system.js';

/** `struct epoll_event` is packed on x86-64 only (epoll_ctl(2)). In 32-bit words: the events, then the data. */
const EVENT_WORDS = process.arch === 'x64' ? 3 : 4;
const DATA_WORD = EVENT_WORDS - 2;
/** Sockets that are told of at once; there may be more, they come next. */
const EVENTS_MAX = 256;
/** What is received at once: of a connection with more, the rest comes with the next turn. */
const READ_BYTES_MIN = 64 * 1024;
const READ_BYTES_MAX = 512 * 1024;
/**
 * Where more than one socket was ready, more are about to be: what they bring goes out with the rest. Looks are without
 * waiting, and end with the first that finds nothing. They make larger batches for the nodes: 2 to 5 % less processor time.
 */
const LOOKS_MAX = 3;
/** The longest wait for something to happen. */
const WAIT_MS_MAX = 1000;

/** Something with a descriptor that is waited for. */
export interface Pollable {
  readonly fd: number;
  /** Tells it from others that have had the descriptor before; given by `add`. */
  serial: number;
  ready(events: number): void;
}

interface Timer {
  readonly everyMs: number;
  readonly callback: () => void;
  dueMs: number;
}

/**
 * Waits for sockets (epoll(7)), and tells them one after the other when they are ready: a turn. What was put off is
 * done at the end of each.
 *
 * The runtime has an event loop of its own, with the messages between threads, names that are resolved, and TLS. Its
 * epoll instance is one of the descriptors that are waited for here: when it has something, or a timer was due, this
 * loop gives way for one round of that one, and is called again as the first thing after it.
 */
export class Poller {
  readonly fd: number;
  private readonly pollables: (Pollable | undefined)[] = [];
  private serials = 0;
  private readonly events = new Int32Array(new ArrayBuffer(EVENTS_MAX * EVENT_WORDS * 4));
  private readonly eventsAt = ptr(this.events);
  private readonly control = new Int32Array(new ArrayBuffer(EVENT_WORDS * 4));
  private readonly timers: Timer[] = [];
  private deferred: (() => void)[] = [];
  private others: (() => void)[] = [];
  /** The runtime has something to do before this loop waits again. */
  private giveWay = false;
  /** What is received next goes there. */
  private buffer: Buffer;
  private bufferAt: number;

  /** @throws Error when the system gives no epoll instance */
  constructor(readonly system: System) {
    this.fd = system.epoll_create1(SOCK_CLOEXEC);
    if (this.fd < 0) throw new Error('no epoll instance');
    this.buffer = Buffer.allocUnsafeSlow(READ_BYTES_MIN);
    this.bufferAt = ptr(this.buffer);
  }

  /** Waits for the runtime's epoll instance, too, and begins. */
  start(runtimeLoop: number): void {
    this.add({ fd: runtimeLoop, serial: 0, ready: () => this.yield() }, EPOLLIN);
    setImmediate(this.run);
  }

  /** The runtime gets its turn after this one: something was begun that it does. */
  yield(): void {
    this.giveWay = true;
  }

  defer(callback: () => void): void {
    this.deferred.push(callback);
  }

  every(ms: number, callback: () => void): void {
    this.timers.push({ everyMs: ms, callback, dueMs: performance.now() + ms });
  }

  /** False: the system does not take it. */
  add(pollable: Pollable, events: number): boolean {
    pollable.serial = this.serials = (this.serials + 1) | 0;
    if (!this.tell(EPOLL_CTL_ADD, pollable, events)) return false;
    this.pollables[pollable.fd] = pollable;
    return true;
  }

  /** Like `add`, of a descriptor that is waited for already. */
  replace(pollable: Pollable, events: number): void {
    pollable.serial = this.serials = (this.serials + 1) | 0;
    this.tell(EPOLL_CTL_MOD, pollable, events);
    this.pollables[pollable.fd] = pollable;
  }

  change(pollable: Pollable, events: number): void {
    this.tell(EPOLL_CTL_MOD, pollable, events);
  }

  /** Waits for it no more; it may be added again. */
  remove(pollable: Pollable): void {
    this.pollables[pollable.fd] = undefined;
    this.tell(EPOLL_CTL_DEL, pollable, 0);
  }

  /** Closes the descriptor. What has happened to it in this turn is not told any more. */
  close({ fd }: Pollable): void {
    this.pollables[fd] = undefined;
    this.system.close(fd);
  }

  /** Receives into a buffer that is `take`n when that has given something: bytes, 0 at the end, below 0 for a failure. */
  receive(fd: number): number {
    return this.system.recv(fd, this.bufferAt as unknown as null, this.buffer.length, 0);
  }

  /** What was received, to keep. Small pieces are copied, so that none of them holds a large buffer. */
  take(length: number): Buffer {
    const { buffer } = this;
    const size = buffer.length;
    if (length * 2 < size) {
      const bytes = Buffer.allocUnsafeSlow(length);
      buffer.copy(bytes, 0, 0, length);
      // A long reply had made it larger than what comes now needs.
      if (size > READ_BYTES_MIN && length * 16 < size) this.reserve(READ_BYTES_MIN);
      return bytes;
    }
    this.reserve(length === size ? Math.min(READ_BYTES_MAX, size * 2) : size);
    return length === size ? buffer : buffer.subarray(0, length);
  }

  private reserve(bytes: number): void {
    this.buffer = Buffer.allocUnsafeSlow(bytes);
    this.bufferAt = ptr(this.buffer);
  }

  private tell(operation: number, { fd, serial }: Pollable, events: number): boolean {
    this.control[0] = events;
    this.control[DATA_WORD] = fd;
    this.control[DATA_WORD + 1] = serial;
    return this.system.epoll_ctl(this.fd, operation, fd, this.control) === 0;
  }

  private readonly run = (): void => {
    try {
      this.giveWay = false;
      do {
        this.flush();
        let more = this.wait(this.waitMs()) > 1;
        for (let look = 0; more && look < LOOKS_MAX; look++) more = this.wait(0) > 0;
        this.flush();
        this.tick();
      } while (!this.giveWay);
    } finally {
      setImmediate(this.run);
    }
  };

  /** One turn. @returns how many sockets were ready */
  private wait(waitMs: number): number {
    const { events } = this;
    const count = this.system.epoll_wait(this.fd, this.eventsAt as unknown as null, EVENTS_MAX, waitMs);
    for (let i = 0, at = 0; i < count; i++, at += EVENT_WORDS) {
      const pollable = this.pollables[events[at + DATA_WORD] as number];
      if (pollable !== undefined && pollable.serial === events[at + DATA_WORD + 1])
        pollable.ready(events[at] as number);
    }
    if (count < 0 && lastErrno(this.system) !== Errno.EINTR) throw new Error('epoll_wait failed');
    return count;
  }

  private waitMs(): number {
    if (this.deferred.length > 0) return 0;
    let dueMs = Number.POSITIVE_INFINITY;
    for (const timer of this.timers) dueMs = Math.min(dueMs, timer.dueMs);
    return Math.max(0, Math.min(WAIT_MS_MAX, Math.ceil(dueMs - performance.now())));
  }

  /** Does what was put off until now; what is put off meanwhile is for the next turn. */
  private flush(): void {
    const { deferred } = this;
    if (deferred.length === 0) return;
    this.deferred = this.others;
    this.others = deferred;
    for (let i = 0; i < deferred.length; i++) (deferred[i] as () => void)();
    deferred.length = 0;
  }

  private tick(): void {
    const now = performance.now();
    for (const timer of this.timers) {
      if (now < timer.dueMs) continue;
      // What was missed while the process stood still is not made up for.
      timer.dueMs = Math.max(timer.dueMs + timer.everyMs, now + timer.everyMs / 2);
      this.giveWay = true;
      timer.callback();
    }
  }
}
