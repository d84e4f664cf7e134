import type { Bytes } from '../engine/bytes.js';
import type { Client } from '../engine/core/client.js';
import { Core } from '../engine/core/core.js';
import type { RefreshReason, Runtime, Transport, TransportEvents } from '../engine/core/runtime.js';
import { SlotMap } from '../engine/core/slot-map.js';
import { HostKeySpace, NoHosts } from '../engine/routing/host-table.js';
import { ClusterKeySpace } from '../engine/sharding/key-space.js';
import { Counter } from '../engine/stats.js';
import type { FromWorker, LaneReport, LogLevel, ToWorker, WorkerStart } from './messages.js';

/** How often the engine looks after time. */
const TICK_MS = 20;
/** A worker asks for a new topology at most this often. */
const REFRESH_REQUEST_INTERVAL_MS = 50;

/**
 * The garbage collector does not see how large received chunks are: after this many bytes in large ones it is told to
 * run, which takes a millisecond or two. Without it, the chunks of a 500 MB value stay until the heap itself grows.
 */
const COLLECT_AFTER_BYTES = 64 * 1024 * 1024;
const LARGE_CHUNK_BYTES = 128 * 1024;
const COLLECT_AFTER_START_MS = 1000;
/** … or when large chunks have stopped coming for this long. */
const COLLECT_IDLE_MS = 1000;

/** Silent connections are probed after this time, as Redis's `tcp-keepalive` has it. */
const KEEPALIVE_MS = 300_000;

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

declare const self: { onmessage: ((event: { data: ToWorker }) => void) | null; postMessage(message: FromWorker): void };

const post = (message: FromWorker) => self.postMessage(message);

let core: Core;
let started = false;
let listener: { readonly port: number; stop(closeConnections?: boolean): void } | null = null;
/** Questions to the other workers whose answers have not come. */
const questions = new Map<number, (answers: unknown[]) => void>();
let nextQuestion = 0;
let draining = false;
let drained = false;

self.onmessage = ({ data: message }) => {
  switch (message.type) {
    case 'start':
      start(message);
      break;
    case 'nodes':
      if (message.cluster === core.router.index && message.facts !== null) core.facts = message.facts;
      core.beginEvent();
      core.routers[message.cluster].applyNodes(message.nodes);
      break;
    case 'table':
      if (message.cluster === core.router.index && message.facts !== null) core.facts = message.facts;
      core.beginEvent();
      core.routers[message.cluster].applyTable(new HostKeySpace(message.table, message.slots), message.nodes);
      break;
    case 'reads':
      core.routers[message.cluster].reads.know(message.lagging, message.local);
      break;
    case 'map':
      core.beginEvent();
      core.routers[message.cluster].mapChanged();
      break;
    case 'commands':
      core.catalog.learn(message.specs);
      break;
    case 'report':
      post({ type: 'report', id: message.id, lanes: reportLanes() });
      break;
    case 'asked': {
      // Other workers may be there before this one is; what it missed it learns when it asks.
      if (!started) {
        if (message.id !== undefined) post({ type: 'answer', id: message.id, answer: undefined });
        break;
      }
      core.beginEvent();
      const answer = core.relay.answer(message.kind, message.payload);
      if (message.id !== undefined) post({ type: 'answer', id: message.id, answer });
      break;
    }
    case 'answers': {
      core.beginEvent();
      const callback = questions.get(message.id);
      questions.delete(message.id);
      callback?.([...message.answers]);
      break;
    }
    case 'drain':
      drain();
  }
};
post({ type: 'loaded' });

let largeBytes = 0;
let largeMs = 0;

function countLarge(bytes: number): void {
  largeBytes += bytes;
  largeMs = core.nowMs;
  // Not within the event: what it is about to drop would be kept.
  if (largeBytes >= COLLECT_AFTER_BYTES) setImmediate(collect);
}

function collect(): void {
  if (largeBytes === 0) return;
  largeBytes = 0;
  Bun.gc(true);
}

function start(options: WorkerStart): void {
  const runtime = new BunRuntime(options.logLevel);
  core = new Core(
    runtime,
    options.settings,
    options.limits,
    options.clusters.map(({ settings, sharded, slotMap }) => ({
      settings,
      keySpace: sharded ? new NoHosts() : new ClusterKeySpace(),
      slotMap: new SlotMap(slotMap),
    })),
    new Float64Array(options.stats[options.settings.worker]),
    options.stats.map((memory) => new Float64Array(memory)),
  );
  started = true;
  try {
    listener = listen(options.listen.host, options.listen.port);
    post({ type: 'listening', port: listener.port });
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    post({ type: 'listen-failed', reason: message, inUse: code === 'EADDRINUSE' });
    return;
  }
  setInterval(() => {
    core.tick();
    runtime.sendRefreshRequests();
    if (largeBytes > 0 && core.nowMs - largeMs >= COLLECT_IDLE_MS) collect();
    if (draining) finishDrain();
  }, TICK_MS);
  // What the start has left behind is given back once; later, the collector knows best.
  setTimeout(() => {
    if (core.clients.size === 0) Bun.gc(true);
  }, COLLECT_AFTER_START_MS);
}

function listen(hostname: string, port: number) {
  // `reusePort` is honoured by the runtime and missing from its types: the kernel spreads connections over the workers.
  const address = { hostname, port, reusePort: true };
  return Bun.listen<Client>({
    ...address,
    // A client may close its sending side and still wait for its replies, as `printf … | nc` does.
    allowHalfOpen: true,
    socket: {
      open(socket) {
        socket.setNoDelay(true);
        socket.setKeepAlive(true, KEEPALIVE_MS);
        socket.data = core.accept(socket as unknown as Transport, peer(socket), here(socket));
      },
      data(socket, bytes) {
        const client = socket.data;
        core.beginEvent();
        core.add(Counter.downstream_cx_rx_bytes_total, bytes.length);
        if (bytes.length >= LARGE_CHUNK_BYTES) countLarge(bytes.length);
        try {
          client.received(bytes as unknown as Bytes);
        } catch (error) {
          fault(error, client);
        }
      },
      drain(socket) {
        core.beginEvent();
        socket.data.drained();
      },
      end(socket) {
        core.beginEvent();
        socket.data.ended();
      },
      close(socket) {
        core.left(socket.data);
      },
      error(socket) {
        socket.terminate();
        core.left(socket.data);
      },
    },
  });
}

const LANE_STATES = ['idle', 'connecting', 'handshake', 'ready'] as const;

function reportLanes(): LaneReport[] {
  const reports: LaneReport[] = [];
  for (const router of core.routers) {
    for (const lane of router.lanes()) {
      reports.push({
        cluster: router.index,
        address: lane.node.address,
        proto: lane.proto,
        state: LANE_STATES[lane.state],
        inFlight: lane.inFlight,
        waiting: lane.waiting.length,
        failures: lane.failures,
        lastError: lane.lastError,
      });
    }
  }
  return reports;
}

function peer(socket: { remoteAddress: string; remotePort: number }): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

function here(socket: { localAddress: string; localPort: number }): string {
  return `${socket.localAddress}:${socket.localPort}`;
}

function faultText(doing: string, error: unknown): string {
  return `fault while ${doing}; the connection was closed: ${(error as Error)?.stack ?? error}`;
}

/** A fault of the proxy's own, met while it served a client: that client is let go, the others are not. */
function fault(error: unknown, client: Client): void {
  post({
    type: 'log',
    level: 'error',
    message: faultText('serving a client', error),
    fields: { client: client.address },
  });
  client.transport.terminate();
  core.left(client);
}

/** The engine's world, on Bun's sockets. */
class BunRuntime implements Runtime {
  readonly allocate = (size: number) => Buffer.allocUnsafeSlow(size) as unknown as Bytes;
  private readonly threshold: number;
  /** By cluster: when a refresh was last asked for, and why one is wanted. */
  private readonly refreshRequestedMs: number[] = [];
  private readonly refreshWanted: (RefreshReason | null)[] = [];

  constructor(level: LogLevel) {
    this.threshold = LEVELS.indexOf(level);
  }

  now(): number {
    return performance.now();
  }

  defer(callback: () => void): void {
    setImmediate(callback);
  }

  connect(host: string, port: number, events: TransportEvents): void {
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
          if (bytes.length >= LARGE_CHUNK_BYTES) countLarge(bytes.length);
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
    const id = nextQuestion++;
    questions.set(id, callback);
    post({ type: 'ask', id, kind, payload });
  }

  tell(kind: string, payload: unknown): void {
    post({ type: 'ask', kind, payload });
  }

  log(level: LogLevel, message: string, fields?: Record<string, unknown>): void {
    if (LEVELS.indexOf(level) >= this.threshold) post({ type: 'log', level, message, fields });
  }
}

/** Stops accepting; clients leave when what they asked for is answered. */
function drain(): void {
  if (draining) return;
  draining = true;
  listener?.stop(false);
}

function finishDrain(): void {
  for (const client of [...core.clients]) {
    if (client.head === null && client.output.bytes === 0) {
      client.transport.end();
      core.left(client);
    }
  }
  if (core.clients.size > 0 || drained) return;
  // Said once: the main thread counts the workers that are done.
  drained = true;
  post({ type: 'drained' });
}
