import type { Bytes } from '../engine/bytes.js';
import type { Core } from '../engine/core/core.js';
import type { RefreshReason, Runtime, Transport, TransportEvents } from '../engine/core/runtime.js';
import { countLarge, LARGE_CHUNK_BYTES } from './collector.js';
import type { FromWorker, LogLevel } from './messages.js';

/** A worker asks for a new topology at most this often. */
const REFRESH_REQUEST_INTERVAL_MS = 50;

/** Silent connections are probed after this time, as Redis's `tcp-keepalive` has it. */
export const KEEPALIVE_MS = 300_000;

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

declare const self: { postMessage(message: FromWorker): void };

/** Says something to the main thread. */
export const post = (message: FromWorker): void => self.postMessage(message);

/** What is logged of a fault of the proxy's own. */
export function faultText(doing: string, error: unknown): string {
  return `fault while ${doing}; the connection was closed: ${(error as Error)?.stack ?? error}`;
}

/** The engine's world, on Bun's sockets. */
export class BunRuntime implements Runtime {
  readonly allocate = (size: number) => Buffer.allocUnsafeSlow(size) as unknown as Bytes;
  private threshold: number;
  /** Questions to the other workers whose answers have not come. */
  private readonly questions = new Map<number, (answers: unknown[]) => void>();
  private nextQuestion = 0;
  /** By cluster: when a refresh was last asked for, and why one is wanted. */
  private readonly refreshRequestedMs: number[] = [];
  private readonly refreshWanted: (RefreshReason | null)[] = [];

  /** Set once, before anything connects. */
  core!: Core;

  constructor(level: LogLevel) {
    this.threshold = LEVELS.indexOf(level);
  }

  /** What is said from here on. */
  set logLevel(level: LogLevel) {
    this.threshold = LEVELS.indexOf(level);
  }

  now(): number {
    return performance.now();
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }

  connect(host: string, port: number, events: TransportEvents): void {
    const { core } = this;
    let opened = false;
    const failed = (reason: string) => {
      if (opened) return;
      opened = true;
      core.beginEvent();
      events.failed(reason);
    };
    Bun.connect<TransportEvents>({
      hostname: host,
      port,
      data: events,
      socket: {
        open(socket) {
          opened = true;
          socket.setNoDelay(true);
          socket.setKeepAlive(true, KEEPALIVE_MS);
          core.beginEvent();
          events.opened(socket as unknown as Transport);
        },
        data(socket, bytes) {
          core.beginEvent();
          if (bytes.length >= LARGE_CHUNK_BYTES) countLarge(bytes.length, core.nowMs);
          try {
            socket.data.received(bytes as unknown as Bytes);
          } catch (error) {
            post({ type: 'log', level: 'error', message: faultText('reading an upstream', error) });
            socket.data.closed('fault in the proxy');
            socket.terminate();
          }
        },
        drain(socket) {
          core.beginEvent();
          socket.data.drained();
        },
        end(socket) {
          socket.terminate();
          core.beginEvent();
          socket.data.closed('closed by the upstream');
        },
        close(socket, error) {
          core.beginEvent();
          socket.data.closed(error?.message ?? 'connection lost');
        },
        error(socket, error) {
          core.beginEvent();
          socket.data.closed(error.message);
          socket.terminate();
        },
        connectError(_socket, error) {
          failed(error.message);
        },
      },
    }).catch((error: Error) => failed(error.message));
  }

  requestRefresh(cluster: number, reason: RefreshReason): void {
    this.refreshWanted[cluster] = reason;
    this.sendRefreshRequest(cluster);
  }

  /** Sends what was asked for when it is not too soon after the last; called again with every tick. */
  sendRefreshRequests(): void {
    for (let cluster = 0; cluster < this.refreshWanted.length; cluster++) this.sendRefreshRequest(cluster);
  }

  private sendRefreshRequest(cluster: number): void {
    const reason = this.refreshWanted[cluster];
    if (reason == null) return;
    const now = this.now();
    if (now - (this.refreshRequestedMs[cluster] ?? Number.NEGATIVE_INFINITY) < REFRESH_REQUEST_INTERVAL_MS) return;
    post({ type: 'refresh', cluster, reason });
    this.refreshRequestedMs[cluster] = now;
    this.refreshWanted[cluster] = null;
  }

  ask(kind: string, payload: unknown, callback: (answers: unknown[]) => void): void {
    const id = this.nextQuestion++;
    this.questions.set(id, callback);
    post({ type: 'ask', id, kind, payload });
  }

  /** The workers have answered a question of this one. */
  answered(id: number, answers: unknown[]): void {
    const callback = this.questions.get(id);
    this.questions.delete(id);
    callback?.(answers);
  }

  tell(kind: string, payload: unknown): void {
    post({ type: 'ask', kind, payload });
  }

  log(level: LogLevel, message: string, fields?: Record<string, unknown>): void {
    if (LEVELS.indexOf(level) >= this.threshold) post({ type: 'log', level, message, fields });
  }
}
