/** A bare connection that speaks RESP, for tests that look at bytes. Every wait has a bound. */
import net from 'node:net';
import tls from 'node:tls';
import { command, decode, ErrorReply, ReplyCutter, type Value } from './resp.js';

/** The types of tls.connect() do not know it. */
const HALF_OPEN: object = { allowHalfOpen: true };
const CONNECT_MS = 5_000;
const REPLY_MS = 15_000;

export interface RawClientOptions {
  port: number;
  host?: string;
  /** Speaks TLS. */
  tls?: tls.ConnectionOptions;
  /** A Unix socket, in place of host and port. */
  path?: string;
  /** Bound for one wait; 15 s when not given. */
  timeoutMs?: number;
}

interface Waiting {
  count: number;
  resolve(): void;
  reject(error: Error): void;
}

export class RawClient {
  /** Replies that nobody has taken yet. */
  private readonly arrived: Buffer[] = [];
  private taken = 0;
  private waiting: Waiting | null = null;
  private readonly cutter = new ReplyCutter();
  private failure: Error | null = null;
  /** The other side has closed the connection. */
  closed = false;
  private readonly whenClosed: Promise<void>;

  private constructor(
    readonly socket: net.Socket,
    private readonly timeoutMs: number,
  ) {
    socket.on('data', (chunk) => {
      try {
        for (const reply of this.cutter.push(chunk)) this.arrived.push(reply);
      } catch (error) {
        this.fail(error as Error);
        socket.destroy();
      }
      this.serve();
    });
    this.whenClosed = new Promise((resolve) => {
      socket.on('close', () => {
        this.closed = true;
        this.fail(new Error('the connection was closed'));
        resolve();
      });
    });
    // What goes wrong is seen as the end of the connection.
    socket.on('error', () => {});
    // A side that only half closes is treated as one that leaves.
    socket.on('end', () => socket.end());
  }

  static async connect(options: RawClientOptions): Promise<RawClient> {
    const { port, host = '127.0.0.1', timeoutMs = REPLY_MS, path } = options;
    const place = path === undefined ? { port, host, noDelay: true } : { path };
    const socket =
      options.tls === undefined
        ? net.connect({ ...place, allowHalfOpen: true })
        : tls.connect({ ...place, ...HALF_OPEN, ...options.tls });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no connection to ${host}:${port}`)), CONNECT_MS);
      socket.once(options.tls === undefined ? 'connect' : 'secureConnect', () => {
        clearTimeout(timer);
        resolve();
      });
      socket.once('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
    });
    return new RawClient(socket, timeoutMs);
  }

  /** Sends bytes as they are. */
  send(bytes: Buffer | string): void {
    this.socket.write(bytes);
  }

  /** Sends bytes and waits until the system has taken them. */
  async sendAll(bytes: Buffer | string): Promise<void> {
    await this.bounded(
      new Promise<void>((resolve, reject) => this.socket.write(bytes, (error) => (error ? reject(error) : resolve()))),
      'the bytes are taken',
    );
  }

  /** The next `count` replies, raw. Rejects when the connection closes before, or the bound is reached. */
  async raw(count: number): Promise<Buffer[]> {
    if (this.arrived.length - this.taken < count) {
      if (this.failure !== null) throw this.failure;
      await this.bounded(
        new Promise<void>((resolve, reject) => {
          this.waiting = { count, resolve, reject };
        }),
        `${count} replies arrive`,
      );
    }
    const replies = this.arrived.slice(this.taken, this.taken + count);
    this.taken += count;
    if (this.taken === this.arrived.length) {
      this.arrived.length = 0;
      this.taken = 0;
    }
    return replies;
  }

  /** Sends one command; gives its reply as it came. */
  async exchange(...args: (string | number | Buffer)[]): Promise<Buffer> {
    this.send(command(...args));
    const [reply] = await this.raw(1);
    return reply!;
  }

  /** Sends one command; gives its decoded reply, an error reply too. */
  async ask(...args: (string | number | Buffer)[]): Promise<Value> {
    return decode(await this.exchange(...args));
  }

  /** Sends one command; throws when the reply is an error. */
  async call(...args: (string | number | Buffer)[]): Promise<Value> {
    const value = await this.ask(...args);
    if (value instanceof ErrorReply) throw new Error(`${args[0]}: ${value.message}`);
    return value;
  }

  /** Sends many commands in one write; gives all decoded replies. */
  async pipeline(commands: readonly (readonly (string | number | Buffer)[])[]): Promise<Value[]> {
    this.send(Buffer.concat(commands.map((args) => command(...args))));
    return (await this.raw(commands.length)).map(decode);
  }

  /** Waits until the other side closes. */
  async untilClosed(): Promise<void> {
    await this.bounded(this.whenClosed, 'the other side closes the connection');
  }

  /** Replies that arrived and were not taken, and bytes of an unfinished one. */
  get unread(): { replies: number; bytes: number } {
    return { replies: this.arrived.length - this.taken, bytes: this.cutter.rest };
  }

  close(): void {
    this.socket.destroy();
  }

  private serve(): void {
    const { waiting } = this;
    if (waiting === null || this.arrived.length - this.taken < waiting.count) return;
    this.waiting = null;
    waiting.resolve();
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.waiting?.reject(this.failure);
    this.waiting = null;
  }

  private async bounded<T>(promise: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const { replies, bytes } = this.unread;
        reject(new Error(`${what}: not within ${this.timeoutMs} ms; ${replies} replies and ${bytes} bytes are here`));
      }, this.timeoutMs);
    });
    try {
      return await Promise.race([promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
