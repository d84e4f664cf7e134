import type { Bytes } from '../engine/bytes.js';
import type { Core } from '../engine/core/core.js';
import type { HostFailures, RefreshReason, Runtime, TransportEvents } from '../engine/core/runtime.js';
import type { Recorded } from '../engine/trace/settings.js';
import { connectPlain, connectTls, type UpstreamSide } from './connect.js';
import type { ClusterStart, LogLevel } from './messages.js';
import { post } from './post.js';
import type { Sockets } from './sockets/sockets.js';
import { type UpstreamTls, upstreamTls } from './tls/upstream.js';

/** A worker asks for a new topology at most this often. */
const REFRESH_REQUEST_INTERVAL_MS = 50;

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** A connection may take so long to be made when its cluster is not known any more. */
const CONNECT_TIMEOUT_MS = 5000;

/** The engine's world. */
export class BunRuntime implements Runtime {
  readonly allocate = (size: number) => Buffer.allocUnsafeSlow(size) as unknown as Bytes;
  private threshold: number;
  /** Questions to the other workers whose answers have not come. */
  private readonly questions = new Map<number, (answers: unknown[]) => void>();
  private nextQuestion = 0;
  /** By cluster: when a refresh was last asked for, and why one is wanted. */
  private readonly refreshRequestedMs: number[] = [];
  private readonly refreshWanted: (RefreshReason | null)[] = [];

  /** Of the clusters whose nodes speak TLS, by number. */
  private readonly upstreams: UpstreamSide[] = [];
  /** By cluster. */
  private readonly connectTimeouts: number[] = [];

  /** Set once, before anything connects. */
  core!: Core;

  constructor(
    level: LogLevel,
    private readonly sockets: Sockets,
  ) {
    this.threshold = LEVELS.indexOf(level);
  }

  /** What is said from here on. */
  set logLevel(level: LogLevel) {
    this.threshold = LEVELS.indexOf(level);
  }

  residentBytes(): number {
    return process.memoryUsage.rss();
  }

  now(): number {
    return performance.now();
  }

  sha256(bytes: Bytes): Uint8Array {
    return new Bun.CryptoHasher('sha256').update(bytes).digest();
  }

  defer(callback: () => void): void {
    this.sockets.defer(callback);
  }

  /** These are the clusters from here on; connections that are there stay as they are. */
  know(clusters: readonly ClusterStart[]): void {
    this.upstreams.length = 0;
    for (const { number, tls, settings } of clusters) {
      this.connectTimeouts[number] = settings.connectTimeoutMs;
      if (tls !== null)
        this.upstreams[number] = { tls: upstreamTls(tls) as UpstreamTls, timeoutMs: settings.connectTimeoutMs };
    }
  }

  connect(host: string, port: number, events: TransportEvents, cluster: number): void {
    const upstream = this.upstreams[cluster];
    if (upstream === undefined) {
      const timeoutMs = this.connectTimeouts[cluster] ?? CONNECT_TIMEOUT_MS;
      connectPlain(this.core, this.sockets, host, port, events, timeoutMs);
    } else {
      connectTls(this.core, host, port, events, cluster, upstream);
      this.sockets.yield();
    }
  }

  requestRefresh(cluster: number, reason: RefreshReason): void {
    this.refreshWanted[cluster] = reason;
    this.sendRefreshRequest(cluster);
  }

  hostsFailed(cluster: number, hosts: readonly HostFailures[]): void {
    post({ type: 'hosts-failed', cluster, hosts });
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

  recorded(batch: Recorded): void {
    post({ type: 'recorded', batch });
  }

  log(level: LogLevel, message: string, fields?: Record<string, unknown>): void {
    if (LEVELS.indexOf(level) >= this.threshold) post({ type: 'log', level, message, fields });
  }
}
