import type { Transport } from '../../engine/core/runtime.js';
import { BunSockets } from './bun-sockets.js';
import { EpollSockets } from './epoll-sockets.js';

/** A connection without TLS, by the names that the runtime's own sockets have. */
export interface PlainSocket<Data> extends Transport {
  data: Data;
  /** Empty for a Unix socket. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** What happens to a connection. `close` comes once, last, and after `terminate` too; never within a call. */
export interface PlainHandlers<Data> {
  /** Accepted, or connected. */
  open(socket: PlainSocket<Data>): void;
  /** The bytes are the handler's to keep. */
  data(socket: PlainSocket<Data>, bytes: Buffer): void;
  /** Takes bytes again, after a `write` that took less than it was offered. */
  drain(socket: PlainSocket<Data>): void;
  /** The other side will say no more. */
  end(socket: PlainSocket<Data>): void;
  close(socket: PlainSocket<Data>, error?: Error): void;
  /** The system gives no connection, nor will it for a moment; those who wait go on waiting. */
  full?(reason: string): void;
}

/** Where to listen: an address that other sockets may listen on, too, or a socket that listens already. */
export type ListenPlace = { readonly host: string; readonly port: number } | { readonly fd: number };

export interface PlainListener {
  readonly port: number;
  /** Accepts nobody any more; connections that are there stay. */
  stop(): void;
}

/** Connections without TLS, and the turns in which what happens to them is told. One for each thread. */
export interface Sockets {
  /** For the log. */
  readonly kind: 'epoll' | 'runtime';
  /** Of the epoll instance that watches its connections; -1 when there is none. */
  readonly descriptor: number;
  /**
   * Listens.
   * @throws an error with the system's `code` when the address cannot be used
   */
  listen<Data>(place: ListenPlace, handlers: PlainHandlers<Data>): PlainListener;
  /**
   * Connects to a host by its address or name. Either `open` or `failed` comes, once, and never within the call.
   * @param timeoutMs it fails after this time
   */
  connect<Data>(
    host: string,
    port: number,
    timeoutMs: number,
    data: Data,
    handlers: PlainHandlers<Data>,
    failed: (reason: string) => void,
  ): void;
  /** Runs the callback when all sockets that are ready now have been served. */
  defer(callback: () => void): void;
  /** What was begun just now is the runtime's to go on with: it gets its turn after this one. */
  yield(): void;
  /** Calls back at this distance, for good. */
  every(ms: number, callback: () => void): void;
}

/** Set to `runtime`, the runtime's own sockets serve connections without TLS: slower, and for comparison. */
const CHOICE = 'FORGE_PROXY_SOCKETS';

/** The fastest sockets that there are here. */
export function openSockets(): Sockets {
  return (process.env[CHOICE] === 'runtime' ? null : EpollSockets.open()) ?? new BunSockets();
}
