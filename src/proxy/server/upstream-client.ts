import type { Bytes } from '../engine/bytes.js';
import { decodeReply, type Reply, ReplyError } from '../engine/resp/decode.js';
import { encodeCommand } from '../engine/resp/encode.js';
import { REPLY_INCOMPLETE, REPLY_MALFORMED, ReplyFramer } from '../engine/resp/reply-framer.js';
import { connectOptions, handshakeProblem, type UpstreamTls } from './tls/upstream.js';

/** How the proxy makes itself known to a server, and makes sure of it. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** The one before it, which is tried where it is refused. */
  readonly previous?: string | undefined;
  readonly tls?: UpstreamTls | null;
  /** Of the Sentinels of the same cluster. */
  readonly sentinelTls?: UpstreamTls | null;
  readonly sentinelPrevious?: string | undefined;
}

/** Bytes of one reply that are collected: the slot map of a thousand nodes is a few megabytes. */
const REPLY_BYTES_MAX = 64 * 1024 * 1024;

interface Waiting {
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

const allocate = (size: number) => Buffer.allocUnsafeSlow(size) as unknown as Bytes;

/** A connection of the proxy's own to one node, for the few commands of the main thread. Every wait has a bound. */
export class UpstreamClient {
  private readonly framer = new ReplyFramer();
  private chunks: Buffer[] = [];
  private collected = 0;
  private waiting: Waiting[] = [];
  private ended = false;
  lastUsedMs = 0;
  /** Hears what the server says without having been asked: messages of a subscription. */
  onMessage: ((message: Reply) => void) | null = null;

  private constructor(private readonly socket: { write(data: Uint8Array): number; terminate(): void }) {}

  get closed(): boolean {
    return this.ended;
  }

  /** Connects and logs in. Rejects within `timeoutMs`. */
  static async connect(
    host: string,
    port: number,
    credentials: Credentials,
    timeoutMs: number,
  ): Promise<UpstreamClient> {
    let client: UpstreamClient | null = null;
    let abandoned = false;
    const { tls } = credentials;
    const secured = Promise.withResolvers<void>();
    const connecting = Bun.connect({
      hostname: host,
      port,
      ...(tls == null ? {} : { tls: connectOptions(tls) }),
      socket: {
        data: (_socket: Bun.Socket, bytes: Buffer) => client?.receive(bytes),
        close: () => {
          secured.reject(new Error('connection closed'));
          client?.end(new Error('connection closed'));
        },
        error: (_socket: Bun.Socket, error: Error) => {
          secured.reject(error);
          client?.end(error);
        },
        connectError: () => {},
        ...(tls == null
          ? {}
          : {
              handshake: (socket: Bun.Socket, success: boolean, error: Error | null) => {
                const problem = handshakeProblem(tls, socket.authorized, success, error);
                if (problem === null) secured.resolve();
                else {
                  secured.reject(new Error(problem.reason));
                  socket.terminate();
                }
              },
            }),
      },
    } as unknown as Bun.TCPSocketConnectOptions).then(async (socket) => {
      if (abandoned) socket.terminate();
      if (tls == null) return socket;
      await secured.promise.catch((error) => {
        socket.terminate();
        throw error;
      });
      return socket;
    });
    secured.promise.catch(() => {});
    let socket: Awaited<typeof connecting>;
    try {
      socket = await bounded(
        connecting,
        timeoutMs,
        tls == null ? 'connect timeout' : 'connect timeout, TLS handshake counted in: does it speak TLS on this port?',
      );
    } catch (error) {
      abandoned = true;
      throw error;
    }
    client = new UpstreamClient(socket);
    const { username, password, previous } = credentials;
    if (password !== '') {
      const login = (secret: string) => (username === '' ? ['AUTH', secret] : ['AUTH', username, secret]);
      let reply = await client.command(login(password), timeoutMs);
      if (reply instanceof ReplyError && previous !== undefined) {
        const second = await client.command(login(previous), timeoutMs);
        // What is said of the current password is what matters.
        if (!(second instanceof ReplyError)) reply = second;
      }
      if (reply instanceof ReplyError) {
        client.close();
        throw new Error(`login refused: ${reply.message}`);
      }
    }
    return client;
  }

  /** Sends a command; rejects when there is no reply within `timeoutMs`, and closes the connection then. */
  async command(args: readonly string[], timeoutMs: number): Promise<Reply> {
    if (this.ended) throw new Error('connection closed');
    this.lastUsedMs = performance.now();
    const reply = new Promise<Reply>((resolve, reject) => this.waiting.push({ resolve, reject }));
    this.socket.write(encodeCommand(args, allocate));
    try {
      return await bounded(reply, timeoutMs, `no reply to ${args[0]} within ${timeoutMs} ms`);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.end(new Error('connection closed'));
    this.socket.terminate();
  }

  private receive(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      const next = this.framer.feed(bytes, at, bytes.length);
      if (next === REPLY_MALFORMED) {
        this.end(new Error('the upstream does not speak RESP'));
        this.socket.terminate();
        return;
      }
      const part = bytes.subarray(at, next === REPLY_INCOMPLETE ? bytes.length : next);
      this.chunks.push(part);
      this.collected += part.length;
      if (this.collected > REPLY_BYTES_MAX) {
        this.end(new Error('the reply is too large'));
        this.socket.terminate();
        return;
      }
      if (next === REPLY_INCOMPLETE) return;
      const whole = this.chunks.length === 1 ? part : Buffer.concat(this.chunks);
      this.chunks = [];
      this.collected = 0;
      at = next;
      const waiting = this.waiting.shift();
      try {
        const reply = decodeReply(whole);
        if (waiting !== undefined) waiting.resolve(reply);
        else this.onMessage?.(reply);
      } catch (error) {
        waiting?.reject(error as Error);
      }
    }
  }

  private end(error: Error): void {
    if (this.ended) return;
    this.ended = true;
    for (const waiting of this.waiting.splice(0)) waiting.reject(error);
  }
}

async function bounded<T>(promise: Promise<T>, timeoutMs: number, message: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(message)), timeoutMs);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
    promise.catch(() => {});
  }
}
